"""The checks themselves: each planted breach is found."""

from collections.abc import Callable

import pytest
from attrs import evolve as changed

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import AnsweredBy, CacheUse, Finish, ReadingProblem, Role, SkipReason
from orchestrator.money import Usd
from orchestrator.policy import Policy, RateLimit
from orchestrator.settings import SECOND, Limits, RunSettings
from orchestrator.testing.bills_and_accounts import broken_accounts, broken_bills
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.laws import Laws, broken_laws
from orchestrator.testing.simulation.simulator import History, Scenario, simulate
from tests.simulation.plays import steady

_ONE = Usd(1)


@pytest.fixture(scope="module")
def history() -> History:
    """A sound history."""
    found = simulate(steady(4, given=True, faulty=False)).histories["run-1"]
    assert broken_laws(found) == []
    return found


def _with(history: History, kind: type[e.Event], change: Callable[[e.Event], e.Event], skip: int = 0) -> History:
    index = [i for i, (_, event) in enumerate(history) if type(event) is kind][skip]
    return [*history[:index], (history[index][0], change(history[index][1])), *history[index + 1 :]]


def _limited(**limits: object) -> Callable[[e.RunStarted], e.RunStarted]:
    """A history as it is, of a run that is said to have other limits."""
    return lambda v: changed(v, settings=changed(v.settings, limits=changed(v.settings.limits, **limits)))  # type: ignore[arg-type]


def _rated(**limit: object) -> Callable[[e.RunStarted], e.RunStarted]:
    """The same with a rate limit of a policy."""
    policy = Policy("pace", rate_limit=RateLimit(**limit))  # type: ignore[arg-type]
    return lambda v: changed(v, settings=changed(v.settings, policies=(policy,)))


_PLANTED = {
    "requests": (e.RunStarted, _limited(requests_per_minute={"*": 1}), "more requests start in a minute"),
    "tokens": (e.RunStarted, _limited(tokens_per_minute={"*": 1}), "more tokens start in a minute"),
    "calls a minute": (e.RunStarted, _rated(calls_per_minute=1), "a policy's calls per minute"),
    "cost an hour": (e.RunStarted, _rated(cost_usd_per_hour=_ONE), "a policy's cost per hour"),
    "tokens a day": (e.RunStarted, _rated(tokens_per_day=1), "a policy's tokens per day"),
    "total": (e.RunStarted, _limited(call_total=1), "an attempt may take longer than is left"),
    "hit": (e.CallPrepared, lambda v: changed(v, cache=CacheUse.HIT), "a hit without an answer"),
    "cache": (e.CallPrepared, lambda v: changed(v, cache=CacheUse.MISS), "the cache is used although it is off"),
    "hold": (e.CallStarted, lambda v: changed(v, hold=v.hold + _ONE), "the hold is not the bound"),
    "attempt": (e.CallStarted, lambda v: changed(v, attempt=2), "attempt 2 follows 0"),
    "try": (e.CallStarted, lambda v: changed(v, try_=2), "try 2 after 0 ends"),
    "body": (e.CallStarted, lambda v: changed(v, body_bytes=v.body_bytes - 1), "not the one prepared"),
    "probe": (e.CallStarted, lambda v: changed(v, probe=True), "no breaker is open"),
    "timeout": (e.CallStarted, lambda v: changed(v, timeout=0), "a time-out is out of bounds"),
    "larger": (e.CallStarted, lambda v: changed(v, max_tokens=v.max_tokens + 1), "asked larger"),
    "unsaid": (e.CallStarted, lambda v: changed(v, larger=True), "said to ask with more room, and does not"),
    "limit": (e.ModelSelected, lambda v: changed(v, max_tokens=10**6), "asked for more than the limit"),
    "most": (e.ModelSelected, lambda v: changed(v, most_tokens=10**6), "may be asked for more than the limit"),
    "floor": (e.CallStarted, lambda v: changed(v, max_tokens=1), "shrunk below the floor"),
    "settled": (e.CallSucceeded, lambda v: changed(v, settled=v.settled + _ONE), "not the cost of the usage"),
    "both": (e.CallSucceeded, lambda v: changed(v, unreconciled=_ONE), "the unreconciled amount is not the hold"),
    "selection": (e.ModelSelected, lambda v: changed(v, selection=3), "a selection's number"),
    "candidates": (e.ModelSelected, lambda v: changed(v, candidates=()), "the candidates are"),
    "order": (e.PlanMade, lambda v: changed(v, execution_order=v.execution_order[::-1]), "ordered before"),
    "cost": (e.TaskFinished, lambda v: changed(v, cost=v.cost + _ONE), "the cost of"),
    "sum": (e.RunFinished, lambda v: changed(v, settled=v.settled + _ONE), "RunFinished tells other sums"),
    "number": (e.SessionOpened, lambda v: changed(v, number=2), "a session's number"),
    "role": (e.CheckStarted, lambda v: changed(v, validator="other"), "a check the plan does not have"),
    "iteration": (e.Evaluated, lambda v: changed(v, iteration=99), "too many iterations"),
    "score": (e.Evaluated, lambda v: changed(v, score=2.0, samples=(0.1,)), "outside its samples"),
}


