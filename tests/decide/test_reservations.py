"""Calls that take turns with those of other runs: reservations, tickets, and the places kept for them."""

from collections.abc import Callable
from typing import Any

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import Role, TaskType
from orchestrator.settings import SECOND, Limits, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task

FIXED: Any = {"fixed_types": tuple(TaskType), "fixed_roles": tuple(Role)}
SCOPE = "simulated/requests"


def _stage(tasks: int = 1, concurrency: int = 3) -> Stage:
    settings = RunSettings(**FIXED, routing={}, concurrency=concurrency, limits=Limits(shared=True))
    made = Stage(settings, [model("a"), model("b", "south")], [task(f"t{number}") for number in range(tasks)])
    made.full_accounts = _later(made)
    made.begin()
    return made


def _later(made: Stage, wait: int = 10 * SECOND) -> Callable[[e.CallStarted], e.PaceRefused | None]:
    """Every call without a ticket waits so long."""
    return lambda call: None if call.ticket is not None else e.PaceRefused(call, SCOPE, made.now + wait)


def test_a_call_waits_for_its_slot_and_starts_with_its_ticket() -> None:
    """Not before; no attempt is used up; the ticket is the version of the refusal."""
    made = _stage()
    made.prepare()
    refused = made.last(e.PaceRefused)
    version = len(made.history)
    assert made.waits_until == refused.until
    made.now = refused.until - 1
    assert made.step() == []
    (started,) = made.wait()
    assert isinstance(started, e.CallStarted)
    assert (started.ticket, started.attempt, started.try_) == (version, 1, 1)
    assert made.state.reservations == {}


def test_a_slot_lapses_a_second_after_its_beginning_and_the_next_later() -> None:
    """Others have the time then: the call asks again, without a ticket, and has twice as long the next time."""
    made = _stage()
    made.prepare()
    for late in (SECOND + 1, 2 * SECOND + 1):
        made.now = made.last(e.PaceRefused).until + late
        made.step()
    assert [each.call.ticket for each in made.all(e.PaceRefused)] == [None, None, None]
    assert made.all(e.CallStarted) == []
    made.now = made.last(e.PaceRefused).until + 4 * SECOND
    (started,) = made.step()
    assert isinstance(started, e.CallStarted)
    assert started.ticket is not None


def test_a_new_session_has_no_slots_of_the_old_one() -> None:
    """What a dead process reserved has passed, or is another's to use: no calls bunch up after a restart."""
    made = _stage()
    made.prepare()
    made.step(e.SessionLost(1, ()), made.opening())
    assert [each.call.ticket for each in made.all(e.PaceRefused)] == [None, None]


def test_a_run_reserves_no_more_slots_than_it_has_places() -> None:
    """Five tasks, two calls at once: two reservations, and the places are kept for those who have them."""
    made = _stage(tasks=5, concurrency=2)
    made.prepare()
    assert len(made.all(e.PaceRefused)) == 2
    made.full_accounts = lambda call: None
    made.step()
    assert made.all(e.CallStarted) == []  # no other call takes a place that is kept for a reservation
    made.wait()
    made.wait()
    assert [each.ticket is not None for each in made.all(e.CallStarted)] == [True, True]


def test_another_model_has_no_ticket() -> None:
    """A reservation belongs to the model it was reserved for: what is selected in its place asks anew."""
    made = _stage()
    made.prepare()
    made.wait()
    made.full_accounts = _later(made)
    made.fail(kind=ErrorKind.BAD_REQUEST, retryable=False)
    made.prepare()
    assert made.last(e.ModelSelected).model == "b"
    assert made.last(e.PaceRefused).call.model == "b"
    assert made.last(e.PaceRefused).call.ticket is None


def test_a_call_that_waits_for_its_turn_ends_with_the_time() -> None:
    """A reservation after the end of the run's time: the run ends, nothing waits for ever."""
    made = _stage()
    made.full_accounts = _later(made, 10_000 * SECOND)
    made.prepare()
    for _ in range(5):
        if made.state.finished is None:
            made.wait()
    assert made.state.finished is not None
    assert made.all(e.CallStarted) == []
