"""What all runs have measured: from the whole log, from a snapshot, and what a run is told of it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.decide.ranking import telemetry_of
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Recorded, Select
from orchestrator.models import ModelInfo, TaskType, Verdict
from orchestrator.replay import verify
from orchestrator.state.fold import fold
from orchestrator.state.metrics_from_events import Measurement
from orchestrator.state.model_health import Measured, ModelRecord
from orchestrator.telemetry import SNAPSHOT, Telemetry, measured, priors
from orchestrator.testing.played_run import play_spec
from orchestrator.testing.simulation.simulator import Scenario, simulate, sound_rank
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.e2e.test_loop import OBJECTS, RIGHT, TASK, TESTS, WRONG, says
from tests.plugins.commands.eval.suites import answer, case, write
from tests.scripted import fields, job
from tests.scripted import orchestrator as scripted
from tests.sql import sqlite_of


def _log(home: Path) -> EventLog:
    return EventLog.open_to_read(home)


def _with_figures(found: dict[str, dict[TaskType | None, Measured]]) -> dict[str, dict[TaskType | None, Measured]]:
    """Without averages that were only looked at."""
    unreconciled = {
        m: {k: each for k, each in seen.items() if each.calls or each.quality is not None} for m, seen in found.items()
    }
    return {model: seen for model, seen in unreconciled.items() if seen}


@pytest.mark.parametrize("seed", [2, 11, 23, 35])
def test_of_one_run_it_measures_what_the_run_measures(tmp_path: Path, seed: int) -> None:
    """The projection of a log with one run has the averages of that run's state, whatever went wrong in it."""
    drawn = Scenario.draw(seed)
    alone = evolve(drawn.settings, accounts=())
    report = simulate(evolve(drawn, runs=1, tasks=4, settings=alone, account_caps={}, priors=()))
    log = report.world.log()
    found = measured(log, keep=False)
    state = report.states["run-1"]
    assert found.real == {}
    counted: dict[str, dict[TaskType | None, Measured]] = {}
    for sold, record in found.simulated.items():
        model = sold.partition("/")[2]
        counted[model] = dict(record.by_type)
        for seen in record.by_type.values():
            seen.validator_failures = 0
        assert (record.calls, record.latencies, record.recent) == (
            state.records[model].calls,
            state.records[model].latencies,
            state.records[model].recent,
        )
    assert _with_figures(counted) == _with_figures({m: dict(r.by_type) for m, r in state.records.items()})
    report.world.close()


