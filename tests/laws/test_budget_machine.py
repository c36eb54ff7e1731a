"""The public state machine of budgets: it holds for sound backends, and finds planted faults of backends and rules."""

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
from attrs import evolve as changed
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from orchestrator import events as e
from orchestrator.decide import calling, outcome, spending
from orchestrator.decide.spending import Headroom, NoHeadroom
from orchestrator.ledger import accounts
from orchestrator.models import Role, SelectionReason, TaskType
from orchestrator.money import Price, Usd
from orchestrator.plugins import Catalogue
from orchestrator.settings import SECOND, RunSettings
from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.testing import BudgetMachine, simulate
from orchestrator.testing.decide_by_hand import model, task
from orchestrator.testing.laws import broken_laws
from orchestrator.testing.state_machines.accounts import NAMES
from tests.simulation.plays import steady

Candidates = Sequence[RoutingCandidate]
Rank = Callable[[Candidates, Any], Any]

_find_headroom: Final = spending.find_headroom
_SOUND: Final = settings(max_examples=10, stateful_step_count=40, deadline=None)
_FINDING: Final = settings(
    max_examples=400,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class ByPlace:
    """A sound third-party backend: the row from its end."""

    def rank(self, candidates: Candidates, telemetry: Mapping[str, ModelTelemetry], draw: float) -> Sequence[Ranked]:
        """The last first."""
        return [Ranked(each.model, float(each.place)) for each in reversed(candidates)]


def machine(make: Callable[[], Any], base: type[BudgetMachine] = BudgetMachine) -> type[BudgetMachine]:
    """The machine over what ``make`` builds."""

    class Machine(base):  # type: ignore[misc,valid-type]
        def make_backend(self) -> Backend:
            return make()  # type: ignore[no-any-return]

    return Machine


def _rules(cap: int, concurrency: int) -> RunSettings:
    return RunSettings(
        Usd(cap * BudgetMachine.unit),
        concurrency=concurrency,
        accounts=("org", "team/red", "job/nightly"),
        backend_named=True,
    )


_OFFERS: Final = tuple(
    model(f"model-{place}", vendor, price=Price(Usd.parse("0.1"), Usd.parse(price)), max_output=8192)
    for place, (vendor, price) in enumerate((("north", "0.3"), ("south", "0.4")))
)
_KINDS: Final = (TaskType.CODE_GEN, TaskType.SUMMARIZATION) * 2
_WORK: Final = tuple(task(f"t{place}", kind) for place, kind in enumerate(_KINDS))


class Narrow(BudgetMachine):
    """A world in which money is all that matters, so that a fault of its rules is found soon."""

    generated_settings = st.builds(_rules, st.integers(5, 50), st.sampled_from([2, 4]))
    generated_models = st.just(_OFFERS)
    generated_plans = st.just(_WORK)
    most_sessions = 1


class Alone(Narrow):
    """The same where the accounts have plenty and no other run uses them: all that binds is the run's cap."""

    generated_settings = st.builds(_rules, st.integers(15, 45), st.just(4))
    hold = hold_together = end = crash = reconcile = set_cap = go_on_elsewhere = None  # type: ignore[assignment]

    @initialize()
    def open(self) -> None:
        """Give every account plenty."""
        super().open([10**6] * len(NAMES))


@pytest.mark.parametrize(
    "name",
    ["by_place", "pareto", *(pytest.param(name, marks=pytest.mark.heavy) for name in ("greedy", "weighted_sum"))],
)
def test_the_laws_of_money_hold_with_any_backend(name: str) -> None:
    """Built-in and third-party backends: every law and every step of the order, under accounts that other runs use."""
    catalogue = Catalogue.discover()
    make = ByPlace if name == "by_place" else lambda: catalogue.backend(name, {})
    run_state_machine_as_test(machine(make), settings=_SOUND)


@pytest.mark.heavy
def test_the_laws_of_money_hold_in_many_worlds() -> None:
    """As it comes, and for longer."""
    run_state_machine_as_test(BudgetMachine, settings=settings(_SOUND, max_examples=300, stateful_step_count=80))


def test_whole_runs_are_played_with_any_backend() -> None:
    """The simulator takes one too: its first model is called, the laws hold, and equal worlds end equally."""
    world = changed(steady(4, given=True, faulty=False), settings=RunSettings(Usd.parse("9"), backend_named=True))
    history = simulate(world, make_backend=ByPlace).histories["run-1"]
    assert broken_laws(history) == []
    assert history == simulate(world, make_backend=ByPlace).histories["run-1"] != simulate(world).histories["run-1"]


# ── backends ───────────────────────────────────────────────────────────────────────────────────────────────────


def _ranking(rank: Rank) -> Callable[[], object]:
    return lambda: type(
        "Planted", (), {"rank": lambda self, candidates, telemetry, draw: rank(candidates, telemetry)}
    )()


def _ranked(candidates: Candidates) -> list[Ranked]:
    return list(ByPlace().rank(candidates, {}, 0.5))


def _halfway(candidates: Candidates, telemetry: Any) -> Iterator[Ranked]:
    for place, each in enumerate(_ranked(candidates)):
        if place == 1:
            raise KeyError(each.model)
        yield each


def _rotating() -> object:
    asked: list[str] = []

    def rank(candidates: Candidates, telemetry: Any) -> Sequence[Ranked]:
        asked.append(candidates[0].model)
        iterations = len(asked) % len(candidates)
        ranked = _ranked(candidates)
        return [*ranked[iterations:], *ranked[:iterations]]

    return _ranking(rank)()


def _favourite(candidates: Candidates, telemetry: Any) -> Sequence[Ranked]:
    return [Ranked("model-9", 9.0), *_ranked(candidates)[1:]]


def _shuffled(candidates: Candidates, telemetry: Any) -> Sequence[Ranked]:
    ranked = _ranked(candidates)
    random.shuffle(ranked)
    return ranked


_BACKENDS: Final[Mapping[str, tuple[Callable[[], object], str]]] = {
    "prefers what it was not offered": (_ranking(_favourite), "which are not the candidates"),
    "asks only the first": (_ranking(lambda c, t: _ranked(c)[:1]), "which are not the candidates"),
    "ranks one twice": (_ranking(lambda c, t: [*_ranked(c), *_ranked(c)]), "which are not the candidates"),
    "raises halfway": (_ranking(_halfway), "it raised KeyError"),
    "expects measurements": (
        _ranking(lambda c, t: [r for r in _ranked(c) if t[r.model].quality > 0]),
        "raised TypeError",
    ),
    "calls sys.exit": (_ranking(lambda c, t: sys.exit(3)), "it raised SystemExit"),
    "returns names": (_ranking(lambda c, t: [each.model for each in c]), "objects of str, not of Ranked"),
    "returns nothing": (_ranking(lambda c, t: None), "it raised TypeError"),
    "remembers": (_rotating, "asked again of a new object"),
    "draws": (_ranking(_shuffled), "asked again of a new object"),
}


@pytest.mark.parametrize("name", sorted(_BACKENDS))
def test_a_planted_backend_is_found(name: str) -> None:
    """A run would go on with the row's order; the machine says what the backend did."""
    make, problem = _BACKENDS[name]
    with pytest.raises(AssertionError, match=problem):
        run_state_machine_as_test(machine(make, Narrow), settings=_FINDING)


# ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────

Patch = Callable[[pytest.MonkeyPatch], None]


def _no_cap_for_a_score(patch: pytest.MonkeyPatch) -> None:
    original = _find_headroom

    def find(m: Any, question: Any, chosen: Any, call: Any) -> Any:
        if question.role is not Role.EVALUATOR:
            return original(m, question, chosen, call)
        size = call.current.max_tokens
        return Headroom(size, spending._hold(m.state, call.key.node, chosen, call.prepared.body_bytes)(size))

    patch.setattr(calling, "find_headroom", find)


def _hold_half(patch: pytest.MonkeyPatch) -> None:
    original = spending._hold
    patch.setattr(spending, "_hold", lambda *given: lambda most: original(*given)(most).part(1, 2))


def _overtake(patch: pytest.MonkeyPatch) -> None:
    original = _find_headroom

    def find(m: Any, *given: Any) -> Any:
        headroom = original(m, *given)
        m.money_waits = False
        return headroom

    patch.setattr(calling, "find_headroom", find)


def _never_wait(patch: pytest.MonkeyPatch) -> None:
    original = spending._fit
    patch.setattr(spending, "_fit", lambda n, low, high, cap: original(n, low, high, changed(cap, in_flight=Usd.ZERO)))


def _never_shrink(patch: pytest.MonkeyPatch) -> None:
    original = spending._fit

    def fit(need: Any, floor: int, full: int, cap: Any) -> Any:
        found = original(need, full, full, cap)
        return NoHeadroom(need(full), cap.free, cap.limit) if isinstance(found, int) and found < full else found

    patch.setattr(spending, "_fit", fit)


def _shrink_too_far(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spending, "_largest", lambda low, high, fits: low)


def _no_floor(patch: pytest.MonkeyPatch) -> None:
    original = spending.find_sizes

    def sizes(*given: Any) -> Any:
        found = original(*given)
        return None if found is None else (1, found[1])

    patch.setattr(spending, "find_sizes", sizes)


def _refuse_at_once(patch: pytest.MonkeyPatch) -> None:
    original = calling._select

    def select(m: Any, question: Any, call: Any, reason: SelectionReason, headroom: Any) -> Any:
        if headroom is not None:
            return e.SpendRefused(**call.key._asdict(), need=headroom.need, free=headroom.free, limit=headroom.limit)
        return original(m, question, call, reason, headroom)

    patch.setattr(calling, "_select", select)


def _one_by_one(patch: pytest.MonkeyPatch) -> None:
    original = _find_headroom
    patch.setattr(calling, "find_headroom", lambda m, *given: None if m.state.in_flight else original(m, *given))


def _no_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spending, "_FIRST_PAUSE", 1_000)


