import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from orchestrator import events as e
from orchestrator.engine.exporting import Exporting, ExportLimits, _Worker
from orchestrator.engine.vendors.environment import Environment
from orchestrator.errors import PluginNotFoundError, SpecError
from orchestrator.log import Redactor
from orchestrator.plugins import Catalogue, PluginEntry, PluginStatus
from orchestrator.spi import Exporter, ExporterConfig, Metrics, RunEvent
from orchestrator.state.metrics_from_events import Measurement

FAST = ExportLimits(deadline=0.2, grace=0.2, queued=3, pause=0.0)
EVENTS = [e.RunInterrupted(f"cause {number}") for number in range(20)]


class Noting(Exporter):
    """Notes down what it gets; may be stopped in the middle."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.heard: list[str] = []
        self.reported = threading.Event()
        self._gate = gate

    def observe(self, event: RunEvent) -> None:
        """Note an event, once the gate is open."""
        self.reported.set()
        if self._gate is not None:
            self._gate.wait(30)
        self.heard.append(str(event.data["cause"]))

    def export(self, metrics: Metrics) -> None:
        """Note an export."""
        self.heard.append("export")

    def close(self) -> None:
        """Note the end."""
        self.heard.append("close")


class Offers:
    """A catalogue of one exporter of version 7."""

    def __init__(self, make: Callable[[ExporterConfig], Exporter]) -> None:
        self._make = make

    def find(self, kind: str, name: str) -> PluginEntry:
        """Know everything but ``unknown``."""
        if name == "unknown":
            raise PluginNotFoundError(kind, name, "it is not installed")
        return PluginEntry(kind, name, "acme", "7", "acme", status=PluginStatus.AVAILABLE)

    def exporter(self, name: str, config: ExporterConfig) -> Exporter:
        """Build it."""
        return self._make(config)


def play(
    make: Callable[[ExporterConfig], Exporter],
    *steps: Callable[[Exporting], object],
    name: str = "it",
    strict: bool = True,
    limits: ExportLimits = FAST,
    **options: Any,
) -> None:
    """A session with one exporter: build it, do the steps, finish."""

    async def session() -> None:
        exporting = Exporting("r", limits)
        environment = Environment({}, {}, lambda value: None)
        catalogue = cast(Catalogue, Offers(make))
        redactor = Redactor()
        redactor.add("the-canary-key")
        await exporting.open(catalogue, {name: options}, environment, redactor, lambda text: None, strict=strict)
        for step in steps:
            await asyncio.to_thread(step, exporting)
        await exporting.finish()

    asyncio.run(session())


def observe(events: Iterable[e.Event]) -> Callable[[Exporting], None]:
    """A step that brings events; they are not folded, so that any will do."""

    class Careless(Measurement):
        def take(self, at: int, event: e.Event, *, own: bool = True) -> None:
            """Count nothing."""

    def step(exporting: Exporting) -> None:
        exporting._measurement = Careless()
        for version, event in enumerate(events, 1):
            exporting.observe(version, version, event)

    return step


def test_everything_is_told_in_order_and_closed_at_the_end() -> None:
    """An exporter exports with the first event, hears each event, exports once more and is closed."""
    exporter = Noting()
    play(lambda config: exporter, observe(EVENTS[:2]), limits=ExportLimits())
    assert exporter.heard == ["cause 0", "export", "cause 1", "export", "close"]


def test_a_session_that_ends_at_once_exports_first_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end may be called for before the exporter's thread has begun to follow: no promised export is skipped."""
    follow, exporter = _Worker._follow, Noting()

    def late(worker: _Worker, built: Exporter) -> None:
        while not worker._stopping:
            threading.Event().wait(0.002)
        follow(worker, built)

    monkeypatch.setattr(_Worker, "_follow", late)
    play(lambda config: exporter, observe(EVENTS[:2]), limits=ExportLimits())
    assert exporter.heard == ["cause 0", "export", "cause 1", "export", "close"]


