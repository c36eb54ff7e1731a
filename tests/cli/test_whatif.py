"""``orchestrate whatif``, the forecast of ``run`` and ``plan``, and ``plan --simulate``, through the front door."""

import json
from pathlib import Path

import pytest

from orchestrator.money import Usd
from tests.cli.command import MODELS, orchestrate, rows, scripted_spec
from tests.cli.conftest import Finished


def _events(home: Path) -> int:
    return int(rows(home, "SELECT count(*) FROM events")[0][0])


def _models(folder: Path, *prices: tuple[str, float, float]) -> Path:
    path = folder / "models.json"
    models = [
        {"id": name, "provider": "scripted", "vendor": "x", "price": {"input": read, "output": written}}
        for name, read, written in prices
    ]
    path.write_text(json.dumps({"models": models}))
    return path


def test_other_prices_reprice_every_call_from_its_tokens(finished: Finished, tmp_path: Path) -> None:
    """The new spend is the recorded tokens at the new prices, no choice changes, and the log stays as it was."""
    before = _events(finished.home)
    prices = _models(tmp_path, ("north", 3.0, 5.0), ("south", 5.0, 20.0))
    found = orchestrate(finished.home, "whatif", "done", "--prices", str(prices), "--json").json
    tokens = rows(finished.home, "SELECT model, input_tokens, output_tokens FROM calls WHERE run_id = 'done'")
    price = {"north": (3000, 5000), "south": (5000, 20000)}
    nano = sum(price[model][0] * read + price[model][1] * written for model, read, written in tokens)
    assert (found["changes"], found["faithful"]) == ([], True)
    assert found["then"]["spend_usd"] == found["then"]["exact_usd"] == str(Usd(nano))
    assert found["repriced_usd"] == found["difference_usd"]
    assert _events(finished.home) == before


def test_a_policy_changes_the_draft_to_a_model_of_unknown_quality(finished: Finished, tmp_path: Path) -> None:
    """Both are told by name, with the policy that forbids the first."""
    rule = tmp_path / "rules.yaml"
    rule.write_text("global:\n  - {name: no_north, blocked_models: [north]}\n")
    shown = orchestrate(finished.home, "whatif", "done", "--policy", str(rule))
    assert shown.code == 0
    draft = next(line for line in shown.lines if line.startswith("only generate, iteration 1"))
    assert draft.split("  ")[0] == "only generate, iteration 1"
    for word in ("north", "south", "policy 'no_north' forbids it", "unknown"):
        assert word in draft
    assert "no model was called, nothing was recorded" in shown.err


def test_a_small_budget_refuses(finished: Finished) -> None:
    """The refused calls are listed, and the status is what the run would have ended with."""
    found = orchestrate(finished.home, "whatif", "done", "--budget", "0.0001", "--json").json
    assert found["then"]["status"] == "BUDGET_EXHAUSTED"
    assert [(each["task"], each["role"]) for each in found["then"]["refused"]] == [("only", "generator")]
    shown = orchestrate(finished.home, "whatif", "done", "--budget", "0.0001")
    assert "no money then:" in shown.lines
    assert "  only generate, iteration 1" in shown.lines


def test_another_backend_ranks_all(finished: Finished) -> None:
    """A backend by name ranks every candidate; the run itself was faithful to the table."""
    found = orchestrate(finished.home, "whatif", "done", "--backend", "pareto", "--json").json
    assert found["faithful"]
    assert found["was"]["calls"] == 5


