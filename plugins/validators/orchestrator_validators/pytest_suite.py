"""The validator ``pytest``: the task's own tests pass in the sandbox; without tests, the code can be imported.

The tests are those of the plan, else the test files among the output's. The code under test runs in the process that
counts, so the exit status proves nothing: each test that the source of the tests defines must be reported as passed,
in a signed report (see ``orchestrator.suites``).
"""

import re
from pathlib import PurePosixPath
from typing import Final

from attrs import frozen

from orchestrator.spi import Candidate, Finding, Ran, Validator, ValidatorContext, hookimpl
from orchestrator.suites import SignedReport, SignedRun, defined_tests, is_test_file
from orchestrator_validators.sources import imported, is_installed, python_files

_SECONDS: Final = 30.0
_TAIL: Final = 2000
_MISSING: Final = re.compile(r"ModuleNotFoundError: No module named '([A-Za-z_]\w*)")


@frozen
class _Suite:
    """What is to be run."""

    sources: dict[str, str]
    """Every file by its name below ``src``."""
    tests: list[str]
    """The test files among them; empty for a mere import."""
    module: str
    """What is imported where there is no test."""


def pytest_suite(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Run the tests, or import the code."""
    if not is_installed("pytest"):
        return Finding.failed("pytest is not installed beside the program: pip install pytest")
    suite = _suite(candidate)
    if suite is None:
        return Finding.failed("there is no Python code in the output")
    if candidate.tests is not None and not defined_tests(candidate.tests):
        return Finding.unknown("the task's tests hold no test function")
    signed = SignedRun(tuple(suite.tests), suite.module)
    inside = signed.inside({name: source.encode(errors="replace") for name, source in suite.sources.items()})
    seconds = min(_SECONDS, check.timeout)
    ran = check.run(signed.argv, inside, take=signed.take, seconds=seconds)
    if ran.ended == "time":
        return Finding.unknown(f"the {_what(suite)} took longer than {seconds:g} s{_tail(ran)}")
    if ran.ended:
        return Finding.unknown(f"the {_what(suite)} was ended ({ran.ended}){_tail(ran)}")
    if not signed.began(ran.files) and ran.code != 0:
        return Finding.unknown(f"the collector could not be started{_tail(ran)}")
    return _judged(suite, signed.report(ran.files), ran)


def _suite(candidate: Candidate) -> _Suite | None:
    """The files to put in, each under the names that tests may know it by."""
    sources = python_files(candidate)
    code = [name for name in sources if not is_test_file(name)]
    if not any(source.strip() for source in sources.values()):
        return None
    main = code[0] if code else next(iter(sources))
    tests = [name for name in sources if is_test_file(name) or defined_tests(sources[name])]
    if candidate.tests is not None:
        sources = {**sources, "test_task.py": candidate.tests}
        tests = ["test_task.py"]
        for name in _aliases(candidate.task, candidate.tests, set(sources)) if len(code) == 1 else ():
            sources.setdefault(f"{name}.py", sources[main])
    if not PurePosixPath(main).stem.isidentifier():
        sources["solution.py"], main = sources[main], "solution.py"
    return _Suite(sources, tests, main.removesuffix(".py").removesuffix("/__init__").replace("/", "."))


def _aliases(task: str, tests: str, there: set[str]) -> list[str]:
    """Names under which tests may import the output's one module: its task's, and imports that are not installed."""
    known = {name.partition("/")[0].removesuffix(".py") for name in there}
    wanted = [name for name in sorted(imported(tests)) if name not in known and not is_installed(name)]
    return [name for name in ("solution", task, *(wanted if len(wanted) == 1 else ())) if name.isidentifier()]


def _judged(suite: _Suite, report: SignedReport | None, ran: Ran) -> Finding:
    if report is None:
        how = f"exit status {ran.code}" if (ran.code or 0) >= 0 else f"signal {-(ran.code or 0)}"
        return Finding.failed(f"the {_what(suite)} did not come to its end ({how}); nothing it said counts{_tail(ran)}")
    said = report.said
    missing = _missing(suite, said)
    if missing is not None and suite.tests:
        return Finding.unknown(f"the tests could not be run: {missing} is not installed beside the program\n{said}")
    if missing is not None:
        return Finding.skipped(f"the import was not tried to its end: {missing} is not installed beside the program")
    if report.internal:
        return Finding.unknown(f"pytest failed inside{_tail(ran)}")
    if said or report.having("failed"):
        return Finding.failed(said or "a test failed")
    tests = {name: suite.sources[name] for name in suite.tests}
    if lost := report.missing(tests):
        wanted = sum(len(defined_tests(source)) for source in tests.values())
        return Finding.failed(f"{len(lost)} of {wanted} tests were not reported as passed: {', '.join(lost[:10])}")
    passed = [name for name, outcome in report.outcomes if outcome == "passed"]
    if not passed:
        return Finding.failed(f"no test was reported as passed{_tail(ran)}")
    return Finding.passed(f"{len(passed)} tests passed" if suite.tests else f"{suite.module} can be imported; no tests")


def _missing(suite: _Suite, said: str) -> str | None:
    """A module that the code imports and that is not installed, where that is what went wrong."""
    named = {name for source in suite.sources.values() for name in imported(source)}
    found = [name for name in _MISSING.findall(said) if name in named and not is_installed(name)]
    own = {name.partition("/")[0].removesuffix(".py") for name in suite.sources}
    return next((name for name in found if name not in own), None)


def _what(suite: _Suite) -> str:
    return "test run" if suite.tests else "import"


def _tail(ran: Ran) -> str:
    text = ran.output.strip()
    return f":\n{text[-_TAIL:]}" if text else ""


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return pytest_suite
