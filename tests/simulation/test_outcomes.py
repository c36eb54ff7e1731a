"""``same_outcome`` sees every difference but the ones a crash explains."""

from typing import Any

import pytest
from attrs import evolve, fields

from orchestrator.models import ArchitectureProfile, ProjectStatus, Role, TaskStatus, TaskType, Verdict
from orchestrator.money import Usd
from orchestrator.testing.simulation.equal_outcomes import NodeOutcome, RunOutcome, TaskOutcome, same_outcome
from tests.simulation.plays import played, steady


@pytest.fixture(scope="module")
def outcome() -> RunOutcome:
    """What a run of five tasks with checks amounts to."""
    return played(steady(4, given=True, faulty=False)).outcome("run-1")


_RUN: dict[str, Any] = {
    "status": ProjectStatus.TIMEOUT,
    "reason": "time",
    "verified": Verdict.UNKNOWN,
    "cap": Usd(1),
    "project": "00",
    "criteria": "00",
    "enhanced": ((1,), (2,), None),
    "architecture": ArchitectureProfile(),
    "execution_order": ("other",),
}
_TASK: dict[str, Any] = {
    "type": None,
    "prompt": "00",
    "dependencies": ("other",),
    "validators": ("other",),
    "status": None,
    "reason": "other",
    "blocked_by": "other",
    "score": 0.123,
    "gate": None,
    "model": "other",
    "reviewer": "other",
    "iterations": 9,
    "fallbacks": 9,
    "output": "00",
    "file": "other.md",
    "file_content": "00",
    "file_problem": "ENOSPC",
    "scores": ((1, False, 0.5),),
    "checks": ((1, "other", Verdict.FAILED),),
    "skipped": ((Role.CRITIC, 1, "other"),),
}
_NODE: dict[str, Any] = {"settled": Usd(1), "ended": 99, "unreconciled": Usd(1), "answers": {}}


def test_every_field_has_a_planted_difference() -> None:
    """A field that is added to an outcome has to be planted here too; only lost attempts explain themselves."""
    assert _RUN.keys() == {field.name for field in fields(RunOutcome)} - {"enhance", "advise", "plan", "tasks"}
    assert _TASK.keys() == {field.name for field in fields(TaskOutcome)} - {"node"}
    assert _NODE.keys() == {field.name for field in fields(NodeOutcome)} - {"lost"}


def test_an_outcome_is_the_same_as_itself(outcome: RunOutcome) -> None:
    """Nothing differs from itself."""
    assert same_outcome(outcome, outcome) == []


@pytest.mark.parametrize("name", sorted(_RUN))
def test_a_difference_of_the_run_is_seen(outcome: RunOutcome, name: str) -> None:
    """A changed field of the run is told by name."""
    other = evolve(outcome, **{name: _RUN[name]})
    assert [line.split(" ")[:2] for line in same_outcome(outcome, other)] == [["run:", name]]


@pytest.mark.parametrize("name", sorted(_TASK))
def test_a_difference_of_a_task_is_seen(outcome: RunOutcome, name: str) -> None:
    """A changed field of one task is told with the task's name."""
    task = outcome.tasks["t2"]
    planted: Any = {"status": TaskStatus.FAILED, "gate": not task.gate}.get(name, _TASK[name])
    if name == "type":
        planted = next(kind for kind in TaskType if kind is not task.type)
    other = evolve(outcome, tasks={**outcome.tasks, "t2": evolve(task, **{name: planted})})
    assert [line.split(" ")[:2] for line in same_outcome(outcome, other)] == [["t2:", name]]


@pytest.mark.parametrize("name", sorted(_NODE))
@pytest.mark.parametrize("node", ["enhance", "advise", "plan", "t1"])
def test_a_difference_of_what_was_asked_is_seen(outcome: RunOutcome, node: str, name: str) -> None:
    """Another settled amount or number of tries, unreconciled money that no lost call explains, a missing answer."""
    if node != "t1":
        if name == "answers":
            return  # the plan was given: no model was called for it
        other = evolve(outcome, **{node: evolve(getattr(outcome, node), **{name: _NODE[name]})})
    else:
        task = outcome.tasks[node]
        changed = evolve(task, node=evolve(task.node, **{name: _NODE[name]}))
        other = evolve(outcome, tasks={**outcome.tasks, node: changed})
    assert same_outcome(outcome, other)


def test_another_answer_to_one_call_is_seen(outcome: RunOutcome) -> None:
    """The text, the model and the score of every answer count, not only of the best output."""
    task = outcome.tasks["t1"]
    for key, answer in task.node.answers.items():
        for planted in ({"text": "00"}, {"model": "other"}, {"score": 0.77}, {"problem": "other"}):
            changed = {**task.node.answers, key: evolve(answer, **planted)}
            tasks = {**outcome.tasks, "t1": evolve(task, node=evolve(task.node, answers=changed))}
            assert len(same_outcome(outcome, evolve(outcome, tasks=tasks))) == 1


def test_a_missing_task_is_seen(outcome: RunOutcome) -> None:
    """A task that only one of the two has is told."""
    fewer = {name: task for name, task in outcome.tasks.items() if name != "t3"}
    assert same_outcome(outcome, evolve(outcome, tasks=fewer)) == ["t3: only in the first"]
    assert same_outcome(evolve(outcome, tasks=fewer), outcome) == ["t3: only in the second"]


def test_a_lost_attempt_explains_unreconciled_money_and_no_more(outcome: RunOutcome) -> None:
    """One unreconciled hold with one lost attempt is no difference; a settled amount beside it is."""
    task = outcome.tasks["t1"]

    def with_node(**changes: Any) -> RunOutcome:
        return evolve(outcome, tasks={**outcome.tasks, "t1": evolve(task, node=evolve(task.node, **changes))})

    assert same_outcome(outcome, with_node(lost=1, unreconciled=Usd(5))) == []
    assert same_outcome(outcome, with_node(lost=1, unreconciled=Usd(5), settled=Usd(5)))
    unreconciled = with_node(unreconciled=Usd(9))
    assert same_outcome(unreconciled, with_node(lost=1, unreconciled=Usd(5)))
