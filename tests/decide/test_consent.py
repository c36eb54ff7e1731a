from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.decide.forecast import expected_total, is_declined, lacking
from orchestrator.decide.outcome import reopened_by
from orchestrator.models import AnsweredBy, ProjectStatus, RiskLevel
from orchestrator.money import Usd
from orchestrator.replay import verify
from orchestrator.settings import SECOND, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.laws import Laws

MODELS = [model("chat"), model("other", "south")]


def begun(percent: int = 90, can_ask: bool = True, **settings: Any) -> Stage:
    """A run of two tasks whose forecast is so many percent of its cap."""
    plan = [task("one", prompt_bytes=8000), task("two", prompt_bytes=8000)]
    ample = Stage(RunSettings(), MODELS, plan)
    ample.begin()
    cap = Usd(ample.last(e.ForecastMade).expected.nano * 100 // percent)
    stage = Stage(RunSettings(cap=cap, **settings), MODELS, plan, can_ask=can_ask)
    stage.begin()
    return stage


def answer(stage: Stage, accepted: bool, how: AnsweredBy = AnsweredBy.PERSON) -> list[e.Event]:
    """Answer the open question, as the loop records it: a no ends the session."""
    ((version, _),) = stage.open(e.QuestionAsked)
    more = () if accepted else (e.RunInterrupted(e.DECLINED),)
    return stage.step(e.QuestionAnswered(version, accepted, how, False), *more)


def resumed(stage: Stage, can_ask: bool = True, extra: Usd = Usd.ZERO) -> list[e.Event]:
    """Open the next session, with more money if need be."""
    if extra:
        stage.step(e.BudgetRaised(stage.state.cap + extra, reopened_by(stage.state, "budget")))
    stage.can_ask = can_ask
    return stage.step(stage.opening())


def sound(stage: Stage) -> bool:
    """Whether every decision is computed again as it was, and no law is broken."""
    laws = Laws()
    for at, event in stage.history:
        laws.take(at, event)
    assert laws.problems == []
    assert verify(stage.history, lambda session: None).differences == ()
    return True


def test_a_high_risk_is_asked_about_before_the_first_task() -> None:
    """The question follows the forecast, and nothing else is decided; a yes starts the tasks, and is asked for once."""
    stage = begun()
    forecast = stage.last(e.ForecastMade)
    assert forecast.risk is RiskLevel.HIGH
    version = next(n for n, (_, event) in enumerate(stage.history, 1) if event is forecast)
    assert [each for _, each in stage.open(e.QuestionAsked)] == [e.QuestionAsked("forecast", version, 1)]
    assert stage.waits_until is not None, "only the end of the time wakes it"
    assert not stage.all(e.TaskStarted)
    decided = answer(stage, True)
    assert isinstance(decided[0], e.TaskStarted)
    stage.prepare()
    stage.step(e.SessionLost(1, stage.opening().ended))
    resumed(stage)
    stage.play()
    assert len(stage.all(e.QuestionAsked)) == 1
    assert sound(stage)


@pytest.mark.parametrize(("percent", "can_ask"), [(79, True), (90, False)])
def test_no_question_is_asked_without_need_or_without_a_person(percent: int, can_ask: bool) -> None:
    """A lower risk is no question, and a session that cannot ask goes on as it always has."""
    stage = begun(percent, can_ask)
    assert stage.all(e.TaskStarted)
    assert not stage.all(e.QuestionAsked)
    assert sound(stage)


def test_a_session_that_can_ask_asks_only_before_the_first_task() -> None:
    """A run whose tasks have started without a question goes on without one."""
    stage = begun(can_ask=False)
    stage.step(e.SessionLost(1, stage.opening().ended))
    resumed(stage)
    assert not stage.all(e.QuestionAsked)
    assert sound(stage)


def test_a_no_stands_until_the_next_session_asks_again() -> None:
    """Nothing is decided after a no; the next session asks anew, with a number of its own, and a person may agree."""
    stage = begun()
    assert answer(stage, False) == []
    assert is_declined(stage.state)
    (asked,) = resumed(stage)
    assert asked == e.QuestionAsked("forecast", stage.state.forecast_version, 2)
    answer(stage, True)
    assert not is_declined(stage.state)
    assert stage.all(e.TaskStarted)
    assert sound(stage)


def test_after_a_no_a_session_that_cannot_ask_does_not_go_on() -> None:
    """Unanswered means no: no question is asked, and no task starts."""
    stage = begun()
    answer(stage, False)
    (asked,) = resumed(stage, can_ask=False)
    assert isinstance(asked, e.QuestionAsked)
    answer(stage, False, AnsweredBy.NO_TERMINAL)
    assert not stage.all(e.TaskStarted)
    assert sound(stage)


def test_a_question_that_died_with_its_session_is_decided_on_anew() -> None:
    """It is no open effect of the next session, which asks if the risk still is high."""
    stage = begun()
    stage.step(e.SessionLost(1, ()))
    assert stage.open(e.QuestionAsked)
    resumed(stage)
    assert [asked.number for _, asked in stage.open(e.QuestionAsked)] == [2]
    stage.step(e.SessionLost(2, ()))
    resumed(stage, extra=lacking(stage.state))
    assert not stage.open(e.QuestionAsked)
    assert stage.all(e.TaskStarted)
    assert sound(stage)


@pytest.mark.parametrize("short", [0, 1])
def test_a_higher_ceiling_answers_the_question(short: int) -> None:
    """The least amount that lowers the risk is enough, a nano-dollar less is not."""
    stage = begun()
    answer(stage, False)
    resumed(stage, extra=lacking(stage.state) - Usd(short))
    assert bool(stage.open(e.QuestionAsked)) is bool(short)
    assert bool(stage.all(e.TaskStarted)) is not bool(short)
    assert (lacking(stage.state) == Usd.ZERO) is not bool(short)
    assert sound(stage)


def test_waiting_for_a_person_takes_no_time() -> None:
    """Hours at the question, in one session and the next, are no active time."""
    stage = begun(time_limit=60 * SECOND)
    stage.now += 3600 * SECOND
    stage.step()
    stage.step(e.SessionLost(1, ()))
    stage.now += 3600 * SECOND
    resumed(stage)
    stage.now += 3600 * SECOND
    answer(stage, True)
    assert stage.state.active(stage.now) < SECOND
    assert stage.play().status is ProjectStatus.SUCCESS
    assert sound(stage)


def test_with_no_time_left_no_question_is_asked() -> None:
    """What cannot start is no question: the run ends for want of time."""
    stage = begun()
    answer(stage, False)
    stage.now += 1
    stage.state.active_before = stage.state.time_limit
    resumed(stage)
    assert stage.last(e.RunFinished).status is ProjectStatus.TIMEOUT
    assert len(stage.all(e.QuestionAsked)) == 1


def test_what_was_spent_counts() -> None:
    """The risk is that of everything the run is expected to have spent, its plan included."""
    stage = begun()
    stage.state.spend.settled += Usd(7)
    assert expected_total(stage.state) == stage.last(e.ForecastMade).expected + Usd(7)


def test_a_yes_stands_where_the_session_ends_with_it() -> None:
    """A signal at the time of the answer loses neither; the next session starts the tasks without a question."""
    stage = begun()
    ((version, _),) = stage.open(e.QuestionAsked)
    stage.step(e.QuestionAnswered(version, True, AnsweredBy.PERSON, False), e.RunInterrupted("SIGINT"))
    resumed(stage, can_ask=False)
    assert stage.all(e.TaskStarted)
    assert sound(stage)


@pytest.mark.parametrize("answered", [True, False])
def test_a_fork_asks_for_itself(answered: bool) -> None:
    """What was said of the parent's ceiling says nothing of the fork's, nor does a question that is open there."""
    stage = begun()
    if answered:
        ((version, _),) = stage.open(e.QuestionAsked)
        stage.step(e.QuestionAnswered(version, True, AnsweredBy.PERSON, False), e.RunInterrupted("SIGINT"))
    none, digest = Usd.ZERO, "0" * 64
    stage.step(e.RunForked("parent", stage.state.version, digest, none, none, stage.settings, digest, digest))
    resumed(stage)
    assert [asked.number for _, asked in stage.open(e.QuestionAsked)] == [1]
    answer(stage, True)
    assert stage.all(e.TaskStarted)
    assert sound(stage)


def test_a_fork_of_a_question_that_cannot_ask_is_not_asked() -> None:
    """A question of the parent's is none of the fork's."""
    stage = begun()
    none, digest = Usd.ZERO, "0" * 64
    stage.step(e.RunForked("parent", stage.state.version, digest, none, none, stage.settings, digest, digest))
    resumed(stage, can_ask=False)
    assert stage.all(e.TaskStarted)
    assert sound(stage)
