"""Reading the log for pages: one connection, and what was read of recent runs, brought up to date event by event."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.kit import Reader, existing_run, has_log, texts_of, trust_in
from orchestrator.errors import MissingError, UsageError
from orchestrator.reading import Texts
from orchestrator_view.kept_run import RunReading
from orchestrator_view.listing import RunIndex

_REMEMBERED: Final = 6
"""Runs that are kept as they were read."""


class Source:
    """The log of a data folder, for many threads.

    Args:
        folder: the data folder; it may have no log yet.
        context: of the command, which says what ``home`` is in every thread.
    """

    def __init__(self, folder: Path, context: click.Context) -> None:
        self.folder = folder
        self._context = context
        self._guard = threading.Lock()
        self._log: Reader | None = None
        self._index: RunIndex | None = None
        self._known: OrderedDict[str, tuple[threading.Lock, list[RunReading]]] = OrderedDict()

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let the functions of commands work in this thread."""
        with self._context.scope(cleanup=False):
            yield

    @property
    def has_log(self) -> bool:
        """Whether there is anything to read yet."""
        return self._log is not None or has_log()

    @property
    def log(self) -> Reader:
        """The log.

        Raises:
            UsageError: there is none yet.
            LogError: it cannot be read.
        """
        with self._guard:
            if self._log is None:
                if not has_log():
                    raise UsageError(f"there is no run in {self.folder} yet")
                opened = Reader.open_to_read(self.folder)
                if not isinstance(opened, Reader):
                    raise MissingError("Reader")
                self._log = opened
            return self._log

    @property
    def runs(self) -> RunIndex:
        """The list of runs."""
        log = self.log
        with self._guard:
            if self._index is None:
                self._index = RunIndex(log)
            return self._index

    def texts(self, run: str) -> Texts:
        """The texts of a run."""
        return texts_of(self.log, run, trust_in(self.log))

    @contextmanager
    def run(self, run: str) -> Iterator[RunReading]:
        """A run up to its latest event; no other thread reads on meanwhile.

        Raises:
            UsageError: there is no such run.
            DamagedLogError: nothing of it can be read.
        """
        log = self.log
        existing_run(log, run)
        with self._guard:
            lock, kept = self._known.setdefault(run, (threading.Lock(), []))
            self._known.move_to_end(run)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        with lock:
            found = kept[0] if kept else None
            if found is not None and found.state.content_deleted:  # its texts may have been deleted since
                found = None
            if found is None or not self._read_on(found):
                found = self._read(log, run)
            kept[:] = [found]
            yield found

    def _read(self, log: Reader, run: str) -> RunReading:
        trust = trust_in(log, run)

        def read() -> RunReading:
            reading = RunReading(run=run, trust=trust, texts=texts_of(log, run, trust))
            reading.read_on(log.read(run))
            if reading.state.start is None:
                raise LookupError(run)
            return reading

        return trust.read(read)

    def _read_on(self, found: RunReading) -> bool:
        """Take the new events of a run; False where it has to be read again."""
        if found.trust.damage:
            return True
        found.read_on(self.log.read(found.run, found.state.version))
        return True

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
