"""Every fault, once, often and always, through whole runs over real sockets: same result, right money, no hang."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.errors import ErrorKind
from orchestrator.events import CallStarted, CallSucceeded, SpendExceeded
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.testing.simulation.equal_outcomes import same_outcome
from tests.faults.fast import Played, play, result_of
from tests.faults.rows import RELEASED, ROWS, SETTLED, UNRECONCILED, Row
from tests.plugins.providers.vendor_server import Asked, VendorServer, Wrong
from tests.plugins.providers.vendors import built

VENDOR: Final = "kimi"
DEFAULT: Final = {
    "429 with Retry-After in seconds",
    "429 with Retry-After nan",
    "429 without money left",
    "500 as HTML",
    "504 as HTML",
    "401 with the key in it",
    "307 to another host",
    "an error inside a 200",
    "no choices",
    "duplicate keys",
    "usage missing",
    "usage beyond the hold",
    "closed before the status line",
    "reset in the body",
    "a giant header",
    "a stream cut in half",
    "a stream that falls silent",
    "plain JSON for a stream",
}
"""The faults of the usual line of tests; the others are heavy."""


def once() -> Callable[[Asked], bool]:
    """The first request of the run."""
    left = [True]
    return lambda asked: bool(left and left.pop())


def often() -> Callable[[Asked], bool]:
    """The first request of every logical call, whichever model is called."""
    seen: set[str] = set()

    def first(asked: Asked) -> bool:
        prompt = repr(asked.request["messages"])
        known = prompt in seen
        seen.add(prompt)
        return not known

    return first


def always() -> Callable[[Asked], bool]:
    """Every request."""
    return lambda asked: True


def wrong(row: Row, when: Callable[[Asked], bool]) -> Wrong:
    """The fault, at some requests."""
    return lambda asked, answer: row.change(answer) if when(asked) else answer


def played(folder: Path, wrongly: Wrong | None, stream: bool, **fields: Any) -> tuple[Played, VendorServer]:
    """A run against a vendor at which things go wrong."""
    with VendorServer(VENDOR, {model.id: model for model in built(VENDOR).models()}, wrongly) as server:
        options = {"stream": stream, "idle_seconds": 3.0}
        return play(folder, VENDOR, server.base_url, options, **fields), server


_RIGHT: dict[bool, Played] = {}


def right(stream: bool, factory: pytest.TempPathFactory) -> Played:
    """The same run when nothing goes wrong."""
    if stream not in _RIGHT:
        _RIGHT[stream], _ = played(factory.mktemp("right"), None, stream)
    return _RIGHT[stream]


def check_money(row: Row, run: Played, server: VendorServer) -> None:
    """Every request is an attempt; what the vendor billed is accounted for; each hold is where it belongs."""
    assert len(run.attempts) == server.requests
    assert len(run.failures) + len(run.answers) == len(run.attempts)
    for failure in run.failures:
        assert (failure.kind, money_of(failure)) == (row.kind, row.money)
    if row.kind is None and row.money == UNRECONCILED:
        assert run.unreconciled > Usd.ZERO
    if row.beyond:
        check_excess(run)
        return
    assert run.settled + run.unreconciled >= server.billed
    if not run.unreconciled:
        assert run.settled == server.billed


def check_excess(run: Played) -> None:
    """A model that billed beyond a hold is not called again, and none is once the cap is passed."""
    spent, stopped = Usd.ZERO, set[str]()
    for event in run.history:
        if isinstance(event, CallStarted):
            assert event.model not in stopped
            assert spent + event.hold <= run.state.cap
        elif isinstance(event, CallSucceeded):
            spent += event.settled
        elif isinstance(event, SpendExceeded):
            stopped.add(event.model)
    assert stopped


def money_of(end: Any) -> str:
    """What became of an attempt's hold."""
    return UNRECONCILED if end.unreconciled else SETTLED if end.settled else RELEASED


def params(*modes: str) -> list[Any]:
    """Every row in some modes; all but a few of the first mode are heavy."""
    return [
        pytest.param(
            row,
            mode,
            id=f"{row.name}, {mode}",
            marks=[] if row.name in DEFAULT and mode == modes[0] else pytest.mark.heavy,
        )
        for row in ROWS
        for mode in modes
        if not (row.slow and mode == "often")
    ]


@pytest.mark.parametrize(("row", "mode"), params("often", "once"))
def test_a_fault_that_passes_leaves_the_result_unchanged(
    row: Row, mode: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The attempt ends in its class, is made again or by another model, and the run ends as if nothing had been.

    Without money it ends after one attempt: all models are of one vendor account.
    """
    when = once() if mode == "once" else often()
    run, server = played(tmp_path, wrong(row, when), row.stream)
    finished = run.state.finished

    assert finished is not None
    assert len(run.failures) > 0 or row.kind is None
    check_money(row, run, server)
    if row.kind is ErrorKind.QUOTA:
        assert (finished.status, len(run.attempts)) == (ProjectStatus.SYSTEM_FAILURE, 1)
        return
    if not (row.other or (row.mute and mode == "often")):
        assert finished.status is ProjectStatus.SUCCESS
        expected = right(row.stream, tmp_path_factory).outcome
        anybody = row.moves
        assert same_outcome(result_of(expected, anybody=anybody), result_of(run.outcome, anybody=anybody)) == []
    exceeded = [event for event in run.history if isinstance(event, SpendExceeded)]
    assert bool(exceeded) is row.beyond


@pytest.mark.parametrize(("row", "mode"), params("always"))
def test_a_fault_that_stays_ends_the_run_with_its_money_accounted_for(row: Row, mode: str, tmp_path: Path) -> None:
    """The run halts, classified, within its limits of attempts; a harmless one is no fault however often it comes."""
    limits = {"tries": 1, "attempts": 2} if row.slow else {"tries": 2, "attempts": 5}
    fields: dict[str, Any] = {"limits": limits}
    run, server = played(tmp_path, wrong(row, always()), row.stream, **fields)
    finished = run.state.finished

    assert finished is not None
    check_money(row, run, server)
    if row.harmless:
        assert finished.status is ProjectStatus.SUCCESS
        assert not run.failures
        return
    if row.beyond:
        return  # every model answers once, whatever it bills
    assert finished.status is not ProjectStatus.SUCCESS
    if row.kind is not None:
        assert finished.status is ProjectStatus.SYSTEM_FAILURE
        assert 0 < len(run.failures) <= 5 * len({(start.node, start.role) for start in run.attempts})
        assert {failure.kind for failure in run.failures} <= set(ErrorKind)
