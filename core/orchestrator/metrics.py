"""Metrics exporters by the names the specification gives them, and the metrics of runs that a log holds.

Each exporter stands for the plugin of its name, which is loaded on first use; ``PluginExporter("name", …)`` stands for
any other installed one. An object of your own with a method ``export`` works, too.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.plugins import Catalogue
from orchestrator.spi import Exporter, ExporterConfig, Metrics, ModelMetrics, RunMetrics
from orchestrator.state.metrics_from_events import Measurement

if TYPE_CHECKING:
    from orchestrator.ledger.event_log import EventLog

__all__ = [
    "ConsoleExporter",
    "JSONExporter",
    "Metrics",
    "MetricsExporter",
    "ModelMetrics",
    "OpenTelemetryExporter",
    "PluginExporter",
    "PrometheusExporter",
    "RunMetrics",
    "measure",
]


class MetricsExporter(Protocol):
    """Anything that can publish metrics."""

    def export(self, metrics: Metrics) -> None:
        """Publish the metrics as they stand now, in the place of those before."""


class PluginExporter:
    """Stands for an installed exporter.

    Args:
        name: its entry-point name.
        options: what it is built with; None stands for: not given.

    Attributes:
        name: as given.
        options: those that were given.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self.options: Mapping[str, Any] = {key: value for key, value in options.items() if value is not None}
        self._loaded: Exporter | None = None

    def export(self, metrics: Metrics) -> None:
        """Publish the metrics as the plugin does.

        Raises:
            PluginError: the plugin is not installed, or cannot be loaded.
            SpecError: the options make no sense.
            OSError: it cannot write where it should.
        """
        if self._loaded is None:
            variable = os.environ.get
            config = ExporterConfig(self.name, self.options, secret=variable, variable=variable)
            self._loaded = Catalogue.discover().exporter(self.name, config)
        self._loaded.export(metrics)

    def close(self) -> None:
        """Let the plugin send what is left, and let go of everything; the next export builds it anew."""
        loaded, self._loaded = self._loaded, None
        close = getattr(loaded, "close", None)
        if close is not None:
            close()

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"PluginExporter({self.name!r}{given})"


class ConsoleExporter(PluginExporter):
    """Prints a table to stdout."""

    def __init__(self) -> None:
        super().__init__("console")


class JSONExporter(PluginExporter):
    """Writes a JSON file, replaced each time; without a path it prints the document."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__("json", path=_text(path))


class PrometheusExporter(PluginExporter):
    """Writes Prometheus's text format to a file (for node_exporter), serves it on a port, or prints it."""

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, port: int | None = None, host: str | None = None
    ) -> None:
        super().__init__("prometheus", path=_text(path), port=port, host=host)


class OpenTelemetryExporter(PluginExporter):
    """Sends metrics to a collector over OTLP/HTTP; where to: ``endpoint``, else the standard variables."""

    def __init__(self, endpoint: str | None = None) -> None:
        super().__init__("opentelemetry", endpoint=endpoint)


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def measure(log: "EventLog", runs: Iterable[str]) -> Metrics:
    """The metrics of runs of a log, in this order; what is measured of models goes on from run to run.

    Raises:
        LogError: the log cannot be read.
    """
    measurement = Measurement()
    for run in runs:
        measurement.begin(run)
        for record in log.read(run):
            measurement.take(record.at, record.event, own=record.stream == run)
    return measurement.metrics()