def test_what_was_recorded_stands_above_a_play_that_is_not_it(own_copy: Path) -> None:
    """A fork's play begins at its parent's first event: its own spend is shown apart from the play's."""
    assert orchestrate(own_copy, "fork", "done", "--at", "20", "--project-id", "later").code == 0
    shown = orchestrate(own_copy, "whatif", "later")
    assert [line.split("  ")[0] for line in shown.lines[1:4]] == ["as it was", "played again", "then"]
    assert (shown.lines[1].split()[3], "$0.00" in shown.lines[1]) == ("open", True)
    assert "compare 'played again' with 'then'" in shown.err
    assert orchestrate(own_copy, "whatif", "later", "--json").json["recorded"]["status"] == "open"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("unknown",), "there is no run 'unknown'"),
        (("done", "--backend", "none"), "no backend 'none' is installed"),
        (("done", "--prices", "missing.yaml"), "missing.yaml"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(finished: Finished, words: tuple[str, ...], problem: str) -> None:
    """What cannot be used is told, and nothing is printed to stdout."""
    ended = orchestrate(finished.home, "whatif", *words)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert problem in ended.err


def test_prices_of_other_models_are_refused(finished: Finished, tmp_path: Path) -> None:
    """A file that names no model of the run would change nothing."""
    ended = orchestrate(finished.home, "whatif", "done", "--prices", str(_models(tmp_path, ("west", 1.0, 1.0))))
    assert ended.code == 2
    assert "no price of any model of the run: north, south" in ended.err


# ── forecasts ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_run_records_its_forecast_before_the_first_task(finished: Finished) -> None:
    """The decision stands after the plan, tells what ``run`` printed, and is recomputed by ``replay --verify``."""
    kinds = [kind for (kind,) in rows(finished.home, "SELECT type FROM events WHERE stream = 'done' ORDER BY version")]
    assert kinds[kinds.index("plan.made") + 1 :][:2] == ["forecast.made", "task.started"]
    ((data,),) = rows(finished.home, "SELECT data FROM events WHERE type = 'forecast.made'")
    event = json.loads(data)
    draft = 302 * 300 + 250 * 500
    review = (302 + 250) * 500 + 60 * 2000
    assert event["phases"] == {"generation": draft * 3 // 2, "cross_review": review, "evaluation": 2 * review}
    assert event["expected"] == sum(event["phases"].values())
    assert (event["risk"], event["models"], event["duration"]) == ("low", {"code_generation": "north"}, 9_000_000)
    (line,) = [line for line in finished.ended.err.splitlines() if line.startswith("forecast ")]
    assert line == "forecast $0.0015 and 9.0 s, low risk for the ceiling; drafts by north"
    assert orchestrate(finished.home, "replay", "done", "--verify", "--strict").code == 0


@pytest.mark.parametrize(
    ("budget", "risk"), [("0.004", "low"), ("0.0025", "medium"), ("0.0018", "high"), ("0.001", "high")]
)
def test_plan_tells_the_forecast_and_the_risk(tmp_path: Path, budget: str, risk: str) -> None:
    """Below half of the ceiling low, below four fifths medium, beyond high; nothing is recorded."""
    spec = scripted_spec(tmp_path)
    found = orchestrate(tmp_path / "home", "plan", str(spec), "--budget", budget, "--json").json
    assert (found["forecast"]["risk"], found["forecast"]["models"]) == (risk, {"code_generation": "north"})
    assert found["forecast"]["expected_usd"].startswith("0.0015")
    assert not (tmp_path / "home" / "events.db").exists()


def test_a_plan_is_played_many_times_before_a_cent_is_spent(tmp_path: Path) -> None:
    """Equal seeds give equal distributions; the median lies within the budget; nothing is recorded."""
    spec = scripted_spec(tmp_path)
    words = ("plan", str(spec), "--simulate", "50", "--seed", "7", "--json")
    one, other = (orchestrate(tmp_path / "home", *words).json["simulated"] for _ in range(2))
    assert one == other
    assert (one["plays"], one["measured"], sum(one["statuses"].values())) == (50, False, 50)
    assert 0 < float(one["cost_usd"]["p5"]) <= float(one["cost_usd"]["p50"]) <= float(one["cost_usd"]["p95"]) <= 8
    shown = orchestrate(tmp_path / "home", "plan", str(spec), "--simulate", "5")
    assert any(line.startswith("cost ") for line in shown.lines)
    assert "5 plays with outcomes drawn from typical values" in shown.err
    assert not (tmp_path / "home" / "events.db").exists()


def test_a_spec_without_tasks_cannot_be_played(tmp_path: Path) -> None:
    """The plan is unknown: one line, exit 2."""
    spec = tmp_path / "spec.json"
    (tmp_path / "answers.json").write_text(json.dumps({"models": MODELS, "answers": []}))
    spec.write_text(
        json.dumps({"project": "x", "criteria": "y", "providers": {"scripted": {"answers": "answers.json"}}})
    )
    ended = orchestrate(tmp_path / "home", "plan", str(spec), "--simulate", "5")
    assert (ended.code, "give a plan" in ended.err) == (2, True)


def test_a_misspelt_name_in_a_policy_file_is_refused(finished: Finished, tmp_path: Path) -> None:
    """With line and suggestion, from the models of the run itself, too: a misspelt rule would change nothing."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("global:\n  - {name: p, blocked_models: [soth], blocked_providers: [opnai]}\n")
    refused = orchestrate(finished.home, "whatif", "done", "--policy", str(rules))
    assert refused.code == 2
    assert (
        "rules.yaml:2: global[0].blocked_models[0]: there is no model or slot 'soth'; did you mean 'south'?"
        in refused.err
    )
    assert "did you mean 'openai'?" in refused.err
    rules.write_text("global:\n  - {name: p, blocked_models: [south]}\n")
    assert orchestrate(finished.home, "whatif", "done", "--policy", str(rules)).code == 0


def test_a_policy_of_a_single_task_binds_the_tasks_of_the_run(finished: Finished, tmp_path: Path) -> None:
    """It forbids a model for that task; of a task that the run has not, the file is refused as for a new run."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("node:\n  only:\n    - {name: no_north, blocked_models: [north]}\n")
    found = orchestrate(finished.home, "whatif", "done", "--policy", str(rules), "--json").json
    drafts = [each for each in found["changes"] if each["role"] == "generator"]
    assert {(each["task"], each["was"], each["policy"]) for each in drafts} == {("only", "north", "no_north")}
    rules.write_text("node:\n  onyl:\n    - {name: no_north, blocked_models: [north]}\n")
    refused = orchestrate(finished.home, "whatif", "done", "--policy", str(rules))
    assert refused.code == 2
    assert "rules.yaml:2: node.onyl: the plan has no task 'onyl'; did you mean 'only'?" in refused.err


def test_a_stricter_policy_of_a_single_task_is_played_as_a_run_would_have_it(tmp_path: Path) -> None:
    """A policy that is monitored in the run, and hard for a task, is hard there."""
    spec = scripted_spec(
        tmp_path,
        project_id="done",
        policies=[{"name": "p", "blocked_models": ["north"], "enforcement_mode": "monitor"}],
    )
    assert orchestrate(tmp_path / "home", "run", str(spec)).code == 0
    rules = tmp_path / "rules.yaml"
    rules.write_text("node:\n  only:\n    - {name: p, max_latency_ms: 5000}\n")
    found = orchestrate(tmp_path / "home", "whatif", "done", "--policy", str(rules), "--json").json
    assert {each["policy"] for each in found["changes"] if each["was"] == "north"} == {"p"}
