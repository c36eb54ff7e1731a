import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Orchestrator, ProjectStatus, StateManager
from orchestrator.hooks import EventType, HookObserver, HookRegistry
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import TaskResult
from tests.cli.command import QUICKSTART
from tests.scripted import fields, orchestrator, run

BROKEN = {"role": "generator", "iteration": 1, "text": "```python\nx = (\n```"}
STILL_BROKEN = {"role": "reviser", "iteration": 1, "text": "```python\nx = (\n```"}

Heard = list[tuple[EventType, dict[str, Any]]]


def _listening(orch: Orchestrator) -> Heard:
    """Have everything that happens noted down."""
    heard: Heard = []

    def note(kind: EventType) -> None:
        orch.add_hook(kind, lambda **arguments: heard.append((kind, arguments)))

    for kind in EventType:
        note(kind)
    return heard


def _failing_once(folder: Path) -> Orchestrator:
    """A run whose first iteration fails its validator, and whose generation has nearly no budget of its own."""
    settings = fields(folder, BROKEN, STILL_BROKEN, phase_budgets={"generation": 0.00001})
    return orchestrator(folder, **settings)


def test_each_event_of_a_run_is_heard_once_with_its_arguments(tmp_path: Path) -> None:
    """Start, selections, the failed validator, the warning and the end come in the order of the log."""
    broken = {name: value for name, value in BROKEN.items() if name != "iteration"}
    orch = orchestrator(tmp_path, **fields(tmp_path, broken, phase_budgets={"generation": 0.00001}))
    heard = _listening(orch)
    state = run(orch, project_id="heard")
    kinds = [kind for kind, _ in heard]
    assert kinds[0] is EventType.TASK_STARTED
    assert kinds[-1] is EventType.TASK_COMPLETED
    assert kinds.count(EventType.TASK_STARTED) == kinds.count(EventType.TASK_COMPLETED) == 1
    by_kind = dict(reversed(heard))
    assert by_kind[EventType.TASK_STARTED] == {"task_id": "only"}
    result = by_kind[EventType.TASK_COMPLETED]["result"]
    assert isinstance(result, TaskResult)
    assert result == state.results["only"]
    assert kinds.count(EventType.VALIDATION_FAILED) == 1  # three equal drafts are checked once
    failed = by_kind[EventType.VALIDATION_FAILED]
    assert failed == {"task_id": "only", "model": failed["model"], "validator": "python_syntax"}
    assert failed["model"] in ("north", "south")
    warned = by_kind[EventType.BUDGET_WARNING]
    assert (f"{warned['phase']}", warned["ratio"] >= 0.8) == ("generation", True)
    assert by_kind[EventType.MODEL_SELECTED]["task_id"] == "only"
    log = EventLog.open_to_read(tmp_path / "home")
    stored = [record.type for record in log.read("heard")]
    log.close()
    assert kinds.count(EventType.MODEL_SELECTED) == stored.count("model.selected")
    assert kinds.count(EventType.BUDGET_WARNING) == stored.count("budget.warned")


def test_nothing_is_heard_again_when_a_run_goes_on(tmp_path: Path) -> None:
    """What the first session told is not told by the second; what happens in it is."""
    first = orchestrator(tmp_path, **fields(tmp_path, delay_ms=100))
    heard = _listening(first)

    async def interrupted() -> None:
        begun, loop = asyncio.Event(), asyncio.get_running_loop()
        first.add_hook(EventType.TASK_STARTED, lambda **_: loop.call_soon_threadsafe(begun.set))
        task = asyncio.create_task(first.run_project("Write x.", "x is there", "twice"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert [kind for kind, _ in heard].count(EventType.TASK_COMPLETED) == 0
    second = orchestrator(tmp_path, **fields(tmp_path, delay_ms=100))
    later = _listening(second)
    state = asyncio.run(second.run_project("Write x.", "x is there", "twice"))
    assert state.status is ProjectStatus.SUCCESS
    assert [kind for kind, _ in later].count(EventType.TASK_STARTED) == 0
    assert [kind for kind, _ in later].count(EventType.TASK_COMPLETED) == 1
    third = _listening(second)
    asyncio.run(second.run_project("Write x.", "x is there", "twice"))
    assert third == []


def test_a_hook_that_raises_harms_neither_the_run_nor_the_other_hooks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; callbacks added after it are called all the same."""
    orch = orchestrator(tmp_path)

    def raising(**_: Any) -> None:
        raise RuntimeError("not today")

    def leaving(**_: Any) -> None:
        raise SystemExit(9)

    for bad in (raising, leaving, lambda: None):
        orch.add_hook(EventType.TASK_COMPLETED, bad)
    heard = _listening(orch)
    assert run(orch).status is ProjectStatus.SUCCESS
    assert heard[-1][0] is EventType.TASK_COMPLETED
    assert len([record for record in caplog.records if record.name == "orchestrator.hooks"]) == 3


def test_a_hook_that_hangs_does_not_hold_the_run_up() -> None:
    """The observer returns at once, and its end waits no longer than it should."""
    registry, released, called = HookRegistry(), threading.Event(), threading.Event()

    def hanging(**_: Any) -> None:
        called.set()
        released.wait(60)

    registry.add(EventType.TASK_STARTED, hanging)

    async def scene() -> bool:
        from orchestrator.events import TaskStarted

        hooked = HookObserver(registry, str)
        hooked.start()
        for version in range(100):
            hooked.observe(version, 0, TaskStarted("t"))
        await asyncio.to_thread(called.wait)
        return await hooked.finish(grace=0.05)

    assert not asyncio.run(scene())
    released.set()


def test_an_asynchronous_hook_runs_on_the_loop_of_the_run(tmp_path: Path) -> None:
    """It is awaited before the run's result is given back."""
    orch = orchestrator(tmp_path)
    loops: list[asyncio.AbstractEventLoop] = []

    async def slow(**_: Any) -> None:
        await asyncio.sleep(0.05)
        loops.append(asyncio.get_running_loop())

    orch.add_hook(EventType.TASK_COMPLETED, slow)

    async def scene() -> None:
        await orch.run_project("Write x.", "x is there")
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(scene())


def test_only_functions_and_known_events_are_accepted() -> None:
    """A wrong argument is said at once, not when the event comes."""
    registry = HookRegistry()
    assert not registry
    with pytest.raises(ValueError, match="task_strated"):
        registry.add("task_strated", print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no function"):
        registry.add(EventType.TASK_STARTED, "print")  # type: ignore[arg-type]
    registry.add("task_started", print)  # type: ignore[arg-type]
    assert registry


def test_the_asynchronous_hooks_of_an_event_end_before_the_next_ones_begin(tmp_path: Path) -> None:
    """What a slow one does at the end of a task is done when the start of the next is heard of."""
    done: list[str] = []
    known: dict[str, list[str]] = {}
    answers = str(QUICKSTART.with_name("answers.yaml"))
    orch = Orchestrator(state_manager=StateManager(tmp_path), providers={"scripted": {"answers": answers}})

    async def slow(task_id: str, **_: object) -> None:
        await asyncio.sleep(0.1)
        done.append(task_id)

    orch.add_hook(EventType.TASK_COMPLETED, slow)
    orch.add_hook(EventType.TASK_STARTED, lambda task_id: known.update({task_id: list(done)}))
    state = asyncio.run(orch.run_project("Build a small CSV statistics library", "its tests pass"))
    assert any(task.dependencies for task in state.tasks.values())
    for task in state.tasks.values():
        assert set(task.dependencies) <= set(known[task.id])
