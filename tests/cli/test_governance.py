"""Policies bind: what each mode means for a run, proved by the log it left."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ended, orchestrate, rows, scripted_spec

TASKS = [
    {"id": "one", "type": "code_generation", "prompt": "Write x."},
    {"id": "two", "type": "code_generation", "prompt": "Write y."},
]
TABLE = {"code_generation": ["north", "south"], "evaluation": ["north", "south"]}


def ran(folder: Path, code: int = 0, *words: str, **fields: Any) -> Ended:
    """A run of two tasks, with this exit code, whose decisions are those of the rules."""
    spec = scripted_spec(folder, tasks=fields.pop("tasks", TASKS), project_id="r", routing={"table": TABLE}, **fields)
    ended = orchestrate(folder / "home", "run", str(spec), *words)
    assert ended.code == code, ended.err
    verified = orchestrate(folder / "home", "replay", "r", "--verify", "--strict")
    assert verified.code == 0, verified.out
    return ended


def asked(folder: Path, task: str = "%", role: str = "%") -> set[str]:
    """The models that were called."""
    found = rows(
        folder / "home",
        "SELECT data ->> 'model' FROM events WHERE type = 'call.started' AND data ->> 'node' LIKE ?"
        " AND data ->> 'role' LIKE ?",
        task,
        role,
    )
    return {model for (model,) in found}


def selections(folder: Path) -> list[dict[str, Any]]:
    """Every selection as stored."""
    found = rows(folder / "home", "SELECT data FROM events WHERE type = 'model.selected' ORDER BY position")
    return [json.loads(data) for (data,) in found]


def finished(folder: Path, task: str) -> dict[str, Any]:
    """How a task ended, as stored."""
    sql = "SELECT data FROM events WHERE type = 'task.finished' AND data ->> 'task' = ?"
    ((data,),) = rows(folder / "home", sql, task)
    found: dict[str, Any] = json.loads(data)
    return found


def explained(folder: Path, *words: str) -> str:
    """What ``explain`` shows."""
    return orchestrate(folder / "home", "explain", "r", *(words or ["--all"])).out


def test_a_hard_policy_is_never_broken(tmp_path: Path) -> None:
    """No role asks the blocked vendor, and every selection says which policy removed it."""
    ran(tmp_path, policies=[{"name": "no-n", "blocked_providers": ["N"]}])
    assert asked(tmp_path) == {"south"}
    for event in selections(tmp_path):
        assert {each["model"]: each["policy"] for each in event["candidates"]} == {"north": "no-n", "south": None}
    assert "policy 'no-n' rules it out (blocked_providers: N)" in explained(tmp_path)


def test_who_violates_a_soft_policy_is_asked_last_and_told(tmp_path: Path) -> None:
    """For every role, also where the only model that complies is the author's; called where no other model is left."""
    policy = {"name": "not-n", "blocked_models": ["north"], "enforcement_mode": "soft"}
    ran(tmp_path / "other", policies=[policy])
    assert asked(tmp_path / "other") == {"south"}
    reported = [
        [(each["model"], each["violates"]) for each in event["candidates"]] for event in selections(tmp_path / "other")
    ]
    assert {tuple(map(str, each)) for each in reported} == {("('south', [])", "('north', ['not-n'])")}
    shown = explained(tmp_path / "other")
    assert "ranked lower; violates policy 'not-n' (blocked_models: north), so it ranks last" in shown
    alone = [policy, {"name": "no-s", "blocked_models": ["south"]}]
    ran(tmp_path / "alone", policies=alone)
    assert asked(tmp_path / "alone") == {"north"}
    assert "chosen; violates policy 'not-n'" in explained(tmp_path / "alone")


def test_a_monitored_policy_changes_nothing_and_is_told(tmp_path: Path) -> None:
    """The same calls as without it, and the violation in every selection."""
    ran(tmp_path / "without")
    ran(tmp_path / "with", policies=[{"name": "watch", "allowed_models": ["south"], "enforcement_mode": "monitor"}])
    plain, watched = selections(tmp_path / "without"), selections(tmp_path / "with")
    assert [event["model"] for event in plain] == [event["model"] for event in watched]
    assert {event["model"] for event in watched} == {"north", "south"}
    violated = {each["model"]: each["violates"] for event in watched for each in event["candidates"]}
    assert violated == {"north": ["watch"], "south": []}
    assert "violates policy 'watch' (allowed_models: south), recorded only" in explained(tmp_path / "with")


