"""``kill -9`` at any event of an evaluation: what goes on afterwards comes to the same table, and nothing is lost."""

import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from tests.cli.command import finish, orchestrate, rows, start
from tests.plugins.commands.eval.suites import answer, case, write

_VARIES = ("seconds", "started_at", "latest_at", "held_usd", "unreconciled_usd")
_PATIENCE = 60.0


def plain(value: Any) -> Any:
    """A result without what no two runs have in common: times, and money of calls that a kill cut off."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in _VARIES}
    return [plain(each) for each in value] if isinstance(value, list) else value


def suite_of(folder: Path, cases: int) -> Path:
    """A suite whose cases are solved by some arms, by all, or by none."""
    answers: list[dict[str, Any]] = []
    for number in range(1, cases + 1):
        right = answer(number)
        if number % 3 == 1:
            answers += [answer(number, "no"), {**right, "role": "reviser"}]
            answers.append({"task": right["task"], "role": "critic", "text": _DEFECT})
        elif number % 3 == 2:
            answers.append(right)
        else:
            answers += [answer(number, "no"), {**right, "model": "large-1"}]
    return write(folder, [case(number) for number in range(1, cases + 1)], answers)


_DEFECT = '{"defects": [{"where": "the word", "problem": "it is another", "counterexample": null}]}'


def count(home: Path) -> int:
    """How many events the log has."""
    try:
        return int(rows(home, "SELECT count(*) FROM events")[0][0])
    except Exception:  # there is no log yet
        return 0


def killed(home: Path, words: list[str], more: int) -> bool:
    """Start the command, and kill it once it has written so many events; whether it was still alive."""
    before = count(home)
    process: subprocess.Popen[str] = start(home, *words)
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        if count(home) >= before + more:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    finish(process)
    return process.returncode == -signal.SIGKILL


def check(folder: Path, kills: int, cases: int, seed: int) -> int:
    """Kill an evaluation so often, let it end, and compare it with one that was left alone; how many kills hit."""
    draw = random.Random(seed)
    suite = suite_of(folder, cases)
    words = ["eval", "run", str(suite), "--vary", "loop=reviewed,best_of", "--name", "tried", "--budget", "5"]
    untouched = orchestrate(folder / "untouched", *words, "--json")
    assert untouched.code == 0, untouched.err
    total = count(folder / "untouched")
    home = folder / "home"
    hits = sum(killed(home, words, draw.randint(1, max(2, 2 * total // (kills + 1)))) for _ in range(kills))
    ended = orchestrate(home, *words, "--json")
    assert ended.code == 0, ended.err
    assert plain(ended.json) == plain(untouched.json)
    assert all(cell["attempt"] == 1 for cell in ended.json["cells"])
    nothing_twice(home)
    audit = orchestrate(home, "audit", "verify")
    assert audit.code == 0, audit.out
    return hits


def nothing_twice(home: Path) -> None:
    """Each cell has begun once and is graded once; that no call was made twice shows in the calls of the table."""
    log = EventLog.open_to_read(home)
    try:
        stream = [record.event for record in log.read_own("eval/tried")]
        begun = [(each.case, each.arm, each.repetition) for each in stream if isinstance(each, e.CellStarted)]
        graded = [each.cell for each in stream if isinstance(each, e.Graded)]
        assert len(set(begun)) == len(begun) == len(graded) == len(set(graded))
    finally:
        log.close()


def test_a_few_kills_leave_the_table_as_it_is(tmp_path: Path) -> None:
    """Three kills of a small suite."""
    assert check(tmp_path, kills=3, cases=3, seed=1) >= 1


@pytest.mark.heavy
def test_fifty_kills_of_sixty_cells_leave_the_table_as_it_is(tmp_path: Path) -> None:
    """50 kills of 15 cases in four arms, at events drawn by chance."""
    assert check(tmp_path, kills=50, cases=15, seed=7) >= 40
