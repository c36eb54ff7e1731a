"""A third-party distribution, installed by pip, takes part in a run."""

import json
from pathlib import Path
from typing import Any

from tests.cli.command import orchestrate, rows, scripted_spec

SHOUTED = [{"id": "loud", "type": "creative_writing", "prompt": "Shout.", "hard_validators": ["shout"]}]


def plugins_of(home: Path) -> dict[str, Any]:
    """The plugins of the only session, by kind and name."""
    ((data,),) = rows(home, "SELECT data FROM events WHERE type = 'session.opened'")
    return {f"{each['kind']}:{each['name']}": each for each in json.loads(data)["plugins"]}


def test_a_third_party_validator_is_the_gate_of_a_task(tmp_path: Path, third_party_site: Path) -> None:
    """A quiet draft is drafted anew, a quiet revision is not the output; broken plugins beside it harm nothing."""
    home = tmp_path / "home"
    answers: list[dict[str, Any]] = [
        {"role": "generator", "iteration": 1, "text": "quiet"},
        {"role": "generator", "iteration": 2, "text": "LOUD"},
        {"role": "reviser", "text": "quiet again"},
    ]
    spec = scripted_spec(tmp_path, tasks=SHOUTED, answers=answers, project_id="shouting")
    environ = {"PYTHONPATH": str(third_party_site)}
    done = orchestrate(home, "run", str(spec), environ=environ)
    assert done.code == 0, done.err
    assert "check shout failed: say it in capital letters" in done.err
    assert rows(home, "SELECT iteration, verdict FROM checks") == [(1, "failed"), (2, "passed"), (2, "failed")]
    assert orchestrate(home, "runs", "export", "shouting", "-o", "out").code == 0
    assert [path.read_text().strip() for path in (home / "out").glob("task_001*")] == ["LOUD"]
    used = plugins_of(home)["validator:shout"]
    assert (used["distribution"], used["version"]) == ("orchestrator-shout", "1.2.3")
    assert orchestrate(home, "replay", "shouting", "--verify", "--strict").code == 0  # without the third-party plugin


def test_a_third_party_provider_answers_a_run(tmp_path: Path, third_party_site: Path) -> None:
    """A run on a third-party simulated provider ends, and says that the spend is simulated."""
    home = tmp_path / "home"
    tasks = [{"id": "echo", "type": "creative_writing", "prompt": "Shout.", "hard_validators": ["shout"]}]
    spec = scripted_spec(tmp_path, providers={"echo_upper": {}}, tasks=tasks, project_id="echo")
    done = orchestrate(home, "run", str(spec), environ={"PYTHONPATH": str(third_party_site)})
    assert done.code == 1, done.err  # nothing that only echoes can score
    assert "provider echo_upper is simulated: no model is called, and the spend is simulated" in done.err
    assert rows(home, "SELECT DISTINCT verdict FROM checks") == [("passed",)]
    assert plugins_of(home)["provider:echo_upper"]["distribution"] == "orchestrator-shout"


def test_a_task_that_names_a_broken_validator_is_degraded(tmp_path: Path, third_party_site: Path) -> None:
    """A validator that exits on import could not run: the gate is not passed, the output stands, the run ends."""
    home = tmp_path / "home"
    tasks = [{**SHOUTED[0], "hard_validators": ["quitter"]}]
    spec = scripted_spec(tmp_path, tasks=tasks)
    done = orchestrate(home, "run", str(spec), environ={"PYTHONPATH": str(third_party_site)})
    assert done.code == 1, done.err
    assert "check quitter could not run" in done.err
    assert rows(home, "SELECT status FROM tasks") == [("degraded",)]
