"""Approval points through the front door: a run waits, a person answers from elsewhere, and the log proves it."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import (
    Ended,
    count,
    finish,
    orchestrate,
    rows,
    scripted_spec,
    signalled,
    start,
    wait_until,
)
from tests.e2e.terminal import Terminal

TWO = [
    {"id": "first", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]},
    {"id": "second", "type": "summarization", "prompt": "Say what x is.", "dependencies": ["first"]},
]


@contextmanager
def waiting(home: Path, spec: Path, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """A run in a process of its own that has asked something; it is ended whatever happens."""
    asked = count(home, "question.asked")
    process = start(home, "run", str(spec), *flags)
    try:
        wait_until(lambda: count(home, "question.asked") > asked, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def answered(home: Path, run: str, *words: str) -> Ended:
    """An answer that the live run has taken in."""
    ended = orchestrate(home, "answer", run, *words)
    assert ended.code == 0, ended.err
    return ended


def proven(home: Path, run: str) -> None:
    """Every decision can be computed again, and every law of the audit holds."""
    replayed = orchestrate(home, "replay", run, "--verify")
    assert replayed.code == 0, replayed.out + replayed.err
    audited = orchestrate(home, "audit", "verify", run)
    assert audited.code == 0, audited.out + audited.err


def status(home: Path, run: str) -> str:
    """How the run stands."""
    return str(orchestrate(home, "runs", "show", run, "--json").json["status"])


def test_a_plan_waits_for_a_yes_from_another_process(tmp_path: Path) -> None:
    """No task starts before it; question and answer are events; waiting is no active time."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve=["plan"], time_seconds=3, project_id="a")
    with waiting(home, spec) as process:
        shown = orchestrate(home, "answer", "a")
        assert (shown.code, shown.out.startswith("a asks: start the plan of 2 tasks")) == (0, True)
        assert "first (code_generation): Write x." in shown.err
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=4)
        assert count(home, "task.started") == 0
        assert answered(home, "a", "yes").out == "a has taken the answer\n"
        assert finish(process).code == 0
    assert rows(home, "SELECT json_extract(data, '$.how') FROM events WHERE type = 'question.answered'") == [
        ("elsewhere",)
    ]
    assert rows(home, "SELECT * FROM requests") == []
    proven(home, "a")


def test_a_no_ends_the_session_and_the_next_one_asks_again(tmp_path: Path) -> None:
    """Exit 130; nothing was started; a later yes lets the run go to its end."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, project_id="a")
    with waiting(home, spec, "--approve", "plan") as process:
        answered(home, "a", "no")
        ended = finish(process)
    assert ended.code == 130
    assert "a person said no" in ended.err
    assert orchestrate(home, "resume", "a", "--yes").code == 0
    proven(home, "a")


def test_killed_while_waiting_it_waits_on_and_takes_an_answer_from_before(tmp_path: Path) -> None:
    """After ``kill -9`` the answer is kept for the session that takes the run."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve="plan", project_id="a")
    with waiting(home, spec) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = answered(home, "a", "yes")
    assert "takes the answer once it goes on: orchestrate resume a" in kept.out
    assert count(home, "question.answered") == 0
    assert orchestrate(home, "resume", "a").code == 0
    assert count(home, "question.asked") == 1
    proven(home, "a")


def test_a_task_that_is_refused_is_left_out_with_what_waits_for_it(tmp_path: Path) -> None:
    """The others go on."""
    home = tmp_path / "home"
    tasks: list[dict[str, Any]] = [*TWO, {"id": "third", "type": "summarization", "prompt": "Say anything."}]
    spec = scripted_spec(tmp_path, tasks=tasks, approve=["tasks"], project_id="a")
    with waiting(home, spec) as process:
        answered(home, "a", "no")
        wait_until(lambda: count(home, "question.asked") == 2, process)
        answered(home, "a", "yes")
        ended = finish(process)
    assert ended.code == 1
    ends = rows(
        home,
        "SELECT json_extract(data, '$.task'), json_extract(data, '$.reason') FROM events "
        "WHERE type = 'task.finished' ORDER BY 1",
    )
    assert ends == [("first", "declined"), ("second", "dependency"), ("third", None)]
    proven(home, "a")


