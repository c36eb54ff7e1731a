"""Exporters of a session: each in a thread of its own, fed over a bounded queue, given up when it hangs.

Nothing here can fail or delay a run. What goes wrong becomes a warning that names the plugin and its version.
"""

import asyncio
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from attrs import define, evolve, field, frozen

from orchestrator import events as e
from orchestrator.deadlines import EscapedError, outcome_of
from orchestrator.deadlines.threads import LeftThread
from orchestrator.engine.vendors.environment import Environment
from orchestrator.errors import PluginError, SpecError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Recorded, Redactor, encode
from orchestrator.plugins import Catalogue
from orchestrator.plugins.store_of_folder import open_log_to_read
from orchestrator.spi import Exporter, ExporterConfig, Metrics, RunEvent, no_history
from orchestrator.state.metrics_from_events import Measurement

EVERY: Final = "every_seconds"
"""The option that the program reads itself: how often an exporter exports while the run goes on."""

_LOGGER: Final = logging.getLogger("orchestrator.exporters")
_DEADLINE: Final = 10.0
"""Seconds an exporter may take for anything."""
_GRACE: Final = 3.0
"""Seconds the end of a session waits for all exporters."""
_QUEUED: Final = 10_000
"""Events that wait for a slow exporter; further ones are left out."""
_PAUSE: Final = 1.0
"""Seconds between two exports that ends of tasks call for."""

_IDLE: Final = 15.0
"""Seconds after which it exports again though no task has ended, where the spec does not say how often."""

_KEPT: Final = "exporters"
"""The folder in the data folder where exporters keep files of their own."""

_Item = tuple[int, int, e.Event]


def _run_event(run: str, version: int, at: int, event: e.Event) -> RunEvent:
    name, _, data = encode(event)
    return RunEvent(run, version, at, name, orjson.loads(data))


def _history(home: Path, run: str, after: int) -> Iterator[RunEvent]:
    """The run's committed events after a version, over a connection of its own."""
    log = open_log_to_read(home, EventLog)
    try:
        for record in log.read_own(run, after):
            yield _run_event(run, record.version, record.at, record.event)
    finally:
        log.close()


@frozen
class ExportLimits:
    """How patient a session is with its exporters: seconds, and events in the queue."""

    deadline: float = _DEADLINE
    grace: float = _GRACE
    queued: int = _QUEUED
    pause: float = _PAUSE
    idle: float = _IDLE


@define(eq=False)
class _Worker:
    """One exporter and its thread."""

    label: str
    make: Callable[[], Exporter]
    every: float | None
    """Seconds between exports; None: at the ends of tasks, and as time goes by; 0: only at the end."""
    metrics: Callable[[], Metrics]
    run: str
    shown: Callable[[str], str]
    """Takes secrets out of what an exporter says."""
    limits: ExportLimits
    queue: "queue.Queue[_Item | None]"
    built: "asyncio.Future[None]"
    loop: asyncio.AbstractEventLoop
    abandoned: bool = False
    _exporter: Exporter | None = None
    _observes: bool = False
    _busy_since: float | None = None
    _stopping: bool = False
    _left_out: int = 0
    _failures: int = 0
    _exported: float = 0.0
    _thread: LeftThread = field(init=False)

    def start(self) -> None:
        self._thread = LeftThread(self._work, "orchestrate-exporter").start()

    def put(self, item: _Item) -> None:
        """Queue an event; see whether the exporter still lives."""
        if self.abandoned:
            return
        busy = self._busy_since
        if busy is not None and time.monotonic() - busy > self.limits.deadline:
            self.abandon(f"has not come back within {self.limits.deadline:g} s")
            return
        try:
            self.queue.put_nowait(item)
        except queue.Full:
            self._left_out += 1
            if self._left_out == 1:
                _LOGGER.warning("the %s is too slow: events are left out for it", self.label)

    def abandon(self, why: str) -> None:
        """Have nothing to do with it any more."""
        if not self.abandoned:
            self.abandoned = True
            _LOGGER.warning("the %s %s; the run goes on without it", self.label, why)

    def stop(self) -> None:
        """Let it do what is queued, export once more, and close."""
        self._stopping = True
        try:
            self.queue.put_nowait(None)
        except queue.Full:
            return  # it will look when it has emptied the queue

    def join(self, seconds: float) -> None:
        """Wait for its end, at most that long."""
        if not self._thread.ends_within(seconds):
            self.abandon(f"has not come back within {self.limits.grace:g} s of the run's end")

    def _work(self) -> None:
        exporter, error = outcome_of(self.make)
        self._exporter = exporter
        if exporter is None:
            self._tell(error)
            return
        self._observes = getattr(type(exporter), "observe", None) not in (None, Exporter.observe)
        self._tell(None)
        self._follow(exporter)
        self._call("export", lambda: exporter.export(self.metrics()))
        close = getattr(exporter, "close", None)
        if close is not None:
            self._call("close", close)
        if self._failures > 1:
            _LOGGER.warning("the %s has failed %d times", self.label, self._failures)

    def _follow(self, exporter: Exporter) -> None:
        """Pass events on and export in between, until the session ends."""
        due: float | None = None
        begun = False
        while not self.abandoned:
            try:
                item = self._next(due)
            except queue.Empty:
                item = None
                if self._stopping:
                    return
            if item is not None:
                if self._observes:
                    self._call("observe", partial(self._observe, exporter, item))
                if not begun and not isinstance(item[2], e.RunStarted | e.RunForked):
                    begun = True
                    due = self._export(
                        exporter
                    )  # at once, so that what cannot work shows early; before, nothing is known
                elif begun and self.every is None and isinstance(item[2], e.TaskFinished):
                    due = min(due or math.inf, self._exported + self.limits.pause)
            if due is not None and time.monotonic() >= due and not self._stopping:
                due = self._export(exporter)

    def _export(self, exporter: Exporter) -> float | None:
        """Export, and say when the next export is due."""
        self._call("export", lambda: exporter.export(self.metrics()))
        self._exported = time.monotonic()
        every = self.limits.idle if self.every is None else self.every
        return self._exported + every if every else None

    def _observe(self, exporter: Exporter, item: _Item) -> None:
        exporter.observe(_run_event(self.run, *item))

    def _next(self, due: float | None) -> _Item | None:
        if self._stopping:
            return self.queue.get_nowait()
        return self.queue.get(timeout=None if due is None else max(0.0, due - time.monotonic()))

    def _call(self, what: str, call: Callable[[], object]) -> None:
        if self.abandoned:
            return
        self._busy_since = time.monotonic()
        _, error = outcome_of(call)
        self._busy_since = None
        if error is None:
            return
        self._failures += 1
        if self._failures == 1 and not self.abandoned:
            said = self.shown(str(error) if isinstance(error, EscapedError) else f"{type(error).__name__}: {error}")
            _LOGGER.warning("the %s failed (%s): %s; the run goes on", self.label, what, said)

    def _tell(self, error: Exception | None) -> None:
        """Say how the building went."""

        def deliver() -> None:
            if not self.built.done():
                self.built.set_result(None) if error is None else self.built.set_exception(error)

        try:
            self.loop.call_soon_threadsafe(deliver)
        except RuntimeError:
            return  # the caller has gone


