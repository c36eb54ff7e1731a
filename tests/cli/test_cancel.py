"""``orchestrate runs cancel``: another process asks a live run to stop."""

from pathlib import Path

from tests.cli.command import count, finish, orchestrate, rows, scripted_spec, start, wait_until


def test_a_live_run_is_stopped_and_can_be_resumed(tmp_path: Path) -> None:
    """Its session ends, the mailbox is empty again, and the run goes on when it is resumed."""
    home = tmp_path / "home"
    answers = [{"role": "generator", "try": 1, "text": "```python\nx = 1\n```", "delay_ms": 60_000}]
    process = start(home, "run", str(scripted_spec(tmp_path, answers=answers, project_id="long")), "-q")
    wait_until(lambda: count(home, "call.started"), process)
    asked = orchestrate(home, "runs", "cancel", "last")
    assert (asked.code, asked.out) == (0, "long has stopped; resume with: orchestrate resume long\n")
    ended = finish(process)
    assert ended.code == 130
    assert rows(home, "SELECT json_extract(data, '$.cause') FROM events WHERE type = 'run.interrupted'") == [
        ("cancel",)
    ]
    assert rows(home, "SELECT * FROM requests") == []
    assert orchestrate(home, "audit", "verify", "long").code == 0


def test_a_run_that_no_process_has_cannot_be_stopped(tmp_path: Path) -> None:
    """One line says so; an unknown run is one as for any command."""
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="done"))).code == 0
    refused = orchestrate(home, "runs", "cancel", "done")
    assert (refused.code, refused.out) == (2, "")
    assert "no process has run done" in refused.err
    assert orchestrate(home, "runs", "cancel", "nope").code == 2


def test_an_old_request_does_not_stop_a_new_session(tmp_path: Path) -> None:
    """What was asked of a process that died is taken out by the one that takes the run."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, delay_ms=60_000, project_id="killed")
    process = start(home, "run", str(spec), "-q")
    wait_until(lambda: count(home, "call.started"), process)
    process.kill()
    process.communicate()
    import asyncio

    from orchestrator.ledger.event_log import EventLog
    from orchestrator.ledger.mailbox_requests import CANCEL

    log = EventLog.open(home)
    asyncio.run(log.ask("killed", CANCEL, at=1))
    log.close()
    scripted_spec(tmp_path, project_id="killed")  # its answers come at once now
    assert orchestrate(home, "resume", "killed").code == 0
    assert rows(home, "SELECT * FROM requests") == []
