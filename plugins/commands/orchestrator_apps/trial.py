"""The tests of an application, and the application itself, run in the sandbox."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib.resources import files as resources
from importlib.util import find_spec
from typing import Final

from attrs import frozen

from orchestrator.errors import SandboxError
from orchestrator.models import Verdict
from orchestrator.spi import Job, Launch, Ran, Sandbox
from orchestrator.spi.sandboxes import MIB
from orchestrator.suites import SignedReport, SignedRun, is_test_file

_DRIVER: Final = ".orchestrate-driver.py"
_MEMORY: Final = 16 * 1024 * MIB
"""Address space: programs such as node reserve far more than they use."""
_TAIL: Final = 4_000
_PYTEST: Final = ("--import-mode=importlib",)
_PLUGINS: Final = {"mark.anyio": "anyio.pytest_plugin", "mark.asyncio": "pytest_asyncio.plugin"}
"""Plugins of pytest by what in a test asks for them; others are not loaded, whatever is installed."""
_ELSEWHERE: Final = frozenset({"build", "dist", "node_modules", "venv"})
"""Folders that are not searched for an application's own tests, by pytest neither."""
_NAMED: Final = 10


@frozen
class Step:
    """One step of the trial.

    Attributes:
        name: such as ``tests`` or ``start``.
        verdict: passed, failed, skipped or unknown.
        details: what it said, or why it was skipped.
        sandbox: how it was contained; None where nothing was run.
    """

    name: str
    verdict: Verdict
    details: str = ""
    sandbox: str | None = None


def run_tests(files: Mapping[str, bytes], modules: tuple[str, ...], selector: Sandbox, seconds: float) -> Step:
    """Run the application's own tests with pytest; ``modules`` are the foreign ones its files import."""
    tests = tuple(sorted(path for path in files if _is_test(path)))
    if not tests:
        return Step("tests", Verdict.SKIPPED, "there are none")
    sources = {path: files[path].decode(errors="replace") for path in tests}
    plugins = [plugin for mark, plugin in _PLUGINS.items() if any(mark in source for source in sources.values())]
    missing = _missing(("pytest", *(plugin.partition(".")[0] for plugin in plugins), *modules))
    if missing:
        return Step("tests", Verdict.SKIPPED, f"not installed here: {', '.join(missing)}")
    options = (*_PYTEST, *(word for plugin in plugins for word in ("-p", plugin)))
    signed = SignedRun(tests, options=options, roots=("src",))
    job = Job(signed.argv, signed.inside(files), signed.take, seconds, programs=True, memory=_MEMORY)
    try:
        level, ran = selector.run(job)
    except SandboxError as error:
        return Step("tests", Verdict.SKIPPED, str(error))
    if ran.code is None:
        return Step("tests", Verdict.UNKNOWN, f"{ran.ended or 'stopped'}\n{_tail(ran)}".strip(), level.value)
    if not signed.began(ran.files) and ran.code != 0:
        return Step("tests", Verdict.UNKNOWN, f"{_tail(ran)}\nthe collector could not be started".strip(), level.value)
    return Step("tests", *_counted(signed.report(ran.files), sources, ran), level.value)


def _counted(report: SignedReport | None, sources: Mapping[str, str], ran: Ran) -> tuple[Verdict, str]:
    """What a report proves; nothing that the tests or the application printed does. Its last line says it all."""
    if report is None:
        return Verdict.FAILED, f"{_tail(ran)}\nthe tests did not come to their end; nothing they said counts".strip()
    if report.tampered:
        return Verdict.FAILED, f"tampering: {'; '.join(report.tampered)}"
    if report.internal:
        return Verdict.UNKNOWN, f"{_tail(ran)}\npytest failed inside".strip()
    failed = report.having("failed")
    if report.problems or failed:
        which = f"failed: {_names(failed)}" if failed else "a file of the tests cannot be loaded"
        return Verdict.FAILED, f"{report.said[-_TAIL:]}\n{which}".strip()
    skipped = report.having("skipped")
    lost = [name for name in report.missing(sources) if name not in skipped and name.partition("::")[0] not in skipped]
    if lost:
        return Verdict.FAILED, f"not reported as passed: {_names(lost)}"
    passed = sum(outcome == "passed" for _, outcome in report.outcomes)
    if not passed:
        return Verdict.SKIPPED, f"all of them skip themselves: {_names(skipped)}" if skipped else "there are none"
    return Verdict.PASSED, f"{passed} tests passed" + (f", {len(skipped)} skipped" if skipped else "")


def _names(tests: Iterable[str]) -> str:
    """Some tests by their names, few of many."""
    names = sorted(tests)
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def start(
    launch: Launch, files: Mapping[str, bytes], modules: tuple[str, ...], selector: Sandbox, seconds: float
) -> Step:
    """Start the application as its scaffold says, and ask it where it is a server."""
    missing = [
        *_missing((*launch.modules, *(modules if launch.argv[0] == "python" else ()))),
        *(tool for tool in launch.tools if shutil.which(tool) is None),
        *(folder for folder in launch.folders if not any(path.startswith(f"{folder}/") for path in files)),
    ]
    if missing:
        return Step("start", Verdict.SKIPPED, f"not here: {', '.join(missing)}")
    argv = _resolved(launch.argv)
    if launch.port is None:
        return _judged("start", argv, files, selector, seconds)
    wanted = {
        "argv": argv,
        "port": launch.port,
        "asks": [[ask.path, ask.below] for ask in launch.asks],
        "seconds": max(1.0, seconds - 10),
    }
    driver = resources("orchestrator_apps").joinpath("driver.py").read_bytes()
    command = (sys.executable, _DRIVER, json.dumps(wanted))
    return _judged("start", command, {**files, _DRIVER: driver}, selector, seconds, loopback=True)


def _judged(
    name: str,
    argv: tuple[str, ...],
    files: Mapping[str, bytes],
    selector: Sandbox,
    seconds: float,
    *,
    loopback: bool = False,
) -> Step:
    """Run a command; its exit status decides. Without a sandbox that allows it, it is not run."""
    try:
        level, ran = selector.run(Job(argv, files, seconds=seconds, loopback=loopback, programs=True, memory=_MEMORY))
    except SandboxError as error:
        return Step(name, Verdict.SKIPPED, str(error))
    if ran.code is None:
        return Step(name, Verdict.UNKNOWN, f"{ran.ended or 'stopped'}\n{_tail(ran)}".strip(), level.value)
    return Step(name, Verdict.PASSED if ran.code == 0 else Verdict.FAILED, _tail(ran), level.value)


def _tail(ran: Ran) -> str:
    return ran.output[-_TAIL:].strip()


def _resolved(argv: tuple[str, ...]) -> tuple[str, ...]:
    first = sys.executable if argv[0] == "python" else shutil.which(argv[0]) or argv[0]
    return (first, *argv[1:])


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [module for module in dict.fromkeys(modules) if not _is_importable(module)]


def _is_importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _is_test(path: str) -> bool:
    folders = path.split("/")[:-1]
    return (
        path.endswith(".py")
        and is_test_file(path)
        and not any(each in _ELSEWHERE or each.startswith(".") or each.endswith(".egg") for each in folders)
    )
