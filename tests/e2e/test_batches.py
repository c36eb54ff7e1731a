"""Runs in the lane ``batch`` through the engine, against a vendor on this machine that sells batches."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.decide import batch_lanes
from orchestrator.engine.loop import Loop
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.errors import ErrorKind, UsageError
from orchestrator.ledger.mailbox_requests import CANCEL
from orchestrator.models import Lane, ProjectStatus
from orchestrator.money import Usd
from orchestrator.replay import verify
from orchestrator.spec import parse_spec
from orchestrator.testing.laws import broken_laws
from tests.cli.command import orchestrate, scripted_spec
from tests.fire.batches import RUN, SELLING, assert_accounted, server_of, variables
from tests.plugins.providers.batch_server import BatchServer
from tests.plugins.providers.vendors import VENDORS

History = list[tuple[int, e.Event]]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any key or address."""
    monkeypatch.chdir(tmp_path)
    for reached in VENDORS.values():
        monkeypatch.delenv(reached.key, raising=False)
        monkeypatch.delenv(reached.address, raising=False)


def plain(tasks: int = 3, **fields: Any) -> dict[str, Any]:
    """A spec of independent tasks that take a call each."""
    given = [{"id": f"t{number}", "type": "summarization", "prompt": f"Say {number}."} for number in range(tasks)]
    content = {"project": "p", "criteria": "c", "project_id": RUN, "loop": "plain", "lane": "batch", "tasks": given}
    return {**content, "cache": False, **fields}


def played(
    home: Path,
    server: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    spec: Mapping[str, Any] | None,
    stop: Callable[[e.Event, Loop], None] = lambda event, loop: None,
) -> RunEnd:
    """Start a spec, or resume the run."""
    for name, value in variables(server).items():
        monkeypatch.setenv(name, value)

    async def play() -> RunEnd:
        workspace, loops = Engine.open(home), list[Loop]()
        watchers = Watchers(
            [lambda version, at, event: stop(event, loops[0])], lambda session, loop: loops.append(loop)
        )
        try:
            if spec is None:
                return await workspace.resume(RUN, watchers=watchers)
            return await workspace.start(parse_spec(spec, "spec"), watchers=watchers)
        finally:
            workspace.close()

    return asyncio.run(play())


def history_of(home: Path, run: str = RUN) -> History:
    """The run's history, whose laws hold."""
    workspace = Engine.open(home)
    try:
        history = [(record.at, record.event) for record in workspace.log.read(run)]
    finally:
        workspace.close()
    assert broken_laws(history) == []
    assert verify(history, lambda session: None).differences == ()
    return history


def of(history: History, kind: type[Any]) -> list[Any]:
    """The events of a kind."""
    return [event for _, event in history if isinstance(event, kind)]


