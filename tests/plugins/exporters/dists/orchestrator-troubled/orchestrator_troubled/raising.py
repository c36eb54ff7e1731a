"""An exporter that raises whatever it is asked, and cannot keep a secret."""

from orchestrator.spi import Exporter, ExporterConfig, Metrics, RunEvent, hookimpl


class Raising(Exporter):
    """Fails with its password in the message."""

    def __init__(self, password: str) -> None:
        self._password = password

    def observe(self, event: RunEvent) -> None:
        """Fail."""
        raise SystemExit(f"no to {event.type}, said {self._password}")

    def export(self, metrics: Metrics) -> None:
        """Fail."""
        raise RuntimeError(f"https://user:{self._password}@collector refused")


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter with a password of the environment."""
    return Raising(config.secret("TROUBLED_API_KEY") or "")
