import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import clean_environment, orchestrate, scripted_spec, start
from tests.cli.conftest import Finished

HEAVY = (
    *("httpx", "structlog", "sqlite_utils", "sqlite3", "rich", "hypothesis", "attr", "attrs", "cattrs", "pluggy"),
    *("ruamel", "asyncio", "orchestrator_providers", "orchestrator_validators", "orchestrator_backends"),
)


def test_the_help_imports_next_to_nothing(tmp_path: Path) -> None:
    """`orchestrate --help` imports click and its own few modules: no library of a command, and no plugin.

    The first time after something was installed it reads the installed distributions, and imports no plugin either.
    """
    first, second = imported_by_help(tmp_path), imported_by_help(tmp_path)
    for imported in (first, second):
        assert "click" in imported
        assert not any(name.startswith("orchestrator_") for name in imported)
    assert {name.partition(".")[0] for name in second}.isdisjoint(HEAVY)


def imported_by_help(home: Path) -> set[str]:
    """The modules that a process imports for the help, which lists the commands."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchestrator", "--help"],
        env=clean_environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    for command in ("run", "resume", "runs", "replay", "log", "audit", "spec", "plugins", "report"):
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_without_anything_to_do_the_help_goes_to_stderr(tmp_path: Path) -> None:
    """The bare command is bad usage: help on stderr, nothing on stdout, exit code 2."""
    done = orchestrate(tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Usage: orchestrate" in done.err


BAD = {
    "an unknown command": (["rnu"], 2, "there is no command 'rnu'; did you mean 'run'?"),
    "an unknown option": (["run", "x.json", "--bugdet", "1"], 2, "--budget"),
    "a missing argument": (["run"], 2, "Missing argument 'SPEC'"),
    "no money": (["run", "x.json", "--budget", "0"], 2, "--budget"),
    "less than no money": (["run", "x.json", "--budget", "-1"], 2, "an amount may not be negative: -1"),
    "less than no money to plan with": (["plan", "x.json", "--budget", "-1"], 2, "an amount may not be negative: -1"),
    "less than no money for a pool": (["pool", "x", "y", "--budget", "-1"], 2, "an amount may not be negative: -1"),
    "less than no money for an application": (["build", "x", "-o", "x", "-b", "-1"], 2, "may not be negative: -1"),
    "less than no money for a project": (["-p", "x", "-b", "-1"], 2, "an amount may not be negative: -1"),
    "less than no money for other rules": (["whatif", "x", "--budget", "-1"], 2, "may not be negative: -1"),
    "money taken away": (["resume", "x", "--add-budget", "-5"], 2, "an amount may not be negative: -5"),
    "time taken away": (["resume", "x", "--add-time", "-1"], 2, "a time may not be negative: -1"),
    "less than no time": (["run", "x.json", "--time", "-0.5"], 2, "a time may not be negative: -0.5"),
    "time that is no number": (["run", "x.json", "--time", "nan"], 2, "'nan' is no number of seconds"),
    "endless time": (["run", "x.json", "--time", "1e9"], 2, "at most 100000000"),
    "no amount": (["run", "x.json", "--budget", "much"], 2, "'much' is not an amount of money"),
    "no time": (["run", "x.json", "--time", "0"], 2, "--time"),
    "no such spec": (["run", "x.json"], 2, "x.json:1: the file cannot be read"),
    "no such run": (["resume", "x"], 2, "there is no run 'x'"),
    "no log": (["runs", "show", "x"], 2, "there is no run 'x' in"),
    "no log to verify": (["audit", "verify"], 2, "--home"),
    "strict without verify": (["replay", "x", "--strict"], 2, "--strict belongs to --verify"),
    "two things to do": (["--project", "x", "--resume", "y"], 2, "exclude each other"),
    "criteria of nothing": (["--resume", "y", "--criteria", "c"], 2, "--criteria belongs to --project"),
    "new limits for an old run": (["--resume", "y", "--budget", "3"], 2, "--add-budget"),
    "flags before a command": (["--budget", "3", "run", "x.json"], 2, "after the command"),
    "no provider": (["-p", "x", "-c", "y"], 3, "OPENAI_COMPATIBLE_BASE_URL"),
    "no provider, and a way out": (["-p", "x", "-c", "y"], 3, "orchestrate demo"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_are_one_line_with_a_fixed_code(tmp_path: Path, case: str) -> None:
    """What cannot be done is said in one line on stderr that names the way on, with the code of its kind."""
    arguments, code, said = BAD[case]
    done = orchestrate(tmp_path, *arguments)
    assert done.code == code, done.err
    assert done.out == ""
    assert said in done.err
    (line,) = done.err.splitlines()
    assert line.startswith("orchestrate: ")


def test_every_problem_of_a_spec_is_a_line(tmp_path: Path) -> None:
    """All problems of a spec are told, each with its file and line."""
    spec = scripted_spec(tmp_path, budgetusd=3, concurrency=0)
    done = orchestrate(tmp_path, "run", str(spec))
    assert done.code == 2
    assert len(done.err.splitlines()) == 2
    assert all(line.startswith(f"orchestrate: {spec}:1: ") for line in done.err.splitlines())
    assert "did you mean 'budget_usd'" in done.err


def test_a_run_that_cannot_start_leaves_no_trace(tmp_path: Path) -> None:
    """A spec that asks for a plugin that is not installed starts no run."""
    spec = scripted_spec(tmp_path, providers={"scriptd": {}})
    done = orchestrate(tmp_path / "home", "run", str(spec))
    assert done.code == 2
    assert "did you mean 'scripted'" in done.err
    assert orchestrate(tmp_path / "home", "runs", "list", "--json").json == []


def test_a_reader_that_goes_away_is_no_error(finished: Finished) -> None:
    """When the reader of stdout has gone a command ends quietly."""
    process = start(finished.home, "log", "show", finished.run)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert said == ""


def test_a_full_stdout_is_told(finished: Finished) -> None:
    """When stdout cannot be written the command says so and fails."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "runs", "list"],
            env=clean_environment(finished.home),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr.splitlines() == ["orchestrate: stdout: No space left on device"]


@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_the_data_folder_is_accepted_anywhere(finished: Finished, tmp_path: Path, place: str) -> None:
    """--home may stand before the command, before its sub-command and after it."""
    words = {
        "before": ["--home", str(finished.home), "runs", "list", "--json"],
        "between": ["runs", "--home", str(finished.home), "list", "--json"],
        "after": ["runs", "list", "--json", "--home", str(finished.home)],
    }[place]
    assert [run["run_id"] for run in orchestrate(tmp_path, *words).json] == [finished.run]
