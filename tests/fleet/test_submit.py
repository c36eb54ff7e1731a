"""A submitted run is its first event alone; a worker plays it, wherever it is."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.command import Ended, orchestrate, rows, scripted_spec
from tests.cli.test_reading import tamper

IDLE = ("worker", "--until-idle")


def kinds(home: Path, run: str) -> list[str]:
    """The stored types of a run's events."""
    return [kind for (kind,) in rows(home, "SELECT type FROM events WHERE stream = ? ORDER BY version", run)]


def status(home: Path, run: str) -> str:
    """How a run stands, as the list of runs says."""
    found = orchestrate(home, "runs", "list", "--json").json
    return next(str(each["status"]) for each in found if each["run_id"] == run)


def test_a_submitted_run_is_its_first_event_alone(tmp_path: Path) -> None:
    """Nothing is called; the id is printed, the status says that no process has had it."""
    spec = scripted_spec(tmp_path, project_id="one")
    home = tmp_path / "home"
    done = orchestrate(home, "submit", str(spec))
    assert (done.code, done.lines) == (0, ["one"]), done.err
    assert kinds(home, "one") == ["run.started"]
    assert status(home, "one") == "submitted"


def test_several_specs_are_submitted_and_played(tmp_path: Path) -> None:
    """One line each; with --json a document. A worker plays all of them, and ends when none is left."""
    specs = [str(scripted_spec(tmp_path, name=f"{name}.json", project_id=name)) for name in ("a", "b", "c")]
    home = tmp_path / "home"
    done = orchestrate(home, "submit", *specs, "--json")
    assert [(each["run_id"], each["new"]) for each in done.json] == [("a", True), ("b", True), ("c", True)]
    worked = orchestrate(home, *IDLE, "--jobs", "2")
    assert worked.code == 0, worked.err
    assert {status(home, run) for run in "abc"} == {"SUCCESS"}
    assert orchestrate(home, "audit", "verify").code == 0


