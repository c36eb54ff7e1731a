"""``kill -9`` around batches: nothing is submitted twice, every result is settled once, the bill is the log."""

import json
import random
import subprocess
from pathlib import Path

import pytest

from orchestrator.log import EventLog
from orchestrator.models import Lane
from orchestrator.money import Usd
from tests.fire.batches import RUN, SELLING, assert_accounted, calls_of, command_of, server_of, spec, state_of
from tests.fire.harness import Command, assert_sound, finish, kill

STEPS = ("create", "created", "look", "looked", "given")


class Trap:
    """Kills the command at the n-th time that the server comes to a step."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.step, self.left = "", 0

    def arm(self, process: "subprocess.Popen[str]", step: str, count: int = 1) -> None:
        """Lie in wait."""
        self.step, self.left, self.process = step, count, process

    def __call__(self, step: str) -> None:
        """The server has come to a step."""
        if step == self.step and self.process is not None:
            self.left -= 1
            if not self.left:
                kill(self.process)


def _killed(command: Command, trap: Trap, step: str, *arguments: str, count: int = 1) -> None:
    process = command.start(*arguments)
    trap.arm(process, step, count)
    assert finish(process).code == -9


def test_a_run_that_is_killed_as_its_batch_is_taken_waits_for_the_same_batch(tmp_path: Path) -> None:
    """The vendor has the batch, and the log does not say so: it is found, collected once, and never sent again."""
    trap = Trap()
    with server_of("openai", on=trap) as server:
        command = command_of(tmp_path, server)
        _killed(command, trap, "created", "run", str(spec(tmp_path)))
        trap.step = ""
        ended = command.run("resume", RUN)
        assert ended.code == 0, ended.stderr
        assert len(server.batches) == 1
        assert assert_accounted(command.home, [RUN], server) == assert_sound(command, RUN).spend.settled


@pytest.mark.heavy
@pytest.mark.parametrize("name", SELLING)
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_costs_nothing(name: str, step: str, tmp_path: Path) -> None:
    """Killed there once, then again, the run ends as if it had not been."""
    trap = Trap()
    with server_of(name, on=trap) as server:
        command = command_of(tmp_path, server)
        if (name, step) == ("google", "given"):  # its results come with the look
            step = "looked"
        _killed(command, trap, step, "run", str(spec(tmp_path)))
        ended = command.run("resume", RUN)
        assert ended.code == 0, ended.stderr
        spent = assert_accounted(command.home, [RUN], server)
        assert spent == assert_sound(command, RUN).spend.settled == server.billed
        assert command.run("audit", "verify").code == 0


@pytest.mark.heavy
@pytest.mark.parametrize("name", SELLING)
def test_an_evaluation_in_batches_costs_half_over_fifty_kills(name: str, tmp_path: Path) -> None:
    """200 cases, 50 kills: each case counts once, the vendor's ledger is the log, and the bill is half the list's."""
    suite, draw, trap = _suite(tmp_path, 200), random.Random(name), Trap()
    with server_of(name, on=trap) as server:
        command = command_of(tmp_path, server)
        words = ("eval", "run", str(suite), "--lane", "batch", "--no-controls", "--name", "e", "--budget", "5")
        kills = 0
        while kills < 50:
            process = command.start(*words)
            trap.arm(process, draw.choice(STEPS), draw.randint(1, 4))
            code = finish(process, 600).code
            assert code in (0, -9), process
            if code == 0:
                break
            kills += 1
        trap.step = ""
        ended = finish(command.start(*words, "--json"), 1800)
        assert ended.code == 0, ended.stdout[:3000]
        assert kills == 50
        runs = _runs(command.home)
        assert len(runs) == 200
        assert json.loads(ended.stdout)["arms"][0]["solved"] == 200
        spent = assert_accounted(command.home, runs, server)
        log = EventLog.open_to_read(command.home)
        try:
            account = log.account("eval/e", False)
            assert (account.settled, account.held) == (spent, Usd.ZERO)
            assert account.settled <= account.cap
        finally:
            log.close()
        assert spent == server.billed
        assert float(spent) <= 0.55 * float(_list_price(command.home, runs))
        assert command.run("audit", "verify", timeout=600).code == 0


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
