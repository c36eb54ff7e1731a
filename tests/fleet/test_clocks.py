"""A worker whose clock is off by a day: another one goes on with its run at once, and times never go back."""

from pathlib import Path

import pytest

from tests.cli.command import count, orchestrate, rows, scripted_spec, wait_until
from tests.fleet.test_submit import IDLE, status
from tests.fleet.test_workers import worker

_SHIFTED = """
import time
now, now_ns = time.time, time.time_ns
time.time = lambda: now() + {seconds}
time.time_ns = lambda: now_ns() + {seconds} * 10**9
"""


@pytest.mark.heavy
@pytest.mark.parametrize("seconds", [86_400, -86_400], ids=["ahead", "behind"])
def test_a_clock_that_is_off_by_a_day(tmp_path: Path, seconds: int) -> None:
    """What the next worker has to wait for, such as a vendor that is overloaded, it does not wait a day for."""
    home = tmp_path / "home"
    (tmp_path / "sitecustomize.py").write_text(_SHIFTED.format(seconds=seconds))
    answers = [{"role": "critic", "try": 1, "error": "overloaded", "retry_after": 0.2}]
    spec = scripted_spec(tmp_path, delay_ms=300, answers=answers, project_id="one")
    assert orchestrate(home, "submit", str(spec)).code == 0
    with worker(home, environ={"PYTHONPATH": str(tmp_path)}) as first:
        wait_until(lambda: count(home, "call.started") >= 1, first)
    done = orchestrate(home, *IDLE)
    assert done.code == 0, done.err
    assert status(home, "one") == "SUCCESS"
    assert count(home, "call.failed") >= 1
    times = [at for (at,) in rows(home, "SELECT at FROM events WHERE stream = 'one' ORDER BY version")]
    assert times == sorted(times)
    [(opened, ended)] = rows(
        home, "SELECT max(at) FILTER (WHERE type = 'session.opened'), max(at) FROM events WHERE stream = 'one'"
    )
    assert ended - opened >= 900_000  # the run's time went on: a retry and four answers of 0.3 s
    assert orchestrate(home, "replay", "one", "--verify").code == 0
    assert orchestrate(home, "audit", "verify").code == 0
