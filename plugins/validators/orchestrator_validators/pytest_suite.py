"""The validator ``pytest``: the task's own tests pass in the sandbox; without tests, the code can be imported.

The tests are those of the plan, else the test files among the output's. The code under test runs in the process that
counts, so the exit status proves nothing: each test that the source of the tests surely defines, and each that pytest
collects, must be reported as passed, in a signed report (see ``orchestrator.suites``).
"""

import re
from pathlib import PurePosixPath
from typing import Final

from attrs import evolve, frozen

from orchestrator.errors import MissingError
from orchestrator.spi import Candidate, Finding, Ran, Validator, ValidatorContext, hookimpl
from orchestrator.suites import (
    UNREADABLE,
    Layout,
    SignedReport,
    SignedRun,
    defined_tests,
    failure_lines,
    imported,
    imported_from,
    is_installed,
    is_test_file,
    laid_out,
    parse,
    shadowing,
    short,
)
from orchestrator_validators.tampering_code import tampering

_SECONDS: Final = 30.0
_TAIL: Final = 2000
_SHOWN: Final = 10
_GIVEN: Final = "test_task.py"
_MISSING: Final = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z_]\w*)")


@frozen
class _Suite:
    """What is to be run."""

    sources: dict[str, str]
    """Every file by its name below ``src``."""
    tests: dict[str, str]
    """The test files among them; empty for a mere import."""
    module: str
    """What is imported where there is no test."""
    roots: tuple[str, ...] = ()
    given: bool = False
    """Whether the tests are the task's, and not the output's."""