def test_it_exports_every_so_often() -> None:
    """With every_seconds exports go on while nothing happens; the option does not reach the plugin."""
    exporter, seen, third = Noting(), [], threading.Event()

    def make(config: ExporterConfig) -> Exporter:
        seen.append(dict(config.options))
        return exporter

    def wait(exporting: Exporting) -> None:
        while exporter.heard.count("export") < 3:
            third.wait(0.005)

    play(make, observe(EVENTS[:1]), wait, every_seconds=0.01, path="x")
    assert seen == [{"path": "x"}]


def test_a_hanging_exporter_is_given_up_by_name(caplog: pytest.LogCaptureFixture) -> None:
    """Past its deadline it hears nothing more, the session ends without it, and the warning says whose it is."""
    gate = threading.Event()
    exporter = Noting(gate)

    def later(exporting: Exporting) -> None:
        exporter.reported.wait(30)
        threading.Event().wait(FAST.deadline * 1.5)

    play(lambda config: exporter, observe(EVENTS[:1]), later, observe(EVENTS[1:2]))
    assert "the exporter 'it' of acme 7 has not come back within 0.2 s; the run goes on without it" in caplog.messages
    gate.set()
    assert "cause 1" not in exporter.heard
    assert "close" not in exporter.heard


def test_a_hang_at_the_end_does_not_hold_the_run_up(caplog: pytest.LogCaptureFixture) -> None:
    """The end of a session waits a moment only."""
    gate = threading.Event()
    play(lambda config: Noting(gate), observe(EVENTS[:1]))
    assert "the exporter 'it' of acme 7 has not come back within 0.2 s of the run's end" in caplog.text
    gate.set()


def test_a_slow_exporter_loses_events_not_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit its queue is left out, and said once."""
    gate = threading.Event()
    exporter = Noting(gate)

    def first(exporting: Exporting) -> None:
        exporter.reported.wait(30)

    many = ExportLimits(queued=3)
    open_ = lambda exporting: gate.set()  # noqa: E731
    play(lambda config: exporter, observe(EVENTS[:1]), first, observe(EVENTS[1:]), open_, limits=many)
    causes = [each for each in exporter.heard if each.startswith("cause")]
    assert causes == ["cause 0", "cause 1", "cause 2", "cause 3"]
    assert exporter.heard[-2:] == ["export", "close"]
    assert caplog.messages == ["the exporter 'it' of acme 7 is too slow: events are left out for it"]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_an_exporter_raises_is_said_once_without_its_secrets(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Its errors, whatever they are, end neither its thread nor the run; keys are taken out of what it says."""

    class Failing(Noting):
        def observe(self, event: RunEvent) -> None:
            """Fail."""
            raise error("no key the-canary-key")

    exporter = Failing()
    play(lambda config: exporter, observe(EVENTS[:3]), limits=ExportLimits())
    assert exporter.heard == ["export", "export", "close"]
    assert len(caplog.messages) == 2
    said = "it called sys.exit(no key [redacted])" if error is SystemExit else f"{error.__name__}: no key [redacted]"
    assert caplog.messages[0] == f"the exporter 'it' of acme 7 failed (observe): {said}; the run goes on"
    assert caplog.messages[1] == "the exporter 'it' of acme 7 has failed 3 times"


def test_one_that_cannot_be_built_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    """A broken plugin and one that never gets ready are warned of; wrong options and names are the user's to repair."""
    never = threading.Event()

    def broken(config: ExporterConfig) -> Exporter:
        raise RuntimeError("no luck")

    def hung(config: ExporterConfig) -> Exporter:
        never.wait(30)
        return Noting()

    def wrong(config: ExporterConfig) -> Exporter:
        raise SpecError(["exporters.it.x: wrong"])

    play(broken)
    play(hung)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "no luck; the run goes on without it" in caplog.text
    assert "could not be built within 0.2 s" in caplog.text
    never.set()
    with pytest.raises(SpecError):
        play(wrong)
    with pytest.raises(PluginNotFoundError):
        play(broken, name="unknown")
    play(wrong, strict=False)
    play(broken, name="unknown", strict=False)
    assert "exporters.it.x: wrong; the run goes on without it" in caplog.messages
    assert "it is not installed; the run goes on without it" in caplog.messages
