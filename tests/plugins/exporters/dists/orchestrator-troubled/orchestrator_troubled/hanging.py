"""An exporter that does not come back."""

import time

from orchestrator.spi import Exporter, ExporterConfig, Metrics, hookimpl


class Hanging(Exporter):
    """Sleeps for ever."""

    def export(self, metrics: Metrics) -> None:
        """Hang."""
        time.sleep(1e6)


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter."""
    return Hanging()
