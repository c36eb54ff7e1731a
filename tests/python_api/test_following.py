"""What a program hears of a run is what the log has: under random cancels and reconnects, and from another process."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import ProjectStatus, Workspace
from orchestrator.events import CallStarted
from orchestrator.log import Recorded
from orchestrator.python_api.run_handle import RunHandle
from tests.cli.command import ANSWERS, PATIENCE, count, finish, start, wait_until
from tests.python_api.stepping import CancelledAt, a_spec


async def _heard(run: RunHandle, cancels: list[int]) -> list[Recorded]:
    """Every event, by a follower that is cancelled again and again and reconnects after what it has."""
    heard: list[Recorded] = []

    async def follow() -> None:
        async for event in run.events(after=heard[-1].version if heard else 0):
            heard.append(event)

    async def cancelled(number: int) -> None:
        await CancelledAt(follow(), number)

    for number in cancels:
        await asyncio.wait({asyncio.create_task(cancelled(number))})
    await follow()
    return heard


@settings(max_examples=15)
@given(followers=st.lists(st.lists(st.integers(1, 12), max_size=6), min_size=1, max_size=3), stops=st.booleans())
def test_the_events_are_the_log(followers: list[list[int]], stops: bool) -> None:
    """Each follower of a live run hears each event once, in order, whatever is cancelled; stopped runs end, too."""

    async def scene(place: Path) -> None:
        async with Workspace.open(place / "home") as ws:
            run = await ws.start(a_spec(place, tasks=2, delay_ms=2))
            following = [asyncio.create_task(_heard(run, cancels)) for cancels in followers]
            if stops:
                await run.cancel()
                await run.resume()
            await run.result(timeout=60)
            log = list(ws.engine.log.read(run.id))
            for each in following:
                heard = await each
                last = heard[-1].version if heard else 0  # one may end between the two sessions, and calls again
                heard += [event async for event in run.events(after=last)]
                assert [event.to_dict() for event in heard] == [record.to_dict() for record in log]
                assert [event.event for event in heard] == [record.event for record in log]

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scene(Path(folder)))


def test_a_run_of_another_process(tmp_path: Path) -> None:
    """Its events come after their commits, its end is waited for, and it is cancelled through its mailbox."""
    home = tmp_path / "home"
    slow = {"role": "generator", "try": 1, "text": "```python\nx = 1\n```", "delay_ms": 60_000}
    process = start(home, "run", str(a_spec(tmp_path, answers=[slow], project_id="theirs")), "-q")
    wait_until(lambda: count(home, "call.started"), process)

    async def scene() -> None:
        async with Workspace.open(home) as ws:
            run = ws.run("last")
            assert run.id == "theirs"
            assert run.summary().status == "running"
            following = asyncio.create_task(_heard(run, [3]))
            waiting = asyncio.create_task(run.result(timeout=60))
            text = asyncio.create_task(_texts(run))
            await run.cancel()
            heard, state = await following, await waiting
            assert await text == {}
            assert heard[-1].name == "run.interrupted"
            assert [each.version for each in heard] == list(range(1, len(heard) + 1))
            assert state.is_open
            assert run.summary().status == "interrupted"

    asyncio.run(scene())
    assert finish(process).code == 130


async def _texts(run: RunHandle) -> dict[tuple[str, str, str, str], str]:
    """The live text of a run to the session's end, whole, by task, role, call and model."""
    texts: dict[tuple[str, str, str, str], str] = {}
    async for piece in run.text():
        key = (piece.task, piece.role.value, piece.call, piece.model)
        texts[key] = texts.get(key, "") + piece.text
    return texts


def test_live_text_of_a_run_of_another_process(tmp_path: Path) -> None:
    """It has task, role, model and call, each call's text once; it ends with the session, and nothing is left of it."""
    home = tmp_path / "home"
    process = start(home, "run", str(a_spec(tmp_path, tasks=2, delay_ms=800, project_id="theirs")), "-q")
    wait_until(lambda: count(home, "call.started"), process)

    async def scene() -> None:
        async with Workspace.open(home) as ws:
            run = ws.run("theirs")
            texts = await _texts(run)
            calls = [each.event async for each in run.events() if isinstance(each.event, CallStarted)]
            called = {(each.node, each.role.value, f"1/{each.sample}/1", each.model) for each in calls}
            assert set(texts) <= called
            missing = {each[:2] for each in called - set(texts)}
            assert missing <= {("t2", "evaluator")}  # the last words of a session
            for (_, role, _, _), text in texts.items():
                assert text == next(each["text"] for each in ANSWERS if each["role"] == role)
            assert await _texts(run) == {}
            assert list((home / "live").iterdir()) == []

    asyncio.run(scene())
    assert finish(process).code == 0


_THEIRS = """
import asyncio, sys
from orchestrator import Workspace

async def main():
    async with Workspace.open(sys.argv[1]) as ws:
        await (await ws.start(sys.argv[2])).result(timeout=60)

asyncio.run(main())
"""


def test_live_text_of_another_python_program(tmp_path: Path) -> None:
    """A run that a program started shows its text to other processes as a run of the command line does."""
    home = tmp_path / "home"
    spec = a_spec(tmp_path, delay_ms=800, project_id="theirs")
    process = subprocess.Popen([sys.executable, "-c", _THEIRS, str(home), str(spec)], text=True)
    wait_until(lambda: count(home, "call.started"), process)

    async def scene() -> None:
        async with Workspace.open(home) as ws:
            texts = await _texts(ws.run("theirs"))
            assert texts[("t1", "generator", "1/1/1", "north")] == ANSWERS[0]["text"]
            assert list((home / "live").iterdir()) == []

    asyncio.run(scene())
    assert process.wait(PATIENCE) == 0


def test_live_text_has_its_task_and_role(tmp_path: Path) -> None:
    """What models write while a run goes on is heard with its task, its role and its model, and is not recorded."""

    async def scene() -> None:
        async with Workspace.open(tmp_path / "home") as ws:
            run = await ws.start(a_spec(tmp_path, delay_ms=5))
            pieces = [piece async for piece in run.text()]
            assert {"generator", "critic", "evaluator"} >= {str(each.role) for each in pieces} - {"reviser"}
            assert {each.task for each in pieces} == {"t1"}
            assert any("x = " in each.text for each in pieces)
            assert (await run.result()).status is ProjectStatus.SUCCESS
            assert [piece async for piece in run.text()] == []

    asyncio.run(scene())
