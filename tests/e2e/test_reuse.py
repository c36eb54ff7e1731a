"""The response cache through the front doors: a second run of the same spec asks for nothing that is known."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Budget, DiskCache, Orchestrator, StateManager
from orchestrator.errors import SpecError
from tests import scripted
from tests.cli.command import Ended, orchestrate, rows, scripted_spec
from tests.e2e.test_real_http import OWN, models_file
from tests.servers.openai_server import OpenAIServer, role_of
from tests.servers.roles import play

SPEC = next(path for path in OWN if path.stem == "simple")


def run(home: Path, server: OpenAIServer, name: str, *arguments: str) -> Ended:
    """Run a spec, decomposed by the server's own planner, under an id."""
    home.mkdir(exist_ok=True)
    given = ["run", str(SPEC), "--project-id", name, "--models", str(models_file(home)), *arguments]
    return orchestrate(home, *given, environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url})


def settled(home: Path, name: str) -> int:
    """What a run has paid, in nano-dollars."""
    ((nano,),) = rows(home, "SELECT settled_nano FROM runs WHERE run_id = ?", name)
    return int(nano)


def scores(home: Path, name: str) -> list[tuple[Any, ...]]:
    """How a run's tasks ended."""
    return rows(home, "SELECT task_id, status, score, model, iterations FROM tasks WHERE run_id = ?", name)


def test_a_second_run_of_the_same_spec_makes_no_call(tmp_path: Path) -> None:
    """It ends alike and costs nothing; ``--no-cache`` asks everything again, ``cache clear`` forgets what was known."""
    home = tmp_path / "home"
    with OpenAIServer() as server:
        first = run(home, server, "one")
        assert first.code in (0, 1), first.err
        asked = len(server.ledger)
        assert asked > 10

        second = run(home, server, "two", "-o", "out")
        assert second.code == first.code, second.err
        assert len(server.ledger) == asked
        assert settled(home, "two") == 0 < settled(home, "one")
        assert scores(home, "two") == scores(home, "one")
        assert (home / "out" / "summary.json").is_file()

        assert run(home, server, "three", "--no-cache").code == first.code
        assert len(server.ledger) == 2 * asked
        assert settled(home, "three") == settled(home, "one")

        reported = orchestrate(home, "cache", "stats", "--json").json[0]
        assert (reported["answers"], reported["runs"], reported["hits"]) == (asked, 1, asked)
        assert orchestrate(home, "cache", "clear", "--json").json == {"forgotten": asked}
        assert orchestrate(home, "cache", "stats", "--json").json[0]["answers"] == 0
    for name in ("one", "two"):
        assert orchestrate(home, "replay", name, "--verify", "--strict").code == 0
    assert orchestrate(home, "audit", "verify").code == 0
    choices = orchestrate(home, "explain", "two", "--json").json
    assert {choice["reused"]["run"] for choice in choices} == {"one"}
    assert all(choice["attempts"] == [] for choice in choices)
    assert "answered from the cache" in orchestrate(home, "explain", "two", "--all").out
    assert "planning: the answer of" in second.err
    assert "plan planning" not in second.err
    assert "in one is reused" in second.err


def small(home: Path, server: OpenAIServer, name: str, *arguments: str) -> list[str]:
    """Run a spec of one task of code; returns the models that the server was asked for in it."""
    home.mkdir(exist_ok=True)
    spec = home / "spec.json"
    task = {
        "id": "t",
        "type": "code_generation",
        "prompt": "Write the checked code.",
        "hard_validators": ["python_syntax"],
    }
    limits = {"iterations": {"code_generation": 1}}
    spec.write_text(json.dumps({"project": "x", "criteria": "y", "tasks": [task], "limits": limits}))
    before = len(server.ledger)
    orchestrate(
        home,
        *("run", str(spec), "--project-id", name, "--models", str(models_file(home)), *arguments),
        environ={"OPENAI_COMPATIBLE_BASE_URL": server.base_url},
    )
    return [role_of(served.request) for served in server.ledger[before:]]


