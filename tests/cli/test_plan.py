import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.money import Usd
from tests.cli.command import orchestrate, rows, scripted_spec

TASKS: list[dict[str, Any]] = [
    {"id": "review", "type": "code_review", "prompt": "Judge it.", "dependencies": ["stats", "docs"]},
    {"id": "stats", "type": "code_generation", "prompt": "Write x."},
    {"id": "docs", "type": "summarization", "prompt": "Describe x."},
]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec with a given plan."""
    return scripted_spec(tmp_path, tasks=TASKS, project_id="planned")


def test_a_given_plan_is_shown_in_its_order(tmp_path: Path, spec: Path) -> None:
    """Tasks by level, what they come after, and who is asked for each."""
    shown = orchestrate(tmp_path / "home", "plan", str(spec))
    assert shown.code == 0, shown.err
    heads, *lines = shown.lines
    assert heads.split()[:3] == ["level", "task", "after"]
    assert [line.split()[:2] for line in lines[:3]] == [["1", "stats"], ["1", "docs"], ["2", "review"]]
    assert "stats, docs" in lines[2]
    assert "nobody was asked, nothing was spent" in shown.err


def test_nothing_is_recorded(tmp_path: Path, spec: Path) -> None:
    """There is no data folder afterwards."""
    home = tmp_path / "home"
    assert orchestrate(home, "plan", str(spec)).code == 0
    assert list(home.iterdir()) == []


def test_the_run_asks_whom_the_plan_says(tmp_path: Path, spec: Path) -> None:
    """The first draft, critique, revision and evaluation of every task are by the models of the plan."""
    home = tmp_path / "home"
    planned = orchestrate(home, "plan", str(spec), "--json").json
    expected = {
        (task["task"], route["role"]): route["model"]
        for task in planned["tasks"]
        for route in task["routes"]
        if task["level"] == 1
    }
    assert orchestrate(home, "run", str(spec)).code == 0
    chosen = rows(
        home,
        "SELECT json_extract(data, '$.node'), json_extract(data, '$.role'), json_extract(data, '$.model') FROM events"
        " WHERE type = 'model.selected' AND json_extract(data, '$.turn') = 1 AND json_extract(data, '$.selection') = 1",
    )
    assert {(node, role): model for node, role, model in chosen if node != "review"} == expected


def test_no_call_of_the_run_holds_more_than_the_plan_says(tmp_path: Path, spec: Path) -> None:
    """The holds of the run stay below the estimates for these short texts."""
    home = tmp_path / "home"
    planned = orchestrate(home, "plan", str(spec), "--json").json
    worst = {
        (task["task"], route["role"], option["model"]): Usd.parse(option["hold_usd"]).nano
        for task in planned["tasks"]
        for route in task["routes"]
        for option in route["options"]
    }
    assert orchestrate(home, "run", str(spec)).code == 0
    held = rows(
        home,
        "SELECT json_extract(data, '$.node'), json_extract(data, '$.role'), json_extract(data, '$.model'),"
        " json_extract(data, '$.hold') FROM events WHERE type = 'call.started'",
    )
    assert held
    for node, role, model, hold in held:
        assert 0 < hold <= worst[node, role, model]


def test_who_is_out_is_told_with_the_reason(tmp_path: Path) -> None:
    """A barred model stands below the route with the policy; alternatives stand behind the first choice."""
    spec = scripted_spec(tmp_path, tasks=TASKS, policies=[{"name": "no-south", "blocked_models": ["south"]}])
    shown = orchestrate(tmp_path / "home", "plan", str(spec)).out
    assert "not south: policy 'no-south' rules it out (blocked_models: south)" in shown
    assert "(waived: same_model)" in shown
    free = scripted_spec(tmp_path / "free", tasks=TASKS)
    assert "then south ($" in orchestrate(tmp_path / "home", "plan", str(free)).out


def test_a_backend_can_be_tried(tmp_path: Path, spec: Path) -> None:
    """``--backend`` ranks by another one, whose scores are shown to programs."""
    found = orchestrate(tmp_path / "home", "plan", str(spec), "--backend", "pareto", "--json").json
    route = found["tasks"][0]["routes"][0]
    assert route["backend"] == "pareto"
    assert route["options"][0]["score"] == 1.0
    assert ", ranked by pareto" in orchestrate(tmp_path / "home", "plan", str(spec), "--backend", "pareto").out
    refused = orchestrate(tmp_path / "home", "plan", str(spec), "--backend", "paretto")
    assert (refused.code, refused.out) == (2, "")
    assert "did you mean 'pareto'?" in refused.err


def test_a_ceiling_below_a_draft_is_warned_of(tmp_path: Path, spec: Path) -> None:
    """What may not fit is said, and is no error: a run would ask for less."""
    shown = orchestrate(tmp_path / "home", "plan", str(spec), "--budget", "0.001")
    assert shown.code == 0
    assert "! stats: a draft by north may cost" in shown.err


def test_nobody_to_ask_is_warned_of(tmp_path: Path) -> None:
    """A policy that leaves nobody is seen before the run."""
    spec = scripted_spec(tmp_path, tasks=TASKS, policies=[{"name": "none", "allowed_models": []}])
    shown = orchestrate(tmp_path / "home", "plan", str(spec))
    assert shown.code == 0
    assert "! stats: nobody can be asked for a draft" in shown.err
    assert "policy 'none' rules it out (allowed_models: nobody)" in shown.out


def test_without_tasks_only_asking_would_tell(tmp_path: Path) -> None:
    """The planner and the rows by type are shown, and that a run breaks the project into tasks."""
    spec = scripted_spec(tmp_path)
    text = spec.read_text()
    import json

    fields = json.loads(text)
    del fields["tasks"]
    spec.write_text(json.dumps(fields))
    shown = orchestrate(tmp_path / "home", "plan", str(spec))
    assert shown.code == 0
    assert "only asking a model would tell" in shown.out
    assert "planning  north" in shown.out
    found = orchestrate(tmp_path / "home", "plan", str(spec), "--json").json
    assert (found["given"], found["planning"]["model"], len(found["types"])) == (False, "north", 7)


def test_a_run_takes_a_backend_from_the_command_line(tmp_path: Path, spec: Path) -> None:
    """``run --backend`` is recorded and asked; parameters for another backend are dropped with it."""
    home = tmp_path / "home"
    changed = ["--set", "routing.backend=weighted_sum", "--set", "routing.parameters.w_cost=2"]
    assert orchestrate(home, "run", str(spec), *changed, "--backend", "pareto").code == 0
    backends = rows(home, "SELECT DISTINCT json_extract(data, '$.backend') FROM events WHERE type = 'model.selected'")
    assert backends == [("pareto",)]
    assert orchestrate(home, "replay", "planned", "--verify", "--strict").code == 0


def test_a_model_may_be_asked_for_the_plan_alone(tmp_path: Path) -> None:
    """``--decompose`` pays for the plan and stops; the routes are of its tasks; ``resume`` goes on from there."""
    home = tmp_path / "home"
    plan = [{"id": "a", "type": "summarization", "prompt": "Say x."}, {"id": "b", "type": "evaluation", "prompt": "?"}]
    answers = [{"role": "decomposer", "text": json.dumps({"tasks": plan})}]
    whole = json.loads(scripted_spec(tmp_path, answers=answers, project_id="later").read_text())
    spec = tmp_path / "open.json"
    spec.write_text(json.dumps({key: value for key, value in whole.items() if key != "tasks"}))
    shown = orchestrate(home, "plan", str(spec), "--decompose")
    assert shown.code == 0, shown.err
    assert [line.split()[:2] for line in shown.lines[1:3]] == [["1", "task_001"], ["1", "task_002"]]
    assert "go on with: orchestrate resume later" in shown.err
    asked = "SELECT role, count(*) FROM calls GROUP BY role"
    assert rows(home, asked) == [("decomposer", 1)]
    assert orchestrate(home, "resume", "later").code == 0
    assert dict(rows(home, asked))["decomposer"] == 1
    assert orchestrate(home, "replay", "later", "--verify").code == 0
