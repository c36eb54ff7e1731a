"""Going through histories again: recomputing sees every change, and needs nothing of the world."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any

import pytest
from attrs import evolve as changed
from attrs import fields, has

from orchestrator import events as e
from orchestrator.decide import RULES, Rank
from orchestrator.decide.round_context import BackendError
from orchestrator.models import BackendProblem, ProjectStatus
from orchestrator.money import Usd
from orchestrator.replay import Verification, no_backend, verify
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.testing.simulation.simulator import History, Scenario, simulate, sound_rank
from tests import golden

DECISIONS = sorted((cls for cls in e.TYPES.values() if issubclass(cls, e.Decision)), key=lambda cls: cls.__name__)
_EACH = 3
_RECORDED = {e.BatchStarted: "rules-4-batched", e.ScoringStarted: "rules-4-scored"}
"""The simulator has no batches and no scorers: their decisions come out of recorded runs."""


def check(history: Sequence[tuple[int, e.Event]]) -> Verification:
    """Verify with the simulator's own backend."""
    return verify(history, lambda session: sound_rank())


@cache
def samples() -> Mapping[type[e.Event], list[tuple[History, int]]]:
    """For every decision a few places in generated histories where one stands."""
    found: dict[type[e.Event], list[tuple[History, int]]] = {cls: [] for cls in DECISIONS}
    for recorded, name in _RECORDED.items():
        history = golden.read(golden.FOLDER / f"{name}.jsonl").history()
        found[recorded] = [(history, at) for at, (_, event) in enumerate(history) if type(event) is recorded][:_EACH]
    for seed in range(2_000):
        world = simulate(Scenario.draw(seed))
        for history in world.histories.values():
            for index, (_, event) in enumerate(history[:500]):
                places = found.get(type(event))
                if places is not None and len(places) < _EACH and (not places or places[-1][0] is not history):
                    places.append((history, index))
        world.world.close()
        if all(len(places) == _EACH for cls, places in found.items() if cls not in _RECORDED):
            break
    return found


def other(value: Any) -> Any:
    """Another value of the same type, as near as possible."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        kinds = list(type(value))
        return kinds[(kinds.index(value) + 1) % len(kinds)]
    if isinstance(value, Usd):
        return Usd(value.nano + 1)
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if value is None:
        return 1
    if isinstance(value, tuple):
        return value[1:] if value else (1,)
    if isinstance(value, dict):
        return dict(list(value.items())[1:])
    assert has(type(value)), f"cannot change {value!r}"
    first = fields(type(value))[0].name
    return changed(value, **{first: other(getattr(value, first))})


@pytest.mark.parametrize("cls", DECISIONS, ids=lambda cls: cls.__name__)
def test_a_changed_field_of_a_decision_is_reported(cls: type[e.Event]) -> None:
    """Whatever single field of a recorded decision is changed, the first difference names it."""
    places = samples()[cls]
    assert places, f"no generated history has a {cls.__name__}"
    count = 0
    for history, index in places:
        at, event = history[index]
        for field in fields(cls):
            if cls is e.CallStarted and field.name == "accounts":
                continue  # filled in by append, not by decide; the accounts' own streams tell it
            tampered = changed(event, **{_alias(field): other(getattr(event, field.name))})
            found = check([*history[:index], (at, tampered)]).differences
            assert found, f"{cls.__name__}.{field.name}"
            assert (found[0].version, found[0].recorded, found[0].fields) == (index + 1, cls.__name__, (field.name,))
            count += 1
    sys.stdout.write(f"{cls.__name__}: {count} changes seen\n")


def _alias(field: Any) -> str:
    return str(field.alias)


@pytest.mark.parametrize("cls", DECISIONS, ids=lambda cls: cls.__name__)
def test_a_dropped_decision_is_reported(cls: type[e.Event]) -> None:
    """A history that lacks one decision differs there, or at the end of its step."""
    for history, index in samples()[cls]:
        found = check([*history[:index], *history[index + 1 :]]).differences
        assert found
        assert found[0].version in (index, index + 1)


def test_a_call_that_an_account_refused_is_recomputed_too() -> None:
    """AccountRefused stands for the CallStarted it replaces: a changed hold in it is seen."""
    seen = 0
    for seed in range(200):
        for history in simulate(Scenario.draw(seed)).histories.values():
            for index, (at, event) in enumerate(history):
                if isinstance(event, e.AccountRefused):
                    tampered = changed(event, call=changed(event.call, hold=Usd(event.call.hold.nano + 1)))
                    found = check([*history[:index], (at, tampered)]).differences
                    assert found[0].fields == ("hold",)
                    seen += 1
                    break
        if seen > 3:
            return
    pytest.fail("no account ever refused")


def test_a_decision_that_nothing_called_for_is_reported() -> None:
    """A second RunFinished, or a warning out of nowhere, is no answer of decide."""
    history = _history()
    at = history[-1][0]
    extra = e.RunFinished(ProjectStatus.SUCCESS, None, Usd(0), Usd(0))
    assert check([*history, (at, extra)]).differences[0].expected == "Wait"


def _history(seed: int = 0) -> History:
    return simulate(Scenario.draw(seed)).histories["run-1"]


def test_differences_under_other_rules_are_information() -> None:
    """In a session under another number of the rules a difference is listed apart."""
    history: History = [
        (at, changed(event, rules=RULES + 1) if isinstance(event, e.SessionOpened) else event)
        for at, event in _history()
    ]
    index = next(i for i, (_, event) in enumerate(history) if isinstance(event, e.CallStarted))
    at, event = history[index]
    assert isinstance(event, e.CallStarted)
    found = check([*history[:index], (at, changed(event, hold=Usd(1)))])
    assert found.differences == ()
    assert found.foreign[0].fields == ("hold",)


def _with_backend(raises: BaseException) -> Callable[[e.SessionOpened], Rank]:
    def rank(
        candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        raise raises

    return lambda session: rank


def test_without_its_backend_a_decision_is_not_recomputable() -> None:
    """Decisions that ranked are listed, the others are computed all the same."""
    found = verify(_ranked_history(), no_backend)
    assert found.differences == ()
    assert found.not_recomputable
    assert found.decisions > 0


def _ranked_history() -> History:
    """A history whose backend ranked and never failed."""
    for seed in range(100):
        history = _history(seed)
        ranked = any(isinstance(event, e.ModelSelected) and event.backend != "row" for _, event in history)
        if ranked and not any(isinstance(event, e.BackendFailed) for _, event in history):
            return history
    pytest.fail("no backend ever ranked")


def test_a_backend_that_fails_now_is_a_difference() -> None:
    """Where the recorded session's backend ranked and today's fails, that is told."""
    found = verify(_ranked_history(), _with_backend(BackendError(BackendProblem.RAISED, "no")))
    assert "BackendFailed (raised)" in {difference.expected for difference in found.differences}


def test_a_difference_reads_as_one_line() -> None:
    """Each says where, what stands there, and what decide answers."""
    history = _history()
    index = next(i for i, (_, event) in enumerate(history) if isinstance(event, e.TaskStarted))
    found = check([*history[: index + 1], *history[index + 2 :]])
    assert "\n" not in str(found.differences[0])
    assert str(found.differences[0]).startswith("v")


def test_replay_loads_no_provider_and_no_network() -> None:
    """Importing what replays a history imports no HTTP client, no socket server and no plugin."""
    code = (
        "import sys, orchestrator.replay; "
        "print([m for m in sys.modules if m in ('httpx', 'ssl', 'sqlite3') or m.startswith('orchestrator_')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
