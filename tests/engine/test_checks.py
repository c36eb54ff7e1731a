"""Performing a check: off the event loop, in bounded time, and whatever the validator does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.deadlines.awaiting import in_daemon_thread
from orchestrator.engine import checks
from orchestrator.engine.checks import Checks
from orchestrator.models import TaskType, Verdict
from orchestrator.spi import Candidate, Finding, ValidatorContext

CANDIDATE = Candidate("t", TaskType.SUMMARIZATION, "text", "text")


def _judged(validator: Callable[..., Any], seconds: float = 10.0) -> Finding:
    finding, level = asyncio.run(
        Checks(seconds=seconds).judge("mine", lambda name: validator, CANDIDATE, in_daemon_thread)
    )
    assert level is None
    return finding


def _raises(candidate: Candidate, context: ValidatorContext) -> Finding:
    raise ZeroDivisionError("boom")


def _leaves(candidate: Candidate, context: ValidatorContext) -> Finding:
    raise SystemExit(0)


def _needs_a_sandbox(candidate: Candidate, context: ValidatorContext) -> Finding:
    context.run(("/bin/true",), {})
    return Finding.passed()


def _rubbish(candidate: Candidate, context: ValidatorContext) -> Any:
    return True


@pytest.mark.parametrize(
    ("validator", "said"),
    [
        (_raises, "ZeroDivisionError: boom"),
        (_leaves, "sys.exit(0)"),
        (_needs_a_sandbox, "was not run: this run has no sandbox"),
        (_rubbish, "returned bool, not a Finding"),
    ],
)
def test_a_validator_that_breaks_down_is_unknown(validator: Callable[..., Any], said: str) -> None:
    """Raising, exiting, lacking a sandbox, returning rubbish: no verdict on the output, and never a pass."""
    finding = _judged(validator)
    assert finding.verdict is Verdict.UNKNOWN
    assert said in finding.details


@pytest.mark.parametrize(
    ("given", "permanent"),
    [
        (Finding.failed("no"), False),
        (Finding.failed("no", permanent=True), True),
        (Finding.unknown("no", permanent=True), True),
        (Finding(Verdict.PASSED, "", permanent=True), False),
        (Finding(Verdict.SKIPPED, "", permanent=True), False),
        (Finding(Verdict.FAILED, "no", permanent="yes"), False),  # type: ignore[arg-type]
    ],
)
def test_only_a_failure_and_an_unknown_can_be_permanent(given: Finding, permanent: bool) -> None:
    """What passed or was skipped may change with the output, and what is no truth value says nothing."""
    assert _judged(lambda candidate, context: given).permanent is permanent


def test_a_validator_that_cannot_be_loaded_is_unknown() -> None:
    """What loading raises is the reason."""

    def load(name: str) -> Any:
        raise ImportError(f"no module for {name}")

    finding, _ = asyncio.run(Checks().judge("mine", load, CANDIDATE, in_daemon_thread))
    assert (finding.verdict, finding.details) == (Verdict.UNKNOWN, "mine raised ImportError: no module for mine")


def test_a_validator_that_hangs_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is up after a while, and the run goes on without it."""
    monkeypatch.setattr(checks, "GRACE_SECONDS", 0.1)

    def hangs(candidate: Candidate, context: ValidatorContext) -> Finding:
        time.sleep(5)
        return Finding.passed()

    finding = _judged(hangs, seconds=0.1)
    assert (finding.verdict, finding.details) == (Verdict.UNKNOWN, "mine took longer than 0.1 s")


def test_a_check_leaves_the_event_loop_alone() -> None:
    """While a validator works, everything else of the run goes on."""

    async def scene() -> Finding:
        beaten = asyncio.Event()
        loop = asyncio.get_running_loop()

        def waits(candidate: Candidate, context: ValidatorContext) -> Finding:
            # only a loop that is free can answer before the validator has come back
            asyncio.run_coroutine_threadsafe(beaten.wait(), loop).result(10)
            return Finding.passed()

        judging = asyncio.create_task(Checks().judge("mine", lambda name: waits, CANDIDATE, in_daemon_thread))
        await asyncio.sleep(0.05)
        assert not judging.done()
        beaten.set()
        return (await judging)[0]

    assert asyncio.run(scene()).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [
        ((True, 1, 2), (True, 1, 2)),
        ((False, 0, 0), (False, 0, 0)),
        (("yes", 3, 2), (False, None, None)),
        ((1, -1, 2), (False, None, None)),
        ((None, True, 2), (False, None, None)),
        ((False, 1.0, 2), (False, None, None)),
        ((False, None, 2), (False, None, None)),
    ],
)
def test_numbers_of_a_validator_are_believed_where_they_can_be(numbers: tuple[Any, ...], kept: tuple[Any, ...]) -> None:
    """Whole numbers, no more passed than there are; nothing else reaches the log."""
    found = _judged(lambda candidate, context: Finding(Verdict.FAILED, "no", *numbers))
    assert (found.permanent, found.passed_tests, found.total_tests) == kept


def test_without_any_sandbox_trying_again_is_in_vain() -> None:
    """The verdict is permanent where no sandbox level holds."""
    assert _judged(_needs_a_sandbox).permanent
    assert not _judged(_raises).permanent
