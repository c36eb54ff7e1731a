"""The tests of an application, and the application itself, run in the sandbox."""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from importlib.resources import files as resources
from importlib.util import find_spec
from typing import Final

from attrs import evolve, frozen

from orchestrator.engine.sandbox import Job, Ladder
from orchestrator.engine.sandbox.job import MIB
from orchestrator.errors import SandboxError
from orchestrator.models import Verdict
from orchestrator.spi import Launch

_DRIVER: Final = ".orchestrate-driver.py"
_MEMORY: Final = 16 * 1024 * MIB
"""Address space: programs such as node reserve far more than they use."""
_TAIL: Final = 4_000
_NO_TESTS: Final = 5
"""What pytest ends with where it found none."""
_PASSED: Final = re.compile(r"^(?:.*, )?[1-9]\d* passed\b.* in [0-9.]+s", re.MULTILINE)
"""What pytest says at its end where a test passed."""


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


def run_tests(files: Mapping[str, bytes], modules: tuple[str, ...], ladder: Ladder, seconds: float) -> Step:
    """Run the application's own tests with pytest; ``modules`` are the foreign ones its files import."""
    if not any(_is_test(path) for path in files):
        return Step("tests", Verdict.SKIPPED, "there are none")
    missing = _missing(("pytest", *modules))
    if missing:
        return Step("tests", Verdict.SKIPPED, f"not installed here: {', '.join(missing)}")
    argv = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "-o",
        "pythonpath=. src",
    )
    step = _judged("tests", argv, files, ladder, seconds, nothing=_NO_TESTS)
    if step.verdict is Verdict.PASSED and not _PASSED.search(step.details):
        why = f"pytest ended with status 0 and named no test that passed\n{step.details}"
        return evolve(step, verdict=Verdict.UNKNOWN, details=why.strip())
    return step


def start(launch: Launch, files: Mapping[str, bytes], modules: tuple[str, ...], ladder: Ladder, seconds: float) -> Step:
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
        return _judged("start", argv, files, ladder, seconds)
    wanted = {
        "argv": argv,
        "port": launch.port,
        "asks": [[ask.path, ask.below] for ask in launch.asks],
        "seconds": max(1.0, seconds - 10),
    }
    driver = resources("orchestrator.engine.applications").joinpath("driver.py").read_bytes()
    command = (sys.executable, _DRIVER, json.dumps(wanted))
    return _judged("start", command, {**files, _DRIVER: driver}, ladder, seconds, loopback=True)


def _judged(
    name: str,
    argv: tuple[str, ...],
    files: Mapping[str, bytes],
    ladder: Ladder,
    seconds: float,
    *,
    loopback: bool = False,
    nothing: int | None = None,
) -> Step:
    """Run a command; its exit status decides. Without a sandbox that allows it, it is not run."""
    try:
        rung, ran = ladder.run(Job(argv, files, seconds=seconds, loopback=loopback, programs=True, memory=_MEMORY))
    except SandboxError as error:
        return Step(name, Verdict.SKIPPED, str(error))
    output = ran.output[-_TAIL:].strip()
    if ran.code is None:
        return Step(name, Verdict.UNKNOWN, f"{ran.ended or 'stopped'}\n{output}".strip(), rung.value)
    if nothing is not None and ran.code == nothing:
        return Step(name, Verdict.SKIPPED, "there are none", rung.value)
    return Step(name, Verdict.PASSED if ran.code == 0 else Verdict.FAILED, output, rung.value)


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
    name = path.rpartition("/")[2]
    return name.startswith("test_") and name.endswith(".py")
