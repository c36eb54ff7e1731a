"""The exporter ``console``: a table of the models and a line per run, in plain characters."""

from collections.abc import Sequence
from typing import Final

from orchestrator.spi import Exporter, ExporterConfig, Metrics, ModelMetrics, RunMetrics, hookimpl
from orchestrator_exporters.options import Options

_COLUMNS: Final = (
    "calls_total",
    "success_rate",
    "latency_avg_ms",
    "latency_p95_ms",
    "quality_score",
    "trust_factor",
    "cost_avg_usd",
    "validator_failures_total",
)
_DIGITS: Final = {"latency_avg_ms": 0, "latency_p95_ms": 0, "cost_avg_usd": 6}
_NONE: Final = "-"


class ConsoleExporter(Exporter):
    """Writes the table each time it is asked to."""

    def __init__(self, config: ExporterConfig) -> None:
        self._write = config.write

    def export(self, metrics: Metrics) -> None:
        """Write it."""
        heads = ("model", *_COLUMNS)
        rows = [heads, *(_row(each) for each in metrics.models)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(heads))]
        lines = [_line(row, widths) for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        self._write("\n".join([*lines, *(_run(each) for each in metrics.runs)]) + "\n")


def _row(model: ModelMetrics) -> tuple[str, ...]:
    return model.model, *(_shown(name, getattr(model, name)) for name in _COLUMNS)


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return _NONE
    return str(value) if isinstance(value, int) else f"{value:.{_DIGITS.get(name, 3)}f}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return "  ".join(cells).rstrip()


def _run(run: RunMetrics) -> str:
    ended = sum(run.tasks.get(status, 0) for status in ("completed", "degraded", "failed"))
    spent = run.settled_usd + run.unreconciled_usd
    return (
        f"{run.run}: {run.status}, {ended} of {sum(run.tasks.values())} tasks, {run.calls_total} calls,"
        f" {spent.shown} of {run.cap_usd.shown}{' (simulated)' if run.simulated else ''}"
    )


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter; it takes no options."""
    Options(config).done()
    return ConsoleExporter(config)