def test_results_come_from_the_log_alone(tmp_path: Path) -> None:
    """The spec, its answers and the files it names are gone before a worker looks; the results are all there."""
    folder = tmp_path / "project"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "a.md").write_text("The number is seven.")
    spec = scripted_spec(
        folder,
        project_id="moved",
        context=["notes"],
        output_dir="out",
        verify_cmd="test -f task_001_code_generation.py",
    )
    home = tmp_path / "home"
    done = orchestrate(home, "submit", str(spec), cwd=folder)
    assert done.code == 0, done.err
    shutil.rmtree(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    worked = orchestrate(home, *IDLE, cwd=elsewhere)
    assert status(home, "moved") in ("SUCCESS", "PARTIAL_SUCCESS"), worked.err
    assert list(elsewhere.iterdir()) == []
    assert orchestrate(home, "runs", "export", "moved", "-o", "results", cwd=elsewhere).code == 0
    assert [path.name for path in (elsewhere / "results").glob("*.py")] == ["task_001_code_generation.py"]
    verdict = "SELECT json_extract(data, '$.verdict') FROM events WHERE type = 'result.verified'"
    assert rows(home, verdict) == [("passed",)]


def test_no_folder_of_the_machine_is_recorded(tmp_path: Path) -> None:
    """What is below the working folder is recorded from there; what is not, is left out."""
    from orchestrator.engine.runs import Engine

    folder = tmp_path / "project"
    spec = scripted_spec(folder / "specs", project_id="here", output_dir="out")
    assert orchestrate(tmp_path / "home", "submit", str(spec), cwd=folder).code == 0
    outside = scripted_spec(tmp_path / "other", project_id="there")
    assert orchestrate(tmp_path / "home", "submit", str(outside), cwd=folder).code == 0
    engine = Engine.open(tmp_path / "home")
    try:
        places = [json.loads(engine.place(run).text()) for run in ("here", "there")]
    finally:
        engine.close()
    assert places[0] == {"folder": "specs", "output": "out", "spec": "specs/spec.json"}
    assert places[1] == {"folder": ".", "output": None, "spec": "spec.json"}


def test_the_same_id_again(tmp_path: Path) -> None:
    """The same spec is the same run; another one is refused with the difference, or begins a new run."""
    spec = str(scripted_spec(tmp_path, project_id="one"))
    home = tmp_path / "home"
    assert orchestrate(home, "submit", spec).code == 0
    again = orchestrate(home, "submit", spec, "--json")
    assert again.json == [{"run_id": "one", "new": False}]
    changed = orchestrate(home, "submit", spec, "--budget", "2")
    assert changed.code == 2
    assert "budget_usd" in changed.err
    anew = orchestrate(home, "submit", spec, "--budget", "2", "--new-project")
    assert (anew.code, anew.lines) == (0, ["one-2"])


def test_a_bad_spec_among_good_ones_loses_nothing(tmp_path: Path) -> None:
    """All are read before the first is written."""
    good = scripted_spec(tmp_path, project_id="good")
    bad = tmp_path / "bad.json"
    bad.write_text('{"project": 3}')
    done = orchestrate(tmp_path / "home", "submit", str(good), str(bad))
    assert done.code == 2
    assert "bad.json" in done.err
    assert orchestrate(tmp_path / "home", "runs", "list", "--json").json == []


def test_what_was_submitted_before_an_error_is_named(tmp_path: Path) -> None:
    """It is in the log, and workers play it: a second submit would repeat it."""
    home = tmp_path / "home"
    taken = str(scripted_spec(tmp_path, name="taken.json", project_id="taken"))
    assert orchestrate(home, "submit", taken).code == 0
    names = [str(scripted_spec(tmp_path, name=f"{name}.json", project_id=name)) for name in ("one", "two")]
    done = orchestrate(home, "submit", names[0], taken, names[1], "--budget", "2")
    assert (done.code, done.lines) == (2, ["one"])
    assert "run taken exists with another spec" in done.err
    names = [str(scripted_spec(tmp_path, name=f"{name}.json", project_id=name)) for name in ("three", "four")]
    as_json = orchestrate(home, "submit", names[0], taken, names[1], "--budget", "2", "--json")
    assert (as_json.code, as_json.json) == (2, [{"run_id": "three", "new": True}])


def test_a_run_without_a_key_is_submitted_and_left(tmp_path: Path) -> None:
    """Who submits needs no key; a worker without one says once why it leaves the run."""
    spec = scripted_spec(tmp_path, providers={"openai": {}}, project_id="keyless")
    home = tmp_path / "home"
    done = orchestrate(home, "submit", str(spec))
    assert done.code == 0, done.err
    worked = orchestrate(home, *IDLE)
    assert worked.code == 0
    assert worked.err.count("left keyless") == 1
    assert "OPENAI_API_KEY" in worked.err
    assert kinds(home, "keyless") == ["run.started"]


def test_a_damaged_run_harms_no_other(tmp_path: Path) -> None:
    """It is left with what is wrong with it, though it is the oldest; the other one is played."""
    specs = [str(scripted_spec(tmp_path, name=f"{name}.json", project_id=name)) for name in ("bad", "good")]
    home = tmp_path / "home"
    assert orchestrate(home, "submit", *specs).code == 0
    tamper(home, "UPDATE events SET at = at + 1 WHERE stream = 'bad'")
    worked = left(home)
    assert "left bad (bad is damaged" in worked.err
    assert status(home, "good") == "SUCCESS"


def left(home: Path, *arguments: str, **environ: str) -> Ended:
    """A worker that finds one run it does not take."""
    worked = orchestrate(home, *IDLE, *arguments, environ=environ)
    assert worked.code == 0, worked.err
    return worked


def test_grants_hold_only_where_the_workers_configuration_agrees(tmp_path: Path) -> None:
    """What its user agreed to is in the log; the worker's own word is asked for, too."""
    spec = scripted_spec(tmp_path, project_id="open", validators={"sandbox": "none"})
    home = tmp_path / "home"
    assert orchestrate(home, "submit", str(spec)).code == 2
    assert orchestrate(home, "submit", str(spec), "--allow", "sandbox=none").code == 0
    grants = "SELECT json_extract(data, '$.grants[0].kind'), json_extract(data, '$.grants[0].by') FROM events"
    assert rows(home, f"{grants} WHERE type = 'run.started'") == [("sandbox", "flag")]
    assert "--allow sandbox=none" in left(home).err
    assert kinds(home, "open") == ["run.started"]
    (tmp_path / "config.toml").write_text('allow = ["sandbox=none"]\n')
    left(home, ORCHESTRATE_CONFIG=str(tmp_path / "config.toml"))
    assert status(home, "open") == "SUCCESS"


def test_a_ceiling_of_the_worker_binds(tmp_path: Path) -> None:
    """A budget that was nobody's question where it was submitted may be too much for who plays it."""
    spec = scripted_spec(tmp_path, project_id="dear", budget_usd=9)
    home = tmp_path / "home"
    assert orchestrate(home, "submit", str(spec)).code == 0
    (tmp_path / "config.toml").write_text("ceiling_usd = 5\n")
    worked = left(home, ORCHESTRATE_CONFIG=str(tmp_path / "config.toml"))
    assert "--allow budget=9.000000000" in worked.err
    assert kinds(home, "dear") == ["run.started"]


def test_a_plugin_that_is_not_here_keeps_a_run_from_being_taken(tmp_path: Path) -> None:
    """A validator of the plan that the worker lacks: the run is left with its name."""
    spec = scripted_spec(tmp_path, project_id="checked")
    home = tmp_path / "home"
    assert orchestrate(home, "submit", str(spec)).code == 0
    worked = left(home, "--disable", "python_syntax")
    assert "python_syntax" in worked.err
    assert kinds(home, "checked") == ["run.started"]


@pytest.mark.parametrize(("level", "is_left"), [("bwrap", True), (None, False)])
def test_a_sandbox_that_does_not_hold_here_keeps_a_run_away(tmp_path: Path, level: str | None, is_left: bool) -> None:
    """Where the spec wants bubblewrap and there is none, the run is left; one that wants none in particular is not."""
    spec = scripted_spec(tmp_path, project_id="boxed", validators={"sandbox": level or "auto"})
    home = tmp_path / "home"
    assert orchestrate(home, "submit", str(spec)).code == 0
    worked = left(home, PATH=str(tmp_path))
    assert ("no sandbox holds" in worked.err) is is_left
    assert status(home, "boxed") == ("submitted" if is_left else "SUCCESS")


def test_what_a_person_stopped_is_left_alone(tmp_path: Path) -> None:
    """A run that was interrupted, or has no yes to its plan, is no worker's."""
    spec = scripted_spec(tmp_path, project_id="mine", approve=["plan"])
    home = tmp_path / "home"
    assert orchestrate(home, "submit", str(spec)).code == 0
    waiting = left(home)
    assert "claimed mine" in waiting.err
    assert "released mine" in waiting.err
    assert orchestrate(home, "answer", "mine", "no").code == 0
    assert "claimed mine" in left(home).err
    assert "claimed" not in left(home).err
    assert status(home, "mine") == "interrupted"
