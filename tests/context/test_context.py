"""``context:`` and ``--context``: the user's files in the log, in the plan, in prompts and beside what is checked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.money import Usd
from tests.cli.command import (
    clean_environment,
    count,
    orchestrate,
    rows,
    scripted_spec,
    start,
    wait_until,
)
from tests.scripted import orchestrator, run

PLAN: dict[str, Any] = {
    "tasks": [
        {
            "file": "report.py",
            "prompt": "report(rows): the mean of the rows, by calling mean of stats",
            "needs": [],
            "context": ["src/stats.py"],
        },
        {"file": "notes.md", "prompt": "a page that says what the report is for", "needs": [], "context": []},
    ]
}


def _project(folder: Path) -> Path:
    """A folder of the user's with code, a text, and what nobody wants to give."""
    src = folder / "src"
    src.mkdir(parents=True)
    (src / "stats.py").write_text('"""Statistics of rows."""\n\n\ndef mean(rows):\n    return sum(rows) / len(rows)\n')
    (src / "rows.csv").write_text("a,b\n1,2\n")
    (src / "picture.png").write_bytes(b"\x89PNG\0\0")
    (src / ".env").write_text("KEY=not-for-models-0123456789\n")
    (src / "built.log").write_text("IGNORED TEXT\n")
    (src / ".gitignore").write_text("*.log\n")
    return src


def _spec(folder: Path, **more: Any) -> Path:
    """A spec without tasks whose planner answers with ``PLAN``."""
    answers = [{"role": "decomposer", "text": json.dumps(PLAN)}, *more.pop("answers", [])]
    path = scripted_spec(folder, answers=answers, project_id="mine", **more)
    spec = json.loads(path.read_text())
    del spec["tasks"]
    path.write_text(json.dumps(spec))
    return path


def _prompts(home: Path, task: str) -> str:
    shown = orchestrate(home, "explain", "mine", task, "--prompts")
    assert shown.code == 0, shown.err
    return shown.out


def _proven(home: Path, run: str = "mine") -> None:
    """The log of a run proves itself, and every decision of it can be computed again."""
    assert orchestrate(home, "replay", run, "--verify").code == 0
    assert orchestrate(home, "audit", "verify", run).code == 0


def test_a_planner_names_the_files_that_each_task_is_shown(tmp_path: Path) -> None:
    """It sees the map; each task's prompts quote just what it was given; what was left out is said."""
    home = tmp_path / "home"
    _project(tmp_path)
    ended = orchestrate(home, "run", str(_spec(tmp_path, context=["src"])))
    assert ended.code == 0, ended.err
    assert "context: 3 files" in ended.err
    assert "src/picture.png is left out: no text in UTF-8" in ended.err
    assert "src/.env is left out: it may hold keys" in ended.err
    plan, report, notes = (_prompts(home, each) for each in ("plan", "task_001", "task_002"))
    assert 'src/stats.py (6 lines): """Statistics of rows.""" | def mean(rows)' in plan
    assert "IGNORED" not in plan + report
    assert "=== BEGIN FILE src/stats.py " in report
    assert "return sum(rows) / len(rows)" in report
    assert "rows.csv" not in report
    assert "BEGIN FILE" not in notes
    assert "not-for-models" not in plan + report + notes
    _proven(home)


def test_a_forecast_refuses_the_files_that_a_run_would_refuse(tmp_path: Path) -> None:
    """``plan`` names a file that is missing or binary, and exits with 2, as ``run`` does."""
    src = _project(tmp_path)
    spec = str(scripted_spec(tmp_path / "spec"))
    for wrong, said in ((src / "absent", "there is no such file"), (src / "picture.png", "no text in UTF-8")):
        planned = orchestrate(tmp_path / "home", "plan", spec, "--context", str(wrong))
        assert (planned.code, said in planned.err) == (2, True), planned.err
    assert orchestrate(tmp_path / "home", "plan", spec, "--context", str(src)).code == 0


@pytest.mark.parametrize("is_flag", [True, False])
def test_a_forecast_counts_the_files_that_are_quoted(tmp_path: Path, is_flag: bool) -> None:
    """By flag and by spec; it is what a run records as its own; a task that is shown none costs what it did."""
    home = tmp_path / "home"
    (tmp_path / "notes.md").write_text("word " * 7000)
    (tmp_path / "long.md").write_text("word " * 90_000)
    tasks = [{"id": each, "type": "summarization", "prompt": "Say what there is."} for each in ("all", "none")]
    without = str(scripted_spec(tmp_path / "without", tasks=tasks))
    tasks[1]["context"] = []  # type: ignore[assignment]
    given: dict[str, Any] = {} if is_flag else {"context": ["notes.md", "long.md"]}
    spec = str(scripted_spec(tmp_path, tasks=tasks, project_id="mine", **given))
    flags = ("--context", str(tmp_path / "notes.md"), "--context", str(tmp_path / "long.md")) if is_flag else ()
    before, planned = (orchestrate(home, "plan", *words, "--json").json for words in ((without,), (spec, *flags)))
    assert orchestrate(home, "run", spec, *flags, "-q").code == 0
    [made] = rows(home, "SELECT data FROM events WHERE type = 'forecast.made'")
    recorded = json.loads(made[0])
    assert planned["forecast"]["tokens"] == recorded["tokens"] > before["forecast"]["tokens"] + 4 * 120_000 // 4
    assert Usd.parse(planned["forecast"]["expected_usd"]).nano == recorded["expected"]
    holds = [{each["task"]: each["iteration_hold_usd"] for each in plan["tasks"]} for plan in (before, planned)]
    assert holds[1]["none"] == holds[0]["none"]
    assert Usd.parse(holds[1]["all"]) > Usd.parse(holds[0]["all"])
    plays = [orchestrate(home, "plan", spec, *words, "--simulate", "20", "--json").json for words in (flags, ())]
    costs = [Usd.parse(each["simulated"]["cost_usd"]["p50"]) for each in plays]
    assert costs[0] > costs[1] if is_flag else costs[0] == costs[1]


