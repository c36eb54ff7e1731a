"""The front door of accounts: dead runs of other processes, in real data folders."""

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from orchestrator.engine.accounts import end_dead_runs, holding_runs
from orchestrator.events import AccountRefused, Advanced, CallStarted, SessionLost, SessionOpened, Unreconciled
from orchestrator.ledger.event_log import EventLog
from orchestrator.money import Usd
from orchestrator.replay import verify
from tests.cli.command import finish, orchestrate, rows, scripted_spec, start, wait_until

HOLDS = "SELECT count(*) FROM open_holds"


def _events(home: Path, stream: str) -> list[Any]:
    log = EventLog.open_to_read(home)
    try:
        return [record.event for record in log.read(stream)]
    finally:
        log.close()


def _killed_in_flight(folder: Path, run: str, *more: str) -> Path:
    """A data folder with an account and a run in it that was killed while a call held money."""
    home = folder / "home"
    assert orchestrate(home, "budget", "set", "sim/org", "0.05", *more).code == 0
    spec = scripted_spec(folder / "dead", delay_ms=60_000, project_id=run, budget_usd=0.04)
    process = start(home, "run", str(spec))
    wait_until(lambda: rows(home, HOLDS)[0][0], process)
    process.kill()
    process.wait()
    process.communicate()
    return home


def _totals(home: Path) -> Any:
    log = EventLog.open_to_read(home)
    try:
        return log.account("org", simulated=True)
    finally:
        log.close()


def test_what_a_dead_run_holds_is_unreconciled_when_the_budget_is_shown(tmp_path: Path) -> None:
    """SessionLost is appended for it, its holds are kept in the account, and a second look changes nothing."""
    home = _killed_in_flight(tmp_path, "dead")
    held = _totals(home).held
    assert held > Usd.ZERO
    shown = orchestrate(home, "budget", "show", "--json")
    (account,) = shown.json
    assert account["account"] == "sim/org"
    assert (account["in_flight_usd"], account["unreconciled_usd"]) == (str(Usd.ZERO), str(held))
    assert "dead died; what its calls in flight held is unreconciled" in shown.err
    events = _events(home, "dead")
    assert isinstance(events[-1], SessionLost)
    assert sum(each.amount.nano for each in events[-1].ended) == held.nano
    assert isinstance(_events(home, "sim/account/org")[-1], Unreconciled)
    assert orchestrate(home, "budget", "show").err == ""
    assert _events(home, "dead") == events
    assert orchestrate(home, "audit", "verify").code == 0


def test_what_a_dead_run_had_taken_at_once_is_given_back(tmp_path: Path) -> None:
    """Of its advance only what calls in flight held stays, and the run can go on."""
    home = _killed_in_flight(tmp_path, "dead", "--advance", "0.002")
    taken = _totals(home).held
    assert taken > Usd.parse("0.002")
    orchestrate(home, "budget", "show")
    lost = _events(home, "dead")[-1]
    assert isinstance(lost, SessionLost)
    held = _totals(home).held
    assert Usd.ZERO < held < taken
    assert held == _totals(home).unreconciled == sum((each.amount for each in lost.ended), Usd.ZERO)
    assert isinstance(_events(home, "sim/account/org")[-1], Advanced)
    answers = tmp_path / "dead" / "answers.json"
    answers.write_text(json.dumps({**json.loads(answers.read_text()), "delay_ms": 0}))
    assert orchestrate(home, "resume", "dead").code == 0
    assert _totals(home).held == held
    assert orchestrate(home, "audit", "verify").code == 0


def test_a_dead_run_goes_on_after_its_holds_were_unreconciled(tmp_path: Path) -> None:
    """Resuming it ends nothing twice: unreconciled money stays, and every decision can be computed again."""
    home = _killed_in_flight(tmp_path, "dead")
    orchestrate(home, "budget", "show")
    unreconciled = _totals(home).unreconciled
    answers = tmp_path / "dead" / "answers.json"
    answers.write_text(json.dumps({**json.loads(answers.read_text()), "delay_ms": 0}))
    ended = orchestrate(home, "resume", "dead")
    assert ended.code == 0, ended.err
    events = _events(home, "dead")
    assert [each.ended for each in events if isinstance(each, SessionOpened)] == [(), ()]
    totals = _totals(home)
    assert (totals.unreconciled, totals.held) == (unreconciled, unreconciled)
    assert orchestrate(home, "replay", "dead", "--verify").code == 0


def test_a_run_that_is_refused_ends_the_dead_runs_of_others(tmp_path: Path) -> None:
    """A second process whose holds do not fit turns the first one's into unreconciled money, and ends by itself."""
    home = _killed_in_flight(tmp_path, "dead")
    free = _totals(home).free
    assert orchestrate(home, "budget", "set", "sim/org", str(_totals(home).cap - free + Usd(1000))).code == 0
    ended = orchestrate(home, "run", str(scripted_spec(tmp_path / "live", project_id="live")))
    assert ended.code == 4, ended.err
    assert any(isinstance(event, AccountRefused) for event in _events(home, "live"))
    assert isinstance(_events(home, "dead")[-1], SessionLost)
    assert rows(home, HOLDS) == [(0,)]
    log = EventLog.open_to_read(home)
    try:
        history = [(record.at, record.event) for record in log.read("live")]
    finally:
        log.close()
    assert verify(history, lambda session: None).differences == ()


def test_a_live_run_keeps_its_holds(tmp_path: Path) -> None:
    """Looking for dead runs leaves alone what another process is running."""
    home = tmp_path / "home"
    assert orchestrate(home, "budget", "set", "sim/org", "1").code == 0
    spec = scripted_spec(tmp_path, delay_ms=60_000, project_id="alive")
    process: subprocess.Popen[str] = start(home, "run", str(spec))
    try:
        wait_until(lambda: rows(home, HOLDS)[0][0], process)

        async def look() -> tuple[list[str], list[str]]:
            log = EventLog.open(home)
            try:
                return holding_runs(log), await end_dead_runs(log, lambda: time.time_ns() // 1000)
            finally:
                log.close()

        assert asyncio.run(look()) == (["alive"], [])
        assert isinstance(_events(home, "alive")[-1], CallStarted)
    finally:
        process.kill()
        finish(process)
