"""Workers as real processes: killed, stopped, told to end; every run ends, and the money is exact."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from orchestrator.money import Usd
from tests.cli.command import PATIENCE, count, finish, orchestrate, rows, scripted_spec, signalled, start, wait_until
from tests.e2e.test_real_http import models_file
from tests.fleet.test_submit import IDLE, kinds, status
from tests.servers.openai_server import Fault, OpenAIServer
from tests.servers.roles import play

SLOW: Final = 150
"""Milliseconds of each scripted answer, so that a run is still going when its worker is killed."""


@contextmanager
def worker(home: Path, *arguments: str, environ: dict[str, str] | None = None) -> Iterator[Any]:
    """A worker as a process of its own; one that is left at the end is killed."""
    process = start(home, "worker", *arguments, environ=environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def submitted(home: Path, folder: Path, *, many: int, delay_ms: int = SLOW, **fields: Any) -> list[str]:
    """Runs of a data folder that no process has had."""
    spec = scripted_spec(folder, delay_ms=delay_ms, **fields)
    found = orchestrate(home, "submit", *[str(spec)] * many)
    assert found.code == 0, found.err
    return found.lines


def plain_spec(folder: Path) -> Path:
    """A spec of one task for a vendor of this machine; one answer is enough."""
    path = folder / "spec.json"
    path.write_text(
        '{"project": "Write x.", "criteria": "x is there", "loop": "plain",'
        ' "tasks": [{"id": "only", "type": "summarization", "prompt": "Sum up."}]}'
    )
    return path


def ended(home: Path) -> int:
    """How many runs have ended."""
    return count(home, "run.finished")


def check_money(home: Path, account: str, billed: Usd | None = None) -> None:
    """The account has what the runs have, settled and unreconciled, and what the vendor has billed, where known."""
    (shown,) = [each for each in orchestrate(home, "budget", "show", "--json").json if each["account"] == account]
    ((settled, held),) = rows(home, "SELECT sum(settled_nano), sum(held_nano) FROM runs")
    assert (Usd.parse(shown["settled_usd"]), Usd.parse(shown["unreconciled_usd"])) == (Usd(settled), Usd(held))
    if billed is not None:
        lost = Usd(rows(home, "SELECT coalesce(sum(held_nano), 0) FROM runs")[0][0])
        assert Usd(settled) <= billed <= Usd(settled) + lost
        assert lost != Usd.ZERO or billed == Usd(settled)


def test_another_worker_takes_over_what_a_killed_one_left(tmp_path: Path) -> None:
    """Kill -9 in the middle: every run ends, in a second session; accounts are exact; the logs verify."""
    home, spec, goes_on = tmp_path / "home", plain_spec(tmp_path), threading.Event()
    home.mkdir()

    def held_back(request: Mapping[str, Any]) -> str | Fault:
        goes_on.wait(PATIENCE)  # so that the first worker has its runs still when the other one is there
        return play(request)

    with OpenAIServer(held_back) as server:
        environ = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url}
        assert orchestrate(home, "budget", "set", "org", "50").code == 0
        given = [str(spec)] * 3 + ["--models", str(models_file(home)), "--no-cache"]
        runs = orchestrate(home, "submit", *given, environ=environ).lines
        with worker(home, environ=environ) as first:
            wait_until(lambda: count(home, "call.started") == 3, first)
            with worker(home, "--until-idle", environ=environ) as second:
                wait_until(lambda: count(home, "worker.started") == 2, second)
                first.kill()
                goes_on.set()
                done = finish(second)
        assert done.code == 0, done.err
        check_money(home, "org", server.billed)
    assert {status(home, run) for run in runs} == {"SUCCESS"}
    assert count(home, "session.opened") == 6
    by = {name for (name,) in rows(home, "SELECT json_extract(data, '$.by') FROM events WHERE type = 'session.opened'")}
    assert {each["worker"] for each in orchestrate(home, "workers", "list", "--all", "--json").json} == by
    assert orchestrate(home, "audit", "verify").code == 0


def test_a_vendors_ledger_is_the_account_where_nothing_was_in_flight(tmp_path: Path) -> None:
    """Over real sockets, drained and gone on with: the vendor has billed to the nano-dollar what the account says."""
    home, spec = tmp_path / "home", plain_spec(tmp_path)
    home.mkdir()
    with OpenAIServer() as server:
        environ = {"OPENAI_COMPATIBLE_BASE_URL": server.base_url}
        assert orchestrate(home, "budget", "set", "org", "50").code == 0
        models = ["--models", str(models_file(home))]
        assert orchestrate(home, "submit", *[str(spec)] * 4, *models, environ=environ).code == 0
        with worker(home, "--jobs", "2", environ=environ) as first:
            wait_until(lambda: ended(home) >= 1, first)
            drained = signalled(first, signal.SIGTERM)
        assert drained.code == 0, drained.err
        done = orchestrate(home, *IDLE, environ=environ)
        assert ended(home) == 4, done.err
        assert rows(home, "SELECT sum(held_nano) FROM runs") == [(0,)]
        check_money(home, "org", server.billed)
    assert orchestrate(home, "audit", "verify").code == 0


def test_sigterm_lets_calls_end_and_gives_the_runs_back(tmp_path: Path) -> None:
    """Nothing is lost or unreconciled; the worker says that it ended; another one goes on."""
    home = tmp_path / "home"
    runs = submitted(home, tmp_path, many=2, delay_ms=800, loop="plain")
    with worker(home) as first:
        wait_until(lambda: count(home, "call.started") >= 2, first)
        done = signalled(first, signal.SIGTERM)
    assert done.code == 0, done.err
    assert done.err.count("released") == 2
    assert rows(home, "SELECT sum(held_nano) FROM runs") == [(0,)]
    assert count(home, "call.succeeded") == count(home, "call.started") > 0
    causes = rows(home, "SELECT json_extract(data, '$.cause') FROM events WHERE type = 'run.interrupted'")
    assert causes == [("released",)] * 2
    assert count(home, "worker.stopped") == 1
    assert orchestrate(home, *IDLE).code == 0
    assert {status(home, run) for run in runs} == {"SUCCESS"}


def test_the_grace_bounds_how_long_calls_may_take(tmp_path: Path) -> None:
    """A call that would take a minute is cut; its hold is unreconciled, and the run goes on elsewhere."""
    home = tmp_path / "home"
    (run,) = submitted(home, tmp_path, many=1, delay_ms=60_000)
    with worker(home, "--grace", "2.2") as first:
        wait_until(lambda: count(home, "call.started") >= 1, first)
        began = time.monotonic()
        done = signalled(first, signal.SIGTERM)
    assert done.code == 0, done.err
    assert time.monotonic() - began < 50
    assert kinds(home, run)[-1] == "run.interrupted"


def test_workers_are_listed_with_their_runs(tmp_path: Path) -> None:
    """An idle one, one at work, and, with --all, those that ended or were lost."""
    home = tmp_path / "home"
    with worker(home) as one:
        wait_until(lambda: count(home, "worker.started") == 1, one)
        (idle,) = orchestrate(home, "workers", "list", "--json").json
        assert (idle["status"], idle["process"], idle["runs"]) == ("idle", one.pid, [])
        (run,) = submitted(home, tmp_path, many=1, delay_ms=60_000)
        wait_until(lambda: count(home, "call.started") == 1, one)
        (working,) = orchestrate(home, "workers", "list", "--json").json
        assert (working["status"], working["runs"], working["jobs"]) == ("working", [run], 10)
        assert working["worker"] in orchestrate(home, "workers", "list").out
    assert orchestrate(home, "workers", "list", "--json").json == []
    (lost,) = orchestrate(home, "workers", "list", "--all", "--json").json
    assert lost["status"] == "lost"


def test_a_run_is_taken_over_from_a_process_that_does_not_answer(tmp_path: Path) -> None:
    """SIGSTOP never frees a run; the command does, and another worker ends it. The log is whole."""
    home = tmp_path / "home"
    (run,) = submitted(home, tmp_path, many=1)
    with worker(home) as stuck:
        wait_until(lambda: count(home, "call.started") >= 1, stuck)
        os.kill(stuck.pid, signal.SIGSTOP)
        freed = orchestrate(home, "runs", "take-over", run, "--patience", "0.2", "--json")
        assert (freed.code, freed.json) == (0, {"run_id": run, "ended_process": True}), freed.err
        assert stuck.wait(timeout=60) == -signal.SIGKILL
    assert orchestrate(home, *IDLE).code == 0
    assert status(home, run) == "SUCCESS"
    assert orchestrate(home, "audit", "verify").code == 0


def test_a_process_that_answers_gives_the_run_back(tmp_path: Path) -> None:
    """It is asked first: its other runs go on, and it does not take this one again by itself."""
    home = tmp_path / "home"
    runs = submitted(home, tmp_path, many=2, delay_ms=2000)
    with worker(home) as busy:
        wait_until(lambda: count(home, "call.started") >= 2, busy)
        freed = orchestrate(home, "runs", "take-over", runs[0], "--json")
        assert (freed.code, freed.json) == (0, {"run_id": runs[0], "ended_process": False}), freed.err
        assert busy.poll() is None
        (working,) = orchestrate(home, "workers", "list", "--json").json
        assert working["runs"] == [runs[1]]


def test_a_run_that_no_process_has_needs_no_take_over(tmp_path: Path) -> None:
    """One line says how it goes on."""
    home = tmp_path / "home"
    (run,) = submitted(home, tmp_path, many=1)
    done = orchestrate(home, "runs", "take-over", run)
    assert done.code == 2
    assert "no process has" in done.err