def _patience(seconds: int) -> Patch:
    return lambda patch: patch.setattr(spending, "_LONGEST_PATIENCE", seconds * SECOND)


def _block_for_an_account(patch: pytest.MonkeyPatch) -> None:
    original = spending._after_refusal

    def after(m: Any, *given: Any) -> Any:
        found = original(m, *given)
        m.money_waits = m.money_waits or found is None
        return found

    patch.setattr(spending, "_after_refusal", after)


def _nothing_for_a_score(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(spending, "_reserve", lambda *given: lambda size: Usd.ZERO)


def _hang(patch: pytest.MonkeyPatch) -> None:
    original = _find_headroom

    def find(*given: Any) -> Any:
        headroom = original(*given)
        return None if isinstance(headroom, NoHeadroom) else headroom

    patch.setattr(calling, "find_headroom", find)


def _free_of_charge(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcome, "TaskFinished", lambda **given: e.TaskFinished(**{**given, "cost": Usd.ZERO}))


def _only_the_organisation(patch: pytest.MonkeyPatch) -> None:
    original = accounts.Accounts.reserve
    patch.setattr(
        accounts.Accounts, "reserve", lambda self, v, call, names, sim: original(self, v, call, names[:1], sim)
    )


def _release_everything(patch: pytest.MonkeyPatch) -> None:
    original = accounts.Accounts._end
    patch.setattr(
        accounts.Accounts,
        "_end",
        lambda self, at, call, settled, unreconciled: original(self, at, call, None, unreconciled),
    )


_RULES: Final[Mapping[str, tuple[Patch, str]]] = {
    "scores know no cap": (_no_cap_for_a_score, r"settled \+ held is beyond cap \+ excess"),
    "half is held": (_hold_half, "the hold is not the bound"),
    "who waits for the cap is overtaken": (_overtake, "which is ahead of it, waits for the cap"),
    "no call waits": (_never_wait, "although calls in flight|is left although it can be asked"),
    "no call is made smaller": (_never_shrink, "is left although it can be asked"),
    "smaller than need be": (_shrink_too_far, "is made smaller than it has to be|shrunk below the floor"),
    "below a quarter": (_no_floor, "shrunk below the floor"),
    "refused before others are tried": (_refuse_at_once, "is refused although .* was not tried"),
    "one call at a time": (_one_by_one, "fits and is kept waiting"),
    "an account is asked without a pause": (_no_pause, "an account is asked again too soon"),
    "an account is asked for ever": (_patience(10_000), "an account is asked for longer than a minute"),
    "an account is not waited for": (_patience(0), "although live runs can|is left although it can be asked"),
    "an account's wait blocks everybody": (
        _block_for_an_account,
        "is kept waiting|waits although nothing is in flight",
    ),
    "nothing is left for the score": (_nothing_for_a_score, "no money is left for an evaluation"),
    "a call that does not fit waits for ever": (_hang, "waits although nothing is in flight"),
    "a task costs nothing": (_free_of_charge, "the cost of .* is wrong"),
    "one account alone is asked": (_only_the_organisation, "holds other money|held nowhere|held in other accounts"),
    "accounts never settle": (_release_everything, "settled and unreconciled are"),
}


_OF_THE_CAP: Final = ("who waits for the cap is overtaken", "one call at a time", "scores know no cap")
"""Faults that show soonest where only the run's cap binds."""
_LATE: Final = ("an account is asked for ever", "an account's wait blocks everybody")
"""Faults that may show only after some hundred examples."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.heavy] if name in _LATE else []) for name in sorted(_RULES)]
)
def test_a_planted_fault_of_the_rules_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sound backend and one rule of money broken, the machine says which law that breaks."""
    plant, problem = _RULES[name]
    plant(monkeypatch)
    world = Alone if name in _OF_THE_CAP else Narrow
    with pytest.raises(AssertionError, match=problem):
        run_state_machine_as_test(machine(ByPlace, world), settings=_FINDING)