@pytest.mark.parametrize("name", sorted(_PLANTED))
def test_a_planted_breach_is_found(history: History, name: str) -> None:
    """One changed field of one event breaks the law that speaks of it."""
    kind, change, problem = _PLANTED[name]
    laws = Laws()
    tampered = _with(history, kind, change)
    for at, event in tampered:
        laws.take(at, event)
        if laws.problems:
            break
    assert any(problem in line for line in laws.problems), laws.problems


def _take_all(history: History) -> list[str]:
    laws = Laws()
    for at, event in history:
        laws.take(at, event)
    return laws.problems


_AT_RISK = {
    "unasked": (e.QuestionAsked, None, "a task starts at a risk that is not agreed to"),
    "against a no": (e.QuestionAnswered, lambda v: changed(v, accepted=False), "a risk that is not agreed to"),
    "nothing to answer": (e.SessionOpened, lambda v: changed(v, can_ask=False), "that needs no answer"),
    "number": (e.QuestionAsked, lambda v: changed(v, number=2), "out of its order"),
    "text": (e.QuestionAnswered, lambda v: changed(v, project="0" * 64), "a text changes with the forecast"),
    "ceiling": (
        e.RunStarted,
        lambda v: changed(v, settings=changed(v.settings, cap=Usd(10**12))),
        "that needs no answer",
    ),
}


@pytest.mark.parametrize("name", sorted(_AT_RISK))
def test_a_planted_breach_of_the_question_of_risk_is_found(name: str) -> None:
    """A question that is left out, overruled, needless, of the wrong number, or with a say in the texts."""
    stage = Stage(RunSettings(cap=Usd(10**5)), [model("chat")], [task("only")], can_ask=True)
    stage.begin()
    stage.step(e.QuestionAnswered(stage.open(e.QuestionAsked)[0][0], True, AnsweredBy.PERSON, False))
    assert _take_all(stage.history) == []
    kind, change, problem = _AT_RISK[name]
    if change is None:
        tampered = [pair for pair in stage.history if not isinstance(pair[1], e.QuestionAsked | e.QuestionAnswered)]
    else:
        tampered = _with(stage.history, kind, change)
    assert any(problem in line for line in _take_all(tampered))


_OUT_OF_TURN = {
    "alone": (e.RunStarted, _limited(shared=False), "a call waits for other runs, and shares no pace"),
    "at once": (e.PaceRefused, lambda v: changed(v, until=v.until - SECOND), "waits for a time that has come"),
    "too early": (
        e.PaceRefused,
        lambda v: changed(v, until=v.until + SECOND + 1),
        "a call starts before its reservation",
    ),
    "too late": (e.PaceRefused, lambda v: changed(v, until=v.until - 1), "another ticket than its reservation's"),
    "none": (e.CallStarted, lambda v: changed(v, ticket=None), "another ticket than its reservation's"),
    "another's": (e.CallStarted, lambda v: changed(v, ticket=v.ticket - 1), "another ticket than its reservation's"),
}


@pytest.mark.parametrize("name", sorted(_OUT_OF_TURN))
def test_a_planted_breach_of_the_reservations_is_found(name: str) -> None:
    """A call that waits without need, starts out of its turn, or with a ticket that it does not have."""
    stage = Stage(RunSettings(limits=Limits(shared=True)), [model("chat")], [task("only")])
    stage.full_accounts = lambda call: (
        None if call.ticket else e.PaceRefused(call, "simulated/requests", stage.now + SECOND)
    )
    stage.begin()
    stage.prepare()
    stage.now = stage.last(e.PaceRefused).until + SECOND  # as late as a reservation can be used
    stage.step()
    assert _take_all(stage.history) == []
    kind, change, problem = _OUT_OF_TURN[name]
    assert any(problem in line for line in _take_all(_with(stage.history, kind, change)))


def test_a_ticket_without_a_turn_is_found(history: History) -> None:
    """Nothing was reserved for the call."""
    forged = _with(history, e.CallStarted, lambda v: changed(v, ticket=1))  # type: ignore[call-arg]
    laws = Laws()
    for at, event in forged:
        laws.take(at, event)
        if laws.problems:
            break
    assert "a call has a ticket, and no reservation" in laws.problems[0]


def test_events_after_the_end_are_found(history: History) -> None:
    """A closed run stays closed."""
    opened = next(event for _, event in history if isinstance(event, e.SessionOpened))
    problems = _take_all([*history, (history[-1][0] + 1, changed(opened, number=2))])
    assert any("SessionOpened after RunFinished" in line for line in problems) is _is_closed(history)


def _is_closed(history: History) -> bool:
    last = history[-1][1]
    assert isinstance(last, e.RunFinished)
    return last.status.is_closed


