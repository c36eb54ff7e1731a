import json
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from tests.cli.command import MODELS, orchestrate, rows, scripted_spec
from tests.cli.conftest import Finished

MANY: list[dict[str, Any]] = [
    *MODELS,
    {"id": "east", "vendor": "e", "price": {"input": 1.0, "output": 4.0}, "slots": ["claude-sonnet"]},
    {"id": "barred", "vendor": "b", "price": {"input": 0.1, "output": 0.1}},
    {"id": "narrow", "vendor": "x", "price": {"input": 0.1, "output": 0.1}, "context": 100},
]
TASKS = [
    {"id": "one", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]},
    {"id": "two", "type": "code_generation", "prompt": "Write x again.", "dependencies": ["one"]},
]


def many(folder: Path, **fields: Any) -> Path:
    """A spec of two tasks and many models, one of them barred by a policy."""
    path = scripted_spec(
        folder,
        tasks=TASKS,
        project_id="many",
        policies=[{"name": "not-them", "blocked_models": ["barred"], "blocked_providers": ["b"]}],
        routing={"backend": "weighted_sum", "parameters": {"w_cost": 1}},
        models=[{"id": "priceless", "provider": "scripted", "vendor": "p"}],
        **fields,
    )
    script = json.loads((folder / "answers.json").read_text())
    (folder / "answers.json").write_text(json.dumps({**script, "models": MANY}))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with such a run, to be read only."""
    folder = tmp_path_factory.mktemp("many")
    ended = orchestrate(folder / "home", "run", str(many(folder)))
    assert ended.code == 0, ended.err
    return folder / "home"


@frozen
class Row:
    """A candidate of a choice."""

    rejection: str | None
    why: str
    score: float | None


def candidates(choice: dict[str, Any]) -> dict[str, Row]:
    """The candidates by model."""
    return {each["model"]: Row(each["rejection"], each["why"], each["score"]) for each in choice["candidates"]}


def choices(home: Path, *words: str) -> list[dict[str, Any]]:
    """What ``explain --json`` tells of choices."""
    reported = orchestrate(home, "explain", "many", *words, "--json").json
    return [each for each in reported if each["kind"] == "choice"]


def test_every_choice_of_the_log_is_explained(home: Path) -> None:
    """One choice per ModelSelected, in order, and every model of the session in each."""
    reported = choices(home)
    versions = rows(home, "SELECT version FROM events WHERE type = 'model.selected' ORDER BY position")
    assert [(each["version"],) for each in reported] == versions
    for each in reported:
        assert {candidate["model"] for candidate in each["candidates"]} == {
            "priceless",
            *(model["id"] for model in MANY),
        }


def test_who_was_removed_is_told_with_the_reason(home: Path) -> None:
    """Policy with what it restricts, price, and rank stand beside the scores the log has."""
    first = choices(home, "one")[0]
    found = candidates(first)
    assert found["barred"].why == "policy 'not-them' rules it out (blocked_providers: b; blocked_models: barred)"
    assert found["priceless"].why == "its price is not known"
    assert found["barred"].score is None
    assert first["model"] == "narrow"
    assert found["north"].rejection == "ranked"
    best = found["narrow"].score
    assert best is not None
    assert all(best >= row.score for row in found.values() if row.score is not None)


def test_a_later_choice_says_why_the_one_before_was_left(home: Path) -> None:
    """The prompt did not fit the cheapest model: the next choice says so, and still lists everybody."""
    _, second = choices(home, "one")[:2]
    assert (second["selection"], second["reason"]) == (2, "context")
    found = candidates(second)
    assert found["narrow"].why == "prompt and answer do not fit its context window"
    assert found["priceless"].why == "its price is not known"
    assert found[second["model"]].why == "chosen"


def test_the_backend_and_its_version_are_told(home: Path) -> None:
    """Name, distribution, version and parameters, as the session recorded them."""
    backend = choices(home)[0]["backend"]
    assert backend["name"] == "weighted_sum"
    assert backend["distribution"] == "multi-llm-orchestrator"
    assert backend["version"]
    assert backend["parameters"] == {"w_cost": 1}
    assert "ordered by weighted_sum" in orchestrate(home, "explain", "many", "one").out


def test_measurements_are_those_of_that_moment(home: Path) -> None:
    """Nothing was measured before the first call; later choices show what the calls before them amounted to."""
    first, *_ = choices(home, "one")
    assert all(each["telemetry"]["calls"] == 0 for each in first["candidates"])
    later = next(each for each in choices(home, "two") if each["role"] == "generator")
    seen = {each["model"]: each["telemetry"] for each in later["candidates"]}
    asked = rows(
        home,
        "SELECT model, count(*) FROM calls WHERE run_id = 'many' AND role <> 'evaluator' AND position <"
        " (SELECT position FROM events WHERE stream = 'many' AND version = ?) GROUP BY model",
        later["version"],
    )
    assert asked
    assert {name: seen[name]["calls"] for name, _ in asked} == dict(asked)
    assert all(seen[name]["cost"] > 0 for name, _ in asked)


def test_each_attempt_has_its_hold_and_its_cost(home: Path) -> None:
    """The costs of all attempts are the run's spend, to the last digit, and none is more than its hold."""
    attempts = [attempt for choice in choices(home) for attempt in choice["attempts"]]
    assert all(float(each["cost_usd"]) <= float(each["hold_usd"]) for each in attempts)
    total = sum(int(each["cost_usd"].replace(".", "")) for each in attempts)
    assert [(total,)] == rows(home, "SELECT settled_nano FROM runs WHERE run_id = 'many'")


