"""What a log takes, by run, and when the history of a run is large."""

import logging
from typing import Final

from attrs import frozen

from orchestrator.events import Event
from orchestrator.log.protocol import Store, all_rows
from orchestrator.log.stored_rows import Select

LARGE: Final = 100_000
"""Events from which on a run's history is reported as large, and again at each doubling."""

_LOGGER: Final = logging.getLogger("orchestrator.log")


@frozen
class Size:
    """What a run takes."""

    run: str
    events: int
    event_bytes: int
    texts: int
    text_bytes: int
    """As stored: compressed."""
    cached: int
    """Answers of it that other runs may reuse."""
    deleted: bool
    """Whether its content is gone."""
    archived: bool
    """Whether its events are in a bundle."""

    @property
    def is_large(self) -> bool:
        """Whether its history has grown so long that reading it is slow."""
        return self.events >= LARGE


@frozen
class LogStats:
    """What a log takes."""

    runs: tuple[Size, ...]
    """Every stream, those of accounts included, oldest first."""
    file: int
    """Bytes of the database."""
    wal: int
    """Bytes not yet folded into it."""
    free: int
    """Bytes of it that nothing uses."""


def stats(store: Store) -> LogStats:
    """What a log takes, on disk and by run."""
    gone = {row.stream: row.type for row in all_rows(store, Select(types=("content.deleted", "run.archived")))}
    space = store.space()
    runs = tuple(
        Size(*each, gone.get(each.stream) == "content.deleted", gone.get(each.stream) == "run.archived")
        for each in store.sizes()
    )
    return LogStats(runs, space.file, space.pending, space.free)


class Growth:
    """An observer of a run that warns when its history has grown large."""

    def __init__(self, run: str, large: int = LARGE) -> None:
        self._run = run
        self._next = large

    def __call__(self, version: int, at: int, event: Event) -> None:
        """Take in a committed event."""
        if version < self._next:
            return
        while self._next <= version:
            self._next *= 2
        _LOGGER.warning(
            "the history of %s has %d events: reading it takes longer and longer; split the project into several runs",
            self._run,
            version,
        )