def test_files_in_a_spec_with_tasks_are_theirs_by_name_or_all(tmp_path: Path) -> None:
    """A task that names files is shown those, one that names none all of the spec's own, an empty list none."""
    _project(tmp_path)
    tasks: list[dict[str, Any]] = [
        {"id": "all", "type": "summarization", "prompt": "Say what there is."},
        {"id": "one", "type": "summarization", "prompt": "Say what it is.", "context": "src/*.csv"},
        {"id": "none", "type": "summarization", "prompt": "Say nothing.", "context": []},
    ]
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=tasks, context=["src/stats.py"], project_id="mine")
    assert orchestrate(home, "run", str(spec)).code == 0
    every, one, none = (_prompts(home, each) for each in ("all", "one", "none"))
    assert ("BEGIN FILE src/stats.py" in every, "BEGIN FILE src/rows.csv" in every) == (True, False)
    assert ("BEGIN FILE src/stats.py" in one, "BEGIN FILE src/rows.csv" in one) == (False, True)
    assert "BEGIN FILE" not in none


def test_a_check_has_the_files_beside_the_candidate(tmp_path: Path) -> None:
    """The tests of a task import the user's own module together with the result; without it they would fail."""
    (tmp_path / "stats.py").write_text("def mean(rows):\n    return sum(rows) / len(rows)\n")
    code = "```python\nfrom stats import mean\n\n\ndef report(rows):\n    return f'{mean(rows):.1f}'\n```"
    task = {
        "id": "report",
        "type": "code_generation",
        "prompt": "report(rows): the mean as a text, by stats.mean",
        "hard_validators": ["pytest"],
        "tests": "from report import report\n\n\ndef test_it():\n    assert report([1, 2]) == '1.5'\n",
    }
    answers = [{"role": "generator", "text": code}, {"role": "reviser", "text": code}]
    home = tmp_path / "home"
    for given, code_of in ((["stats.py"], 0), ([], 1)):
        spec = scripted_spec(
            tmp_path,
            tasks=[{**task, "context": given}],
            answers=answers,
            context=["stats.py"],
            project_id=f"n{code_of}",
        )
        ended = orchestrate(home, "run", str(spec))
        assert ended.code == code_of, ended.err
        _proven(home, f"n{code_of}")


def test_resume_and_replay_use_the_recorded_texts(tmp_path: Path) -> None:
    """After ``kill -9`` the files are gone from the disk, and the run goes on with what it had."""
    home, src = tmp_path / "home", _project(tmp_path)
    slow = [{"role": "generator", "text": "```python\nx = 1\n```", "delay_ms": 60_000}]
    process = start(home, "run", str(_spec(tmp_path, context=["src"], answers=slow)), "-q")
    wait_until(lambda: count(home, "task.started"), process)
    process.kill()
    process.communicate()
    for each in src.iterdir():
        each.unlink()
    src.rmdir()
    _spec(tmp_path, context=["src"])  # its answers come at once now
    resumed = orchestrate(home, "resume", "mine")
    assert resumed.code == 0, resumed.err
    assert "return sum(rows) / len(rows)" in _prompts(home, "task_001")
    _proven(home)


