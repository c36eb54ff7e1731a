"""``run`` with several specs: one process, runs side by side, one table, the exit code of the worst."""

import json
import signal
from pathlib import Path

from tests.cli.command import count, orchestrate, rows, scripted_spec, signalled, start, wait_until
from tests.fleet.test_submit import status


def test_several_specs_run_in_one_process(tmp_path: Path) -> None:
    """Each has a folder below the one that is named, and a row of the table."""
    names = [str(scripted_spec(tmp_path, name=f"{name}.json", project_id=name)) for name in ("a", "b", "c")]
    home = tmp_path / "home"
    done = orchestrate(home, "run", *names, "--jobs", "2", "-o", str(tmp_path / "out"))
    assert done.code == 0, done.err
    assert [line.split()[:3] for line in done.lines[1:]] == [[run, run, "SUCCESS"] for run in "abc"]
    assert {path.parent.name for path in (tmp_path / "out").glob("*/summary.json")} == {"a", "b", "c"}
    assert orchestrate(home, "audit", "verify").code == 0


def test_the_worst_decides_and_the_others_end(tmp_path: Path) -> None:
    """One has no money, one wants a model that there is not: both are said, and the third is a success."""
    poor = scripted_spec(tmp_path, name="poor.json", project_id="poor", budget_usd=0.0005, loop="reviewed")
    wrong = scripted_spec(tmp_path, name="wrong.json", routing={"table": {"code_generation": ["nope"]}})
    good = scripted_spec(tmp_path, name="good.json", project_id="good")
    home = tmp_path / "home"
    done = orchestrate(home, "run", str(poor), str(wrong), str(good))
    assert done.code == 2, done.err
    assert "orchestrate: wrong: " in done.err
    assert "nope" in done.err
    assert (status(home, "poor"), status(home, "good")) == ("BUDGET_EXHAUSTED", "SUCCESS")
    assert orchestrate(home, "run", str(poor), str(good)).code == 4


def test_the_stream_of_events_says_whose_they_are(tmp_path: Path) -> None:
    """With --json every line has the run's id, the last ones how each run stands."""
    names = [str(scripted_spec(tmp_path, name=f"{name}.json", project_id=name)) for name in ("a", "b")]
    home = tmp_path / "home"
    lines = [json.loads(line) for line in orchestrate(home, "run", *names, "--json").lines]
    assert [(each["run_id"], each["status"]) for each in lines if each["type"] == "done"] == [
        ("a", "SUCCESS"),
        ("b", "SUCCESS"),
    ]
    for run in ("a", "b"):
        versions = [each["version"] for each in lines if each["run_id"] == run and each["type"] != "done"]
        assert versions == list(range(1, rows(home, "SELECT count(*) FROM events WHERE stream = ?", run)[0][0] + 1))


def test_a_run_that_another_process_has_is_waited_for(tmp_path: Path) -> None:
    """The same run twice: the second waits for the first, and then has nothing to do."""
    same = str(scripted_spec(tmp_path, project_id="same"))
    home = tmp_path / "home"
    done = orchestrate(home, "run", same, same)
    assert done.code == 0, done.err
    assert rows(home, "SELECT count(*) FROM events WHERE type = 'session.opened'") == [(1,)]


def test_a_signal_ends_all_of_them(tmp_path: Path) -> None:
    """Both can be resumed."""
    names = [str(scripted_spec(tmp_path, name=f"{name}.json", project_id=name, delay_ms=60_000)) for name in "ab"]
    home = tmp_path / "home"
    process = start(home, "run", *names)
    wait_until(lambda: count(home, "call.started") >= 2, process)
    done = signalled(process, signal.SIGINT)
    assert done.code == 130, done.err
    assert {status(home, run) for run in "ab"} == {"interrupted"}


def test_options_for_one_run_are_refused(tmp_path: Path) -> None:
    """One line, and nothing is begun."""
    names = [str(scripted_spec(tmp_path, name=f"{name}.json")) for name in "ab"]
    for option in (("--project-id", "x"), ("--junit", "x.xml"), ("--github",)):
        done = orchestrate(tmp_path / "home", "run", *names, *option)
        assert done.code == 2
        assert f"{option[0]} is for one run" in done.err
    assert orchestrate(tmp_path / "home", "runs", "list", "--json").json == []
