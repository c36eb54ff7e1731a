"""``AgentPool``: agents side by side, the best of them, and what they measured together."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import AgentPool, Budget, Model, ModelProfile, ProjectState, ProjectStatus
from orchestrator_insight.agents import best_of, mean_score, merge_profiles
from tests.cli.command import QUICKSTART, count, orchestrate, rows, scripted_spec, signalled, start, wait_until
from tests.scripted import fields, job, orchestrator


def scoring(score: float) -> dict[str, Any]:
    """An evaluator's answer."""
    return {"role": "evaluator", "text": f'{{"score": {score}, "reasons": "as asked"}}'}


def pool_of(folder: Path, **scores: float) -> AgentPool:
    """A pool whose agents' evaluators give these scores; the data folder is the same for all."""
    pool = AgentPool()
    for name, score in scores.items():
        settings = fields(folder / name, scoring(score), limits={"iterations": {"code_generation": 1}})
        pool.add_agent(name, orchestrator(folder, **settings))
    return pool


def test_the_best_has_the_highest_mean_score(tmp_path: Path) -> None:
    """Two agents run the same job side by side in runs of their own; the better one wins, whatever the order."""
    pool = pool_of(tmp_path, low=0.5, high=0.9)
    results = asyncio.run(pool.run_parallel({"low": job(project_id="same"), "high": job(project_id="same")}))
    best = pool.best_result(results)
    assert isinstance(best, ProjectState)
    assert (best.project_id, mean_score(best)) == ("same-high", 0.9)
    assert pool.best_result() is best
    assert best_of(results) == "high"
    ids = {run for (run,) in rows(tmp_path / "home", "SELECT run_id FROM runs")}
    assert ids == {"same-low", "same-high"}


def test_one_that_fails_cancels_no_other(tmp_path: Path) -> None:
    """Its exception stands in its place; where all fail there is no best."""
    pool = pool_of(tmp_path, good=0.9)
    pool.add_agent("broke", orchestrator(tmp_path, Budget(max_usd=1e-9), **fields(tmp_path / "broke")))
    pool.add_agent("wrong", orchestrator(tmp_path, providers={"unknown": {}}))
    results = asyncio.run(pool.run_parallel({name: job() for name in ("wrong", "broke", "good")}))
    assert isinstance(results["wrong"], Exception)
    broke = results["broke"]
    assert isinstance(broke, ProjectState)
    assert broke.status is ProjectStatus.BUDGET_EXHAUSTED
    assert best_of(results) == "good"
    assert best_of({"wrong": results["wrong"]}) is None
    assert AgentPool().best_result() is None


def test_agents_ask_for_themselves(tmp_path: Path) -> None:
    """Without a cache of its own an agent reuses nothing, not even what it asked a moment ago."""
    pool = pool_of(tmp_path, one=0.9)
    asyncio.run(pool.run_parallel({"one": job()}))
    asyncio.run(pool.run_parallel({"one": job()}))
    assert rows(tmp_path / "home", "SELECT count(*) FROM events WHERE type = 'call.started'") == [(10,)], (
        "five calls each time"
    )


def test_telemetry_is_merged_over_the_agents(tmp_path: Path) -> None:
    """Counters are the sum over all agents' calls; averages lie between theirs; the price is the run's."""
    pool = pool_of(tmp_path, low=0.5, high=0.9)
    assert pool.merge_telemetry() == {}
    asyncio.run(pool.run_parallel({"low": job(), "high": job()}))
    merged = pool.merge_telemetry()
    calls = rows(tmp_path / "home", "SELECT model, count(*) FROM calls GROUP BY model")
    assert {str(model): profile.calls_total for model, profile in merged.items()} == dict(calls)
    assert merged[Model("north")].cost_per_1m_input == 0.3
    author = max(merged.values(), key=lambda profile: profile.quality_score != 0.8)
    assert 0.5 <= author.quality_score <= 0.9