def test_a_snapshot_is_gone_on_from_and_a_bad_one_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a snapshot only what came later is read; damaged, of another log or gone, everything is read again."""
    monkeypatch.setattr("orchestrator.telemetry.projection._WORTH_KEEPING", 1)
    home = tmp_path / "home"
    for name in ("one", "two"):
        spec = scripted_spec(tmp_path, project_id=name)
        assert orchestrate(home, "run", str(spec)).code == 0
    log = _log(home)
    whole = measured(log, keep=False)
    assert not (home / SNAPSHOT).exists()
    assert measured(log) == whole
    stored = orjson.loads((home / SNAPSHOT).read_bytes())
    assert stored["position"] == whole.position
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="three"))).code == 0

    read: list[str] = []
    original = EventLog.select

    def select(self: EventLog, select: Select) -> Iterator[Recorded]:
        for record in original(self, select):
            read.extend([record.stream] if select.streams is None and "call.started" in (select.types or ()) else [])
            yield record

    monkeypatch.setattr(EventLog, "select", select)
    later = measured(log, keep=False)
    assert set(read) == {"three"}
    assert measured(log, keep=False, newest=log.high_water()) == later
    (home / SNAPSHOT).unlink()
    assert measured(log, keep=False) == later
    read.clear()
    few = measured(log, newest=30)
    assert (set(read), few.position) == ({"three"}, later.position)
    assert not (home / SNAPSHOT).exists()  # a part is never kept for the whole
    assert 0 < sum(each.calls for each in few.simulated.values()) < sum(each.calls for each in later.simulated.values())
    for damage in (b"", b"{", b"[]", orjson.dumps({**stored, "hash": "0" * 64}), orjson.dumps({**stored, "format": 0})):
        (home / SNAPSHOT).write_bytes(damage)
        assert measured(log, keep=False) == later
    log.close()


def test_simulated_runs_are_measured_apart(tmp_path: Path) -> None:
    """What pretended models were measured at is never told to a real run."""
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="one"))).code == 0
    log = _log(home)
    found = measured(log)
    assert (sorted(found.simulated), found.real) == (["scripted/north", "scripted/south"], {})
    assert found.of(simulated=False) == {}
    assert found.simulated["scripted/north"].by_type[TaskType.CODE_GEN].quality == 0.95
    log.close()


def test_failed_checks_are_counted_for_the_author(tmp_path: Path) -> None:
    """A validator that fails an output counts against its model and type."""
    home = tmp_path / "home"
    broken = [
        {"role": "generator", "text": "```python\nx = \n```"},
        {"role": "reviser", "text": "```python\nx = \n```"},
    ]
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, answers=broken))).code == 1
    log = _log(home)
    seen = [record.by_type[TaskType.CODE_GEN] for record in measured(log).simulated.values()]
    ((failed,),) = sqlite_of(log).query("SELECT count(*) FROM checks WHERE verdict = 'failed'")
    assert sum(each.validator_failures for each in seen) == failed > 0
    log.close()


def test_each_event_of_a_run_is_read_once_for_its_failed_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tasks it has: measuring a run of four hundred tasks took thirteen seconds."""
    home = tmp_path / "home"
    given = [{"id": f"t{number}", "type": "code_generation", "prompt": f"Write {number}."} for number in range(8)]
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, tasks=given, loop="plain"))).code == 0
    read: list[int] = []
    original = EventLog.read_own

    def read_own(self: EventLog, *given: Any, **more: Any) -> Iterator[Recorded]:
        for record in original(self, *given, **more):
            read.append(record.version)
            yield record

    monkeypatch.setattr(EventLog, "read_own", read_own)
    log = _log(home)
    measured(log, keep=False)
    log.close()
    assert len(read) == len(set(read)) >= 16


def test_a_failed_check_of_an_equal_answer_is_counted_with_the_chosen_one(tmp_path: Path) -> None:
    """The second draft is the first one again: the check that failed was made on the first, and is not made again."""
    wrong = {**TASK, "tests": TESTS.replace("== 4", "== 5"), "title": "", "dependencies": []}
    run = play_spec(
        tmp_path,
        [
            says("decomposer", json.dumps({"tasks": [wrong]})),
            says("generator", RIGHT),
            says("critic", OBJECTS),
            says("reviser", WRONG),
            says("evaluator", '{"score": 3}', iteration=1),
        ],
        tasks=None,
        cache=False,
    )
    (chosen,) = run.all(e.OutputChosen)
    (failed,) = [run.events[each.check - 1] for each in run.all(e.Validated) if each.verdict is Verdict.FAILED][:1]
    assert isinstance(failed, e.CheckStarted)
    assert (chosen.iteration, failed.iteration, failed.vote) == (2, 1, True)
    log, author = _log(run.home), run.task("task_001").model
    counted = measured(log).simulated[f"scripted/{author}"].by_type[TaskType.CODE_GEN].validator_failures
    log.close()
    meter = Measurement()
    meter.begin(run.run)
    for event in run.events:
        meter.take(0, event)
    seen = {each.model: each.validator_failures_total for each in meter.metrics().models}
    assert (counted, seen[author]) == (1, 1)


def _record(calls: int, **more: float) -> ModelRecord:
    record = ModelRecord(calls=calls, by_type={TaskType.CODE_GEN: Measured(calls, **more)})  # type: ignore[arg-type]
    record.latencies.append(9000)
    record.recent.append(False)
    return record


