"""An exporter that works: it notes down everything it gets, one JSON document a line."""

import json
from pathlib import Path
from typing import Any

from orchestrator.spi import Exporter, ExporterConfig, Metrics, RunEvent, hookimpl


class Notebook(Exporter):
    """Appends to a file."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def observe(self, event: RunEvent) -> None:
        """Note an event."""
        self._note(event=[event.run, event.version, event.type, event.data])

    def export(self, metrics: Metrics) -> None:
        """Note how the run stands, and what it has spent."""
        self._note(export=[(run.run, run.status, str(run.settled_usd)) for run in metrics.runs])

    def close(self) -> None:
        """Note the end."""
        self._note(close=True)

    def _note(self, **what: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(what) + "\n")


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter from its path."""
    return Notebook(config.options["path"])
