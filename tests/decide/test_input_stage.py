from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.decide.input_stage import wants_advice, wants_enhancement
from orchestrator.errors import ErrorKind
from orchestrator.models import (
    AnsweredBy,
    ArchitectureProfile,
    ReadingProblem,
    StructuralPattern,
    Suggestion,
    SuggestionKind,
    Topology,
)
from orchestrator.money import Price, Usd
from orchestrator.settings import SECOND, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task

DEAR = Price(Usd.parse(5), Usd.parse(25))
MODELS = [
    model("cheapest", price=Price(Usd.parse("0.01"), Usd.parse("0.02"))),
    model("chat"),
    model("thinker", price=Price(Usd.parse("0.5"), Usd.parse("2"))),
    model("opus", price=DEAR),
]
SLOTS = {"deepseek-chat": "chat", "deepseek-reasoner": "thinker", "claude-opus": "opus"}
OFFERED = (
    Suggestion(SuggestionKind.COMPLETENESS, "a" * 64, description="b" * 64),
    Suggestion(SuggestionKind.CRITERIA, "c" * 64, criteria="d" * 64),
    Suggestion(SuggestionKind.RISK, "e" * 64, description="f" * 64, criteria="0" * 64),
)
ADVICE = ArchitectureProfile("fastapi", StructuralPattern.HEXAGONAL, Topology.SERVERLESS, rationale="9" * 64)


def begun(words: int = 3, plan: bool = True, **settings: Any) -> Stage:
    """A run that has just begun, its plan given."""
    wanted = {"enhance": True, "advise": True, **settings}
    stage = Stage(RunSettings(**wanted), MODELS, [task("only")] if plan else None, slots=SLOTS)
    given = None if stage.plan is None else tuple(stage.plan)
    started = e.RunStarted(1, stage.settings, "0" * 64, "1" * 64, "2" * 64, given, words)
    stage.step(started, stage.opening())
    return stage


def offered(stage: Stage) -> None:
    """Let the enhancer make three suggestions."""
    stage.prepare()
    stage.answer(reading=e.Reading(suggestions=OFFERED))


def answer(stage: Stage, accepted: bool, rest: bool = False, **texts: Any) -> list[e.Event]:
    """Answer the open question."""
    ((version, _),) = stage.open(e.QuestionAsked)
    return stage.step(e.QuestionAnswered(version, accepted, AnsweredBy.PERSON, rest, **texts))


@pytest.mark.parametrize(
    ("words", "order"),
    [(50, ["chat", "thinker", "opus", "cheapest"]), (51, ["thinker", "opus", "cheapest", "chat"])],
)
@pytest.mark.parametrize("enhance", [True, False])
def test_the_length_of_the_description_chooses_the_model(words: int, order: list[str], enhance: bool) -> None:
    """Above fifty words the chain; up to fifty one model before it; then all others by price."""
    selected = begun(words, enhance=enhance).last(e.ModelSelected)
    assert (selected.node, selected.model) == ("enhance" if enhance else "advise", order[0])
    assert [candidate.model for candidate in selected.candidates] == order


def test_the_advisor_falls_back_along_its_chain() -> None:
    """A model that cannot be had is followed by the next of the chain, the last by the defaults."""
    stage = begun(3, enhance=False)
    for _ in range(len(MODELS)):
        stage.prepare()
        stage.fail(kind=ErrorKind.AUTHENTICATION, retryable=False)
    selected = [event.model for event in stage.all(e.ModelSelected) if event.node == "advise"]
    assert selected == ["chat", "thinker", "opus", "cheapest"]
    decided = stage.last(e.ArchitectureDecided)
    assert (decided.model, decided.profile, decided.problem) == (None, ArchitectureProfile(), "failed")