class Exporting:
    """All exporters of a session; an observer of its committed events."""

    def __init__(self, run: str, limits: ExportLimits | None = None) -> None:
        self._run = run
        self._limits = limits or ExportLimits()
        self._workers: list[_Worker] = []
        self._measurement = Measurement()
        self._measurement.begin(run)
        self._lock = threading.Lock()

    def recall(self, history: Iterable[Recorded]) -> None:
        """Count what happened before; no exporter hears of it."""
        for record in history:
            self._measurement.take(record.at, record.event, own=record.stream == self._run)

    async def open(
        self,
        catalogue: Catalogue,
        named: Mapping[str, Mapping[str, Any]],
        environment: Environment,
        redactor: Redactor,
        write: Callable[[str], None],
        *,
        strict: bool,
        home: Path | None = None,
    ) -> None:
        """Build the exporters that a spec names. What is broken is warned of, and the session does without it.

        Args:
            catalogue: the installed plugins.
            named: the options of each, by name.
            environment: where their keys and addresses come from.
            redactor: takes secrets out of what they say.
            write: shows what an exporter without a file has to say.
            strict: whether an unknown name and wrong options are errors; else they are warnings, too.
            home: the data folder, whose log they may read on; None: there is none.

        Raises:
            PluginNotFoundError: one of them is not installed (also PluginConflictError).
            SpecError: the options of one make no sense.
        """
        try:
            for name, options in named.items():
                config = ExporterConfig(
                    name,
                    deepcopy({key: value for key, value in options.items() if key != EVERY}),
                    environment.secret,
                    environment.variable,
                    write,
                    no_history if home is None else partial(_history, home),
                    None if home is None else home / _KEPT / name,
                )
                await self._open(catalogue, config, options.get(EVERY), redactor, strict)
        except BaseException:
            await self.finish()
            raise

    async def _open(
        self,
        catalogue: Catalogue,
        config: ExporterConfig,
        every: float | None,
        redactor: Redactor,
        strict: bool,
    ) -> None:
        name = config.name
        try:
            entry = catalogue.find("exporter", name)
        except PluginError as error:
            if strict:
                raise
            _LOGGER.warning("%s; the run goes on without it", error)
            return
        loop = asyncio.get_running_loop()
        worker = _Worker(
            label=entry.label,
            make=lambda: catalogue.exporter(name, config),
            every=every,
            metrics=self._metrics,
            run=self._run,
            shown=redactor.shapes,
            limits=self._limits,
            queue=queue.Queue(self._limits.queued),
            built=loop.create_future(),
            loop=loop,
        )
        worker.start()
        try:
            await asyncio.wait_for(worker.built, self._limits.deadline)
        except TimeoutError:
            worker.abandon(f"could not be built within {self._limits.deadline:g} s")
        except SpecError as error:
            if strict:
                raise
            _LOGGER.warning("%s; the run goes on without it", redactor.shapes(str(error)))
        except Exception as error:
            _LOGGER.warning("%s; the run goes on without it", redactor.shapes(str(error)))
        else:
            self._workers.append(worker)

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Take in a committed event."""
        with self._lock:
            self._measurement.take(at, event)
        for worker in self._workers:
            worker.put((version, at, event))

    async def finish(self) -> None:
        """Let every exporter export once more and close; wait a few seconds in all."""
        workers: Sequence[_Worker] = [each for each in self._workers if not each.abandoned]
        if not workers:
            return
        until = time.monotonic() + self._limits.grace
        for worker in workers:
            worker.stop()

        def join() -> None:
            for worker in workers:
                worker.join(until - time.monotonic())

        await asyncio.to_thread(join)

    def _metrics(self) -> Metrics:
        with self._lock:
            return evolve(self._measurement.metrics(), run=self._run)