def test_the_strictest_mode_of_a_name_holds(tmp_path: Path) -> None:
    """A file's HARD policy makes the spec's of the same name HARD, too."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("global: [{name: walls, blocked_models: ['?no-such-model']}]\n")
    mild = {"name": "walls", "blocked_models": ["north"], "enforcement_mode": "monitor"}
    ran(tmp_path, 0, "--policy", str(rules), policies=[mild])
    assert asked(tmp_path) == {"south"}
    checked = orchestrate(tmp_path, "policy", "check", str(rules))
    assert checked.code == 0


def test_a_cap_on_a_tasks_cost_ends_the_task_and_not_the_budget(tmp_path: Path) -> None:
    """No model is called beyond it, whichever is tried; the task ends for the policy, and the run still has money."""
    ended = ran(tmp_path, 3, policies=[{"name": "cheap", "max_cost_per_task_usd": 0.0005}], budget_usd=5)
    assert asked(tmp_path) == set()
    assert [finished(tmp_path, task)["reason"] for task in ("one", "two")] == ["policy", "policy"]
    later = [event for event in selections(tmp_path) if event["selection"] == 2]
    assert {(event["reason"], event["policy"]) for event in later} == {("policy", "cheap")}
    refused = rows(
        tmp_path / "home", "SELECT data ->> 'limit', data ->> 'name' FROM events WHERE type = 'spend.refused'"
    )
    assert refused == [("policy", "cheap"), ("policy", "cheap")]
    assert "policy 'cheap' leaves" in ended.err
    assert "the task's cap of policy 'cheap' has $0.0005 free" in explained(tmp_path, "one")
    raised = orchestrate(tmp_path / "home", "resume", "r", "--add-budget", "5")
    assert raised.code == 3
    assert asked(tmp_path) == set()


def test_a_cap_lets_a_task_go_as_far_as_it_can(tmp_path: Path) -> None:
    """A draft that may cost nearly all is made smaller so that it can be scored; review gives way to the score."""
    ran(tmp_path, policies=[{"name": "cap", "max_cost_per_task_usd": 0.006}], tasks=TASKS[:1])
    sizes = rows(
        tmp_path / "home",
        "SELECT data ->> 'role', data ->> 'max_tokens' FROM events WHERE type = 'call.started' ORDER BY position",
    )
    assert sizes[0][0] == "generator"
    assert 256 <= int(sizes[0][1]) < 8192
    assert finished(tmp_path, "one")["status"] == "completed"


@pytest.mark.parametrize("mode", ["soft", "monitor"])
def test_a_milder_cap_is_noted_with_each_call_beyond_it(tmp_path: Path, mode: str) -> None:
    """Nothing is refused; the calls carry its name."""
    policy = {"name": "cheap", "max_cost_per_task_usd": 0.0005, "enforcement_mode": mode}
    ran(tmp_path, policies=[policy], tasks=TASKS[:1])
    started = rows(tmp_path / "home", "SELECT data -> 'violates' FROM events WHERE type = 'call.started'")
    assert {violates for (violates,) in started} == {'["cheap"]'}
    assert "beyond what policy 'cheap' allows" in explained(tmp_path)


def test_a_milder_rate_makes_no_call_wait_and_is_noted(tmp_path: Path) -> None:
    """From the second call of the minute on; the run is not held up."""
    policy = {"name": "slow", "rate_limit": {"calls_per_minute": 1}, "enforcement_mode": "soft"}
    ran(tmp_path, policies=[policy], tasks=TASKS[:1])
    started = rows(
        tmp_path / "home", "SELECT data -> 'violates' FROM events WHERE type = 'call.started' ORDER BY position"
    )
    assert [violates for (violates,) in started] == ["[]", *['["slow"]'] * (len(started) - 1)]
    assert len(started) == 5


@pytest.mark.parametrize("given", ["spec", "yaml", "json"])
def test_a_policy_of_a_node_binds_that_node_alone(tmp_path: Path, given: str) -> None:
    """From the spec and from files of both kinds; the other task may call any model."""
    policy = {"name": "no-n", "blocked_models": ["north"]}
    if given == "spec":
        ran(tmp_path, node_policies={"two": [policy]})
    else:
        rules = tmp_path / f"rules.{given}"
        rules.write_text(json.dumps({"node": {"two": [policy]}}))  # which is YAML, too
        ran(tmp_path, 0, "--policy", str(rules))
    assert asked(tmp_path, "one") == {"north", "south"}
    assert asked(tmp_path, "two") == {"south"}
    assert "rules it out" in explained(tmp_path, "two")
    assert "rules it out" not in explained(tmp_path, "one")


def test_a_policy_of_a_node_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """In the spec and in a file, with the line; nothing is run."""
    policies = {"tow": [{"name": "a"}]}
    spec = scripted_spec(tmp_path, tasks=TASKS, node_policies=policies, name="bad.json")
    refused = orchestrate(tmp_path / "home", "run", str(spec))
    assert refused.code == 2
    assert "bad.json:1: node_policies.tow: the plan has no task 'tow'; did you mean 'two'?" in refused.err
    rules = tmp_path / "rules.yaml"
    rules.write_text("global: []\nnode:\n  three: [{name: a}]\n")
    refused = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path, tasks=TASKS)), "--policy", str(rules))
    assert refused.code == 2
    assert (
        "rules.yaml:3: node.three: the plan has no task 'three'; there are plan, enhance, advise, one, two"
        in refused.err
    )


def test_where_no_model_is_left_every_policy_is_named(tmp_path: Path) -> None:
    """On the terminal, in the log and by ``explain``: which policy removed which model."""
    policies = [{"name": "no-n", "blocked_models": ["north"]}, {"name": "no-s", "blocked_providers": ["s"]}]
    ended = ran(tmp_path, 3, policies=policies, tasks=TASKS[:1])
    assert "one: north cannot be called: policy 'no-n' rules it out" in ended.err
    assert "one: south cannot be called: policy 'no-s' rules it out" in ended.err
    end = finished(tmp_path, "one")
    assert end["reason"] == "no_model"
    assert {each["model"]: each["policy"] for each in end["removed"]} == {"north": "no-n", "south": "no-s"}
    shown = explained(tmp_path, "one")
    assert "one, generate: no model is left" in shown
    assert "policy 'no-s' rules it out (blocked_providers: s)" in shown
    (reported,) = json.loads(explained(tmp_path, "one", "--json"))["items"]
    assert (reported["kind"], [each["policy"] for each in reported["candidates"]]) == ("no_candidate", ["no-n", "no-s"])


def test_an_undeclared_fact_is_named(tmp_path: Path) -> None:
    """Where a policy asks for a fact that is not known of a model, `run` and `explain` say which; else nothing."""
    policies = [{"name": "eu", "allowed_regions": ["eu"], "allow_training_on_output": False}]
    known = [{"id": "south", "provider": "scripted", "regions": ["us"], "trains_on_data": True}]
    spec = scripted_spec(tmp_path, project_id="r", policies=policies, models=known)
    ended = orchestrate(tmp_path / "home", "run", str(spec))
    assert ended.code == 3
    unknown = "; regions is not declared; trains_on_data is not declared"
    assert f"model north is not used: policy 'eu' rules it out{unknown}\n" in ended.err
    assert "model south is not used: policy 'eu' rules it out\n" in ended.err
    rows_of = {line.split()[0]: line for line in explained(tmp_path).splitlines() if "rules it out" in line}
    assert f"allow_training_on_output: false{unknown})" in rows_of["north"]
    assert "declared" not in rows_of["south"]


def test_planning_with_no_model_left_says_why(tmp_path: Path) -> None:
    """The run's end carries the reasons."""
    spec = scripted_spec(tmp_path, project_id="r", policies=[{"name": "none", "allowed_models": ["?other"]}])
    content = json.loads(spec.read_text())
    del content["tasks"]
    spec.write_text(json.dumps(content))
    ended = orchestrate(tmp_path / "home", "run", str(spec))
    assert ended.code == 3
    assert "plan: north, south cannot be called: policy 'none' rules it out" in ended.err
    assert "plan, planning: no model is left" in explained(tmp_path)


