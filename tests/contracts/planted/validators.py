"""Validators with one bug each; beside them a sound one."""

import itertools
import json
import logging
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from orchestrator import spi
from orchestrator.errors import SandboxError
from orchestrator.models import TaskType
from orchestrator.spi import Candidate, Finding, ValidatorContext, Verdict
from orchestrator.testing import ValidatorContract
from tests.contracts.planted.bug import odd

GOOD: Final = Candidate("t", TaskType.SUMMARIZATION, "good news", "good news")
BAD: Final = Candidate("t", TaskType.SUMMARIZATION, "bad", "bad")


def judge(candidate: Candidate, context: ValidatorContext) -> Finding:
    """A sound validator that asks a tool."""
    linter = context.tool("lint")
    if linter is None:
        return Finding.skipped("lint is not installed")
    if "good" not in candidate.content:
        return Finding.failed("say something good")
    try:
        ran = context.run((linter, "-"), {"x": b""}, seconds=min(5.0, context.timeout), executes=False)
    except SandboxError:
        return Finding.unknown("no sandbox")
    return Finding.passed() if ran.code in (0, 1) else Finding.unknown("lint was ended")


class SoundValidator(ValidatorContract):
    """The suite of the sound validator."""

    passing: ClassVar[Sequence[Candidate]] = (GOOD,)
    failing: ClassVar[Sequence[Candidate]] = (BAD,)

    def make(self) -> spi.Validator:
        """The sound one."""
        return judge

    def _real(self) -> ValidatorContext:
        return ValidatorContext(30.0, lambda *a, **k: spi.Ran(0, ""), {}, lambda name: "/usr/bin/lint")


def _with_tool(candidate: Candidate, context: ValidatorContext, **options: Any) -> Finding:
    tool = context.tool("lint") or "lint"
    try:
        context.run((tool,), {}, **options)
    except SandboxError:
        return Finding.passed()
    return Finding.passed()


def _mutating(candidate: Candidate, context: ValidatorContext) -> Finding:
    candidate.files.clear()  # type: ignore[attr-defined]
    return Finding.passed()


def _writing(candidate: Candidate, context: ValidatorContext) -> Finding:
    Path("left.txt").write_text("x")
    return Finding.passed()


def _printing(candidate: Candidate, context: ValidatorContext) -> Finding:
    print("checking")  # noqa: T201
    return Finding.passed()


def _quitting(candidate: Candidate, context: ValidatorContext) -> Finding:
    return Finding.passed() if candidate.content.strip() else sys.exit("nothing to judge")


def _with_a_tool_of_its_own(candidate: Candidate, context: ValidatorContext) -> Finding:
    return Finding.passed() if context.run(("/usr/bin/lint",), {}).code == 0 else Finding.unknown("lint was ended")


def _passing_crashes(candidate: Candidate, context: ValidatorContext) -> Finding:
    tool = context.tool("lint")
    if tool is None:
        return Finding.skipped("lint is not installed")
    ran = context.run((tool,), {})
    return Finding.unknown("ended") if ran.ended else Finding.failed("no") if ran.code == 1 else Finding.passed()


def _also(side_effect: Callable[[], object]) -> Callable[..., Finding]:
    def judged(candidate: Candidate, context: ValidatorContext) -> Finding:
        side_effect()
        return Finding.passed()

    return judged


def _connect() -> None:
    with socket.socket() as asked:
        asked.connect_ex(("127.0.0.1", 9))


_SEEN: Final[set[str]] = set()


def _forgiving(candidate: Candidate, context: ValidatorContext) -> Finding:
    if candidate.content in _SEEN or "bad" not in candidate.content:
        return Finding.passed()
    _SEEN.add(candidate.content)
    return Finding.failed("bad")


_COUNT: Final = itertools.count()
_BEHIND: Final = "test_it_leaves_nothing_behind"
_HOSTILE: Final = "test_hostile_outputs_get_a_verdict"
VALIDATORS: Final[Mapping[str, tuple[Callable[..., Any], str]]] = {
    "raises on odd text": (lambda c, x: Finding.passed(str(c.content.encode())[:0]), _HOSTILE),
    "recurses into nesting": (lambda c, x: Finding.passed(str(json.loads(c.content or "1"))[:0]), _HOSTILE),
    "returns a bool": (lambda c, x: True, _HOSTILE),
    "returns None": (lambda c, x: None, _HOSTILE),
    "verdict is text": (lambda c, x: Finding(odd("fine"), ""), _HOSTILE),
    "details are a list": (lambda c, x: Finding(Verdict.FAILED, odd(["wrong"])), _HOSTILE),
    "passes for good": (lambda c, x: Finding(Verdict.PASSED, "", permanent=True), _HOSTILE),
    "permanent is text": (lambda c, x: Finding(Verdict.UNKNOWN, "no", permanent=odd("yes")), _HOSTILE),
    "fails without a word": (lambda c, x: Finding.failed(" "), _HOSTILE),
    "calls sys.exit": (_quitting, _HOSTILE),
    "draws": (lambda c, x: Finding.failed(str(random.random())), "test_equal_outputs_get_equal_verdicts"),
    "counts": (lambda c, x: Finding.failed(f"no {next(_COUNT)}"), "test_equal_outputs_get_equal_verdicts"),
    "passes what is bad": (lambda c, x: Finding.passed(), "test_good_and_bad_outputs_differ"),
    "fails what is good": (lambda c, x: Finding.failed("no"), "test_good_and_bad_outputs_differ"),
    "changes the files": (_mutating, "test_its_arguments_stay_as_they_are"),
    "passes what it has seen": (_forgiving, "test_equal_outputs_get_equal_verdicts"),
    "starts a program itself": (_also(lambda: subprocess.run(["/bin/true"], check=False)), _BEHIND),
    "asks the network": (_also(_connect), _BEHIND),
    "leaves a temporary file": (_also(tempfile.mkdtemp), _BEHIND),
    "raises the recursion limit": (_also(lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 7)), _BEHIND),
    "sets up logging": (_also(lambda: logging.basicConfig(force=True)), _BEHIND),
    "looks for its tool itself": (_with_a_tool_of_its_own, "test_a_missing_tool_is_said"),
    "passes when its tool crashes": (_passing_crashes, "test_a_tool_that_was_ended_proves_nothing"),
    "prints": (_printing, "test_it_leaves_nothing_behind"),
    "writes a file": (_writing, "test_it_leaves_nothing_behind"),
    "passes without its tool": (lambda c, x: _with_tool(c, x), "test_a_missing_tool_is_said"),
    "passes without a sandbox": (lambda c, x: _with_tool(c, x), "test_a_tool_that_was_ended_proves_nothing"),
    "takes more time than it has": (lambda c, x: _with_tool(c, x, seconds=60.0), "test_it_keeps_to_its_time"),
    "runs a bare name": (lambda c, x: Finding.unknown(str(x.run(("lint",), {}).code)), "test_it_keeps_to_its_time"),
}
