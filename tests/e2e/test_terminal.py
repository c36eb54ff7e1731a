"""What a person at a terminal sees."""

import re
from pathlib import Path

from tests.cli.command import QUICKSTART, orchestrate, rows, scripted_spec
from tests.e2e.terminal import Terminal

SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"


def test_live_progress_then_the_table(tmp_path: Path) -> None:
    """While it runs a live table shows tasks, states, models and spend; at the end only the final table stays."""
    with Terminal(tmp_path / "home", "run", str(QUICKSTART), "-o", "out") as terminal:
        assert terminal.wait() == 0
        text = terminal.text
    assert "the answers are scripted: no model is called, and the spend is simulated" in text
    assert "ceiling $1.00" in text
    # Which steps are drawn depends on the machine; that a step at work is drawn is shown by the next test, which waits.
    step = r"(\w+ [\d.]+ s|waiting to retry)"
    assert re.search(rf"task_006 {step} (aurora-grand|kestrel-prime|northwind-core) .*Write the README", text)
    assert re.search(r"[✓] +task_002 +completed 0\.920 +northwind-core +\$0\.00\d+ +Write the statistics", text)
    assert re.search(r"[0-7] of 7 tasks · \$0\.\d+ \+ \$0\.\d+ held of \$1\.00(00)? \(simulated\)", text)
    assert "! task_001: check python_syntax failed" in text
    assert re.search(r"task_006 +creative_writing +kestrel-prime +northwind-core +0\.920 +1 +\$0\.0064", text)
    assert re.search(r"status +SUCCESS", text)
    assert terminal.raw.count(HIDE) == terminal.raw.count(SHOW) >= 1
    screen = terminal.raw.rpartition(SHOW)[2]
    assert "of 7 tasks" not in screen


def test_ctrl_c_tells_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C ends the session, gives the cursor back and prints the resume command; the run goes on with it."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, delay_ms=500, project_id="stopped")
    with Terminal(home, "run", str(spec)) as terminal:
        terminal.wait_for(r"only .*generate")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "stopping: calls in flight are recorded" in terminal.text
        assert "interrupted by SIGINT" in terminal.text
        assert terminal.text.rstrip().splitlines()[-1] == "resume with: orchestrate resume stopped"
        assert terminal.raw.rfind(SHOW) > terminal.raw.rfind(HIDE)
    again = orchestrate(home, "resume", "stopped")
    assert again.code == 0, again.err


def test_many_tasks_fit_the_screen(tmp_path: Path) -> None:
    """With more tasks than lines those at work are shown, and a drawing never exceeds the screen."""
    tasks = [{"id": f"t{number:02d}", "type": "summarization", "prompt": "Say."} for number in range(30)]
    spec = scripted_spec(tmp_path, tasks=tasks, delay_ms=20, evaluate={"runs": 1}, concurrency=2)
    with Terminal(tmp_path / "home", "run", str(spec), size=(14, 100)) as terminal:
        assert terminal.wait() == 0
    drawings = terminal.raw.rpartition(SHOW)[0]
    moved = [len(re.findall(r"\x1b\[1A", run)) for run in re.findall(r"(?:\x1b\[1A\x1b\[2K)+", drawings)]
    assert moved
    assert max(moved) < 14


def test_criteria_are_asked_for(tmp_path: Path) -> None:
    """On a terminal --project without --criteria asks; an empty answer takes the default."""
    with Terminal(tmp_path / "home", "--project", "Build it.") as terminal:
        terminal.wait_for(r"When is the result good\? \[the result does what the description asks\]: ")
        terminal.type("\r")
        assert terminal.wait() == 3
    assert "no provider can be used" in terminal.text
    assert "OPENAI_COMPATIBLE_BASE_URL" in terminal.text
    assert "OPENAI_BASE_URL" not in terminal.text  # of no use without a key, which is named


def test_a_model_cannot_command_the_terminal(tmp_path: Path) -> None:
    """Escape sequences in a title or an error that a model or server wrote are not written to the terminal."""
    evil = "\x1b]0;owned\x07\x1b[2J"
    tasks = [{"id": "only", "type": "summarization", "prompt": "Say.", "title": f"{evil}Title"}]
    failing = {"role": "generator", "model": "north", "error": "server", "message": f"{evil}down"}
    spec = scripted_spec(tmp_path, tasks=tasks, answers=[failing], delay_ms=200)
    with Terminal(tmp_path / "home", "run", str(spec), "-v") as terminal:
        terminal.wait()
    assert "Title" in terminal.text
    assert "down" in terminal.text
    assert "\x1b]0" not in terminal.raw
    assert "\x1b[2J" not in terminal.raw
    assert "\x07" not in terminal.raw
    assert rows(tmp_path / "home", "SELECT count(*) FROM calls WHERE outcome = 'failed'") != [(0,)]
