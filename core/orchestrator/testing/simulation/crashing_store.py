"""A store that dies with its process: at chosen groups of writes, before, inside or after their commit."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NoReturn

from attrs import Factory, define, evolve, field

from orchestrator.log.locks import Handle, Locks
from orchestrator.log.protocol import Changes, Member, Store, Tails, Written
from orchestrator.testing.simulation.scenario import CrashPoint


class Crash(BaseException):
    """The process dies here."""


@define
class MortalLocks:
    """Locks that free what a dead process had, as the kernel does: here no process dies, and no connection ends."""

    inner: Locks
    _held: list[Handle] = Factory(list)

    def acquire(self, run: str) -> Handle:
        """Take the lock of a run; see ``Locks``."""
        self._held.append(self.inner.acquire(run))
        return self._held[-1]

    def release_all(self) -> None:
        """Free every lock that was taken."""
        while self._held:
            self._held.pop().release()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.inner, name)


@define
class CrashingStore:
    """A store that kills the process at chosen groups of writes, and counts what it killed.

    A dead process can do nothing any more: until ``revive``, everything raises Crash again. What is killed before its
    commit leaves nothing; the store itself takes it back, as its database does when a process dies.
    """

    inner: Store
    points: list[CrashPoint] = Factory(list)
    hits: Counter[tuple[str, str]] = Factory(Counter)
    """(event type, where) of the events that killed groups wrote."""
    appends: int = 0
    crashed: bool = False
    locks: MortalLocks = field(init=False)
    _types: list[str] = Factory(list)

    def __attrs_post_init__(self) -> None:
        self.locks = MortalLocks(self.inner.locks)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.crashed and name not in _OUTLIVING:
            raise Crash
        return getattr(self.inner, name)

    def write(self, members: Sequence[Member]) -> list[Written]:
        """Like the store's own; a group may end in a Crash."""
        if self.crashed:
            raise Crash
        self.appends += 1
        self._types.clear()
        watched = [evolve(each, make=partial(self._make, each.make)) for each in members]
        written = self.inner.write([*watched, Member(self._commit)])
        if self._due("after"):
            self._die("after")
        return written[:-1]

    def revive(self) -> None:
        """Let the next process begin."""
        self.crashed = False

    def _make(self, make: Callable[[Tails], Changes], tails: Tails) -> Changes:
        changes = make(tails)
        for row in changes.rows:
            self._types.append(row.type)
            if self._due("inside"):
                self._die("inside")
        return changes

    def _commit(self, tails: Tails) -> Changes:
        if self._due("before"):
            self._die("before")  # nothing of the transaction has been seen by anybody: as if it had not begun
        return Changes()

    def _due(self, where: str) -> bool:
        return any(
            point.where == where
            and (point.append == self.appends if point.type is None else self._is_aimed_at(point, point.type))
            for point in self.points
        )

    def _is_aimed_at(self, point: CrashPoint, name: str) -> bool:
        return point.append <= self.appends and name in self._types

    def _die(self, where: str) -> NoReturn:
        self.points = [point for point in self.points if not self._is_spent(point)]
        self.hits.update((name, where) for name in self._types)
        self.crashed = True
        raise Crash

    def _is_spent(self, point: CrashPoint) -> bool:
        if point.type is None:
            return point.append <= self.appends
        return self._is_aimed_at(point, point.type)


_OUTLIVING: Final = ("is_shared", "url", "close")
"""What of a store is no access to its database."""