@pytest.mark.parametrize(
    ("calls", "quality", "latency", "trust", "p95", "success"),
    [
        (10, 0.4 * 0.5 + 0.6 * 0.8, 0.4 * 100 + 0.6 * 2000, 0.4 * 0.7 + 0.6, 0.4 * 9000 + 0.6 * 5000, 0.6),
        (49, 0.4 * 0.5 + 0.6 * 0.8, 0.4 * 100 + 0.6 * 2000, 0.4 * 0.7 + 0.6, 0.4 * 9000 + 0.6 * 5000, 0.6),
        (50, 0.5, 100.0, 0.7, 9000.0, 0.0),
    ],
)
def test_the_warm_start(calls: int, quality: float, latency: float, trust: float, p95: float, success: float) -> None:
    """Ten calls are blended 40/60 with what is usual, fifty count in full; the cost is taken as it is."""
    seen = _record(calls, quality=0.5, cost=0.25, latency_ms=100.0, trust=0.7)
    (prior,) = priors({"p/m": seen}, [ModelInfo("m", "p", "v")])
    assert (prior.model, prior.type, prior.calls, prior.cost) == ("m", TaskType.CODE_GEN, calls, 0.25)
    assert (prior.quality, prior.latency_ms, prior.trust) == pytest.approx((quality, latency, trust))
    assert (prior.latency_p95_ms, prior.success_rate) == pytest.approx((p95, success))


@pytest.mark.parametrize(("tier", "usual"), [("economy", 0.7), ("standard", 0.8), ("premium", 0.9), (None, 0.8)])
def test_what_is_usual_is_the_tier_s(tier: str | None, usual: float) -> None:
    """Few measurements are blended with what is assumed of the model's tier."""
    models = [ModelInfo("m", "p", "v", tier=tier)]
    (prior,) = priors({"p/m": _record(10, quality=0.5)}, models)
    assert prior.quality == pytest.approx(0.4 * 0.5 + 0.6 * usual)


def test_few_calls_are_no_prior_and_what_was_never_measured_stays_unknown() -> None:
    """Nine calls are ignored; a quality without a score is not made up."""
    models = [ModelInfo("m", "p", "v")]
    assert priors({"p/m": _record(9)}, models) == ()
    (prior,) = priors({"p/m": _record(10)}, models)
    assert (prior.quality, prior.cost, prior.latency_ms) == (None, None, None)


def test_what_one_instance_measured_is_no_prior_of_another() -> None:
    """The same id at two servers is two models, whether or not the run's id names the instance."""
    records = {"lab/m": _record(10, quality=0.5), "home/m": _record(50, quality=0.9)}
    models = [ModelInfo("lab/m", "lab", "v", wire_name="m"), ModelInfo("m", "home", "v")]
    assert [(prior.model, prior.calls) for prior in priors(records, models)] == [("lab/m", 10), ("m", 50)]


def test_a_run_is_told_once_and_decides_by_it(tmp_path: Path) -> None:
    """The prior stands in the first SessionOpened; the run goes on from it, and every decision is recomputable."""
    home = tmp_path / "home"
    _twelve_runs(tmp_path)
    spec = scripted_spec(tmp_path, project_id="reported")

    assert orchestrate(home, "run", str(spec)).code == 0

    log = _log(home)
    history = [(record.at, record.event) for record in log.read("reported")]
    (opened,) = [event for _, event in history if isinstance(event, e.SessionOpened)]
    reported = {(prior.model, prior.type): prior for prior in opened.priors}
    north = reported["north", TaskType.CODE_GEN]
    assert north.calls >= 12
    begun = fold([each for each in history if isinstance(each[1], e.RunStarted | e.SessionOpened)])
    shown = telemetry_of(begun.records["north"], TaskType.CODE_GEN)
    assert (shown.calls, shown.quality, shown.latency_p95_ms) == (north.calls, north.quality, north.latency_p95_ms)
    after = fold(history).records["north"].by_type[TaskType.CODE_GEN]
    assert after.calls > north.calls
    drafted = [event for _, event in history if isinstance(event, e.ModelSelected) and event.role.value == "generator"]
    assert [event.backend for event in drafted] == ["greedy"], "measured candidates are ordered by the backend"
    assert orchestrate(home, "replay", "reported", "--verify", "--strict").code == 0
    first = [event for _, event in ((r.at, r.event) for r in log.read("run-0")) if isinstance(event, e.SessionOpened)]
    assert first[0].priors == ()
    log.close()


