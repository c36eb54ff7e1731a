"""What the tests of batches share: a vendor that sells them, a spec, and the log against the vendor's ledger."""

import json
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.models import Lane
from orchestrator.money import Usd
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from tests.fire.harness import Command, finish, kill
from tests.plugins.providers.batch_server import BatchServer
from tests.plugins.providers.vendors import CANARY, VENDORS, built

SELLING: Final = ("openai", "anthropic", "google")
RUN: Final = "fire"
STEPS: Final = ("create", "created", "look", "looked", "given")
"""Of the server, around what it does; see ``BatchServer``."""


class Trap:
    """Kills the command at the n-th time that the server comes to a step."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.step, self.left = "", 0

    def arm(self, process: "subprocess.Popen[str]", step: str, count: int = 1) -> None:
        """Lie in wait."""
        self.step, self.left, self.process = step, count, process

    def disarm(self) -> None:
        """Let every later process be."""
        self.process = None

    def __call__(self, step: str) -> None:
        """The server has come to a step."""
        if step == self.step and self.process is not None:
            self.left -= 1
            if not self.left:
                kill(self.process)


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


@frozen
class EvaluatedOverKills:
    """What an evaluation in batches came to that was killed again and again.

    Attributes:
        kills: how often it was.
        solved: cases that count as solved.
        spent: what its runs settled, which is what the vendor bills.
        list_price: what the same calls would have cost one by one.
    """

    kills: int
    solved: int
    spent: Usd
    list_price: Usd


def evaluate_over_kills(name: str, folder: Path, cases: int, kills: int) -> EvaluatedOverKills:
    """Evaluate so many cases in batches of a vendor, killed so often, and hold the log against the vendor's ledger."""
    suite, draw, trap = _suite(folder, cases), random.Random(name), Trap()
    with server_of(name, on=trap) as server:
        command = command_of(folder, server)
        words = (
            "eval",
            "run",
            str(suite),
            "--lane",
            "batch",
            "--no-controls",
            "--jobs",
            "16",
            "--name",
            "e",
            "--budget",
            "5",
        )
        steps = STEPS[:-1] if name == "google" else STEPS  # its results come with the look at the batch
        done = sum(_is_killed(command, trap, draw.choice(steps), draw.randint(1, 4), words) for _ in range(kills))
        trap.disarm()
        ended = finish(command.start(*words, "--json"), 1800)
        assert ended.code == 0, (ended.stdout[:3000], ended.stderr[-3000:])
        runs = _runs(command.home)
        assert len(runs) == cases
        spent = assert_accounted(command.home, runs, server)
        assert spent == server.billed
        _assert_account(command.home, spent)
        assert command.run("audit", "verify", timeout=600).code == 0
        solved = json.loads(ended.stdout)["arms"][0]["solved"]
        return EvaluatedOverKills(done, solved, spent, _list_price(command.home, runs))


def _is_killed(command: Command, trap: Trap, step: str, count: int, words: Sequence[str]) -> bool:
    """Whether a process was killed where a step came for the count-th time; it ends first where that does not come."""
    process = command.start(*words)
    trap.arm(process, step, count)
    ended = finish(process, 600)
    assert ended.code in (0, -9), (ended.stdout[-3000:], ended.stderr[-3000:])
    return ended.code == -9


def _assert_account(home: Path, spent: Usd) -> None:
    log = EventLog.open_to_read(home)
    try:
        account = log.account("eval/e", False)
        assert (account.settled, account.held) == (spent, Usd.ZERO)
        assert account.settled <= account.cap
    finally:
        log.close()


def _suite(folder: Path, size: int) -> Path:
    cases = [
        {"id": f"c{n}", "type": "summarization", "prompt": f"Say {n}.", "grade": {"regex": "."}}
        for n in range(1, size + 1)
    ]
    path = folder / "suite.json"
    path.write_text(json.dumps({"suite": "s", "spec": {"loop": "plain"}, "cases": cases}))
    return path


def _runs(home: Path) -> list[str]:
    log = EventLog.open_to_read(home)
    try:
        return sorted(log.streams("e."))
    finally:
        log.close()


def _list_price(home: Path, runs: list[str]) -> Usd:
    """What the same calls would have cost one by one."""
    total = Usd.ZERO
    for run in runs:
        models = state_of(home, run).models
        for _, started, end in calls_of(home, run):
            price, usage = models[started.model].price_in(Lane.INTERACTIVE), getattr(end, "usage", None)
            if price is not None and usage is not None:
                total += price.cost(usage)
    return total
