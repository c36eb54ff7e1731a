import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Orchestrator
from orchestrator.channels import LONGEST_MESSAGE, ChannelClosedError, TaskChannel
from orchestrator.events import ChannelPut, ChannelTaken
from orchestrator.hooks import EventType
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.replay import no_backend, verify
from orchestrator.state.fold import fold
from tests.cli.command import orchestrate
from tests.scripted import TASK, fields, job, orchestrator, run

TWO = [TASK, {"id": "after", "type": "summarization", "prompt": "Sum up.", "dependencies": ["only"]}]


def _logged(home: Path, run_id: str) -> list[tuple[str, Any, Any]]:
    """The channel events of a run: (type, channel, the message or its number)."""
    log = EventLog.open_to_read(home)
    try:
        records = list(log.read(run_id))
        assert verify([(each.at, each.event) for each in records], no_backend).differences == ()
        texts = Texts(log, run_id, lambda size: bytes(size), log.redactor)
        reported: list[tuple[str, Any, Any]] = []
        for each in records:
            if isinstance(each.event, ChannelPut):
                reported.append((each.type, each.event.channel, json.loads(texts.get(each.event.message))))
            elif isinstance(each.event, ChannelTaken):
                reported.append((each.type, each.event.channel, each.event.number))
        return reported
    finally:
        log.close()


def test_hooks_pass_messages_on_during_a_run(tmp_path: Path) -> None:
    """What one task's hook puts, a later one sees without taking it; afterwards the log has it, and so has the view."""
    orch = orchestrator(tmp_path, **fields(tmp_path, delay_ms=20, tasks=TWO))
    seen: list[list[dict[str, Any]]] = []

    async def put(task_id: str, **_: Any) -> None:
        if task_id == "only":
            ch = orch.get_channel("artifacts")
            await ch.put({"type": "schema", "content": "{}"})

    def look(task_id: str, **_: Any) -> None:
        if task_id == "after":
            seen.append(orch.get_channel("artifacts").peek_all())

    orch.add_hook(EventType.TASK_STARTED, put)
    orch.add_hook(EventType.TASK_STARTED, look)
    run(orch, project_id="passed")
    message = {"type": "schema", "content": "{}"}
    assert seen == [[message]]
    assert orch.get_channel("artifacts").peek_all() == [message]
    assert orch.get_channel("artifacts").qsize() == 1
    assert orch.get_channel("other").peek_all() == []
    assert _logged(tmp_path / "home", "passed") == [("channel.put", "artifacts", message)]


def test_messages_put_before_a_run_go_into_it(tmp_path: Path) -> None:
    """They can be seen at once, are in the log when the run begins, and are taken in their order."""
    orch = orchestrator(tmp_path, **fields(tmp_path, delay_ms=20))
    channel = orch.get_channel("before")
    taken: list[dict[str, Any]] = []

    async def scene() -> None:
        for number in range(3):
            await channel.put({"n": number})
        assert [each["n"] for each in channel.peek_all()] == [0, 1, 2]
        running = asyncio.create_task(orch.run_job(job(project_id="early")))
        taken.append(await channel.get())
        taken.append(await channel.get())
        await running

    asyncio.run(scene())
    assert taken == [{"n": 0}, {"n": 1}]
    assert channel.peek_all() == [{"n": 2}]
    puts = [("channel.put", "before", {"n": number}) for number in range(3)]
    takes = [("channel.taken", "before", number) for number in (1, 2)]
    assert _logged(tmp_path / "home", "early") == [*puts, *takes]


def test_each_message_is_taken_by_one(tmp_path: Path) -> None:
    """Several takes get different messages; one that waits at the end learns that there will be none."""
    orch = orchestrator(tmp_path, **fields(tmp_path, delay_ms=30))
    channel = orch.get_channel("work")

    async def scene() -> list[Any]:
        running = asyncio.create_task(orch.run_job(job(project_id="shared")))
        takers = [asyncio.create_task(channel.get()) for _ in range(4)]
        await asyncio.sleep(0)
        for number in range(3):
            await channel.put({"n": number})
        await running
        return list(await asyncio.gather(*takers, return_exceptions=True))

    found = asyncio.run(scene())
    assert sorted(each["n"] for each in found if isinstance(each, dict)) == [0, 1, 2]
    assert [type(each) for each in found if not isinstance(each, dict)] == [ChannelClosedError]
    assert channel.qsize() == 0


