"""The question of risk as a person at a terminal meets it."""

from pathlib import Path

import pytest

from orchestrator.cli.exit_codes import INTERRUPTED
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.cli.in_process import command
from tests.e2e.terminal import Terminal

QUESTION = r"86 % of the ceiling of \$0\.0140; the money may not suffice\n+Start the tasks\? \[y/N\] $"
DECLINED = (
    "start the tasks all the same with: orchestrate resume risky --yes;"
    " or raise the ceiling first: orchestrate resume risky --add-budget 0.01"
)


def risky(folder: Path) -> Path:
    """A spec whose forecast is 86 % of its ceiling, though it costs less."""
    tasks = [{"id": f"t{n}", "type": "code_generation", "prompt": "Write x."} for n in range(8)]
    return scripted_spec(folder, budget_usd=0.014, project_id="risky", tasks=tasks)


def answered(home: Path, *arguments: str, keys: str) -> tuple[int, str]:
    """The exit code and the text of a command whose question is answered with these keys."""
    with Terminal(home, *arguments) as terminal:
        terminal.wait_for(QUESTION)
        terminal.type(keys)
        return terminal.wait(), terminal.text


def kinds(home: Path) -> list[str]:
    """The stored types of the run's events about the question, its answers and what follows: the first task."""
    wanted = ("question.asked", "question.answered", "run.interrupted", "budget.raised", "task.started")
    marks = ", ".join("?" * len(wanted))
    first = "coalesce(json_extract(data, '$.task'), 't0') = 't0'"
    found = rows(home, f"SELECT type FROM events WHERE type IN ({marks}) AND {first} ORDER BY position", *wanted)
    return [kind for (kind,) in found]


def reported(home: Path) -> list[tuple[int, str]]:
    """Every answer, and how it was given."""
    data = "json_extract(data, '$.accepted'), json_extract(data, '$.how')"
    return rows(home, f"SELECT {data} FROM events WHERE type = 'question.answered' ORDER BY position")


def verified(home: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether the run is recomputed decision by decision, and unbroken."""
    checks = (["replay", "risky", "--verify", "--strict"], ["audit", "verify"])
    return [command(capsys, *check, "--home", str(home)).code for check in checks] == [0, 0]


def test_a_yes_starts_the_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no answer is asked again; after a yes the run goes on to its end, and the answer is in the log."""
    home = tmp_path / "home"
    code, text = answered(home, "run", str(risky(tmp_path)), keys="maybe\ry\r")
    assert code == 0, text
    assert text.count("Start the tasks? [y/N] ") == 2
    assert "! forecast $0.0121 and 24 s, high risk for the ceiling" in text
    assert kinds(home) == ["question.asked", "question.answered", "task.started"]
    assert reported(home) == [(1, "person")]
    assert verified(home, capsys)


def test_anything_else_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After n, Enter, Ctrl-D, Ctrl-C, and where no person can be asked, the output says how to go on; --yes goes on."""
    home, words = tmp_path / "home", ["run", str(risky(tmp_path))]
    for keys in ("n\r", "\r", "\x04", "\x03"):
        code, text = answered(home, *words, keys=keys)
        assert code == INTERRUPTED
        assert "no task is started: the risk was not accepted" in text
        assert " ".join(text.split()).endswith(DECLINED)
        words = ["resume", "risky"]
    alone = orchestrate(home, *words)
    assert alone.code == INTERRUPTED
    assert " ".join(alone.err.split()).endswith(DECLINED)
    watched = command(capsys, "watch", "risky", "--home", str(home))
    assert watched.code == INTERRUPTED
    assert watched.err.rstrip().splitlines()[-1].startswith("start the tasks all the same with: ")
    assert kinds(home) == ["question.asked", "question.answered", "run.interrupted"] * 5
    assert rows(home, "SELECT count(*) FROM calls") == [(0,)]
    assert verified(home, capsys)
    agreed = orchestrate(home, *words, "--yes")
    assert agreed.code == 0, agreed.err
    assert reported(home) == [
        (0, "person"),
        (0, "person"),
        (0, "stopped"),
        (0, "stopped"),
        (0, "no_terminal"),
        (1, "flag"),
    ]
    assert kinds(home)[-2:] == ["question.answered", "task.started"]
    assert verified(home, capsys)


def test_killed_at_the_question_it_is_asked_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After kill -9 there is no answer: the next session asks, and what raises the ceiling makes it needless."""
    home = tmp_path / "home"
    with Terminal(home, "run", str(risky(tmp_path))) as terminal:
        terminal.wait_for(QUESTION)
    with Terminal(home, "resume", "risky") as terminal:
        terminal.wait_for(QUESTION)
    assert kinds(home) == ["question.asked"] * 2
    assert orchestrate(home, "resume", "risky", "--add-budget", "0.001").code == INTERRUPTED, "still a high risk"
    raised = orchestrate(home, "resume", "risky", "--add-budget", "0.009")
    assert raised.code == 0, raised.err
    assert reported(home) == [(0, "no_terminal")]
    assert kinds(home)[-2:] == ["budget.raised", "task.started"]
    assert verified(home, capsys)


def test_without_a_terminal_no_question_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run goes on after the warning, with the events it always had; with --yes the answer is recorded."""
    home = tmp_path / "home"
    done = orchestrate(home, "run", str(risky(tmp_path)))
    assert done.code == 0, done.err
    assert "high risk for the ceiling" in done.err
    assert kinds(home) == ["task.started"]
    assert rows(home, "SELECT json_type(data, '$.can_ask') FROM events WHERE type = 'session.opened'") == [("false",)]
    other = tmp_path / "other"
    agreed = orchestrate(other, "run", str(risky(tmp_path)), "--yes")
    assert agreed.code == 0, agreed.err
    assert reported(other) == [(1, "flag")]
    assert verified(other, capsys)
