"""Exporters with one bug each; beside them a sound one."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from orchestrator.spi import Exporter, Metrics, RunEvent
from orchestrator.testing import ExporterContract, PluginContract


class Collector(Exporter):
    """A sound exporter: one line per export."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def export(self, metrics: Metrics) -> None:
        """Say how many there are."""
        self._write(f"{len(metrics.runs)} runs, {len(metrics.models)} models")

    def observe(self, event: RunEvent) -> None:
        """Take it in."""

    def close(self) -> None:
        """Let go."""


class SoundExporter(ExporterContract):
    """The suite of the sound exporter."""

    planted: ClassVar[type[Collector]] = Collector

    def make(self, sink: Any = None) -> Exporter:
        """The one that is planted."""
        return self.planted(self.config(sink).write)


def _exporter(**methods: Any) -> type[PluginContract]:
    return type("Planted", (SoundExporter,), {"planted": type("Planted", (Collector,), methods)})


def _once_broken(self: Any, metrics: Metrics) -> None:
    if getattr(self, "broken", False):
        return
    try:
        self._write("x")
    except OSError:
        self.broken = True
        raise


def _growing(self: Any, metrics: Metrics) -> None:
    self.lines = [*getattr(self, "lines", []), "x"]
    self._write("".join(self.lines))


def _threaded(self: Any, write: Callable[[str], None]) -> None:
    self._write = write
    self.stop = threading.Event()
    threading.Thread(target=self.stop.wait, args=(30,), daemon=True).start()


def _left_running(self: Any, metrics: Metrics) -> None:
    threading.Thread(target=time.sleep, args=(1.0,), name="left", daemon=False).start()


def _opening(self: Any, write: Callable[[str], None]) -> None:
    self._write = write
    Path("metrics.txt").write_text("")


def _closing_once(self: Any) -> None:
    if getattr(self, "closed", False):
        raise ValueError("already closed")
    self.closed = True


def _clear_data(self: Any, event: RunEvent) -> None:
    event.data.clear()  # type: ignore[attr-defined]


def _clear_tasks(self: Any, metrics: Metrics) -> None:
    for run in metrics.runs:
        run.tasks.clear()  # type: ignore[attr-defined]


def _leak(self: Any, metrics: Metrics) -> None:
    logging.getLogger("planted").info("sk-canary-3b9d51f0c7aa")


def _filing_the_key(self: Any, metrics: Metrics) -> None:
    Path("metrics.txt").write_text("sk-canary-3b9d51f0c7aa")


_ANY_METRICS: Final = "test_any_metrics_can_be_exported"
EXPORTERS: Final[Mapping[str, tuple[type[PluginContract], str]]] = {
    "divides by the runs": (_exporter(export=lambda self, m: self._write(str(1 / len(m.runs)))), _ANY_METRICS),
    "adds what was never measured": (
        _exporter(export=lambda self, m: self._write(str(sum(each.cost_avg_usd for each in m.models)))),
        _ANY_METRICS,
    ),
    "calls sys.exit": (_exporter(export=lambda self, m: sys.exit(1)), _ANY_METRICS),
    "fails at the second export": (
        _exporter(export=lambda self, m: self.__dict__.setdefault("seen", 0) or self.__dict__.pop("_write")),
        "test_exports_go_on",
    ),
    "expects a field of every event": (
        _exporter(observe=lambda self, event: event.data["task"]),
        "test_any_event_can_be_observed",
    ),
    "knows only its own types": (
        _exporter(observe=lambda self, event: event.type.split(".")[1]),
        "test_any_event_can_be_observed",
    ),
    "clears events": (_exporter(observe=_clear_data), "test_its_arguments_stay_as_they_are"),
    "clears metrics": (_exporter(export=_clear_tasks), "test_its_arguments_stay_as_they_are"),
    "gives up after a failure": (_exporter(export=_once_broken), "test_a_failed_export_spoils_no_later_one"),
    "repeats what is old": (_exporter(export=_growing), "test_a_failed_export_spoils_no_later_one"),
    "writes the key into its file": (_exporter(export=_filing_the_key), "test_it_prints_nothing_by_itself"),
    "sets up logging": (
        _exporter(export=lambda self, m: logging.basicConfig(force=True)),
        "test_it_prints_nothing_by_itself",
    ),
    "closes before it has exported": (
        _exporter(export=lambda self, m: setattr(self, "file", 1), close=lambda self: self.file),
        "test_closing_lets_go_of_everything",
    ),
    "prints": (_exporter(export=lambda self, m: print("x")), "test_it_prints_nothing_by_itself"),  # noqa: T201
    "logs the key": (_exporter(export=_leak), "test_it_prints_nothing_by_itself"),
    "starts a thread at once": (_exporter(__init__=_threaded), "test_building_it_opens_nothing"),
    "opens its file at once": (_exporter(__init__=_opening), "test_building_it_opens_nothing"),
    "closes only once": (_exporter(close=_closing_once), "test_closing_lets_go_of_everything"),
    "leaves a thread": (_exporter(export=_left_running), "test_closing_lets_go_of_everything"),
}