@pytest.mark.parametrize(
    ("app", "decided"), [(None, "fastapi"), ("auto", "fastapi"), ("cli", "cli"), ("a-plugin-s", "a-plugin-s")]
)
def test_a_given_type_is_the_decided_one(app: str | None, decided: str) -> None:
    """Whatever the advisor says of the type, and where it says nothing."""
    advised = begun(3, enhance=False, app=app)
    advised.prepare()
    advised.answer(reading=e.Reading(profile=ArchitectureProfile("fastapi", topology=Topology.SERVERLESS)))
    event = advised.last(e.ArchitectureDecided)
    assert (event.profile.app_type, event.profile.topology) == (decided, Topology.SERVERLESS)
    unadvised = begun(3, enhance=False, app=app)
    while not unadvised.all(e.ArchitectureDecided):
        unadvised.prepare()
        unadvised.answer(reading=e.Reading(problem=ReadingProblem.NO_JSON))
    assert unadvised.last(e.ArchitectureDecided).problem == "no_json"
    default = ArchitectureProfile().app_type
    assert unadvised.last(e.ArchitectureDecided).profile.app_type == (default if decided == "fastapi" else decided)


def test_suggestions_are_asked_about_one_by_one() -> None:
    """Each is a question of its own; what was taken, what refused and the texts that stand are recorded."""
    stage = begun()
    offered(stage)
    assert [question.number for _, question in stage.open(e.QuestionAsked)] == [1]
    answer(stage, True, project="3" * 64, words=60)
    answer(stage, False)
    decided = answer(stage, True, project="4" * 64, criteria="5" * 64, words=70)
    ended = stage.last(e.SpecEnhanced)
    assert (ended.taken, ended.refused, ended.problem) == ((1, 3), (2,), None)
    assert (ended.project, ended.criteria) == ("4" * 64, "5" * 64)
    assert (stage.state.project, stage.state.criteria) == ("4" * 64, "5" * 64)
    (advisor,) = [event for event in decided if isinstance(event, e.ModelSelected)]
    assert (advisor.node, advisor.model) == ("advise", "thinker"), "seventy words now"


def test_who_wants_no_more_questions_is_asked_none() -> None:
    """The suggestions that were not asked about count as refused; what was taken before stays."""
    stage = begun(advise=False)
    offered(stage)
    answer(stage, True, criteria="6" * 64)
    answer(stage, False, rest=True)
    ended = stage.last(e.SpecEnhanced)
    assert (ended.taken, ended.refused) == ((1,), (2, 3))
    assert len(stage.all(e.QuestionAsked)) == 2
    assert stage.last(e.PlanMade)


def test_waiting_for_a_person_takes_no_time() -> None:
    """Hours at a question are no active time, in a session that ends meanwhile neither."""
    stage = begun(time_limit=60 * SECOND)
    offered(stage)
    before = stage.state.active(stage.now)
    stage.now += 3600 * SECOND
    assert stage.state.active(stage.now) == before
    stage.step(e.SessionLost(1, ()))
    stage.now += 3600 * SECOND
    stage.step(stage.opening())
    assert stage.open(e.QuestionAsked), "it is asked again"
    stage.now += 3600 * SECOND
    answer(stage, False, rest=True)
    assert stage.state.active(stage.now) - before < SECOND
    assert stage.last(e.SpecEnhanced).problem is None


def test_an_answer_with_nothing_to_suggest_is_one() -> None:
    """No question is asked, no model is called again, and the reason is recorded."""
    stage = begun()
    stage.prepare()
    stage.answer(reading=e.Reading(problem=ReadingProblem.NO_SUGGESTIONS))
    ended = stage.last(e.SpecEnhanced)
    assert (ended.taken, ended.refused, ended.problem) == ((), (), "no_suggestions")
    assert (ended.project, ended.criteria) == ("1" * 64, "2" * 64)
    assert len(stage.all(e.CallStarted)) == 1


def test_an_answer_that_cannot_be_read_is_asked_for_anew_until_there_is_no_model() -> None:
    """Twice of each model; then there is no suggestion, and what was wrong with the last answer is recorded."""
    stage = begun(advise=False)
    while not stage.all(e.SpecEnhanced):
        stage.prepare()
        stage.answer(reading=e.Reading(problem=ReadingProblem.NO_JSON))
    called = [started.model for started in stage.all(e.CallStarted)]
    assert called[0::2] == called[1::2]
    assert len(called) == 2 * min(3, len(stage.models))
    assert (stage.last(e.SpecEnhanced).problem, stage.last(e.SpecEnhanced).taken) == ("no_json", ())