@pytest.mark.parametrize("name", SELLING)
def test_calls_that_are_ready_at_once_are_one_batch_at_the_price_of_batches(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five tasks, more than ``concurrency``, are one batch; holds and settlements are the vendor's batch price."""
    with server_of(name) as server:
        end = played(tmp_path, server, monkeypatch, plain(5))
        assert end.state.finished is not None
        assert end.state.finished.status is ProjectStatus.SUCCESS
        history = history_of(tmp_path)
        assert [len(batch.lines) for batch in server.batches] == [5]
        assert server.requests == 0
        assert assert_accounted(tmp_path, [RUN], server) == server.billed == end.state.spend.settled
        for call in of(history, e.CallStarted):
            model = end.state.models[call.model]
            assert call.lane is Lane.BATCH
            assert model.batch_price is not None
            bound = model.output_bound(call.max_tokens)
            assert call.hold == model.batch_price.bound(call.body_bytes + model.hidden_tokens, bound or 0)


def test_what_a_vendor_did_not_get_to_is_released_and_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error and an expiry in the first batch cost nothing, and the second batch has just these two."""
    verdicts = iter(["done", "error", "expired"])
    with server_of("openai", judge=lambda number, name: next(verdicts, "done")) as server:
        end = played(tmp_path, server, monkeypatch, plain(3))
        history = history_of(tmp_path)
        assert end.state.finished is not None
        assert end.state.finished.status is ProjectStatus.SUCCESS
        failed = of(history, e.CallFailed)
        assert {each.kind for each in failed} == {ErrorKind.SERVER, ErrorKind.OVERLOADED}
        assert all(each.settled == each.unreconciled == Usd.ZERO and each.by_vendor for each in failed)
        assert sum(len(batch.lines) for batch in server.batches) == 5
        assert_accounted(tmp_path, [RUN], server)


def test_an_interrupted_run_goes_on_waiting_for_the_same_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch stays at the vendor, its calls stay held, and the waiting is no active time."""

    def stop(event: e.Event, loop: Loop) -> None:
        if isinstance(event, e.BatchSubmitted):
            loop.interrupt("stopped")

    with server_of("openai") as server:
        first = played(tmp_path, server, monkeypatch, plain(2), stop)
        assert first.state.finished is None
        assert first.state.in_flight == 2
        assert first.state.held == first.state.in_flight_held > Usd.ZERO
        end = played(tmp_path, server, monkeypatch, None)
        history = history_of(tmp_path)
        assert [len(batch.lines) for batch in server.batches] == [2]
        assert of(history, e.SessionOpened)[1].ended == ()
        assert end.state.held == Usd.ZERO
        assert_accounted(tmp_path, [RUN], server)
        waited = next(at for at, event in history if isinstance(event, e.CallSucceeded))
        opened = [at for at, event in history if isinstance(event, e.SessionOpened)][1]
        assert end.state.active(end.state.at) < end.state.at - history[0][0] - (waited - opened) + 1


def test_a_cancelled_run_cancels_its_batch_and_resume_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the vendor had not done is released; nothing is billed for it."""

    def stop(event: e.Event, loop: Loop) -> None:
        if isinstance(event, e.BatchSubmitted):
            loop.interrupt(CANCEL)

    with server_of("anthropic", patience=10_000) as server:
        first = played(tmp_path, server, monkeypatch, plain(2), stop)
        assert first.state.finished is None
        assert [batch.cancelled for batch in server.batches] == [True]
        server.patience = 0
        end = played(tmp_path, server, monkeypatch, None)
        assert end.state.finished is not None
        assert end.state.finished.status is ProjectStatus.SUCCESS
        failed = of(history_of(tmp_path), e.CallFailed)
        assert [(each.kind, each.by_vendor, each.unreconciled) for each in failed] == [
            (ErrorKind.CANCELLED, False, Usd.ZERO)
        ] * 2
        assert len(server.batches) == 2
        assert_accounted(tmp_path, [RUN], server)


def test_a_batch_that_takes_too_long_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``limits.batch_wait`` bounds the waiting; what the vendor has not done then is asked for again."""
    with server_of("openai", patience=10_000) as server:

        def stop(event: e.Event, loop: Loop) -> None:
            if isinstance(event, e.CallFailed):
                server.patience = 0

        end = played(tmp_path, server, monkeypatch, plain(1, limits={"batch_wait": 0.3}), stop)
        assert end.state.finished is not None
        assert end.state.finished.status is ProjectStatus.SUCCESS
        history = history_of(tmp_path)
        assert [each.timeout for each in of(history, e.CallStarted)] == [300_000] * 2
        assert server.batches[0].cancelled
        assert_accounted(tmp_path, [RUN], server)


def test_a_task_chooses_its_own_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One task is called at once, at the list price; the other waits in a batch."""
    spec = plain(2)
    spec["tasks"][0]["lane"] = "interactive"
    with server_of("openai") as server:
        end = played(tmp_path, server, monkeypatch, spec)
        history = history_of(tmp_path)
        taken = {call.node: call.lane for call in of(history, e.CallStarted)}
        assert taken == {"t0": Lane.INTERACTIVE, "t1": Lane.BATCH}
        assert (server.requests, len(server.batches)) == (1, 1)
        assert end.state.spend.settled == server.billed


def test_a_model_without_batches_is_called_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane is a wish: what is not sold in batches is not left undone."""
    with server_of("openai") as server:
        played(tmp_path, server, monkeypatch, plain(1, providers={"openai": {"batches": False}}))
        assert (server.requests, len(server.batches)) == (1, 0)
        assert [call.lane for call in of(history_of(tmp_path), e.CallStarted)] == [Lane.INTERACTIVE]


@pytest.mark.parametrize(("bound", "most", "sizes"), [("MOST_CALLS", 2, [2, 1]), ("MOST_BYTES", 1, [1, 1, 1])])
def test_a_batch_is_bounded(
    bound: str, most: int, sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In requests, and in what they and their longest answers take together; the rest is in further batches."""
    monkeypatch.setattr(batch_lanes, bound, most)
    with server_of("openai") as server:
        end = played(tmp_path, server, monkeypatch, plain(3))
        assert end.state.finished is not None
        assert end.state.finished.status is ProjectStatus.SUCCESS
        assert sorted((len(batch.lines) for batch in server.batches), reverse=True) == sizes
        assert_accounted(tmp_path, [RUN], server)


def test_a_run_is_not_resumed_without_the_provider_its_batch_waits_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results would be lost; with another key they could not be read."""

    def stop(event: e.Event, loop: Loop) -> None:
        if isinstance(event, e.BatchSubmitted):
            loop.interrupt("stopped")

    with server_of("openai") as server, server_of("google") as other:
        played(tmp_path, server, monkeypatch, plain(1), stop)
        monkeypatch.delenv(VENDORS["openai"].key)
        with pytest.raises(UsageError, match="waits for a batch, and the provider openai cannot be used"):
            played(tmp_path, other, monkeypatch, None)
        end = played(tmp_path, server, monkeypatch, None)
        assert end.state.finished is not None
        assert_accounted(tmp_path, [RUN], server)


def test_the_command_says_what_waits_and_what_each_lane_cost(tmp_path: Path) -> None:
    """One task may wait, the other not: a line for the batch, and the spend by lane."""
    tasks = [{**task, "lane": lane} for task, lane in zip(plain(2)["tasks"], ("batch", "interactive"), strict=True)]
    (tmp_path / "spec.json").write_text(json.dumps({**plain(), "lane": "interactive", "tasks": tasks}))
    with server_of("openai", patience=0) as server:
        ended = orchestrate(tmp_path, "run", "spec.json", environ=variables(server))
    assert ended.code == 0, ended.err
    assert ended.err.count("a batch of 1 call waits at openai") == 1
    lanes = {row["lane"]: row for row in orchestrate(tmp_path, "costs", "show", RUN, "--by", "lane", "--json").json}
    assert {name: row["calls"] for name, row in lanes.items()} == {"batch": 1, "interactive": 1}


def test_a_lane_that_nobody_sells_is_said_once(tmp_path: Path) -> None:
    """The calls are made at once, and the person who hoped for half the price knows why it is the whole."""
    ended = orchestrate(tmp_path, "run", str(scripted_spec(tmp_path, lane="batch")))
    assert ended.code == 0, ended.err
    assert ended.err.count("lane batch changes nothing") == 1
    assert "lane batch" not in orchestrate(tmp_path, "run", str(scripted_spec(tmp_path))).err