def test_an_amount_is_not_passed_before_a_person_agrees(tmp_path: Path) -> None:
    """At the question settled and held money is at most the amount; after a yes the run goes on beyond it."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve=[{"spend": 0.0006}], project_id="a")
    with waiting(home, spec) as process:
        run = orchestrate(home, "runs", "show", "a", "--json").json
        assert float(run["settled_usd"]) + float(run["held_usd"]) <= 0.0006
        assert "spend more than $0.0006" in orchestrate(home, "answer", "a").out
        answered(home, "a", "yes")
        assert finish(process).code == 0
    assert count(home, "question.asked") == 1
    proven(home, "a")


@pytest.mark.parametrize(
    ("words", "code", "added"),
    [(("yes",), 0, 0.0), (("yes", "--add-budget", "0.5"), 0, 0.5), (("no",), 4, None)],
)
def test_at_the_ceiling_a_person_is_asked(
    tmp_path: Path, words: tuple[str, ...], code: int, added: float | None
) -> None:
    """A yes raises it by what was asked for, or by another amount; a no ends the run as without the point."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve=[{"ceiling": True}], budget_usd=0.0008, project_id="a")
    with waiting(home, spec) as process:
        assert "raise the ceiling of $0.0008" in orchestrate(home, "answer", "a").out
        offered = float(orchestrate(home, "answer", "a", "--json").json["amount_usd"])
        assert offered >= 0.0008
        wrong = orchestrate(home, "answer", "a", "no", "--add-budget", "1")
        assert (wrong.code, count(home, "question.answered")) == (2, 0)
        answered(home, "a", *words)
        while process.poll() is None:  # where the amount does not suffice it asks once more
            orchestrate(home, "answer", "a", "yes", "--add-budget", "1")
        assert finish(process).code == code
    first = rows(home, "SELECT json_extract(data, '$.cap') FROM events WHERE type = 'question.answered' LIMIT 1")
    assert first == [(None if added is None else round((0.0008 + (added or offered)) * 10**9),)]
    proven(home, "a")


def test_a_plan_is_edited_and_asked_about_again(tmp_path: Path) -> None:
    """A person's decision, recorded; the run does what the new plan says, and nothing of the old one."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve="plan", project_id="a")
    with waiting(home, spec) as process:
        plan = orchestrate(home, "plan", "edit", "a", "--show")
        assert "- id: second" in plan.out
        other = tmp_path / "plan.yaml"
        other.write_text(plan.out.replace("id: second", "id: other").replace("Say what x is.", "Say why x is."))
        edited = orchestrate(home, "plan", "edit", "a", "--file", str(other))
        assert (edited.code, edited.out) == (0, "a has taken the plan; 2 tasks\n")
        wait_until(lambda: count(home, "question.asked") == 2, process)
        answered(home, "a", "yes")
        assert finish(process).code == 0
    assert count(home, "plan.edited") == 1
    started = rows(home, "SELECT json_extract(data, '$.task') FROM events WHERE type = 'task.started' ORDER BY version")
    assert started == [("first",), ("other",)]
    assert "Say why x is." in orchestrate(home, "explain", "a", "other", "--prompts").out
    late = orchestrate(home, "plan", "edit", "a", "--file", str(other))
    assert (late.code, "have begun" in late.err) == (2, True)
    proven(home, "a")


def test_a_plan_of_a_dead_run_is_edited_too(tmp_path: Path) -> None:
    """It is taken in when the run goes on, which asks about the new one."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve="plan", project_id="a")
    with waiting(home, spec) as process:
        process.kill()
        process.wait()
    other = tmp_path / "plan.json"
    other.write_text(json.dumps({"tasks": [{"id": "only", "type": "summarization", "prompt": "Say x."}]}))
    kept = orchestrate(home, "plan", "edit", "a", "-f", str(other))
    assert "takes the plan once it goes on" in kept.out
    early = orchestrate(home, "answer", "a", "yes")
    assert (early.code, "was changed" in early.err) == (2, True)
    process = start(home, "resume", "a")
    wait_until(lambda: count(home, "question.asked") == 2, process)
    answered(home, "a", "yes")
    assert finish(process).code == 0
    proven(home, "a")


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (
            {"tasks": [{"id": "a", "type": "summarization", "prompt": "x", "dependencies": ["b"]}]},
            "no task has the id 'b'",
        ),
        ({"tasks": []}, "the list is empty"),
        ({"project": "x", "tasks": []}, "unknown key 'project'"),
        (
            {"tasks": [{"id": "a", "type": "summarization", "prompt": "x", "hard_validators": ["nope"]}]},
            "no validator is",
        ),
        ({"tasks": [{"id": "a", "type": "summarization", "prompt": "x", "context": ["f.py"]}]}, "no file of the run's"),
    ],
)
def test_a_plan_that_is_none_is_refused_with_a_line(tmp_path: Path, plan: dict[str, Any], said: str) -> None:
    """The run waits on as it did."""
    home = tmp_path / "home"
    other = tmp_path / "plan.json"
    other.write_text(json.dumps(plan))
    with waiting(home, scripted_spec(tmp_path, tasks=TWO, approve="plan", project_id="a")) as process:
        refused = orchestrate(home, "plan", "edit", "a", "--file", str(other))
        assert (refused.code, said in refused.err) == (2, True), refused.err
        assert signalled(process, signal.SIGTERM).code == 130
    assert count(home, "plan.edited") == 0


