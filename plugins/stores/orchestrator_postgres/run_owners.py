"""Who has a run: a row for each run, and one lock of the server's for each process, held on the connection that writes.

A run is live while its owner's lock is held. The server frees it when the connection ends, however that happens; and
without that connection the process cannot write.
"""

import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

import psycopg

from orchestrator.errors import RunLockedError, UsageError
from orchestrator.log.protocol import StoreError

SPACE: Final = "CAST('events'::regclass::oid AS integer)"
"""The first half of the keys of this log's advisory locks; the second is an owner's number, or 0 for positions."""

LIVE: Final = """EXISTS (
    SELECT 1 FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = 'events'::regclass::oid AND l.objid = CAST(owners.owner AS oid)
)"""
"""Whether the process that a row of ``owners`` names has its connection still."""

_NUMBER: Final = "SELECT CAST(nextval('owner_numbers') AS integer)"
_LOCK: Final = f"SELECT pg_try_advisory_lock({SPACE}, %s)"
_ACQUIRE: Final = f"""
INSERT INTO owners(run, owner, who) VALUES (%s, %s, %s)
ON CONFLICT (run) DO UPDATE SET owner = excluded.owner, who = excluded.who WHERE NOT {LIVE} RETURNING 1
"""
_RELEASE: Final = "DELETE FROM owners WHERE run = %s AND owner = %s"
_HELD: Final = f"SELECT who FROM owners WHERE run = %s AND {LIVE}"
_EVICT: Final = """
SELECT pg_terminate_backend(l.pid, 5000) FROM owners JOIN pg_locks AS l ON l.locktype = 'advisory' AND l.objsubid = 2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = 'events'::regclass::oid AND l.objid = CAST(owners.owner AS oid) AND l.granted
WHERE owners.run = %s
"""
"""Ends the connection that holds a run, and waits for that at most so many milliseconds."""

_FREE: Final = f"DELETE FROM owners WHERE NOT {LIVE}"

Executed = Callable[..., list[tuple[Any, ...]]]
"""Runs a statement with its parameters and returns its rows."""


class _OwnedRun:
    """The lock of a run, held."""

    def __init__(self, owners: "Owners", run: str) -> None:
        self._owners: Owners | None = owners
        self._run = run

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        owners, self._owners = self._owners, None
        if owners is not None:
            owners.release(self._run)


class Owners:
    """The locks of runs.

    Args:
        read: runs a statement on the connection that reads.
        writing: the connection that writes, while no other thread uses it; or None, where the log is only read.
    """

    def __init__(
        self, read: Executed, writing: Callable[[], AbstractContextManager[psycopg.Connection[Any]]] | None
    ) -> None:
        self._read = read
        self._writing = writing
        self._number: int | None = None

    def acquire(self, run: str) -> _OwnedRun:
        """Take the lock of a run; see ``Locks``."""
        if not run or run.startswith(".") or "\0" in run:
            raise UsageError(f"{run!r} cannot be the id of a run; use letters, digits, '-' and '_'")
        if self._writing is None:
            raise StoreError("the event log was opened for reading only")
        with self._writing() as connection:
            who = f"process {os.getpid()} on {socket.gethostname()}"
            if connection.execute(_ACQUIRE, (run, self._owner(connection), who)).fetchone() is None:
                found = connection.execute(_HELD, (run,)).fetchone()
                owner = str(found[0]) if found else "another process"
                raise RunLockedError(f"{run} is being run by {owner}; wait for it to end, or stop it")
        return _OwnedRun(self, run)

    def _owner(self, connection: psycopg.Connection[Any]) -> int:
        """The number of this process, whose lock it holds from its first run on."""
        while self._number is None:
            [number] = connection.execute(_NUMBER).fetchone() or (0,)
            if connection.execute(_LOCK, (number,)).fetchone() == (True,):
                self._number = int(number)
        return self._number

    def release(self, run: str) -> None:
        """Give a run back; without its connection this process has it no more."""
        if self._writing is not None and self._number is not None:
            with suppress(StoreError), self._writing() as connection:
                connection.execute(_RELEASE, (run, self._number))

    def is_held(self, run: str) -> bool:
        """Whether any process has the lock of a run, this one included."""
        return bool(self._read(_HELD, (run,)))

    def evict(self, run: str) -> bool:
        """End the connection of the process that has the lock: without it that process cannot write."""
        self._read(_EVICT, (run,))
        return not self.is_held(run)

    def discard_free(self) -> int:
        """Remove the rows of processes that are gone; returns how many."""
        if self._writing is None:
            return 0
        with self._writing() as connection:
            return connection.execute(_FREE).rowcount
