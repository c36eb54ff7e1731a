"""Approvals, edited and patched plans under outcomes that Hypothesis chooses one by one, every law checked."""

from typing import Any, ClassVar

from attrs import evolve
from hypothesis import given, target
from hypothesis import settings as profile
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import PlannedTask, Role, TaskStatus, TaskType
from orchestrator.money import Usd
from orchestrator.replay import verify
from orchestrator.settings import Approvals, RunSettings
from orchestrator.state.fold import fold
from orchestrator.testing.decide_by_hand import Stage, model
from orchestrator.testing.laws import broken_laws
from orchestrator.testing.state_machines.runs import RunMachine
from orchestrator.testing.strategies import plans, settings_of_runs

_AMOUNTS = st.integers(0, 10**8).map(Usd)
_POINTS = st.builds(
    Approvals,
    plan=st.booleans(),
    tasks=st.booleans(),
    spend=st.lists(_AMOUNTS, max_size=2, unique=True).map(sorted).map(tuple),
    ceiling=st.booleans(),
    forecast_above=st.none() | _AMOUNTS,
)


class SteeredRun(RunMachine):
    """A run that asks a person, whose plan is edited, and whose planner is asked about failed tasks."""

    generated_settings: ClassVar[st.SearchStrategy[RunSettings]] = st.builds(
        lambda drawn, points, replans: evolve(drawn, approve=points, replans=replans),
        settings_of_runs(),
        _POINTS,
        st.sampled_from([0, 2, 2]),
    )


TestSteeredRun = SteeredRun.TestCase
TestSteeredRun.settings = profile(stateful_step_count=80)


_CHAIN = tuple(
    PlannedTask(f"t{n}", TaskType.SUMMARIZATION, "1" * 64, 9, dependencies=(f"t{n // 2}",) if n > 1 else ())
    for n in range(1, 7)
)
"""A tree: t1 before t2 and t3, those before t4, t5 and t6."""


@given(failing=st.sets(st.sampled_from([task.id for task in _CHAIN] + ["p2-t1", "p3-t1"]), min_size=1), data=st.data())
def test_patches_of_any_form_keep_the_laws(failing: set[str], data: st.DataObject) -> None:
    """Whatever tasks a planner names, in whatever order: finished work stays, and every decision can be recomputed."""
    settings = RunSettings(cap=Usd(10**12), replans=2, simulated=True)
    stage = Stage(settings, [model("chat"), model("other", "south")], _CHAIN)

    def respond(started: e.CallStarted) -> dict[str, Any] | ErrorKind:
        if started.role is Role.DECOMPOSER:
            return {"reading": e.Reading(plan=patch(started.iteration))}
        is_failing = started.node in failing and started.role is Role.GENERATOR
        return ErrorKind.BAD_REQUEST if is_failing else {}

    def patch(iteration: int) -> tuple[PlannedTask, ...]:
        known = st.sampled_from([*stage.state.tasks])
        drawn = data.draw(plans(3))
        ids = {task.id: f"p{iteration}-t{number}" for number, task in enumerate(drawn, 1)}
        return tuple(
            evolve(
                task,
                id=ids[task.id],
                type=TaskType.SUMMARIZATION,
                validators=(),
                dependencies=(*(ids[each] for each in task.dependencies), *data.draw(st.lists(known, max_size=1))),
                replaces=data.draw(st.none() | known | st.sampled_from(sorted(failing))),
            )
            for task in drawn
        )

    stage.begin()
    before: dict[str, e.TaskFinished] = {}
    stage.play(respond)
    for event in (each for _, each in stage.history):
        if isinstance(event, e.TaskFinished):
            assert event.task not in before
            before[event.task] = event
        if isinstance(event, e.PlanPatched):
            kept = {name for name, end in before.items() if end.status is not TaskStatus.FAILED}
            assert not kept & set(event.replaced)
            assert sorted(event.execution_order) == sorted({*event.execution_order})
    assert broken_laws(stage.history) == []
    assert fold(stage.history) == stage.state
    assert verify(stage.history, lambda session: None).differences == ()
    event_patches = [each for each in stage.all(e.PlanPatched) if each.tasks]
    target(float(len(event_patches)), label="patches")
