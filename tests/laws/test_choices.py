"""The laws of the choice by pairs: each planted breach is found."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve as changed

from orchestrator import events as e
from orchestrator.decide.strategies import STRATEGIES
from orchestrator.models import JudgeMethod, PairChoice, Role, Verdict
from orchestrator.testing.decide_by_hand import Stage
from orchestrator.testing.laws import Laws, broken_laws
from orchestrator.testing.simulation.simulator import History
from tests.decide.test_pairs import judge, stage


def played() -> Stage:
    """Four samples, of which the second fails its check; the fourth wins a pair."""
    made = stage("one", strategy=changed(STRATEGIES["best_of"], samples=4))
    verdicts = iter([Verdict.PASSED, Verdict.FAILED, Verdict.PASSED, Verdict.PASSED])
    made.play(judge(made, {(1, 4): 4}), lambda started: {"verdict": next(verdicts)})
    assert broken_laws(made.history) == []
    return made


def test_a_revision_that_changes_nothing_is_compared_as_its_draft() -> None:
    """The audit holds the draft for the result of an iteration, as the choice does."""
    made = stage(strategy=changed(STRATEGIES["reviewed"], method=JudgeMethod.PAIRS))
    judged = judge(made, {(1, 2): 2})

    def respond(started: e.CallStarted) -> dict[str, Any]:
        if started.role not in (Role.GENERATOR, Role.REVISER):
            return judged(started)  # type: ignore[no-any-return]
        return {"reading": e.Reading(equivalence=f"{started.iteration:032x}")}

    made.play(respond)
    assert [each.role for each in made.all(e.CallStarted)].count(Role.REVISER) == 3
    drafts = [v for v, (_, each) in enumerate(made.history, 1) if _is_of(Role.GENERATOR, each)]
    assert made.last(e.Compared).call == drafts[1]
    assert broken_laws(made.history) == []


def _is_of(role: Role, event: e.Event) -> bool:
    return isinstance(event, e.CallStarted) and event.role is role


def _first_pair(change: Callable[[e.ComparedPair], e.ComparedPair]) -> Callable[[e.Compared], e.Compared]:
    return lambda v: changed(v, pairs=(change(v.pairs[0]), *v.pairs[1:]))


PLANTED: dict[str, tuple[type[e.Event], Callable[[Any], e.Event], str]] = {
    "equal": (e.Compared, lambda v: changed(v, candidates=(1, 1, 3, 4)), "equal results"),
    "no output": (e.Compared, lambda v: changed(v, candidates=(1, 3, 4, 9)), "has no output"),
    "scored": (e.Compared, lambda v: changed(v, candidates=(1, 2, 3, 4)), "was scored before"),
    "call": (e.Compared, lambda v: changed(v, call=v.call - 1), "the call is not that of the chosen result"),
    "loser": (e.Compared, lambda v: changed(v, iteration=1), "has won more pairs"),
    "verdict": (
        e.Compared,
        _first_pair(lambda pair: changed(pair, verdicts=(PairChoice.A, PairChoice.B), winner=1)),
        "are other ones",
    ),
    "winner": (e.Compared, _first_pair(lambda pair: changed(pair, winner=1)), "has another winner"),
    "stranger": (e.Compared, _first_pair(lambda pair: changed(pair, later=2)), "is none of its candidates"),
    "unsettled": (e.Compared, lambda v: changed(v, pairs=v.pairs[:1]), "could have changed the choice"),
    "itself": (e.ModelSelected, lambda v: changed(v, compares=v.compares[:1] * 2), "is no two results"),
    "role": (e.ModelSelected, lambda v: changed(v, role=Role.CRITIC), "is no two results"),
    "iteration": (e.ModelSelected, lambda v: changed(v, iteration=4), "is of another iteration"),
    "output": (e.OutputChosen, lambda v: changed(v, iteration=1), "is not what won"),
}


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_planted_breach_is_found(name: str) -> None:
    """One changed field of one event breaks the law that speaks of it."""
    kind, change, problem = PLANTED[name]
    history = played().history
    index = next(n for n, (_, each) in enumerate(history) if type(each) is kind and _is_of_pairs(each))
    tampered = [*history[:index], (history[index][0], change(history[index][1]))]
    assert any(problem in line for line in problems(tampered)), problems(tampered)


def _is_of_pairs(event: e.Event) -> bool:
    return not isinstance(event, e.ModelSelected) or event.compares is not None


def problems(history: History) -> list[str]:
    """What is broken so far."""
    laws = Laws()
    for at, event in history:
        laws.take(at, event)
    return laws.problems


def test_a_second_choice_is_found() -> None:
    """A task's results are compared once."""
    history = played().history
    index = next(n for n, (_, each) in enumerate(history) if isinstance(each, e.Compared))
    again = [*history[: index + 1], history[index]]
    assert any("compared twice" in line for line in problems(again))


def test_a_choice_of_what_failed_a_check_is_found() -> None:
    """Of two results the one is chosen whose check is said to have failed."""
    history = played().history
    index = next(n for n, (_, each) in enumerate(history) if isinstance(each, e.Compared))
    last = max(n for n, (_, each) in enumerate(history[:index]) if isinstance(each, e.Validated))
    at, validated = history[last]
    assert isinstance(validated, e.Validated)
    failed = [*history[:last], (at, changed(validated, verdict=Verdict.FAILED)), *history[last + 1 : index + 1]]
    assert any("that failed a check" in line for line in problems(failed))
