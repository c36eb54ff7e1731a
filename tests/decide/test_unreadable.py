"""Answers that cannot be used: once more with the problem shown, then the next model, for every role."""

from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.models import ProjectStatus, ReadingProblem, Role, SelectionReason, TaskStatus
from orchestrator.money import Usd
from orchestrator.settings import Limits, RunSettings
from orchestrator.testing.decide_by_hand import CHEAP, Stage, model, task
from orchestrator.testing.laws import broken_laws

MODELS = tuple(model(name, name) for name in ("a", "b", "c", "d"))
NO_JSON: dict[str, Any] = {"reading": e.Reading(problem=ReadingProblem.NO_JSON)}
EMPTY: dict[str, Any] = {"reading": e.Reading(problem=ReadingProblem.EMPTY)}
PLAN: dict[str, Any] = {"reading": e.Reading(plan=(task("t"),))}


def planning(models: tuple[Any, ...] = MODELS, **limits: Any) -> Stage:
    """A run whose plan is asked for."""
    made = Stage(RunSettings(routing={}, limits=Limits(**limits)), models)
    made.begin()
    return made


def called(made: Stage, role: Role, node: str | None = None) -> list[str]:
    """The models called for a role, in order."""
    return [each.model for each in made.all(e.CallStarted) if each.role is role and node in (None, each.node)]


def on(role: Role, how: dict[str, Any], *models: str) -> Any:
    """A responder: this role of these models (all, where none is named) answers so, everything else is good."""

    def respond(started: e.CallStarted) -> dict[str, Any]:
        if started.role is role and (not models or started.model in models):
            return how
        return PLAN if started.role is Role.DECOMPOSER else {}

    return respond


def test_the_same_model_is_called_once_more_then_the_next() -> None:
    """The second selection shows which answer could not be used; the third is another model, which sees none."""
    made = planning()
    assert made.play(on(Role.DECOMPOSER, NO_JSON, "a")).status is ProjectStatus.SUCCESS
    assert called(made, Role.DECOMPOSER) == ["a", "a", "b"]
    first, again, other = (each for each in made.all(e.ModelSelected) if each.role is Role.DECOMPOSER)
    assert (again.reason, again.unreadable) == (SelectionReason.REASK, made.all(e.PlanRefused)[0].call)
    assert (first.unreadable, other.reason, other.unreadable) == (None, SelectionReason.UNREADABLE, None)
    assert broken_laws(made.history) == []


@pytest.mark.parametrize("role", [Role.GENERATOR, Role.CRITIC, Role.REVISER, Role.EVALUATOR])
def test_every_role_is_called_twice_of_three_models_and_no_more(role: Role) -> None:
    """Six answers that cannot be used end the call; no circuit opens for them."""
    made = Stage(RunSettings(routing={}), MODELS, [task("t")])
    made.begin()
    made.play(on(role, EMPTY))
    first = [each.model for each in made.all(e.CallStarted) if (each.role, each.iteration, each.sample) == (role, 1, 1)]
    assert len(first) == 6
    assert first[0::2] == first[1::2]
    assert len(set(first)) == 3
    assert made.all(e.BreakerOpened) == []
    assert broken_laws(made.history) == []


def test_a_critique_that_cannot_be_used_leaves_the_draft() -> None:
    """The step is skipped for that reason, and the task is completed."""
    made = Stage(RunSettings(routing={}), MODELS, [task("t")])
    made.begin()
    made.play(on(Role.CRITIC, EMPTY))
    assert [(step.role, step.reason) for step in made.all(e.StepSkipped)] == [(Role.CRITIC, "unreadable")]
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED


def test_where_no_answer_is_a_plan_the_project_is_the_only_task() -> None:
    """At most PARTIAL_SUCCESS, however good the task's result is."""
    made = planning()
    assert made.play(on(Role.DECOMPOSER, NO_JSON)).status is ProjectStatus.PARTIAL_SUCCESS
    plan = made.last(e.PlanMade)
    assert (plan.fallback, plan.call, len(plan.tasks), plan.tasks[0].prompt) == (True, None, 1, "0" * 64)
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED
    assert made.last(e.RunFinished).reason == "fallback_plan"
    assert len(made.all(e.PlanRefused)) == 6
    assert broken_laws(made.history) == []


def test_without_the_fallback_a_plan_that_cannot_be_read_is_a_system_failure() -> None:
    """A new session calls none of the models again whose answers were useless; it calls one that is new."""
    made = planning(MODELS[:2], single_task_fallback=False)
    assert made.play(on(Role.DECOMPOSER, NO_JSON)).status is ProjectStatus.SYSTEM_FAILURE
    assert made.last(e.RunFinished).reason == "no_plan"
    assert made.opening().reopened == ("plan",)
    made.step(made.opening())
    assert made.last(e.RunFinished).reason == "no_plan"
    assert called(made, Role.DECOMPOSER) == ["a", "a", "b", "b"]
    made.models = MODELS
    made.step(made.opening())
    assert made.play(on(Role.DECOMPOSER, NO_JSON, "a", "b")).status is ProjectStatus.SUCCESS
    assert called(made, Role.DECOMPOSER) == ["a", "a", "b", "b", "c"]
    assert broken_laws(made.history) == []


def test_no_answer_at_all_stays_a_system_failure() -> None:
    """The fallback is for answers that are no plan."""
    from orchestrator.errors import ErrorKind

    made = planning()
    end = made.play(lambda started: ErrorKind.BAD_REQUEST)
    assert (end.status, end.reason) == (ProjectStatus.SYSTEM_FAILURE, "no_plan")
    assert made.all(e.PlanMade) == []


def test_a_shrunk_answer_is_not_called_for_anew_with_more_room() -> None:
    """The size it was shrunk to is the most the model is called with again."""
    judge = CHEAP.bound(4 * 1024 + 4096 + 512, 1024)
    made = Stage(RunSettings(routing={}, cap=CHEAP.bound(612, 1024) + judge - Usd(1)), MODELS[:1], [task("t")])
    made.begin()
    made.prepare()
    shrunk = made.last(e.CallStarted).max_tokens
    assert shrunk < 1024
    made.state.cap = Usd.parse(100)
    made.answer(**EMPTY)
    made.prepare()
    assert [each.max_tokens for each in made.all(e.CallStarted)] == [shrunk, shrunk]