def test_only_what_is_equal_is_reused(tmp_path: Path) -> None:
    """A second evaluation is another request than the first; so is the same one at another address."""
    home = tmp_path / "home"
    with OpenAIServer() as server:
        assert sorted(small(home, server, "one", "--set", "evaluate.runs=1")) == [
            *("critic", "evaluator", "generator", "reviser")
        ]
        assert small(home, server, "two") == ["evaluator"]
    with OpenAIServer() as server:
        assert len(small(home, server, "three")) == 5


def test_answers_of_an_iteration_that_failed_its_gate_are_asked_for_again(tmp_path: Path) -> None:
    """What a validator rejected is never handed out again; what passed is."""
    broken = True

    def answer(request: Mapping[str, Any]) -> str:
        return "```python\ndef (:\n```" if broken and "checked" in json.dumps(request) else play(request)

    home = tmp_path / "home"
    with OpenAIServer(answer) as server:
        assert small(home, server, "bad") == small(home, server, "still-bad") == ["generator"]
        broken = False
        assert len(small(home, server, "good")) == 5
        assert small(home, server, "known") == []


def test_simulated_runs_reuse_only_when_asked(tmp_path: Path) -> None:
    """A script shows all of its calls every time; with ``cache: true`` the second run makes none."""
    plain, asking = scripted_spec(tmp_path / "a"), scripted_spec(tmp_path / "b", cache=True)
    home = tmp_path / "home"
    for name, spec in (("c1", asking), ("c2", asking), ("plain", plain)):
        assert orchestrate(home, "run", str(spec), "--project-id", name).code == 0
    calls = dict(rows(home, "SELECT run_id, count(*) FROM calls GROUP BY run_id"))
    assert calls == {"c1": 5, "plain": 5}
    assert [each["answers"] for each in orchestrate(home, "cache", "stats", "--json").json] == [0, 5]
    measured = rows(home, "SELECT model, sum(settled_nano) FROM calls WHERE run_id = 'c2' GROUP BY 1")
    assert measured == []
    assert orchestrate(home, "replay", "c2", "--verify", "--strict").code == 0
    assert "simulated" in orchestrate(home, "cache", "stats").out


def test_an_empty_data_folder_has_an_empty_cache(tmp_path: Path) -> None:
    """Nothing is made where there is nothing; both commands say so."""
    assert orchestrate(tmp_path / "home", "cache", "stats").code == 0
    assert orchestrate(tmp_path / "home", "cache", "stats", "--json").json == []
    assert orchestrate(tmp_path / "home", "cache", "clear", "--json").json == {"forgotten": 0}
    assert not (tmp_path / "home" / "events.db").exists()


def _play(folder: Path, cache: DiskCache | bool | None, manager: StateManager | None) -> float:
    made = Orchestrator(Budget(max_usd=1.0), cache, manager, **scripted.fields(folder / "answers"))
    return asyncio.run(made.run_project("Write x.", "x is there")).budget.spent_usd


def test_a_disk_cache_names_the_folder_and_switches_reuse_on(tmp_path: Path) -> None:
    """A second orchestrator on the same folder pays nothing; without the cache, or with False, it pays."""
    home = tmp_path / "home"
    assert _play(tmp_path, DiskCache(home), None) > 0
    assert _play(tmp_path, DiskCache(home), None) == 0
    assert _play(tmp_path, DiskCache(), StateManager(home)) == 0
    assert _play(tmp_path, None, StateManager(home)) > 0
    assert _play(tmp_path, False, StateManager(home)) > 0


def test_two_data_folders_are_refused(tmp_path: Path) -> None:
    """Events and answers are kept together."""
    with pytest.raises(SpecError, match="name one data folder"):
        Orchestrator(Budget(), DiskCache(tmp_path / "a"), StateManager(tmp_path / "b"))
