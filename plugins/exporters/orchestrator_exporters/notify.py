"""The exporter ``notify``: a message to a person at the end of a run, by any service that Apprise knows.

Options: ``addresses_env`` (the variable that holds Apprise addresses, separated by spaces), ``on`` (events to tell of,
such as ``task.finished``; ``run.finished`` where it is left out). Needs the extra ``notify``.
"""

import fnmatch
from collections.abc import Callable, Sequence
from typing import Final

from orchestrator.spi import Exporter, ExporterConfig, Metrics, RunEvent, RunMetrics, SpecError, hookimpl
from orchestrator_exporters.options import Options

_USUAL: Final = ("run.finished",)

Send = Callable[[str, str], bool]
"""Sends title and body; whether every address took them."""


class NotifyError(Exception):
    """A message did not reach every address."""


class NotifyExporter(Exporter):
    """Tells of an event once the metrics after it are known."""

    def __init__(self, send: Send, on: Sequence[str]) -> None:
        self._send = send
        self._on = tuple(on) or _USUAL
        self._seen: list[RunEvent] = []

    def observe(self, event: RunEvent) -> None:
        """Note an event that is to be told of."""
        if any(fnmatch.fnmatchcase(event.type, pattern) for pattern in self._on):
            self._seen.append(event)

    def export(self, metrics: Metrics) -> None:
        """Tell of what was noted."""
        seen, self._seen = self._seen, []
        run = next((each for each in metrics.runs if each.run == metrics.run), None)
        if seen and run is not None and not self._send(*message(seen, run)):
            raise NotifyError("a message was not taken by every address")


def message(seen: Sequence[RunEvent], run: RunMetrics) -> tuple[str, str]:
    """Title and body: how the run stands, and what happened."""
    tasks = ", ".join(f"{count} {status}" for status, count in run.tasks.items() if count)
    spent = f"{(run.settled_usd + run.unreconciled_usd).shown} of at most {run.cap_usd.shown}"
    events = ", ".join(dict.fromkeys(event.type for event in seen))
    simulated = " (simulated)" if run.simulated else ""
    return f"orchestrate: {run.run}: {run.status}", f"{spent}{simulated}; tasks: {tasks or 'none'}; event: {events}"


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter from ``addresses_env`` and ``on``."""
    options = Options(config)
    name, on = options.text("addresses_env"), options.names("on")
    addresses = None if name is None else config.secret(name)
    if name is None:
        options.refuse("addresses_env is missing: which variable holds the addresses?")
    elif addresses is None:
        options.refuse(f"addresses_env: {name} is not set")
    options.done()
    return NotifyExporter(_apprise(config.name, (addresses or "").split()), on)


def _apprise(name: str, addresses: Sequence[str]) -> Send:
    try:
        import apprise
    except ImportError:
        raise SpecError(
            [f"exporters.{name}: needs the extra notify: pip install 'multi-llm-orchestrator[notify]'"]
        ) from None
    found = apprise.Apprise()
    for number, address in enumerate(addresses, start=1):
        if not found.add(address):
            raise SpecError([f"exporters.{name}: address {number} is none that Apprise knows"])
    return lambda title, body: bool(found.notify(body=body, title=title))