def pytest_suite(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Run the tests, or import the code."""
    if not is_installed("pytest"):
        return Finding.failed("pytest is not installed beside the program: pip install pytest", permanent=True)
    layout = laid_out(candidate.content, candidate.files, candidate.dependencies)
    if not any(source.strip() for source in layout.own.values()):
        return Finding.failed("there is no Python code in the output")
    if touched := _touched(layout):
        return Finding.failed(f"tampering: the code reaches for what judges it: {', '.join(touched)}")
    problem = _unreadable(candidate.tests)
    if problem:
        return Finding.unknown(f"the task's tests cannot be read: {problem}", permanent=True)
    found = _run(_suite(candidate, layout), check)
    said = [
        f"{why}: {', '.join(names)}"
        for why, names in (
            ("left out, for the output has a file of that name", layout.left_out),
            ("not laid beside the tests, for Python or pytest needs their names", layout.hidden),
        )
        if names
    ]
    return evolve(found, details="\n".join([found.details, *said]).strip()) if said else found


def _touched(layout: Layout) -> list[str]:
    """What the output's own files reach for that belongs to the tests' runner, with the file."""
    return [f"{what} ({name})" for name, source in layout.own.items() for what in tampering(source)][:_SHOWN]


def _run(suite: _Suite, check: ValidatorContext) -> Finding:
    signed = SignedRun(tuple(suite.tests), suite.module, roots=suite.roots)
    inside = signed.inside({name: source.encode(errors="replace") for name, source in suite.sources.items()})
    seconds = min(_SECONDS, check.timeout)
    ran = check.run(signed.argv, inside, take=signed.take, seconds=seconds)
    if ran.ended == "time":
        return Finding.unknown(f"the {_what(suite)} took longer than {seconds:g} s{_tail(ran)}")
    if ran.ended:
        return Finding.unknown(f"the {_what(suite)} was ended ({ran.ended}){_tail(ran)}")
    if not signed.began(ran.files) and ran.code != 0:
        return Finding.unknown(f"the collector could not be started{_tail(ran)}")
    report = signed.report(ran.files)
    passed, total = (0, _certain(suite)) if report is None else report.counted(suite.tests)
    found = _judged(suite, report, ran)
    return evolve(found, passed_tests=passed, total_tests=total) if suite.tests and total else found


def _suite(candidate: Candidate, layout: Layout) -> _Suite:
    """The files to put in, each under the names that tests may know it by."""
    sources, main = layout.files, layout.main
    tests = [name for name, source in layout.own.items() if is_test_file(name) or defined_tests(source)]
    if candidate.tests is not None:
        sources[_GIVEN] = candidate.tests
        tests = [_GIVEN]
        for name in _aliases(candidate, layout) if len(layout.code) == 1 else ():
            sources.setdefault(f"{name}.py", layout.own[main])
    if not PurePosixPath(main).stem.isidentifier():
        sources["solution.py"], main = layout.own[main], "solution.py"
    module = main.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    given = candidate.tests is not None
    return _Suite(sources, {name: sources[name] for name in tests}, module, layout.roots, given)


def _aliases(candidate: Candidate, layout: Layout) -> list[str]:
    """Names under which tests may import the output's one module: its task's, and one that they import in vain."""
    if candidate.tests is None:
        raise MissingError("tests")
    named, wanted = {"solution", candidate.task}, imported(candidate.tests)
    own = {PurePosixPath(layout.main).stem, layout.main.partition("/")[0]}
    known = own | {name.partition("/")[0].removesuffix(".py") for name in layout.beside}
    unknown = [name for name in sorted(wanted - known - named) if not is_installed(name)]
    if len(unknown) > 1:
        unknown = [name for name in unknown if _has(layout.own[layout.main], imported_from(candidate.tests, name))]
    meant = unknown if len(unknown) == 1 and wanted.isdisjoint(own | named) else []
    return [name for name in (*sorted(named), *meant) if name.isidentifier() and not shadowing([f"{name}.py"])]


def _has(source: str, names: set[str]) -> bool:
    """Whether a module has all of some names, as far as its text says."""
    return bool(names) and all(
        re.search(rf"^(?:async )?(?:def|class) +{re.escape(name)}\b|^{re.escape(name)}\b", source, re.MULTILINE)
        for name in names
    )


def _unreadable(tests: str | None) -> str:
    """Why the task's tests are no Python."""
    try:
        parse(tests or "")
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except UNREADABLE as error:
        return short(str(error)) or type(error).__name__
    return ""


def _judged(suite: _Suite, report: SignedReport | None, ran: Ran) -> Finding:
    if report is None:
        how = f"exit status {ran.code}" if (ran.code or 0) >= 0 else f"signal {-(ran.code or 0)}"
        return Finding.failed(f"the {_what(suite)} did not come to its end ({how}); nothing it said counts{_tail(ran)}")
    if report.tampered:
        return Finding.failed(f"tampering: {'; '.join(report.tampered[:_SHOWN])}")
    missing = _missing(suite, report.said)
    if missing is not None:
        return _without(suite, missing)
    if report.internal:
        return Finding.unknown(f"pytest failed inside{_tail(ran)}")
    if report.problems or report.having("failed"):
        return Finding.failed(_failures(suite, report))
    if not suite.tests:
        return Finding.passed(f"{suite.module} can be imported; no tests")
    if lost := report.missing(suite.tests):
        wanted = report.counted(suite.tests)[1]
        return Finding.failed(f"{len(lost)} of {wanted} tests were not reported as passed: {', '.join(lost[:10])}")
    return _complete(suite, report)


def _complete(suite: _Suite, report: SignedReport) -> Finding:
    """The verdict where nothing failed and nothing is missing."""
    passed, _ = report.counted(suite.tests)
    if passed:
        return Finding.passed(f"{passed} tests passed")
    why = "all of them skip themselves" if report.having("skipped") else "pytest collects none"
    if suite.given:
        return Finding.unknown(f"the task's tests cannot judge: {why}", permanent=True)
    return Finding.failed(f"no test was reported as passed: {why}")


def _without(suite: _Suite, missing: str) -> Finding:
    """The verdict where a library is not installed: permanent where the task's tests themselves need it."""
    if not suite.tests:
        return Finding.skipped(f"the import was not tried to its end: {missing} is not installed beside the program")
    permanent = suite.given and any(missing in imported(source) for source in suite.tests.values())
    said = f"the tests could not be run: {missing} is not installed beside the program"
    return Finding.unknown(said, permanent=permanent)


def _failures(suite: _Suite, report: SignedReport) -> str:
    """What went wrong, for people and for the model that tries again: the numbers, and the first failures."""
    if not suite.tests:
        return f"the import fails: {failure_lines(report.failures, report.more)}"
    passed, total = report.counted(suite.tests)
    said = failure_lines(report.failures, len(report.problems) - len(report.failures) + report.more)
    return f"{passed} of {total} tests passed. Failing:\n{said or 'a test failed'}"


def _missing(suite: _Suite, said: str) -> str | None:
    """A module that the files import and that is not installed, where that is what went wrong."""
    named = {name for source in suite.sources.values() for name in imported(source)}
    found = [name for name in _MISSING.findall(said) if name in named and not is_installed(name)]
    own = {name.partition("/")[0].removesuffix(".py") for name in suite.sources}
    return next((name for name in found if name not in own), None)


def _certain(suite: _Suite) -> int:
    return sum(len(defined_tests(source)) for source in suite.tests.values())


def _what(suite: _Suite) -> str:
    return "test run" if suite.tests else "import"


def _tail(ran: Ran) -> str:
    text = ran.output.strip()
    return f":\n{text[-_TAIL:]}" if text else ""


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return pytest_suite