def test_a_reviewer_of_the_authors_vendor_stands_back(home: Path) -> None:
    """The critic's choice names the author, and says of the author why it is not asked."""
    critic = next(each for each in choices(home, "one") if each["role"] == "critic")
    assert critic["author"] == "north"
    assert candidates(critic)["north"].why == "ranked lower (same vendor as the author)"
    assert (
        "first the models of other vendors than the author's (north)"
        in orchestrate(home, "explain", "many", "--all").out
    )


def test_a_waiver_is_told(tmp_path: Path) -> None:
    """With one model it reviews itself, and the explanation says that this was waived."""
    spec = scripted_spec(tmp_path, project_id="many", policies=[{"name": "only", "allowed_models": ["north"]}])
    assert orchestrate(tmp_path / "home", "run", str(spec)).code == 0
    critic = next(each for each in choices(tmp_path / "home") if each["role"] == "critic")
    assert critic["waiver"] == "same_model"
    assert "waived: it is the author itself" in orchestrate(tmp_path / "home", "explain", "many", "--all").out


def test_refused_spend_is_told_with_need_and_free(tmp_path: Path) -> None:
    """Who was left for the budget, and what a call would have needed beside what was free."""
    spec = scripted_spec(tmp_path, project_id="many", budget_usd=0.0001)
    assert orchestrate(tmp_path / "home", "run", str(spec)).code == 4
    reported = orchestrate(tmp_path / "home", "explain", "many", "--json").json
    (refusal,) = (each for each in reported if each["kind"] == "refusal")
    assert (refusal["task"], refusal["free_usd"], refusal["limit"]) == ("only", "0.000100000", "run")
    assert refusal["final"]
    assert float(refusal["need_usd"]) > 0.0001
    shown = orchestrate(tmp_path / "home", "explain", "many", "--all").out
    assert "the most it could cost did not fit the money left" in shown
    assert "at worst, the run's ceiling has $0.0001 free" in shown


def test_pareto_tells_who_is_dominated(tmp_path: Path) -> None:
    """The backend's own reason is in the log: it is told without the backend, too."""
    spec = scripted_spec(tmp_path, project_id="many", routing={"backend": "pareto"})
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(spec)).code == 0
    shown = orchestrate(home, "explain", "many", "only").out
    assert "ranked lower: another model is better in quality, trust and cost at once" in shown
    absent = orchestrate(home, "explain", "many", "only", environ={"ORCHESTRATE_DISABLE_PLUGINS": "pareto"})
    assert absent.code == 0
    assert absent.out == shown
    assert "ordered by pareto" in absent.out


def test_a_plain_run_says_that_the_table_decided(finished: Finished) -> None:
    """Without a named backend the table's order holds until models are measured."""
    shown = orchestrate(finished.home, "explain", "done", "--all").out
    assert "only, generate (code_generation): north" in shown
    assert "first choice; ordered by the routing table, then by price" in shown


def test_no_provider_is_loaded(home: Path) -> None:
    """Explaining works where every provider is switched off."""
    blocked = {"ORCHESTRATE_DISABLE_PLUGINS": "scripted,openai_compatible"}
    assert (
        orchestrate(home, "explain", "many", "--all", environ=blocked).out
        == orchestrate(home, "explain", "many", "--all").out
    )


def test_an_unknown_run_or_task_is_refused(home: Path) -> None:
    """Each with a way on."""
    assert "there is no run 'nope'" in orchestrate(home, "explain", "nope").err
    refused = orchestrate(home, "explain", "many", "onee")
    assert (refused.code, refused.out) == (2, "")
    assert "did you mean 'one'?" in refused.err


def test_a_damaged_history_explains_nothing(home: Path, tmp_path: Path) -> None:
    """A changed log is an error, not a story."""
    import shutil

    from tests.cli.test_reading import tamper

    own = shutil.copytree(home, tmp_path / "home")
    tamper(own, "UPDATE events SET data = replace(data, 'not-them', 'no-model') WHERE type = 'model.selected'")
    assert orchestrate(own, "explain", "many").code == 6


def test_of_an_ended_run_nothing_is_said_to_come(home: Path) -> None:
    """A plan that the spec gave has no choice, and never will have one."""
    ended = orchestrate(home, "explain", "many", "plan", "--prompts")
    assert (ended.code, ended.out) == (0, "")
    assert "no model was chosen for plan in many" in ended.err
