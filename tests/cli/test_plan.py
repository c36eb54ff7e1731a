import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decide.strategies import STRATEGIES
from orchestrator.money import Usd
from tests.cli.command import ANSWERS, orchestrate, rows, scripted_spec
from tests.cli.in_process import command

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
    assert "no model was called, nothing was spent" in shown.err


@pytest.mark.parametrize("loop", list(STRATEGIES))
def test_every_strategy_is_shown(tmp_path: Path, spec: Path, loop: str) -> None:
    """What a strategy leaves out has a dash; comparisons follow where it compares."""
    shown = orchestrate(tmp_path / "home", "plan", str(spec), "--loop", loop)
    assert shown.code == 0, shown.err
    assert ("–" in shown.lines[1].split()[3:]) is (loop != "reviewed")
    assert ("compare in pairs × 6" in shown.out) is (loop == "best_of")


def test_nothing_is_recorded(tmp_path: Path, spec: Path) -> None:
    """There is no data folder afterwards."""
    home = tmp_path / "home"
    assert orchestrate(home, "plan", str(spec)).code == 0
    assert list(home.iterdir()) == []


def test_the_run_calls_the_models_that_the_plan_says(tmp_path: Path, spec: Path) -> None:
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
        " WHERE type = 'model.selected'"
        " AND json_extract(data, '$.iteration') = 1 AND json_extract(data, '$.selection') = 1",
    )
    assert {(node, role): model for node, role, model in chosen if node != "review"} == expected


FOUR: list[dict[str, Any]] = [
    {"id": "north", "vendor": "n", "price": {"input": 0.3, "output": 0.5}, "slots": ["deepseek-chat"]},
    {"id": "norther", "vendor": "n", "price": {"input": 0.9, "output": 3.0}, "regions": ["eu"]},
    {"id": "south", "vendor": "s", "price": {"input": 0.5, "output": 2.0}, "slots": ["moonshot-v1"]},
    {"id": "west", "vendor": "w", "price": {"input": 0.1, "output": 0.2}, "trains_on_data": False, "regions": ["eu"]},
]
HARD_SOUTH = {"name": "no-south", "blocked_models": ["south"]}
SOFT_NORTH = {"name": "rather-not", "blocked_models": ["north"], "enforcement_mode": "soft"}
SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a hard policy of one task": {"node_policies": {"stats": [HARD_SOUTH]}},
    "a soft policy of one task": {"node_policies": {"docs": [SOFT_NORTH]}},
    "one only watched": {"node_policies": {"stats": [{**HARD_SOUTH, "enforcement_mode": "monitor"}]}},
    "a slot of one task": {"node_policies": {"stats": [{"name": "one", "allowed_models": ["moonshot-v1"]}]}},
    "several of several": {
        "policies": [{"name": "eu", "allowed_regions": ["eu"], "enforcement_mode": "soft"}],
        "node_policies": {"stats": [HARD_SOUTH], "review": [{"name": "private", "allow_training_on_output": False}]},
    },
    "no model for one task": {"node_policies": {"stats": [{"name": "none", "allowed_models": []}]}},
    "no other model to review": {
        "node_policies": {"stats": [{"name": "n", "allowed_providers": ["n"]}]},
        "review": {"cross_vendor": "require"},
    },
    "any reviewer": {"review": {"cross_vendor": "off"}, "node_policies": {"review": [HARD_SOUTH]}},
    "a table": {"routing": {"table": {"code_generation": ["norther"]}}, "node_policies": {"docs": [HARD_SOUTH]}},
    "a backend": {"routing": {"backend": "weighted_sum"}, "node_policies": {"stats": [HARD_SOUTH]}},
}
CHOSEN = (
    "SELECT json_extract(data, '$.node'), json_extract(data, '$.role'), json_extract(data, '$.model') FROM events"
    " WHERE type = 'model.selected' AND json_extract(data, '$.iteration') = 1 AND json_extract(data, '$.selection') = 1"
)


