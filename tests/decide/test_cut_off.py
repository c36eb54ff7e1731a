"""An answer that was cut off at its limit is asked for once more, with more room."""

from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import Finish, ProjectStatus, ReadingProblem, Role, TaskType
from orchestrator.money import Usage, Usd
from orchestrator.settings import Limits, RunSettings
from orchestrator.testing.decide_by_hand import CHEAP, Stage, model, task
from orchestrator.testing.laws import Laws

USED = Usage(input=10, output=512)
CUT: dict[str, Any] = {"finish": Finish.LENGTH}
EMPTY: dict[str, Any] = {"finish": Finish.LENGTH, "reading": e.Reading(problem=ReadingProblem.EMPTY)}
UNREAD: dict[str, Any] = {"reading": e.Reading(problem=ReadingProblem.EMPTY)}
UNREADABLE: dict[str, Any] = {"finish": Finish.LENGTH, "reading": e.Reading(problem=ReadingProblem.NO_SCORE)}


def stage(*models: Any, **settings: Any) -> Stage:
    """One task whose draft is prepared: 512 tokens at first, of at most 1024."""
    made = Stage(RunSettings(routing={}, **settings), models or (model("a", max_output=8192),), [task("t")])
    made.begin()
    made.prepare()
    return made


def sizes(made: Stage, role: Role = Role.GENERATOR) -> list[int]:
    """The limits a role was asked at in the first iteration."""
    return [each.max_tokens for each in made.all(e.CallStarted) if (each.role, each.iteration) == (role, 1)]


def test_a_draft_is_asked_for_once_more_at_the_limit_of_its_type() -> None:
    """The same call of the same model, counted as a try and recorded as larger; then it stands, cut off or not."""
    made = stage()
    made.answer(**CUT)
    again = made.last(e.CallStarted)
    assert (again.model, again.attempt, again.try_, again.max_tokens, again.larger) == ("a", 2, 2, 1024, True)
    made.answer(**CUT)
    assert made.play().status is ProjectStatus.SUCCESS
    assert sizes(made) == [512, 1024]
    assert [each.larger for each in made.all(e.CallStarted)].count(True) == 1
    assert len([each for each in made.all(e.ModelSelected) if each.role is Role.GENERATOR]) == 1


def test_the_body_is_shaped_at_the_largest_limit() -> None:
    """That of the type, or what the model can write: so much is held for at most."""
    assert stage().last(e.ModelSelected).most_tokens == 1024
    assert stage(model("a", max_output=700)).last(e.ModelSelected).most_tokens == 700
    assert stage(model("a", max_output=500)).last(e.ModelSelected).most_tokens == 500


@pytest.mark.parametrize(
    ("facts", "limits", "asked"),
    [
        ({"max_output": 8192}, Limits(), [512, 1024]),
        ({"max_output": 8192}, Limits(tries=9), [512, 1024]),
        ({"max_output": 8192}, Limits(attempts=1), [512]),
        ({"max_output": 8192}, Limits(tries=1), [512]),
        ({"max_output": 700}, Limits(), [512, 700]),
        ({"max_output": 600}, Limits(), [512]),
        ({"max_output": 512}, Limits(), [512]),
        ({}, Limits(tries=9), [512, 1024]),
        ({"max_output": 8192, "context": 900}, Limits(), [512, 867]),
        ({"max_output": 8192, "context": 600}, Limits(), [512]),
        ({"max_output": 8192, "context": 400}, Limits(), [367]),
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


def test_a_limit_of_the_user_is_sent_as_it_is_and_never_exceeded() -> None:
    """Neither what is usual nor what was measured changes it, nor a cut."""
    made = stage(fixed_types=(TaskType.SUMMARIZATION,), max_tokens={TaskType.SUMMARIZATION: 900})
    made.play(lambda started: CUT if started.role is Role.GENERATOR else {})
    assert sizes(made) == [900]


@pytest.mark.parametrize(
    ("role", "how", "asked"),
    [
        (Role.REVISER, CUT, [512, 1024]),
        (Role.EVALUATOR, UNREADABLE, [512, 512, 1024]),
        (Role.EVALUATOR, {**CUT, "score": 0.9, "reading": e.Reading(score=0.9)}, [512, 512]),
        (Role.CRITIC, CUT, [768]),
    ],
    ids=["revision", "score", "readable score", "critique"],
)
def test_each_role_grows_where_more_room_can_help(role: Role, how: dict[str, Any], asked: list[int]) -> None:
    """A revision and an unreadable score; a score that can be read is whole, and a critique goes without its end."""
    made = stage()
    made.play(lambda started: how if started.role is role and started.iteration == 1 else {})
    assert sorted(sizes(made, role)) == sorted(asked)


def test_a_plan_is_asked_for_again() -> None:
    """Refused, and asked for anew with all the room of its role and the answer shown; never a third time larger."""
    made = Stage(RunSettings(), (model("a", max_output=20_000),))
    made.begin()
    made.prepare()
    made.answer(finish=Finish.LENGTH, reading=e.Reading(problem=ReadingProblem.NO_JSON))
    made.prepare()
    assert [each.max_tokens for each in made.all(e.CallStarted)] == [2048, 8192]
    assert [each.larger for each in made.all(e.CallStarted)] == [False, True]
    assert made.last(e.ModelSelected).unreadable == made.last(e.PlanRefused).call
    made.answer(reading=e.Reading(plan=(task("t"),)))
    assert len(made.all(e.PlanRefused)) == 1
    assert made.all(e.PlanMade)


def test_an_answer_that_is_all_thinking_gets_more_room_then_another_model() -> None:
    """Nothing to read at the limit: all the room there is, and then the next model."""
    made = stage(model("a", max_output=2048), model("b", "south", price=CHEAP, max_output=2048))
    made.answer(**EMPTY)
    made.prepare()
    made.answer(**EMPTY)
    assert sizes(made) == [512, 1024]
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("b", "unreadable")


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([EMPTY, CUT, CUT], [512, 1024]),
        ([EMPTY, EMPTY, CUT], [512, 1024]),
        ([EMPTY, UNREAD, CUT], [512, 1024]),
        ([UNREAD, CUT, CUT], [512, 512, 1024]),
        ([UNREAD, EMPTY, CUT], [512, 512]),
        ([CUT, EMPTY, CUT], [512, 1024]),
    ],
)
def test_a_model_gets_more_room_once_however_its_answers_fail(answers: list[dict[str, Any]], asked: list[int]) -> None:
    """An answer that cannot be used is asked for anew once, but not with more room a second time."""
    made = stage(limits=Limits(tries=9))
    left = list(answers)
    made.play(lambda started: left.pop(0) if started.role is Role.GENERATOR and left else {})
    assert sizes(made) == asked


