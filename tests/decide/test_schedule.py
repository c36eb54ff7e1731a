"""The order of tasks, the deadline, the end of a run, and what reopens it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.decide.plan_checks import execution_order
from orchestrator.errors import ErrorKind
from orchestrator.models import PlannedTask, ProjectStatus, Role, TaskStatus
from orchestrator.money import Usd
from orchestrator.settings import SECOND, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.strategies import plans

BOTH = (model("a", "north"), model("b", "south"))


def stage(*tasks: PlannedTask, models: Any = BOTH, **settings: Any) -> Stage:
    """A run of a given plan."""
    made = Stage(RunSettings(routing={}, **settings), models, tasks)
    made.begin()
    return made


def fails(*names: str) -> Any:
    """A responder that gives these tasks no draft."""

    def respond(started: e.CallStarted) -> Any:
        return ErrorKind.BAD_REQUEST if started.node in names and started.role is Role.GENERATOR else {}

    return respond


@given(plans(12))
def test_the_execution_order_is_topological_and_whole(plan: tuple[PlannedTask, ...]) -> None:
    """Every task once, behind all it depends on."""
    order = execution_order(plan)
    assert sorted(order) == sorted(each.id for each in plan)
    for each in plan:
        assert all(order.index(name) < order.index(each.id) for name in each.dependencies)


@given(plans(8), st.data())
def test_a_cycle_is_found(plan: tuple[PlannedTask, ...], data: st.DataObject) -> None:
    """Tasks in a cycle, and those behind it, are not in the order; the plan is refused with their names."""
    first = data.draw(st.sampled_from(plan))
    round_ = task("zz1", first.type, "zz2"), task("zz2", first.type, "zz1")
    order = execution_order([*plan, *round_])
    assert sorted(order) == sorted(each.id for each in plan)


def test_dependants_wait_and_independents_do_not() -> None:
    """No task starts before its dependencies ended, and no more are started than there are places."""
    made = stage(task("a"), task("b", task("x").type, "a"), task("c"), task("d"), concurrency=2)
    assert [started.task for started in made.all(e.TaskStarted)] == ["a", "c"]
    made.play()
    assert [started.task for started in made.all(e.TaskStarted)] == ["a", "c", "b", "d"]


def test_a_failed_dependency_blocks_its_dependants_with_the_reason() -> None:
    """They fail without being asked about, all the way down, and name who blocked them."""
    kind = task("x").type
    made = stage(task("a"), task("b", kind, "a"), task("c", kind, "b"), task("d"))
    assert made.play(fails("a")).status is ProjectStatus.PARTIAL_SUCCESS
    ends = {end.task: (end.status, end.reason, end.blocked_by) for end in made.all(e.TaskFinished)}
    assert ends["a"] == (TaskStatus.FAILED, "failed", None)
    assert ends["b"] == (TaskStatus.FAILED, "dependency", "a")
    assert ends["c"] == (TaskStatus.FAILED, "dependency", "b")
    assert ends["d"][0] is TaskStatus.COMPLETED
    assert {started.node for started in made.all(e.CallStarted)} == {"a", "d"}


def test_a_degraded_dependency_blocks_none() -> None:
    """An output that is not good enough is an output."""
    made = stage(task("a"), task("b", task("x").type, "a"))
    low = {Role.EVALUATOR: {"score": 0.1}}
    made.play(lambda started: low.get(started.role, {}) if started.node == "a" else {})
    assert [end.status for end in made.all(e.TaskFinished)] == [TaskStatus.DEGRADED, TaskStatus.COMPLETED]


def test_a_run_without_any_output_is_a_system_failure() -> None:
    """Every task failed."""
    made = stage(task("a"), task("b"))
    assert made.play(fails("a", "b")).status is ProjectStatus.SYSTEM_FAILURE
    assert made.last(e.RunFinished).reason == "no_output"


def test_a_new_session_with_models_reopens_a_system_failure() -> None:
    """What failed for want of a model is tried again, blocked tasks with it; tries begin anew, attempts go on."""
    made = stage(task("a"), task("b", task("x").type, "a"))
    made.play(fails("a"))
    attempts = max(started.attempt for started in made.all(e.CallStarted))
    opening = made.opening()
    assert opening.reopened == ("a", "b")
    made.step(opening)
    assert made.play().status is ProjectStatus.SUCCESS
    again = [started for started in made.all(e.CallStarted) if started.node == "a"][attempts]
    assert (again.attempt, again.try_) == (attempts + 1, attempts + 1)


@pytest.mark.parametrize(
    ("tasks", "problem", "at_fault"),
    [
        ((), "no_tasks", ()),
        ((task("a"), task("a")), "duplicate", ("a",)),
        ((task("a", task("x").type, "no-task"),), "unknown_dependency", ("a",)),
        ((task("a", task("x").type, "b"), task("b", task("x").type, "a"), task("c")), "cycle", ("a", "b")),
        (tuple(task(f"t{number}") for number in range(51)), "too_many", ()),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(
    tasks: tuple[PlannedTask, ...], problem: str, at_fault: tuple[str, ...]
) -> None:
    """Each fault has its code and names the tasks."""
    made = Stage(RunSettings(routing={}), BOTH)
    made.begin()
    made.prepare()
    made.answer(reading=e.Reading(plan=tasks))
    refused = made.last(e.PlanRefused)
    assert (refused.problem, refused.tasks, refused.iteration) == (problem, at_fault, 1)


# ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_at_the_deadline_nothing_starts_and_calls_in_flight_get_thirty_seconds() -> None:
    """A call near the deadline may take until 30 s after it; then its task ends for time."""
    made = stage(task("a"), task("b"), time_limit=100 * SECOND, concurrency=1)
    made.now += 90 * SECOND
    made.prepare()
    assert abs(made.last(e.CallStarted).timeout - 40 * SECOND) < SECOND
    made.now += 11 * SECOND
    made.step()
    assert [end.task for end in made.all(e.TaskFinished)] == ["b"]
    made.answer()
    assert made.last(e.RunFinished).status is ProjectStatus.TIMEOUT
    ends = {end.task: (end.status, end.reason) for end in made.all(e.TaskFinished)}
    assert ends == {"a": (TaskStatus.DEGRADED, "time"), "b": (TaskStatus.FAILED, "time")}
    assert len(made.all(e.CallStarted)) == 1


def test_time_between_sessions_does_not_count() -> None:
    """Active time is summed over sessions; a session without an end counts to its last event."""
    made = stage(task("a"), time_limit=100 * SECOND)
    made.now += 60 * SECOND
    made.prepare()
    made.now += 1_000_000 * SECOND
    made.step(made.opening())
    assert 59 * SECOND < made.state.active(made.now) < 61 * SECOND
    assert made.play().status is ProjectStatus.SUCCESS


def test_more_time_reopens_what_time_ended() -> None:
    """A task that failed for time goes on; one with an output stays as it is."""
    made = stage(task("a"), task("b"), time_limit=100 * SECOND, concurrency=1)
    made.prepare()
    made.answer()
    made.now += 101 * SECOND
    made.prepare()
    while made.state.finished is None:
        made.answer()
    assert made.last(e.RunFinished).status is ProjectStatus.TIMEOUT
    made.step(e.TimeRaised(1000 * SECOND, ("b",)), made.opening())
    assert made.play().status is ProjectStatus.PARTIAL_SUCCESS
    assert [end.task for end in made.all(e.TaskFinished)] == ["a", "b", "b"]


def test_more_money_reopens_what_money_ended_and_what_that_blocked() -> None:
    """The failed and the blocked go on, attempt numbers too."""
    kind = task("x").type
    made = stage(task("a"), task("b", kind, "a"), cap=Usd(10))
    made.prepare()
    assert made.last(e.RunFinished).status is ProjectStatus.BUDGET_EXHAUSTED
    made.step(e.BudgetRaised(Usd.parse(1), ("a", "b")), made.opening())
    assert made.play().status is ProjectStatus.SUCCESS


def test_without_an_open_session_decide_waits() -> None:
    """After an interruption nothing is decided until somebody takes the run again."""
    made = stage(task("a"))
    made.step(e.RunInterrupted("SIGINT"))
    assert made.step() == []
    assert made.waits_until is None
    made.step(made.opening())
    assert made.play().status is ProjectStatus.SUCCESS