def test_what_the_backend_says_of_a_candidate_is_in_the_log(tmp_path: Path) -> None:
    """Its reason is recorded, so that the explanation needs no backend."""
    ran(tmp_path, 0, "--backend", "pareto")
    reasons = {each["model"]: each["reason"] for event in selections(tmp_path)[:1] for each in event["candidates"]}
    assert reasons == {"north": None, "south": "dominated"}
    reported = orchestrate(
        tmp_path / "home", "explain", "r", "--all", environ={"ORCHESTRATE_DISABLE_PLUGINS": "pareto"}
    )
    assert "ranked lower: another model is better in quality, trust and cost at once" in reported.out


def test_policy_explain_shows_what_binds_a_node(tmp_path: Path) -> None:
    """Level, mode, every field and the line of each."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "global: [{name: all, max_cost_per_task_usd: 0.5}]\n"
        "node:\n  one: [{name: slow, rate_limit: {calls_per_minute: 6}, enforcement_mode: monitor}]\n"
    )
    words = orchestrate(tmp_path, "policy", "explain", str(rules), "--node", "one").out.split("\n")
    assert words[1].split()[:4] == ["all", "org", "hard", "max_cost_per_task_usd=0.5"]
    assert words[2].split()[:5] == ["slow", "node", "one", "monitor", "calls_per_minute=6"]
    assert words[2].rstrip().endswith("rules.yaml:3")
    assert "slow" not in orchestrate(tmp_path, "policy", "explain", str(rules)).out