@pytest.mark.parametrize("case", SPECS)
def test_the_first_choice_of_the_plan_is_the_first_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """Whatever binds a task: each role of each task first goes to the model that the plan says, and to no other."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    spec = scripted_spec(tmp_path, tasks=TASKS, project_id="reported", cache=False, **SPECS[case])
    (tmp_path / "answers.json").write_text(json.dumps({"models": FOUR, "answers": ANSWERS}))
    planned = command(capsys, "plan", str(spec), "--json").json
    asked = {
        (task["task"], route["role"]): route["model"]
        for task in planned["tasks"]
        for route in task["routes"]
        if route["model"] is not None
    }
    assert command(capsys, "run", str(spec)).code in (0, 1)
    chosen = {(node, role): model for node, role, model in rows(tmp_path / "home", CHOSEN)}
    if case == "a backend":  # the later it is asked, the more it has learnt
        first = ("stats", "docs")
        asked, chosen = (
            {key: to[key] for key in to if key[0] in first and key[1] == "generator"} for to in (asked, chosen)
        )
    if case == "no model for one task":  # its dependants are blocked
        asked = {key: model for key, model in asked.items() if key[0] != "review"}
    assert chosen == asked


def test_the_policies_of_one_task_bind_its_routes_alone(tmp_path: Path) -> None:
    """Who is out for one task is told with its policy, and another task goes on with that model."""
    policies = {
        "stats": [{**HARD_SOUTH, "name": "of-stats"}],
        "plan": [{"name": "of-plan", "blocked_models": ["north"]}],
    }
    spec = scripted_spec(tmp_path, tasks=TASKS, node_policies=policies)
    shown = orchestrate(tmp_path / "home", "plan", str(spec))
    assert shown.out.count("not south: policy 'of-stats' rules it out (blocked_models: south)") == 4
    fields = json.loads(spec.read_text())
    del fields["tasks"]
    fields["node_policies"]["task_009"] = fields["node_policies"].pop("stats")
    spec.write_text(json.dumps(fields))
    shown = orchestrate(tmp_path / "home", "plan", str(spec))
    assert "planning  south" in shown.out
    assert "of-stats" not in shown.out
    assert "! the policies of task_009 name tasks that are not planned yet" in shown.err


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
    """A barred model is listed below the route with the policy; alternatives come after the first choice."""
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


def test_no_model_left_is_warned_of(tmp_path: Path) -> None:
    """A policy that leaves no model is seen before the run."""
    spec = scripted_spec(tmp_path, tasks=TASKS, policies=[{"name": "none", "allowed_models": []}])
    shown = orchestrate(tmp_path / "home", "plan", str(spec))
    assert shown.code == 0
    assert "! stats: no model is left for a draft" in shown.err
    assert "policy 'none' rules it out (allowed_models: none)" in shown.out


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
    assert "orchestrate plan SPEC --decompose" in shown.out
    assert "planning  north" in shown.out
    found = orchestrate(tmp_path / "home", "plan", str(spec), "--json").json
    assert (found["given"], found["planning"]["model"], len(found["types"])) == (False, "north", 7)


def test_a_named_backend_says_that_nothing_is_measured(tmp_path: Path, spec: Path) -> None:
    """On an empty folder ``run``, ``plan`` and ``explain`` say what decides, of a backend that was named only."""
    home, said = tmp_path / "home", "nothing measured: price decides"
    named = ("--backend", "pareto")
    assert said in orchestrate(home, "plan", str(spec), *named).err
    assert said not in orchestrate(home, "plan", str(spec)).err
    run = orchestrate(home, "run", str(spec), *named, "--set", "project_id=first")
    assert f"backend pareto: {said}" in run.err
    explained = orchestrate(home, "explain", "first", "--all").out
    assert said in next(line for line in explained.splitlines() if "ordered by pareto" in line)
    assert said not in orchestrate(tmp_path / "other", "run", str(spec)).err


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
    assert "resume with: orchestrate resume later" in shown.err
    asked = "SELECT role, count(*) FROM calls GROUP BY role"
    assert rows(home, asked) == [("decomposer", 1)]
    assert orchestrate(home, "resume", "later").code == 0
    assert dict(rows(home, asked))["decomposer"] == 1
    assert orchestrate(home, "replay", "later", "--verify").code == 0
