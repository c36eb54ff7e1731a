"""The choice by pairs, decision by decision: who is compared with whom, what stops it, and what is delivered then."""

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.decide.pair_comparison import is_settled, leader
from orchestrator.decide.strategies import STRATEGIES, compares_pairs, most_iterations
from orchestrator.errors import ErrorKind
from orchestrator.models import (
    CallEnd,
    DraftMode,
    JudgeMethod,
    PairChoice,
    ProjectStatus,
    ReadingProblem,
    Role,
    TaskStatus,
    TaskType,
    Verdict,
    is_comparison,
)
from orchestrator.money import Usage, Usd
from orchestrator.replay import verify
from orchestrator.settings import Evaluation, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.laws import broken_laws

TEXT = TaskType.SUMMARIZATION
MODELS = (model("a", "north"), model("b", "south"), model("c", "east"))
BEST_OF = STRATEGIES["best_of"]


def stage(*validators: str, models: tuple[Any, ...] = MODELS, strategy: Any = BEST_OF, **settings: Any) -> Stage:
    """A run of one text under ``best_of``."""
    rules = RunSettings(routing={}, loop=dict.fromkeys(TaskType, strategy), **settings)
    made = Stage(rules, models, [task("t", TEXT, validators=validators)])
    made.begin()
    return made


def judge(made: Stage, wins: Mapping[tuple[int, int], int | None], **scores: Any) -> Any:
    """How calls end: a pair is won by the iteration that is given for it, whatever the order; the others are ties."""

    def respond(started: e.CallStarted) -> dict[str, Any]:
        if started.role is not Role.EVALUATOR or not is_comparison(started.sample):
            return {"score": scores.get("score", 0.95)} if started.role is Role.EVALUATOR else {}
        one, other = shown(made, started)
        winner = wins.get((min(one, other), max(one, other)))
        choice = PairChoice.TIE if winner is None else PairChoice.A if winner == one else PairChoice.B
        return {"reading": e.Reading(choice=choice)}

    return respond


def shown(made: Stage, started: e.CallStarted) -> tuple[int, int]:
    """The iterations of the results that a comparison shows as A and B."""
    call = made.state.tasks["t"].call(started.role, started.iteration, started.sample)
    assert call is not None
    assert call.compares is not None
    written = {a.version: c.key.iteration for c in made.state.tasks["t"].calls.values() for a in c.answers}
    return written[call.compares[0]], written[call.compares[1]]


def choice(made: Stage) -> e.Compared:
    """The choice, in a run that is sound."""
    assert broken_laws(made.history) == []
    found = verify(made.history, lambda session: None)
    assert (found.differences, found.foreign) == ((), ())
    return made.last(e.Compared)


def test_all_samples_are_fresh_and_by_the_next_model() -> None:
    """Each is made anew, warmer after the first, without an earlier result."""
    made = stage()
    made.play(judge(made, {}))
    drafts = [each for each in made.all(e.ModelSelected) if each.role is Role.GENERATOR]
    assert [(each.model, each.mode, each.temperature, each.base) for each in drafts] == [
        ("a", DraftMode.FRESH, 0.3, None),
        ("b", DraftMode.FRESH, 0.8, None),
        ("c", DraftMode.FRESH, 0.8, None),
    ]
    assert choice(made).candidates == (1, 2, 3)


def test_the_judge_is_an_author_only_where_no_other_is_left() -> None:
    """Of neither result and of another vendor than the later one; with two models the later one's author is last."""
    made = stage()
    made.play(judge(made, {}))
    judges = {(each.iteration, each.sample): each.model for each in made.all(e.ModelSelected) if each.compares}
    assert judges[2, 101] == judges[2, 102] == "c"
    assert judges[3, 101] == judges[3, 102] == "b"
    two = stage(models=MODELS[:1])
    two.play(judge(two, {}))
    assert {each.waiver for each in two.all(e.ModelSelected) if each.compares} == {"same_model"}


