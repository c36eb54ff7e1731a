"""The exporter ``json``: one document, replaced each time; without a path it is shown instead."""

import json
from pathlib import Path
from typing import Any, Final

from attrs import asdict

from orchestrator.spi import Exporter, ExporterConfig, Metrics, Usd, hookimpl
from orchestrator_exporters.options import Options
from orchestrator_exporters.replaced_files import replace

_HEAD: Final = {"format": "orchestrate-metrics", "format_version": 1}


class JSONExporter(Exporter):
    """Writes ``{"format": …, "at": …, "runs": {ID: …}, "models": {NAME: …}}``; amounts are numbers of US dollars."""

    def __init__(self, config: ExporterConfig, path: Path | None) -> None:
        self._write = config.write
        self._path = path

    def export(self, metrics: Metrics) -> None:
        """Write the document."""
        document = {
            **_HEAD,
            "at": metrics.at,
            "runs": {each.run: _plain(each, "run") for each in metrics.runs},
            "models": {each.model: _plain(each, "model") for each in metrics.models},
        }
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        if self._path is None:
            self._write(text)
        else:
            replace(self._path, text, is_export)


def is_export(text: str) -> bool:
    """Whether a text is a document that this exporter wrote."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"at", "runs", "models"} <= found.keys() <= {*_HEAD, "at", "runs", "models"}


def _plain(value: Any, name: str) -> dict[str, Any]:
    """The fields but the one that is the key already."""
    fields = asdict(value, recurse=False, filter=lambda attribute, _: attribute.name != name)
    return {key: float(each) if isinstance(each, Usd) else each for key, each in fields.items()}


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter from ``path``."""
    options = Options(config)
    path = options.path("path")
    options.done()
    return JSONExporter(config, path)