def test_an_answer_shrunk_for_money_is_not_asked_for_again() -> None:
    """Even once there is money for more."""
    made = stage(model("a", max_output=8192), cap=_hold_of(512) - Usd(1))
    assert sizes(made)[0] < 512
    made.state.cap = Usd.parse(100)
    made.answer(**CUT)
    made.play()
    assert len(sizes(made)) == 1


def test_more_room_is_asked_for_as_far_as_the_money_goes() -> None:
    """At least a quarter more; below that the answer stands, and no money is refused."""
    made = stage()
    made.state.cap = CHEAP.cost(USED) + _hold_of(800)
    made.answer(usage=USED, **CUT)
    assert sizes(made) == [512, 800]
    made = stage()
    made.state.cap = CHEAP.cost(USED) + _hold_of(600)
    made.answer(usage=USED, **CUT)
    made.play()
    assert sizes(made) == [512]
    assert not [each for each in made.all(e.SpendRefused) if each.role is Role.GENERATOR]


@pytest.mark.parametrize(("short_of", "asked"), [("nothing", 1024), ("money", 400), ("window", 350)])
def test_more_room_that_is_not_used_is_not_said(short_of: str, asked: int) -> None:
    """A model that is called anew is asked for less than before where money or its window allow no more."""
    cap = CHEAP.cost(USED) + _hold_of(400) if short_of == "money" else Usd.parse(100)
    made = stage(model("a", max_output=8192, context=650 if short_of == "window" else None), cap=cap)
    made.answer(usage=USED, **EMPTY)
    made.prepare(900 if short_of == "window" else 100)
    again = made.last(e.CallStarted)
    assert (made.last(e.ModelSelected).max_tokens, sizes(made)) == (1024, [512, asked])
    assert again.larger is (asked > 512)
    laws = Laws()
    for each in made.history:
        laws.take(*each)
    assert laws.problems == []


def _hold_of(tokens: int) -> Usd:
    """What a draft of this size and its evaluation hold at most."""
    return CHEAP.bound(612, tokens) + CHEAP.bound(4 * tokens + 4096 + 512, 512)


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
        assert sizes(made) == [512, 1024]
        assert made.last(e.OutputChosen).call == first.version


def test_a_draft_that_others_work_with_is_asked_for_no_more() -> None:
    """Money that comes free later does not call back a draft that is being reviewed."""
    made = stage(model("a", max_output=8192), model("b", "south"))
    made.state.cap = CHEAP.cost(USED) + _hold_of(600)
    made.answer(usage=USED, **CUT)
    made.prepare()
    assert made.last(e.CallStarted).role is Role.CRITIC
    made.state.cap = Usd.parse(100)
    made.step()
    assert made.play().status is ProjectStatus.SUCCESS
    assert sizes(made) == [512]


def test_at_the_deadline_the_answer_stands() -> None:
    """Nothing new starts; what was written is the output."""
    made = stage()
    made.now = made.state.session_at + made.settings.time_limit
    made.answer(**CUT)
    made.play()
    assert sizes(made) == [512]
    assert made.last(e.RunFinished).status is ProjectStatus.TIMEOUT
    assert made.last(e.OutputChosen)


def test_the_kind_of_task_sets_the_first_limit() -> None:
    """Code begins at 1024, and may be 8192 long."""
    made = Stage(RunSettings(routing={}), (model("a", max_output=64_000),), [task("t", TaskType.CODE_GEN)])
    made.begin()
    made.prepare()
    made.answer(**CUT)
    assert sizes(made) == [1024, 8192]
