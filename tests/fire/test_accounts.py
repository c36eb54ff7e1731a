"""One organisation's budget under fire: two processes at a time, many small runs, killed at random."""

import random
import threading
import time
from pathlib import Path

import pytest

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.money import Usd
from orchestrator.state.fold import fold
from tests.cli.command import finish, orchestrate, scripted_spec, start
from tests.sql import sqlite_of

WRITERS = 2
RUNS = 110
CAP = "0.06"
KINDS = ("code_generation", "summarization", "code_generation")


def _runs(home: Path, folder: Path, writer: int, killed: list[str]) -> None:
    """One run after the other, each in a process of its own; every other one is killed somewhere on its way."""
    draw, took = random.Random(writer), 1.2
    tasks = [{"id": f"t{number}", "type": kind, "prompt": "Write x."} for number, kind in enumerate(KINDS)]
    for number in range(RUNS):
        run = f"writer-{writer}-{number}"
        spec = scripted_spec(
            folder / str(writer),
            delay_ms=20,
            tasks=tasks,
            name=f"{run}.json",
            project_id=run,
            budget_usd=0.02,
            team="eng",
        )
        process, began = start(home, "run", str(spec)), time.monotonic()
        if draw.random() < 0.5:
            timer = threading.Timer(draw.uniform(0.2, 1.0) * took, process.kill)
            timer.start()
            finish(process)
            timer.cancel()
        else:
            ended = finish(process)
            assert ended.code in (0, 1, 4), ended.err
            took = time.monotonic() - began  # on a busy machine a run begins later, and is killed later
        if process.returncode < 0:
            killed.append(run)


def _assert_law(log: EventLog, stream: str) -> e.Totals:
    """On every prefix of the account: the totals follow from its movements, and settled + held ≤ cap + excess."""
    settled = held = unreconciled = Usd.ZERO
    totals = e.Totals()
    for record in log.read(stream):
        match record.event:
            case e.Held(amount=amount):
                held += amount
            case e.Settled(hold=hold, amount=amount):
                settled, held = settled + amount, held - hold
            case e.Released(hold=hold):
                held -= hold
            case e.Unreconciled(hold=hold):
                unreconciled += hold
        totals = getattr(record.event, "totals")  # noqa: B009 - every account event has them, their base class has not
        assert (totals.settled, totals.held, totals.unreconciled) == (settled, held, unreconciled), record.version
        assert settled + held <= totals.cap + totals.excess, record.version
    return totals


@pytest.mark.heavy
def test_many_killed_runs_of_two_processes_never_exceed_the_cap(tmp_path: Path) -> None:
    """What all runs together spent and may have spent is what the accounts say, and is within the cap."""
    home = tmp_path / "home"
    for name in ("sim/org", "sim/team/eng"):
        assert orchestrate(home, "budget", "set", name, CAP).code == 0
    killed: list[str] = []
    writers = [threading.Thread(target=_runs, args=(home, tmp_path, writer, killed)) for writer in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert orchestrate(home, "budget", "show").code == 0
    log = EventLog.open_to_read(home)
    try:
        assert log.verify() == []
        streams = ("sim/account/org", "sim/account/team/eng")
        totals = [_assert_law(log, stream) for stream in streams]
        assert sqlite_of(log).query("SELECT count(*) FROM open_holds") == [(0,)]
        states = [fold((record.at, record.event) for record in log.read(run)) for run in log.streams("writer-")]
        types = {str(row[0]) for row in sqlite_of(log).query("SELECT DISTINCT type FROM events")}
    finally:
        log.close()
    for account in totals:
        assert account.held == account.unreconciled
        assert account.settled == sum((state.spend.settled for state in states), Usd.ZERO)
        assert account.unreconciled == sum((state.spend.unreconciled for state in states), Usd.ZERO)
    assert len(killed) >= 10, "too few runs were killed to show anything"
    assert {"session.lost", "account.refused", "account.unreconciled", "run.finished"} <= types
