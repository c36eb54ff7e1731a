"""The specification's metrics: what they count, and the front door for Python."""

import json
from pathlib import Path

import pytest

from orchestrator.errors import PluginNotFoundError, SpecError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.metrics import (
    ConsoleExporter,
    JSONExporter,
    Metrics,
    OpenTelemetryExporter,
    PluginExporter,
    PrometheusExporter,
    measure,
)
from orchestrator.money import Usd
from orchestrator.state.fold import fold
from orchestrator.state.metrics_from_events import Measurement
from tests.golden import FOLDER, read
from tests.scripted import fields, orchestrator, run

BROKEN = {"role": "generator", "iteration": 1, "text": "```python\nx = (\n```"}
STILL_BROKEN = {"role": "reviser", "iteration": 1, "text": "```python\nx = (\n```"}
DOWN = {"role": "generator", "model": "south", "error": "server", "message": "down"}


def test_a_model_is_measured_by_what_it_did(tmp_path: Path) -> None:
    """Failures lower trust and success, failed checks and scores count for the author, prices for the model called."""
    settings = fields(tmp_path, BROKEN, STILL_BROKEN, DOWN, limits={"tries": 1}, evaluate={"runs": 1})
    orch = orchestrator(tmp_path, **settings)
    unreconciled: list[Metrics] = []

    class Keeping:
        def export(self, metrics: Metrics) -> None:
            """Keep them."""
            unreconciled.append(metrics)

    orch.set_metrics_exporter(Keeping())
    orch.export_metrics()
    run(orch, project_id="a")
    orch.export_metrics()
    assert unreconciled[0] == Metrics(0)
    (whole,) = unreconciled[1].runs
    assert (whole.run, whole.status, whole.simulated, whole.tasks["completed"]) == ("a", "SUCCESS", True, 1)
    north, south = unreconciled[1].models
    assert (north.model, north.provider, north.vendor) == ("north", "scripted", "n")
    assert north.validator_failures_total == 0  # only the checks of what is delivered count
    assert south.validator_failures_total == 0
    assert north.quality_score == pytest.approx(0.9 * 0.0 + 0.1 * 0.95)  # the first iteration's gate failed
    assert south.quality_score is None
    assert south.failures_total == 1
    assert south.success_rate == pytest.approx(1 - 1 / south.calls_total)
    assert south.trust_factor < 0.96 < north.trust_factor == 1.0
    assert north.cost_usd_total + south.cost_usd_total == whole.settled_usd + whole.unreconciled_usd
    run(orch, project_id="b")
    orch.export_metrics()
    assert [each.run for each in unreconciled[2].runs] == ["a", "b"]
    assert unreconciled[2].models[0].calls_total == 2 * north.calls_total
    log = EventLog.open_to_read(tmp_path / "home")
    assert measure(log, ["a"]) == unreconciled[1]
    log.close()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_totals_are_those_of_the_state(path: Path) -> None:
    """In every golden log the money of the models adds up to that of the run, and calls are those in the log."""
    log = read(path)
    past, run = log.history(), log.rows[-1]["stream"]
    measurement = Measurement()
    measurement.begin("r")
    for row, (at, event) in zip(log.rows, past, strict=True):
        measurement.take(at, event, own=row["stream"] == run)
    state, found = fold(past), measurement.metrics()
    (whole,) = found.runs
    assert (whole.settled_usd, whole.unreconciled_usd, whole.cap_usd) == (
        state.spend.settled,
        state.spend.unreconciled,
        state.cap,
    )
    assert sum((each.cost_usd_total for each in found.models), Usd.ZERO) == state.spend.total
    calls = {each.model: each.calls_total for each in found.models if each.calls_total}
    known = {name: record.calls for name, record in state.records.items() if record.calls}
    if state.forked is not None:  # what a fork knows of a model is its parent's too; it counts its own
        assert calls.items() != known.items()
        assert all(count <= known[name] for name, count in calls.items())
    else:
        assert calls == known
        assert {each.model: each.latency_p95_ms for each in found.models} == {
            each.model: state.records[each.model].p95_ms for each in found.models
        }
    assert sum(whole.tasks.values()) == len(state.tasks)


def test_the_names_of_the_specification_stand_for_plugins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each exporter is loaded on first use, writes where it was told, and prints where it was told nothing."""
    orch = orchestrator(tmp_path)
    run(orch, project_id="a")
    for exporter, start in [
        (ConsoleExporter(), "model "),
        (JSONExporter(), "{"),
        (PrometheusExporter(), "# HELP orchestrator_calls_total"),
    ]:
        orch.set_metrics_exporter(exporter)
        orch.export_metrics()
        assert capsys.readouterr().out.startswith(start)
    for exporter, name in [
        (JSONExporter(tmp_path / "m.json"), "m.json"),
        (PrometheusExporter(tmp_path / "m.prom"), "m.prom"),
    ]:
        orch.set_metrics_exporter(exporter)
        orch.export_metrics()
        assert "north" in (tmp_path / name).read_text()
    assert json.loads((tmp_path / "m.json").read_text())["runs"]["a"]["status"] == "SUCCESS"
    assert capsys.readouterr().out == ""
    assert repr(OpenTelemetryExporter("http://h")) == "PluginExporter('opentelemetry', endpoint='http://h')"


def test_what_is_no_exporter_is_refused(tmp_path: Path) -> None:
    """A class, an object without `export`, an unknown name and no exporter at all are said as such."""
    orch = orchestrator(tmp_path)
    with pytest.raises(UsageError, match="no exporter is set"):
        orch.export_metrics()
    with pytest.raises(SpecError, match=r"pass an object, ConsoleExporter\(…\), not the class"):
        orch.set_metrics_exporter(ConsoleExporter)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="a dict has no method `export`"):
        orch.set_metrics_exporter({})  # type: ignore[arg-type]
    orch.set_metrics_exporter(PluginExporter("nothing"))
    with pytest.raises(PluginNotFoundError, match="no exporter 'nothing' is installed"):
        orch.export_metrics()
