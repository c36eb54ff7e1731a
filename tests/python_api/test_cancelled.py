"""A program that is cancelled at any of its waits leaves no task and no lock, and the run goes on afterwards."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import Budget, Orchestrator, ProjectStatus, StateManager, Workspace
from tests.python_api.stepping import CancelledAt, a_spec

PROJECT = "held"
Program = Callable[[Path, Path], Awaitable[object]]


async def waits_for_the_result(home: Path, spec: Path) -> None:
    """Start a run and wait for its end."""
    async with Workspace.open(home) as ws:
        run = await ws.start(spec, budget=Budget(max_usd=2))
        await run.result(timeout=60)


async def reads_the_events(home: Path, spec: Path) -> None:
    """Start a run and read its events to their end, then ask how it stands."""
    async with Workspace.open(home) as ws:
        run = await ws.start(spec)
        async for event in run.events():
            assert event.version
        await run.costs()
        await run.replay(verify=True)


async def leaves_at_once(home: Path, spec: Path) -> None:
    """Start a run and leave it."""
    async with Workspace.open(home) as ws:
        run = await ws.start(spec)
        await run.cancel()
        await run.resume()


PROGRAMS: dict[Program, int] = {waits_for_the_result: 7, reads_the_events: 35, leaves_at_once: 9}
"""The programs, and about how often each waits."""


def _cancelled(program: Program) -> st.SearchStrategy[tuple[Program, list[int]]]:
    numbers = st.lists(st.integers(1, PROGRAMS[program]), min_size=1, max_size=2, unique=True)
    return numbers.map(lambda chosen: (program, chosen))


async def _is_clean_after(program: Program, home: Path, spec: Path, numbers: list[int]) -> None:
    before = asyncio.all_tasks()

    async def main() -> None:
        await CancelledAt(program(home, spec), *numbers)  # type: ignore[arg-type]

    task = asyncio.create_task(main())
    with suppress(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    async with Workspace.open(home) as ws:
        for each in ws.runs():
            assert not ws.engine.log.locks.is_held(each.run_id)
        run = await ws.start(spec, budget=Budget(max_usd=2) if program is waits_for_the_result else None)
        assert (await run.result(timeout=60)).status is ProjectStatus.SUCCESS
        assert (await run.replay(verify=True)).differences == ()
    assert asyncio.all_tasks() == before


@settings(max_examples=25)
@given(case=st.sampled_from(list(PROGRAMS)).flatmap(_cancelled))
def test_a_cancelled_program_leaves_nothing_behind(case: tuple[Program, list[int]]) -> None:
    """Wherever it was cancelled, once or twice: no task, no lock, and the same spec goes on to its end."""
    program, numbers = case
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        spec = a_spec(place, project_id=PROJECT)
        asyncio.run(_is_clean_after(program, place / "home", spec, numbers))


def test_the_cancellation_reaches_every_wait(tmp_path: Path) -> None:
    """The instrument itself: the n-th wait is cancelled, and a program that waits less often is left alone."""

    async def waits() -> str:
        for _ in range(3):
            await asyncio.sleep(0)
        return "done"

    async def main() -> None:
        steps = CancelledAt(waits(), 4)
        assert await steps == "done"
        assert steps.waits == 3
        for number in (1, 2, 3):
            steps = CancelledAt(waits(), number)
            with pytest.raises(asyncio.CancelledError):
                await steps
            current = asyncio.current_task()
            assert current is not None
            current.uncancel()
            assert steps.waits == number

    asyncio.run(main())


@pytest.mark.parametrize("number", range(1, 12, 2))
def test_run_project_is_as_clean(tmp_path: Path, number: int) -> None:
    """``Orchestrator.run_project`` is built on it; cancelled, it leaves nothing, and goes on under the same id."""
    answers = str(a_spec(tmp_path).with_name("answers.json"))

    def orchestrator() -> Orchestrator:
        return Orchestrator(
            budget=Budget(max_usd=2.0),
            state_manager=StateManager(tmp_path / "home"),
            providers={"scripted": {"answers": answers}},
            tasks=[{"id": "only", "type": "code_generation", "prompt": "Write x."}],
        )

    async def scene() -> None:
        before = asyncio.all_tasks()

        async def main() -> None:
            await CancelledAt(orchestrator().run_project("Write x.", "x is there", "p"), number)

        with suppress(asyncio.CancelledError):
            await asyncio.create_task(main())
        assert asyncio.all_tasks() == before
        state = await orchestrator().run_project("Write x.", "x is there", "p")
        assert state.status is ProjectStatus.SUCCESS

    asyncio.run(scene())
