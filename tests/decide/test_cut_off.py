"""Answers that were cut off at their limit are asked for again, with a higher limit."""

from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import Finish, ProjectStatus, ReadingProblem, Role, TaskType
from orchestrator.money import Usage, Usd
from orchestrator.settings import Limits, RunSettings
from orchestrator.testing.stage import CHEAP, Stage, model, task

USED = Usage(input=10, output=1024)
CUT: dict[str, Any] = {"finish": Finish.LENGTH}
EMPTY: dict[str, Any] = {"finish": Finish.LENGTH, "reading": e.Reading(problem=ReadingProblem.EMPTY)}
UNREADABLE: dict[str, Any] = {"finish": Finish.LENGTH, "reading": e.Reading(problem=ReadingProblem.NO_SCORE)}


def stage(*models: Any, **settings: Any) -> Stage:
    """One task whose draft of 1024 tokens is prepared."""
    made = Stage(RunSettings(routing={}, **settings), models or (model("a", max_output=8192),), [task("t")])
    made.begin()
    made.prepare()
    return made


def sizes(made: Stage, role: Role = Role.GENERATOR) -> list[int]:
    """The limits a role was asked at in the first iteration."""
    return [each.max_tokens for each in made.all(e.CallStarted) if (each.role, each.iteration) == (role, 1)]


def test_a_draft_is_asked_for_again_at_twice_its_limit() -> None:
    """The same call of the same model, counted as a try, until it ends by itself."""
    made = stage()
    made.answer(**CUT)
    again = made.last(e.CallStarted)
    assert (again.model, again.attempt, again.try_, again.max_tokens) == ("a", 2, 2, 2048)
    made.answer()
    assert made.play().status is ProjectStatus.SUCCESS
    assert sizes(made) == [1024, 2048]
    assert len([each for each in made.all(e.ModelSelected) if each.role is Role.GENERATOR]) == 1


def test_the_body_is_shaped_at_the_largest_limit() -> None:
    """What the model can write, or four times the usual limit where that is unknown: so much is held for at most."""
    assert stage().last(e.ModelSelected).most_tokens == 8192
    assert stage(model("a")).last(e.ModelSelected).most_tokens == 4096
    assert stage(model("a", max_output=500)).last(e.ModelSelected).most_tokens == 500


@pytest.mark.parametrize(
    ("facts", "limits", "asked"),
    [
        ({"max_output": 8192}, Limits(), [1024, 2048, 4096]),
        ({"max_output": 8192}, Limits(tries=9), [1024, 2048, 4096, 8192]),
        ({"max_output": 8192}, Limits(attempts=2), [1024, 2048]),
        ({"max_output": 1500}, Limits(), [1024, 1500]),
        ({"max_output": 1200}, Limits(), [1024]),
        ({"max_output": 1024}, Limits(), [1024]),
        ({}, Limits(tries=9), [1024, 2048, 4096]),
        ({"max_output": 8192, "context": 2000}, Limits(), [1024, 1967]),
        ({"max_output": 8192, "context": 1100}, Limits(), [1024]),
        ({"max_output": 8192, "context": 800}, Limits(), [767]),
    ],
    ids=str,
)
def test_room_ends_with_the_model_its_window_and_the_tries(
    facts: dict[str, Any], limits: Limits, asked: list[int]
) -> None:
    """Then the answer stands as it is, and the review goes on with it."""
    made = stage(model("a", **facts), limits=limits)
    end = made.play(lambda started: CUT if started.role is Role.GENERATOR and started.iteration == 1 else {})
    assert end.status is ProjectStatus.SUCCESS
    assert sizes(made) == asked


@pytest.mark.parametrize(
    ("role", "how", "asked"),
    [
        (Role.REVISER, CUT, [1024, 2048, 4096]),
        (Role.EVALUATOR, UNREADABLE, [1024, 1024, 2048]),
        (Role.EVALUATOR, {**CUT, "score": 0.9, "reading": e.Reading(score=0.9)}, [1024, 1024]),
        (Role.CRITIC, CUT, [2048]),
    ],
    ids=["revision", "score", "readable score", "critique"],
)
def test_each_role_grows_where_more_room_can_help(role: Role, how: dict[str, Any], asked: list[int]) -> None:
    """A revision and an unreadable score; a score that can be read is whole, and a critique goes without its end."""
    made = stage()
    made.play(lambda started: how if started.role is role and started.iteration == 1 else {})
    assert sorted(sizes(made, role)) == sorted(asked)


