"""``orchestrate watch``: following a run that another process has."""

import re
from pathlib import Path
from typing import Any, Final

from tests.cli.command import count, finish, orchestrate, rows, scripted_spec, start, wait_until
from tests.cli.conftest import Finished
from tests.e2e.terminal import Terminal

CHAIN: Final[list[dict[str, Any]]] = [
    {"id": "first", "type": "summarization", "prompt": "Say.", "title": "The first"},
    {"id": "second", "type": "summarization", "prompt": "Say.", "dependencies": ["first"]},
    {"id": "apart", "type": "summarization", "prompt": "Say."},
]


def test_a_run_of_another_process_is_followed_to_its_end(tmp_path: Path) -> None:
    """On a terminal a tree with states, models, spend and calls in flight; elsewhere lines; both end with the run."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=CHAIN, delay_ms=500, project_id="seen", evaluate={"runs": 1})
    process = start(home, "run", str(spec), "-q")
    wait_until(lambda: count(home, "call.started"), process)
    plain = start(home, "watch", "seen")
    with Terminal(home, "watch", "seen") as terminal:
        terminal.wait_for(r"second waiting")
        terminal.wait_for(r"(first|second) (generate|critique|revise|evaluate)[^\n]* \d+\.\d s (north|south) \$0\.")
        code = terminal.wait()
        screen = terminal.text
    lines = finish(plain)
    done = finish(process)
    assert (done.code, code, lines.code) == (0, 0, 0), lines.err
    assert re.search(r"\n├── .? ?first [^\n]*The first\n│   └── · second waiting", screen)
    assert re.search(r"\n└── \S* ?apart ", screen)
    assert re.search(r"✓ first completed 0\.950 north \$0\.000\d The first", screen)
    assert re.search(r"░+ [0-3] of 3 tasks · \$0\.\d+ \+ \$0\.\d+ held of \$8\.0000 \(simulated\) · \d", screen)
    assert re.search(r"\d+ calls/min, \$0\.\d+/min; 2 calls in flight", screen)
    assert re.search(r"first +summarization +north +south +0\.950 +1 +\$0\.000\d+ +completed", screen)
    assert re.match(r"watching seen: 0 of 3 tasks, \$0.* of \$8.0000; \d+ calls/min", lines.err)
    assert "✓ second completed, score 0.950, north" in lines.err
    assert lines.out == done.out
    assert rows(home, "SELECT count(*) FROM events WHERE type = 'session.opened'") == [(1,)]


def test_a_finished_run_is_shown_as_it_ended(finished: Finished) -> None:
    """Nothing is left to follow: the table, and the run's exit code."""
    done = orchestrate(finished.home, "watch", "done")
    assert (done.code, done.err) == (0, "")
    assert done.out == orchestrate(finished.home, "runs", "show", "done").out
    assert orchestrate(finished.home, "watch", "unknown").code == 2


def test_a_run_that_dies_ends_the_watching(tmp_path: Path) -> None:
    """When the process is killed, watching says how to go on and exits as an interrupted run does."""
    home = tmp_path / "home"
    process = start(home, "run", str(scripted_spec(tmp_path, delay_ms=60_000, project_id="dying")))
    wait_until(lambda: count(home, "call.started"), process)
    watching = start(home, "watch", "dying", "-v")
    assert watching.stderr is not None
    assert watching.stderr.readline().startswith("watching dying: ")
    process.kill()
    process.communicate()
    ended = finish(watching)
    assert ended.code == 130
    assert "status  interrupted" in ended.out
    assert "resume with: orchestrate resume dying" in ended.err