def test_asking_again_for_an_answer_on_disk_is_found(history: History) -> None:
    """A second CallStarted behind an answer breaks the law."""
    index = next(i for i, (_, event) in enumerate(history) if isinstance(event, e.CallSucceeded))
    at, succeeded = history[index]
    assert isinstance(succeeded, e.CallSucceeded)
    started = history[succeeded.call - 1][1]
    assert isinstance(started, e.CallStarted)
    again = changed(started, attempt=2, try_=2)
    problems = _take_all([*history[: index + 1], (at, again)])
    assert any("the answer is on disk already" in line for line in problems)


@pytest.mark.parametrize(
    ("times", "problem"),
    [(1, "is asked for again, no larger"), (40, "asked larger than before"), (0.5, "no larger")],
    ids=str,
)
def test_more_room_is_more_and_within_the_selection(times: float, problem: str) -> None:
    """An answer that was cut off is asked for again at more than its limit, and at what the selection says at most."""
    found = simulate(changed(steady(4, given=True, faulty=False), cut_rate=1.0)).histories["run-1"]
    cut = {
        found[event.call - 1][1].selected: found[event.call - 1][1]  # type: ignore[attr-defined]
        for _, event in reversed(found)
        if isinstance(event, e.CallSucceeded) and event.finish is Finish.LENGTH
    }
    again = next(
        index
        for index, (_, event) in enumerate(found)
        if isinstance(event, e.CallStarted) and event.larger and cut.get(event.selected) not in (None, event)
    )
    at, started = found[again]
    assert isinstance(started, e.CallStarted)
    first = next(v for _, v in found if isinstance(v, e.CallStarted) and v.selected == started.selected)
    laws = Laws()
    for each in [*found[:again], (at, changed(started, max_tokens=round(first.max_tokens * times)))]:
        laws.take(*each)
    assert any(problem in line for line in laws.problems), laws.problems


def test_less_room_that_is_said_to_be_more_is_found() -> None:
    """A call that was larger, and failed, is asked again for less than was cut off: then it is no larger one."""
    made = Stage(RunSettings(routing={}), (model("a", max_output=8192),), [task("t")])
    made.begin()
    made.prepare()
    made.answer(finish=Finish.LENGTH, reading=e.Reading(problem=ReadingProblem.EMPTY))
    made.prepare()
    made.fail()
    made.wait()
    at, started = made.history[-1]
    assert isinstance(started, e.CallStarted)
    assert (started.max_tokens, started.larger) == (1024, True)
    assert _take_all(made.history) == []
    smaller = [*made.history[:-1], (at, changed(started, max_tokens=400))]
    assert any("said to ask with more room, and does not" in line for line in _take_all(smaller))


def test_a_model_that_is_off_is_not_asked(history: History) -> None:
    """After an authentication error the model is asked no more in the session."""
    index = next(i for i, (_, event) in enumerate(history) if isinstance(event, e.CallSucceeded))
    at, succeeded = history[index]
    assert isinstance(succeeded, e.CallSucceeded)
    kind, zero = ErrorKind.AUTHENTICATION, Usd.ZERO
    failed = e.CallFailed(succeeded.call, kind, False, False, True, zero, zero, None, 401, None, 1)
    started = history[succeeded.call - 1][1]
    assert isinstance(started, e.CallStarted)
    later = (at + 3600 * 10**6, changed(started, attempt=2, try_=2))
    problems = _take_all([*history[:index], (at, failed), later])
    assert any("is off for the session" in line for line in problems)


def test_a_left_out_evaluation_is_found(history: History) -> None:
    """Only critiques and revisions may be skipped."""
    laws = Laws()
    for at, event in history[:-1]:
        laws.take(at, event)
    laws.take(laws.at, e.StepSkipped("t1", Role.EVALUATOR, 1, SkipReason.BUDGET))
    assert any("is left out" in line for line in laws.problems)


def test_an_unfinished_history_is_found(history: History) -> None:
    """A history must end in RunFinished."""
    assert any("the run has no end" in line for line in broken_laws(history[:-1]))


def test_tampered_accounts_and_bills_are_found() -> None:
    """A changed total, a missing movement, a bill without a logged call: all are reported."""
    seed = next(s for s in range(100) if len(simulate(Scenario.draw(s)).accounts.get("org", [])) > 10)
    report = simulate(Scenario.draw(seed))
    assert broken_accounts(report.accounts, report.histories) == []
    history = report.accounts["org"]
    for index in range(2, len(history)):
        assert broken_accounts({"org": [*history[:index], *history[index + 1 :]]}, report.histories)
    bills = report.world.vendor.bills
    assert broken_bills(bills, report.histories) == []
    assert broken_bills([*bills, changed(bills[0], run="unknown")], report.histories)
    assert broken_bills([*bills, bills[0]], report.histories)
    answered = next(i for i, bill in enumerate(bills) if bill.answers and bill.fault is None)
    dearer = changed(bills[answered], billed=bills[answered].billed + _ONE, sent=10**9)
    assert len(broken_bills([*bills[:answered], dearer, *bills[answered + 1 :]], report.histories)) >= 2