def test_a_put_after_the_run_raises(tmp_path: Path) -> None:
    """So does a get; what was left can still be seen, and the next run has channels of its own."""
    orch = orchestrator(tmp_path, **fields(tmp_path, delay_ms=20))
    channel = orch.get_channel("late")

    async def put_while_it_runs(**_: Any) -> None:
        await channel.put({"of": "first"})

    orch.add_hook(EventType.TASK_STARTED, put_while_it_runs)
    run(orch, project_id="first")
    for late in (channel.put({"n": 1}), channel.get()):
        with pytest.raises(ChannelClosedError, match=r"run first has finished"):
            asyncio.run(late)
    assert channel.peek_all() == [{"of": "first"}]
    assert len(_logged(tmp_path / "home", "first")) == 1
    run(orch, project_id="second")
    assert channel.qsize() == 1
    assert len(_logged(tmp_path / "home", "second")) == 1


def test_messages_survive_the_death_of_a_session(tmp_path: Path) -> None:
    """What was put and not taken is there again when another orchestrator goes on with the run."""
    settings = fields(tmp_path, delay_ms=40, tasks=TWO)

    async def begun(orch: Orchestrator, channel: TaskChannel) -> None:
        running = asyncio.create_task(orch.run_job(job(project_id="survives")))
        await channel.put({"n": 1})
        await channel.put({"n": 2})
        assert await channel.get() == {"n": 1}
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(ChannelClosedError, match="session"):
            await channel.put({"n": 3})

    first = orchestrator(tmp_path, **settings)
    asyncio.run(begun(first, first.get_channel("unreconciled")))
    again = orchestrator(tmp_path, **settings)
    seen: list[list[dict[str, Any]]] = []
    again.add_hook(EventType.TASK_COMPLETED, lambda **_: seen.append(again.get_channel("unreconciled").peek_all()))
    run(again, project_id="survives")
    assert seen
    assert all(each == [{"n": 2}] for each in seen)
    assert again.get_channel("unreconciled").peek_all() == [{"n": 2}]
    log = EventLog.open_to_read(tmp_path / "home")
    state = fold((record.at, record.event) for record in log.read("survives"))
    log.close()
    assert (len(state.channels["unreconciled"].messages), list(state.channels["unreconciled"].waiting)) == (2, [2])
    shown = orchestrate(tmp_path / "home", "log", "show", "survives")
    assert shown.out.count("channel.put") == 2
    assert "channel.taken" in shown.out
    assert "number=1" in shown.out


def test_a_channel_can_be_used_from_another_thread(tmp_path: Path) -> None:
    """A plain hook runs in a thread of its own; with an event loop of its own it reaches the run's."""
    orch = orchestrator(tmp_path, **fields(tmp_path, delay_ms=30, tasks=TWO))
    channel, got = orch.get_channel("threads"), []

    def plain(task_id: str, **_: Any) -> None:
        if task_id == "only":
            asyncio.run(channel.put({"from": "a thread"}))
            got.append(asyncio.run(channel.get()))

    orch.add_hook(EventType.TASK_STARTED, plain)
    run(orch, project_id="threads")
    assert got == [{"from": "a thread"}]
    assert [kind for kind, _, _ in _logged(tmp_path / "home", "threads")] == ["channel.put", "channel.taken"]


def test_a_run_beside_another_has_no_say_in_its_channels(tmp_path: Path) -> None:
    """The channels are those of the run that began first."""
    orch = orchestrator(tmp_path, **fields(tmp_path, delay_ms=30))

    async def scene() -> None:
        both = [asyncio.create_task(orch.run_job(job(project_id=name))) for name in ("one", "two")]
        await asyncio.sleep(0)
        await orch.get_channel("x").put({"n": 1})
        await asyncio.gather(*both)

    asyncio.run(scene())
    assert [len(_logged(tmp_path / "home", name)) for name in ("one", "two")] == [1, 0]


def _refused(orch: Orchestrator) -> Iterable[tuple[Any, type[Exception]]]:
    yield [1], TypeError
    yield {"x": object()}, TypeError
    yield {"x": float("nan")}, ValueError
    yield {"x": "\ud800"}, ValueError
    yield {"x": "y" * LONGEST_MESSAGE}, ValueError


def test_what_is_no_message_is_refused(tmp_path: Path) -> None:
    """Only mappings that JSON knows, of a sensible size, under a name that fits into an event."""
    orch = orchestrator(tmp_path)
    channel = orch.get_channel("x")
    assert orch.get_channel("x") is channel
    for message, error in _refused(orch):
        with pytest.raises(error):
            asyncio.run(channel.put(message))
    assert channel.qsize() == 0
    for name in ("", "a b", "../x", "x" * 65, 7):
        with pytest.raises(ValueError, match="no name of a channel"):
            orch.get_channel(name)  # type: ignore[arg-type]


def test_what_is_peeked_is_a_copy(tmp_path: Path) -> None:
    """Changing it changes nothing for anybody else."""
    channel = orchestrator(tmp_path).get_channel("x")
    asyncio.run(channel.put({"list": [1]}))
    channel.peek_all()[0]["list"].append(2)
    assert channel.peek_all() == [{"list": [1]}]