@pytest.mark.parametrize(
    ("wins", "chosen", "compared"),
    [
        ({}, 1, 3),
        ({(1, 2): 1, (1, 3): 1}, 1, 2),
        ({(1, 2): 2, (2, 3): 2}, 2, 2),
        ({(1, 3): 3, (2, 3): 3}, 3, 3),
        ({(1, 2): 2, (1, 3): 3, (2, 3): 3}, 3, 3),
        ({(1, 2): 1, (2, 3): 2, (1, 3): 3}, 1, 3),
        ({(1, 3): 1}, 1, 2),
    ],
)
def test_the_most_wins_are_chosen_of_equals_the_earliest(
    wins: dict[tuple[int, int], int], chosen: int, compared: int
) -> None:
    """And no pair is compared that could not change that any more."""
    made = stage()
    made.play(judge(made, wins))
    found = choice(made)
    assert (found.iteration, len(found.pairs)) == (chosen, compared)
    assert made.last(e.OutputChosen).iteration == chosen


@given(st.integers(1, 5), st.data())
def test_what_is_settled_stays_as_it_is(count: int, data: st.DataObject) -> None:
    """Once no open pair counts any more, every way in which the open ones could end leaves the same one chosen."""
    names = list(range(1, count + 1))
    open_pairs = list(combinations(names, 2))
    made: list[e.ComparedPair] = []
    while open_pairs and not is_settled(names, made):
        pair = open_pairs.pop(0)
        made.append(e.ComparedPair(*pair, (None, None), data.draw(st.sampled_from([None, *pair]))))
    chosen = leader(names, made)
    for ends in product(*([None, *pair] for pair in open_pairs[:6])):
        rest = [e.ComparedPair(*pair, (None, None), end) for pair, end in zip(open_pairs, ends, strict=False)]
        assert leader(names, [*made, *rest]) == chosen


def test_a_sample_that_fails_a_check_drops_out() -> None:
    """It has the score 0.0 and is compared with nothing; an equal one counts once."""
    made = stage("one")
    verdicts = iter([Verdict.PASSED, Verdict.FAILED, Verdict.PASSED])
    made.play(judge(made, {(1, 3): 3}), lambda started: {"verdict": next(verdicts)})
    found = choice(made)
    assert (found.candidates, found.iteration) == ((1, 3), 3)
    assert [(each.iteration, each.gate) for each in made.all(e.Evaluated)] == [(2, False), (3, True)]
    equal = stage()
    same = e.Reading(equivalence="1")
    respond = judge(equal, {})
    equal.play(lambda started: {"reading": same} if started.role is Role.GENERATOR else respond(started))
    assert choice(equal).candidates == (1,)


def test_a_low_score_of_what_is_chosen_is_the_end() -> None:
    """No result is improved after a choice: below its threshold the task is degraded."""
    strategy = evolve(STRATEGIES["reviewed"], method=JudgeMethod.PAIRS)
    made = stage(strategy=strategy)
    made.play(judge(made, {(1, 2): 2, (2, 3): 2}, score=0.2))
    end = made.last(e.TaskFinished)
    assert (choice(made).iteration, end.status, end.reason, end.score) == (
        2,
        TaskStatus.DEGRADED,
        "below_threshold",
        0.2,
    )
    assert [each.iteration for each in made.all(e.Evaluated)] == [2]


COSTLY: Final = {Role.GENERATOR: Usage(input=10, output=100), Role.EVALUATOR: Usage(input=10, output=500)}


@pytest.mark.parametrize(
    ("cap", "known", "chosen"),
    [(1_250_000, [], 1), (1_550_000, [2], 2), (2_000_000, [2, 3], 2), (2_300_000, [2, 3, 3], 3)],
)
@pytest.mark.parametrize("score", [0.95, 0.2])
def test_money_that_ends_between_pairs_delivers_the_best_that_is_known(
    cap: int, known: list[int], chosen: int, score: float
) -> None:
    """The money for its score is left: good enough is completed; else the end is for want of money, not of quality."""
    made = stage(cap=Usd(cap), fixed_types=tuple(TaskType), fixed_roles=(Role.EVALUATOR,))
    respond = judge(made, {(1, 2): 2, (1, 3): 3, (2, 3): 3}, score=score)
    run = made.play(lambda started: {"usage": COSTLY[started.role], **respond(started)})
    found, end = choice(made), made.last(e.TaskFinished)
    whole = len(known) == 3
    assert ([each.winner for each in found.pairs], found.iteration) == (known, chosen)
    assert found.stopped == (None if whole else CallEnd.BUDGET)
    assert (made.last(e.OutputChosen).iteration, end.score) == (chosen, score)
    if score == 0.95:
        assert (end.status, run.status) == (TaskStatus.COMPLETED, ProjectStatus.SUCCESS)
    else:
        assert (end.status, end.reason) == (TaskStatus.DEGRADED, "below_threshold" if whole else "budget")
        assert run.status is (ProjectStatus.PARTIAL_SUCCESS if whole else ProjectStatus.BUDGET_EXHAUSTED)