def test_a_forecast_above_the_users_limit_is_asked_about(tmp_path: Path) -> None:
    """``ask_above_usd`` of the configuration; a run below it is not."""
    home = tmp_path / "home"
    config = tmp_path / "config.toml"
    config.write_text("ask_above_usd = 0.0001\n")
    spec = scripted_spec(tmp_path, tasks=TWO, project_id="a")
    environ = {"ORCHESTRATE_CONFIG": str(config)}
    process = start(home, "run", str(spec), environ=environ)
    wait_until(lambda: count(home, "question.asked"), process)
    assert "expected to cost" in orchestrate(home, "answer", "a").out
    answered(home, "a", "yes")
    assert finish(process).code == 0
    config.write_text("ask_above_usd = 5\n")
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="b")), environ=environ).code == 0
    assert count(home, "question.asked") == 1
    proven(home, "a")


def test_yes_agrees_to_all_but_more_money(tmp_path: Path) -> None:
    """With ``--yes`` no question waits, and the ceiling stays where it is."""
    home = tmp_path / "home"
    points = ["plan", "tasks", {"spend": 0.001}]
    spec = scripted_spec(tmp_path, tasks=TWO, approve=points, project_id="a")
    agreed = orchestrate(home, "run", str(spec), "--yes")
    assert agreed.code == 0
    assert "--yes answers: start the plan of 2 tasks" in agreed.err
    assert "waiting" not in agreed.err
    assert "orchestrate answer" not in agreed.err
    tight = scripted_spec(tmp_path, tasks=TWO, approve=["ceiling"], budget_usd=0.0008, project_id="b")
    refused = orchestrate(home, "run", str(tight), "--yes")
    assert (refused.code, "--yes does not agree to: raise the ceiling" in refused.err) == (4, True)
    proven(home, "a")
    proven(home, "b")


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (["plans"], "did you mean 'plan'"),
        ([{"spend": "much"}], "expected an amount"),
        (["spend"], "needs an amount"),
        ([3], "expected plan, tasks, ceiling or a mapping"),
        ({}, "expected plan, tasks, ceiling or a mapping"),
    ],
)
def test_points_that_are_none(tmp_path: Path, points: Any, said: str) -> None:
    """One line at the key's line, exit 2."""
    refused = orchestrate(tmp_path / "home", "spec", "validate", str(scripted_spec(tmp_path, approve=points)))
    assert (refused.code, said in refused.err) == (2, True), refused.err


def test_of_two_answers_that_wait_the_last_one_counts(tmp_path: Path) -> None:
    """A yes to a run that no process has can be taken back before it goes on."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve="plan", project_id="a")
    with waiting(home, spec):
        pass
    for word in ("yes", "no"):
        assert "once it goes on" in answered(home, "a", word).out
    assert orchestrate(home, "resume", "a").code == 130
    assert count(home, "task.started") == 0
    proven(home, "a")


def test_an_amount_on_the_command_line(tmp_path: Path) -> None:
    """``--approve spend=0.001`` asks before the amount; what is no amount is one line, exit 2."""
    home = tmp_path / "home"
    spec = str(scripted_spec(tmp_path, project_id="a"))
    for wrong in ("spend=much", "spend=", "spend=[1"):
        refused = orchestrate(home, "run", spec, "--approve", wrong)
        assert (refused.code, "--approve" in refused.err) == (2, True), refused.err
    agreed = orchestrate(home, "run", spec, "--approve", "spend=0.0001", "--yes")
    assert agreed.code == 0, agreed.err
    assert "spend more than $0.0001?" in agreed.err


def test_a_run_that_asks_nothing(tmp_path: Path) -> None:
    """One line, exit 2."""
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="a"))).code == 0
    refused = orchestrate(home, "answer", "a", "yes")
    assert (refused.code, refused.out) == (2, "")
    assert "a has ended" in refused.err
    assert orchestrate(home, "answer", "nope", "yes").code == 2


def test_at_a_terminal_the_person_there_is_asked(tmp_path: Path) -> None:
    """The plan is shown, Enter is a no; and what another process answers first counts."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, approve="plan", project_id="a")
    with Terminal(home, "run", str(spec)) as terminal:
        terminal.wait_for(r"second \(summarization, after first\): Say what x is\.")
        terminal.wait_for(r"Start the plan of 2 tasks.*\[y/N\]")
        assert "waiting for a person" not in terminal.text  # it is asked once
        terminal.type("\n")
        assert terminal.wait() == 130
    with Terminal(home, "resume", "a") as terminal:
        terminal.wait_for(r"\[y/N\]")
        answered(home, "a", "yes")
        assert terminal.wait() == 0
    with Terminal(home, "run", str(spec), "--project-id", "b") as terminal:
        terminal.wait_for(r"\[y/N\]")
        terminal.type("y\n")
        assert terminal.wait() == 0
    proven(home, "a")
    proven(home, "b")