def test_suggestions_cost_no_more_than_their_cap() -> None:
    """The cap of the node shrinks the call, then passes on to a cheaper model, then refuses it by that name."""
    stage = begun(enhance_cap=Usd.parse("0.001"), advise=False)
    stage.prepare(size=1000)
    started = stage.last(e.CallStarted)
    assert started.model == "chat"
    assert started.max_tokens < 4096
    assert started.hold <= Usd.parse("0.001")
    poor = begun(enhance_cap=Usd(1), advise=False)
    poor.prepare()
    assert "enhance" not in {started.node for started in poor.all(e.CallStarted)}
    assert poor.last(e.SpendRefused).limit == "enhance"
    assert poor.last(e.SpecEnhanced).problem == "budget"
    assert poor.last(e.PlanMade), "a run is never stopped by it"


def test_what_failed_is_paid_from_the_same_cap() -> None:
    """Unreconciled money of a lost answer counts against the cap of the suggestions."""
    stage = begun(enhance_cap=Usd.parse("0.002"), advise=False)
    stage.prepare()
    hold = stage.last(e.CallStarted).hold
    stage.fail(kind=ErrorKind.TIMEOUT, unreconciled=hold)
    while not stage.all(e.SpecEnhanced):
        if stage.open(e.ModelSelected):
            stage.prepare()
        elif stage.open(e.CallStarted):
            stage.fail(kind=ErrorKind.TIMEOUT, unreconciled=stage.open(e.CallStarted)[0][1].hold)
        else:
            stage.wait()
    assert stage.state.enhance.spend.total <= Usd.parse("0.002")


def test_advice_is_decided_on_and_kept() -> None:
    """The profile is the reading's; who advised it is named."""
    stage = begun(enhance=False)
    stage.prepare()
    stage.answer(reading=e.Reading(profile=ADVICE))
    decided = stage.last(e.ArchitectureDecided)
    assert (decided.model, decided.profile, decided.problem) == ("chat", ADVICE, None)
    assert stage.state.advise.decided == decided
    assert stage.last(e.PlanMade)


@pytest.mark.parametrize("how", ["unreadable", "no_terminal", "no answer"])
def test_without_advice_the_defaults_hold(how: str) -> None:
    """An answer that cannot be read, no model, or none that answers: the run goes on."""
    stage = (
        begun(enhance=False)
        if how != "no_terminal"
        else Stage(RunSettings(advise=True), [evolve(MODELS[0], price=None)], [task("only")])
    )
    if how == "no_terminal":
        stage.begin()
    while not stage.all(e.ArchitectureDecided):
        stage.prepare()
        if how == "unreadable":
            stage.answer(reading=e.Reading(problem=ReadingProblem.NO_JSON))
        else:
            stage.fail(kind=ErrorKind.BAD_REQUEST, retryable=False, outage=False)
    decided = stage.last(e.ArchitectureDecided)
    assert (decided.model, decided.profile) == (None, ArchitectureProfile())
    assert decided.problem == {"unreadable": "no_json", "no_terminal": "no_model", "no answer": "failed"}[how]
    assert stage.last(e.PlanMade)


def test_nothing_comes_before_the_plan_where_it_is_not_wanted() -> None:
    """Without the settings the plan is made at once, and nothing is ever wanted after it."""
    stage = begun(enhance=False, advise=False)
    assert not wants_enhancement(stage.state)
    assert not wants_advice(stage.state)
    assert stage.all(e.PlanMade)
    assert {selected.node for selected in stage.all(e.ModelSelected)} == {"only"}


def test_the_spend_before_the_plan_is_spend_of_the_run() -> None:
    """The nodes' costs add up to the run's, and count in the phase of planning."""
    stage = begun()
    offered(stage)
    answer(stage, False, rest=True)
    stage.prepare()
    stage.answer(reading=e.Reading(profile=ADVICE))
    state = stage.state
    both = state.enhance.spend.total + state.advise.spend.total
    assert state.enhance.spend.total > Usd.ZERO
    assert state.advise.spend.total > Usd.ZERO
    assert state.spend.total == both == sum((spend.total for spend in state.phases.values()), Usd.ZERO)
