"""An exporter whose hook fails."""

from orchestrator.spi import Exporter, ExporterConfig, hookimpl


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Fail."""
    raise LookupError("its moon is in the wrong house")