def test_a_draft_that_no_model_gives_leaves_the_choice_among_the_others() -> None:
    """Two samples instead of three are compared; the one that is chosen completes the task."""
    made = stage()
    respond = judge(made, {(1, 2): 2})

    def failing(started: e.CallStarted) -> Any:
        is_third = (started.role, started.iteration) == (Role.GENERATOR, 3)
        return ErrorKind.BAD_REQUEST if is_third else respond(started)

    made.play(failing)
    found = choice(made)
    assert (found.candidates, found.iteration, found.stopped) == ((1, 2), 2, CallEnd.FAILED)
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED


def test_time_that_ends_between_pairs_delivers_the_best_that_is_known() -> None:
    """Nothing more is asked for; without a score the task is degraded, for want of time."""
    made = stage()
    respond = judge(made, {(1, 2): 2})
    while not any(each.compares and each.iteration == 3 for _, each in made.open(e.ModelSelected)):
        if made.open(e.ModelSelected):
            made.step(e.CallPrepared(made.open(e.ModelSelected)[0][0], "0" * 64, 100, None))
        else:
            version, started = made.open(e.CallStarted)[0]
            made.answer(version, **({"score": 0.9} if started.role is Role.EVALUATOR else {}) | respond(started))
    made.now += made.settings.time_limit
    assert made.play(respond).status is ProjectStatus.TIMEOUT
    found, end = choice(made), made.last(e.TaskFinished)
    assert ([each.winner for each in found.pairs], found.iteration, found.stopped) == ([2], 2, CallEnd.TIME)
    assert (end.status, end.reason, end.score) == (TaskStatus.DEGRADED, "time", None)


def test_a_judge_that_fails_or_cannot_be_understood_ends_the_comparing() -> None:
    """The earliest is delivered; what no model can score is degraded."""
    mute = stage()
    unread = {"reading": e.Reading(problem=ReadingProblem.NO_CHOICE)}
    respond = judge(mute, {})
    mute.play(lambda started: unread if is_comparison(started.sample) else respond(started))
    found = choice(mute)
    assert (found.iteration, len(found.pairs), found.stopped) == (1, 1, CallEnd.UNREADABLE)
    assert mute.last(e.TaskFinished).status is TaskStatus.COMPLETED
    down = stage()
    down.play(lambda started: ErrorKind.BAD_REQUEST if started.role is Role.EVALUATOR else {})
    assert (choice(down).pairs, choice(down).stopped) == ((), CallEnd.FAILED)
    assert down.last(e.TaskFinished).reason == "unscored"


def test_which_tasks_are_compared_follows_from_strategy_and_settings() -> None:
    """``best_of`` compares, others where ``evaluate`` says so; never without a judge, nor with one sample."""

    def compares(name: str, judge: JudgeMethod | None = None, **changes: Any) -> bool:
        loop = dict.fromkeys(TaskType, evolve(STRATEGIES[name], **changes))
        return compares_pairs(RunSettings(loop=loop, evaluation=Evaluation(judge=judge)), TEXT)

    assert compares("best_of")
    assert not any(compares(name) for name in STRATEGIES if name != "best_of")
    assert all(compares(name, JudgeMethod.PAIRS) for name in STRATEGIES if name != "plain")
    assert not compares("best_of", runs=0)
    assert not compares("best_of", samples=1)
    assert not compares("plain", JudgeMethod.PAIRS)
    recorded = RunSettings(loop=dict.fromkeys(TaskType, evolve(BEST_OF, method=None)))
    assert not compares_pairs(recorded, TEXT), "a run that was recorded before decides as it did"
    assert most_iterations(RunSettings(evaluation=Evaluation(judge=JudgeMethod.PAIRS)), TEXT) == 3