def test_flags_name_files_from_the_working_folder_and_stdin(tmp_path: Path) -> None:
    """Files, folders, patterns and ``-`` are taken together, each once."""
    home, work = tmp_path / "home", tmp_path / "work"
    _project(work)
    spec = scripted_spec(tmp_path / "specs", project_id="mine")
    flags = ["--context", "src/stats.py", "--context", "src/**/*.csv", "--context", "src", "--context", "-"]
    process = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", str(spec), *flags],
        cwd=work,
        env=clean_environment(home),
        input="What I saw.",
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "context: 4 files" in process.stderr
    prompts = _prompts(home, "only")
    for name in ("src/stats.py", "src/rows.csv", "src/.gitignore", "stdin.txt"):
        assert prompts.count(f"BEGIN FILE {name} ") >= 1, name
    assert "What I saw." in prompts


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("nothing.txt", "context[0]: nothing.txt: there is no such file or folder"),
        ("*.nothing", "context[0]: *.nothing: no file is like that"),
        ("picture.png", "context: picture.png: no text in UTF-8; only texts can be given"),
        ("empty", "context: no file can be taken"),
    ],
)
def test_what_cannot_be_taken_is_said_before_anything_is_recorded(tmp_path: Path, named: str, said: str) -> None:
    """One line and exit 2; no run began."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0")
    home = tmp_path / "home"
    ended = orchestrate(home, "run", str(scripted_spec(tmp_path, context=named)))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert count(home, "run.started") == 0


def test_reading_outside_of_the_specs_folder_needs_the_users_word(tmp_path: Path) -> None:
    """A spec may not read elsewhere by itself; a grant or the user's own flag lets it, and a resume needs no other."""
    home, outside = tmp_path / "home", tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "plan.txt").write_text("A plan.")
    spec = scripted_spec(tmp_path / "specs", context="../elsewhere/*.txt", project_id="mine", budget_usd=0.0001)
    refused = orchestrate(home, "run", str(spec))
    assert refused.code == 2
    assert f"read={outside}" in refused.err
    granted = orchestrate(home, "run", str(spec), "--allow", f"read={outside}")
    assert granted.code == 4, granted.err
    (outside / "plan.txt").unlink()
    resumed = orchestrate(home, "resume", "mine", "--add-budget", "1")
    assert resumed.code == 0, resumed.err
    assert "BEGIN FILE elsewhere/plan.txt" in _prompts(home, "only")
    (outside / "plan.txt").write_text("A plan.")
    plain = scripted_spec(tmp_path / "specs", project_id="flagged")
    own = orchestrate(home, "run", str(plain), "--context", str(outside), cwd=tmp_path)
    assert own.code == 0, own.err


def test_a_link_in_a_folder_leads_nowhere(tmp_path: Path) -> None:
    """A folder that is given holds a link out of it: it is left out, and said."""
    (tmp_path / "secret.txt").write_text("A SECRET TEXT")
    given = tmp_path / "specs" / "given"
    given.mkdir(parents=True)
    (given / "fine.txt").write_text("Fine.")
    (given / "link.txt").symlink_to(tmp_path / "secret.txt")
    home = tmp_path / "home"
    ended = orchestrate(home, "run", str(scripted_spec(tmp_path / "specs", context=["given"], project_id="mine")))
    assert "given/link.txt is left out: a link" in ended.err
    assert "A SECRET TEXT" not in _prompts(home, "only")


def test_a_link_that_is_called_like_a_pattern_is_one(tmp_path: Path) -> None:
    """A spec beside which such a link lies does not read what it leads to."""
    (tmp_path / "secret.txt").write_text("A SECRET TEXT")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "[a].txt").symlink_to(tmp_path / "secret.txt")
    refused = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path / "specs", context="[a].txt")))
    assert (refused.code, f"read={tmp_path / 'secret.txt'}" in refused.err) == (2, True), refused.err


def test_three_hundred_files_of_twenty_megabytes(tmp_path: Path) -> None:
    """They are bounded in sum, and one by one in prompts; what was left out is said, and all is proven."""
    given = tmp_path / "given"
    given.mkdir()
    line = "value = 'a line of text that is as long as others'\n"
    for number in range(300):
        (given / f"part_{number:03d}.py").write_text(f"def part_{number}():\n    pass\n\n\n{line * 1330}")
    assert sum(each.stat().st_size for each in given.iterdir()) > 20_000_000
    home = tmp_path / "home"
    plan = {"tasks": [{**PLAN["tasks"][0], "context": ["part_007.py", "given/part_008.py", "nothing.py"]}]}
    spec = _spec(tmp_path, context=["given"], answers=[{"role": "decomposer", "text": json.dumps(plan)}])
    ended = orchestrate(home, "run", str(spec))
    assert ended.code == 0, ended.err
    kept = rows(home, "SELECT json_array_length(data, '$.context.files') FROM events WHERE type = 'run.started'")[0][0]
    assert 200 < kept < 300
    assert "all files together may have 16 MB" in ended.err
    assert "is no file of the context" in ended.err
    assert "2 of its files are too long to be shown to a model whole" in ended.err
    planned = _prompts(home, "plan")
    assert len(planned) < 100_000
    assert "given/part_000.py" in planned
    report = _prompts(home, "task_001")
    assert ("FILE given/part_007.py" in report, "FILE given/part_009.py" in report) == (True, False)
    _proven(home)


def test_the_python_api_takes_files(tmp_path: Path) -> None:
    """As a key like any other; stdin is the command line's alone."""
    (tmp_path / "notes.txt").write_text("A note.")
    state = run(orchestrator(tmp_path, context=[str(tmp_path / "notes.txt")]))
    assert state.status.value == "SUCCESS"
    with pytest.raises(Exception, match="it is read by the command line alone"):
        run(orchestrator(tmp_path, context=["-"]))
