"""What the tests of batches share: a vendor that sells them, a spec, and the log against the vendor's ledger."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator import events as e
from orchestrator.log import EventLog, Redactor, Texts
from orchestrator.models import Lane
from orchestrator.money import Usd
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from tests.fire.harness import Command
from tests.plugins.providers.batch_server import BatchServer
from tests.plugins.providers.vendors import CANARY, VENDORS, built

SELLING: Final = ("openai", "anthropic", "google")
RUN: Final = "fire"


def server_of(name: str, **given: Any) -> BatchServer:
    """A server of a vendor's format that sells its models at their prices."""
    return BatchServer(name, {model.sent_name: model for model in built(name).models()}, **given)


def variables(server: BatchServer) -> dict[str, str]:
    """The environment in which the server is the only vendor."""
    reached = VENDORS[server.vendor]
    return {reached.key: CANARY, reached.address: server.base_url}


def spec(folder: Path, *, tasks: int = 3, **fields: object) -> Path:
    """A spec of independent tasks that takes one call for each."""
    given = [
        {"id": f"t{number}", "type": "summarization", "prompt": f"Say {number} in one line."}
        for number in range(1, tasks + 1)
    ]
    content = {"project": "p", "criteria": "c", "project_id": RUN, "loop": "plain", "lane": "batch", "tasks": given}
    path = folder / "spec.json"
    path.write_text(json.dumps({**content, **fields}))
    return path


def command_of(folder: Path, server: BatchServer) -> Command:
    """The command in a folder of its own, with the server as its vendor."""
    return Command(folder, None, variables(server))


def calls_of(home: Path, run: str) -> list[tuple[str, e.CallStarted, e.Event | None]]:
    """The calls of a run in batches: their ids at the vendor, their beginnings and their ends."""
    log = EventLog.open_to_read(home)
    try:
        history = [record.event for record in log.read(run)]
        texts = Texts(log, run, os.urandom, Redactor())
        ends = {each.call: each for each in history if isinstance(each, e.CallSucceeded | e.CallFailed)}
        return [
            (texts.digest(f"batch of {run}: call {version}"), event, ends.get(version))
            for version, event in enumerate(history, 1)
            if isinstance(event, e.CallStarted) and event.lane is Lane.BATCH
        ]
    finally:
        log.close()


def state_of(home: Path, run: str) -> RunState:
    """The state that a run's history amounts to."""
    log = EventLog.open_to_read(home)
    try:
        return fold((record.at, record.event) for record in log.read(run))
    finally:
        log.close()


def assert_accounted(home: Path, runs: Sequence[str], server: BatchServer) -> Usd:
    """Every request was submitted once, and settled once at what the vendor bills. Returns the sum."""
    sent = [name for batch in server.batches for name, _, _ in batch.lines]
    assert len(sent) == len(set(sent)), "a request was submitted twice"
    calls = [call for run in runs for call in calls_of(home, run)]
    assert set(sent) <= {name for name, _, _ in calls}, "a request is not in the log"
    settled = {name: end.settled for name, _, end in calls if isinstance(end, e.CallSucceeded)}
    assert settled == server.results
    for run in runs:
        assert state_of(home, run).spend.unreconciled == Usd.ZERO
    return sum(settled.values(), Usd.ZERO)