def test_a_name_is_given_once_and_must_be_known(tmp_path: Path) -> None:
    """A second agent of a name is refused, and so is a job without an agent, before anything runs."""
    pool = pool_of(tmp_path, one=0.9)
    with pytest.raises(ValueError, match="taken"):
        pool.add_agent("one", orchestrator(tmp_path))
    with pytest.raises(ValueError, match="no agent 'two'; there are: one"):
        asyncio.run(pool.run_parallel({"one": job(), "two": job()}))
    assert not (tmp_path / "home").exists()


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_merge_is_weighted_by_calls(first: int, second: int, left: float, right: float) -> None:
    """Averages stay between the two; who was never called weighs nothing beside who was."""

    def profile(calls: int, quality: float) -> ModelProfile:
        return ModelProfile(Model("m"), "p", 1.0, 2.0, quality_score=quality, calls_total=calls)

    merged = merge_profiles(profile(first, left), profile(second, right))
    assert merged.calls_total == first + second
    assert min(left, right) - 1e-9 <= merged.quality_score <= max(left, right) + 1e-9
    if first and not second:
        assert merged.quality_score == pytest.approx(left)


def test_the_command_shows_the_agents_side_by_side(tmp_path: Path) -> None:
    """One spec with two backends: a table, a winner and why; both runs are in the log under ids of their own."""
    spec = scripted_spec(tmp_path / "spec", project_id="duel")
    ended = orchestrate(tmp_path, "pool", str(spec), "--backend", "pareto", "--backend", "greedy", "-o", "results")
    assert ended.code == 0, ended.err
    assert "winner: " in ended.lines[-1]
    assert {"duel-pareto", "duel-greedy"} == {run for (run,) in rows(tmp_path, "SELECT run_id FROM runs")}
    for name in ("pareto", "greedy"):
        assert (tmp_path / "results" / name / "summary.json").exists()


def test_the_command_compares_specs_as_json(tmp_path: Path) -> None:
    """Several specs: the better score wins; a spec that cannot run is named and stops no other."""
    good = scripted_spec(tmp_path / "a", name="good.json")
    poor = scripted_spec(tmp_path / "b", name="poor.json", answers=[scoring(0.2)])
    lost = scripted_spec(tmp_path / "c", name="lost.json")
    (tmp_path / "c" / "answers.json").unlink()
    ended = orchestrate(tmp_path, "pool", str(poor), str(good), str(lost), "--json")
    assert ended.code == 0, ended.err
    found = ended.json
    assert (found["winner"], [row["agent"] for row in found["agents"]]) == ("good", ["good", "poor"])
    assert found["why"].startswith("mean score 0.95")
    assert list(found["failed"]) == ["lost"]


def test_a_pool_of_one_is_none(tmp_path: Path) -> None:
    """One clear line says what is missing."""
    spec = str(scripted_spec(tmp_path / "spec"))
    greedy = ["--backend", "greedy"]
    for arguments in ([spec], [spec, spec, *greedy], [spec, spec], [spec, *greedy], [spec, *greedy, *greedy]):
        ended = orchestrate(tmp_path, "pool", *arguments)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended.err


def test_a_pool_without_a_folder_shows_runs_with_long_histories(tmp_path: Path) -> None:
    """What the table needs is read before the log is closed, also where nothing was written into a folder."""
    ended = orchestrate(tmp_path, "pool", str(QUICKSTART), "--backend", "pareto", "--backend", "greedy", "--json")
    assert ended.code == 0, ended.err
    assert [row["status"] for row in ended.json["agents"]] == ["SUCCESS", "SUCCESS"]


def test_a_pool_in_which_nothing_can_begin_exits_as_a_run_would(tmp_path: Path) -> None:
    """Backends that are not installed are bad usage, not a failed system."""
    spec = str(scripted_spec(tmp_path / "spec"))
    ended = orchestrate(tmp_path, "pool", spec, "--backend", "unknown", "--backend", "missing")
    assert (ended.code, ended.lines[-1]) == (2, "there is no winner: no agent's run started")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_agent_and_all_can_be_resumed(tmp_path: Path, number: signal.Signals) -> None:
    """Whether or not an agent's session had begun, its run is closed as interrupted; the exit code says so."""
    for name in ("one", "two"):
        scripted_spec(tmp_path, delay_ms=20_000, name=f"{name}.json", project_id=name)
    process = start(tmp_path, "pool", str(tmp_path / "one.json"), str(tmp_path / "two.json"))
    wait_until(lambda: count(tmp_path, "session.opened"), process)
    ended = signalled(process, number)
    assert ended.code == 130, ended.err
    assert count(tmp_path, "session.opened") == count(tmp_path, "run.interrupted") == 2