def _twelve_runs(folder: Path) -> None:
    """Twelve runs with drafts by both models: every other one has them change places in the table."""
    for number in range(12):
        row = ["south", "north"] if number % 2 else ["north", "south"]
        front = scripted(folder, **fields(folder, routing={"table": {"code_generation": row}}, evaluate={"runs": 1}))
        asyncio.run(front.run_job(job(project_id=f"run-{number}")))
    counts = rows(folder / "home", "SELECT model, count(*) FROM calls GROUP BY model")
    assert all(count >= 12 for _, count in counts)


def test_priors_of_a_simulated_world_are_verified_too() -> None:
    """A world told of earlier measurements is recomputed from its own stream alone."""
    seed = next(seed for seed in range(50) if len(Scenario.draw(seed).priors) and not Scenario.draw(seed).crashes)
    report = simulate(Scenario.draw(seed))
    history = report.histories["run-1"]
    sessions = [event for _, event in history if isinstance(event, e.SessionOpened)]
    assert sessions[0].priors
    assert all(not session.priors for session in sessions[1:])
    assert verify(history, lambda session: sound_rank()).differences == ()
    report.world.close()


def test_an_empty_log_measures_nothing(tmp_path: Path) -> None:
    """No run, no record, no snapshot."""
    log = EventLog.open(tmp_path)
    assert measured(log) == Telemetry()
    assert not (tmp_path / SNAPSHOT).exists()
    log.close()


def test_only_grades_of_an_evaluation_are_learnt_and_they_can_be_taken_back(tmp_path: Path) -> None:
    """Cells measure nothing for other runs; taught grades are a quality of their share, and gone when removed."""
    home = tmp_path / "home"
    suite = write(
        tmp_path, [case(n) for n in range(1, 13)], [answer(n, None if n < 10 else "no") for n in range(1, 13)]
    )
    ended = orchestrate(home, "eval", "run", str(suite), "--no-controls", "--set", "loop=plain")
    assert ended.code == 0, ended.err
    assert _learnt(home, tmp_path) == {}

    assert orchestrate(home, "eval", "teach", "tried").code == 0
    assert _learnt(home, tmp_path) == {"scripted/small-1": {TaskType.SUMMARIZATION: (12, 0.75)}}
    log = _log(home)
    known = priors(measured(log, keep=False).simulated, [ModelInfo("small-1", "scripted", "small")])
    assert [(each.calls, each.type) for each in known] == [(12, TaskType.SUMMARIZATION)]
    log.close()
    spec = tmp_path / "spec.json"
    spec.write_text(
        orjson.dumps({"project": "p", "criteria": "c", "providers": {"scripted": {"answers": "answers.json"}}}).decode()
    )
    shown = orchestrate(home, "models", "show", "small-1", "-f", str(spec))
    assert "summarization: 9 of 12 solved in tried (simulated)" in " ".join(shown.out.split())
    assert orchestrate(home, "eval", "teach", "tried", "--remove").code == 0
    assert _learnt(home, tmp_path) == {}


def _learnt(home: Path, folder: Path) -> dict[str, dict[TaskType | None, tuple[int, float | None]]]:
    """Calls and quality that are known of simulated models."""
    log = _log(home)
    try:
        found = measured(log, keep=False).simulated
        return {
            model: {kind: (seen.calls, seen.quality) for kind, seen in record.by_type.items()}
            for model, record in found.items()
        }
    finally:
        log.close()