def test_a_plan_is_asked_for_again() -> None:
    """Refused, and asked for anew with twice the room and the answer shown."""
    made = Stage(RunSettings(), (model("a", max_output=20_000),))
    made.begin()
    made.prepare()
    made.answer(finish=Finish.LENGTH, reading=e.Reading(problem=ReadingProblem.NO_JSON))
    made.prepare()
    assert [each.max_tokens for each in made.all(e.CallStarted)] == [8192, 16384]
    assert made.last(e.ModelSelected).unreadable == made.last(e.PlanRefused).call
    made.answer(reading=e.Reading(plan=(task("t"),)))
    assert len(made.all(e.PlanRefused)) == 1
    assert made.all(e.PlanMade)


def test_an_answer_that_is_all_thinking_gets_more_room_then_another_model() -> None:
    """Nothing to read at the limit: twice the limit, and the next model when it cannot grow."""
    made = stage(model("a", max_output=2048), model("b", "south", price=CHEAP, max_output=2048))
    made.answer(**EMPTY)
    made.prepare()
    made.answer(**EMPTY)
    assert sizes(made) == [1024, 2048]
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("b", "unreadable")


def test_an_answer_shrunk_for_money_is_not_asked_for_again() -> None:
    """Even once there is money for more."""
    judge = CHEAP.bound(4 * 1024 + 4096 + 512, 1024)
    made = stage(model("a", max_output=8192), cap=CHEAP.bound(612, 1024) + judge - Usd(1))
    assert sizes(made)[0] < 1024
    made.state.cap = Usd.parse(100)
    made.answer(**CUT)
    made.play()
    assert len(sizes(made)) == 1


def test_more_room_is_asked_for_as_far_as_the_money_goes() -> None:
    """At least a quarter more; below that the answer stands, and no money is refused."""
    made = stage()
    made.state.cap = _money_for(1500)
    made.answer(usage=USED, **CUT)
    assert sizes(made) == [1024, 1500]
    made = stage()
    made.state.cap = _money_for(1200)
    made.answer(usage=USED, **CUT)
    made.play()
    assert sizes(made) == [1024]
    assert not [each for each in made.all(e.SpendRefused) if each.role is Role.GENERATOR]


def _money_for(tokens: int) -> Usd:
    """A cap that leaves, beside what the first answer cost, enough for one of this size and its evaluation."""
    return CHEAP.cost(USED) + CHEAP.bound(612, tokens) + CHEAP.bound(4 * tokens + 4096 + 512, 1024)


def test_what_could_be_read_stands_when_more_room_brings_nothing() -> None:
    """A failure that is not worth another try, or an empty answer, leaves the one that was cut off."""
    for worse in ("fail", "empty"):
        made = stage()
        made.answer(**CUT)
        first = made.state.tasks["t"].calls[next(iter(made.state.tasks["t"].calls))].answers[0]
        if worse == "fail":
            made.fail(kind=ErrorKind.CONTENT_FILTER, retryable=False, outage=False)
        else:
            made.answer(reading=e.Reading(problem=ReadingProblem.EMPTY))
        made.play(lambda started: ErrorKind.CONTENT_FILTER if started.role is Role.REVISER else {})
        assert sizes(made) == [1024, 2048]
        assert made.last(e.OutputChosen).call == first.version


def test_a_draft_that_others_work_with_is_asked_for_no_more() -> None:
    """Money that comes free later does not call back a draft that is being reviewed."""
    made = stage(model("a", max_output=8192), model("b", "south"))
    made.state.cap = _money_for(1200)
    made.answer(usage=USED, **CUT)
    made.prepare()
    assert made.last(e.CallStarted).role is Role.CRITIC
    made.state.cap = Usd.parse(100)
    made.step()
    assert made.play().status is ProjectStatus.SUCCESS
    assert sizes(made) == [1024]


def test_at_the_deadline_the_answer_stands() -> None:
    """Nothing new starts; what was written is the output."""
    made = stage()
    made.now = made.state.session_at + made.settings.time_limit
    made.answer(**CUT)
    made.play()
    assert sizes(made) == [1024]
    assert made.last(e.RunFinished).status is ProjectStatus.TIMEOUT
    assert made.last(e.OutputChosen)


def test_the_kind_of_task_sets_the_first_limit() -> None:
    """Code begins at 8192 and grows from there."""
    made = Stage(RunSettings(routing={}), (model("a", max_output=64_000),), [task("t", TaskType.CODE_GEN)])
    made.begin()
    made.prepare()
    made.answer(**CUT)
    assert sizes(made) == [8192, 16384]
