"""Writing a group of members: all at once as long as nothing has changed meanwhile, else one by one."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg

from orchestrator.errors import ConcurrencyError, OrchestrateError
from orchestrator.log.protocol import Member, Written
from orchestrator.log.stored_rows import Hold, Last, StoredRow
from orchestrator_postgres import writing
from orchestrator_postgres.writing import Conflict, Group, Prefetched, key_of

REMEMBERED = 10_000


class Writer:
    """Writes the groups of one process.

    Args:
        connection: in autocommit mode.
        space: by which this log's locks differ from those of other logs on the server.
    """

    def __init__(self, connection: psycopg.Connection[Any], space: str) -> None:
        self._connection = connection
        self._space = space
        self._holds: dict[str, tuple[Last, list[Hold]]] = {}
        """The open holds of runs as this process left them, which are true as long as the run's last event is that."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        """Write a group; see ``Store.write``."""
        try:
            return self._together(members)
        except Conflict:
            self._roll_back()
        except BaseException:
            self._roll_back()
            raise
        self._holds.clear()
        try:
            return self._one_by_one(members)
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if not self._connection.closed and self._connection.info.transaction_status.name != "IDLE":
            with suppress(psycopg.Error):
                self._connection.execute("ROLLBACK")

    def _together(self, members: Sequence[Member]) -> list[Written]:
        found = Prefetched()
        self._remember(found, members)
        accounts = _accounts(found, members)
        scopes = sorted({scope for member in members for scope in member.pace})
        group = Group(self._connection, found, begun=False)
        if accounts or scopes:
            self._lock(accounts, scopes)
            group.has_begun = True
        self._look(found, members, accounts, scopes)
        written = _made(group, members)
        group.commit()
        self._keep(found)
        return _with_positions(written, group.positions)

    def _remember(self, found: Prefetched, members: Sequence[Member]) -> None:
        """The open holds of the members' runs, and their last events where the writer knows them."""
        unknown = []
        for member in members:
            if member.stream in found.holds or not member.stream:
                continue
            last, holds = self._holds.get(member.stream, (None, []))
            if member.known is not None and not member.whole:
                found.tails[member.stream] = member.known
            if member.known is not None and last == member.known:
                found.holds[member.stream] = list(holds)
            else:
                unknown.append(member.stream)
        if unknown:
            found.holds.update({run: [] for run in unknown})
            for row in self._connection.execute(writing.HOLDS, (unknown,)):
                found.holds[row[0]].append(Hold(*row))

    def _keep(self, found: Prefetched) -> None:
        if len(self._holds) > REMEMBERED:
            self._holds.clear()
        for run, holds in found.holds.items():
            tail = found.tails.get(run)
            if tail is not None:
                self._holds[run] = (Last(tail.version, tail.hash, tail.at), holds)

    def _lock(self, accounts: Sequence[str], scopes: Sequence[str]) -> None:
        """Begin, and take the locks of accounts, then those of scopes, each in the order of their keys."""
        with self._connection.pipeline():
            self._connection.execute("BEGIN")
            for kind, names in (("account", accounts), ("pace", scopes)):
                if names:
                    keys = sorted(key_of(f"{self._space}/{kind}", name) for name in names)
                    self._connection.execute(writing.LOCK, (keys,))

    def _look(
        self, found: Prefetched, members: Sequence[Member], accounts: Sequence[str], scopes: Sequence[str]
    ) -> None:
        """Read what the locks protect, and the last events that the writer does not know."""
        streams = {member.stream for member in members if member.stream and member.stream not in found.tails}
        wanted = sorted({*accounts, *streams})
        if wanted:
            found.tails.update(dict.fromkeys(wanted))
            for row in self._connection.execute(writing.TAILS, (wanted,)):
                found.tails[row[1]] = StoredRow(*row)
        if scopes:
            found.pace.update(dict.fromkeys(scopes))
            found.pace.update(self._connection.execute(writing.PACE, (list(scopes),)).fetchall())

    def _one_by_one(self, members: Sequence[Member]) -> list[Written]:
        """Each member in a savepoint, with the tails as they are once no other process can write."""
        found = Prefetched()
        self._remember(found, members)
        accounts = _accounts(found, members)
        scopes = sorted({scope for member in members for scope in member.pace})
        self._lock(accounts, scopes)
        self._connection.execute(writing.LOCK_POSITIONS)
        written = [self._alone(member, accounts) for member in members]
        self._connection.execute("COMMIT")
        return written

    def _alone(self, member: Member, accounts: Sequence[str]) -> Written:
        self._connection.execute("SAVEPOINT member")
        found = Prefetched()
        self._look(found, [member], accounts, member.pace)
        group = Group(self._connection, found, begun=True)
        [written] = _made(group, [member])
        try:
            group.flush()
        except Conflict:
            self._connection.execute("ROLLBACK TO member")
            rows = [row for row in written.changes.rows if row.stream == member.stream] or written.changes.rows
            tail = Group(self._connection, Prefetched(), begun=True).last(rows[0].stream)
            written = Written(
                error=ConcurrencyError(rows[0].stream, rows[0].version - 1, tail.version if tail is not None else 0)
            )
        self._connection.execute("RELEASE member")
        return _with_positions([written], group.positions)[0]


def _accounts(found: Prefetched, members: Sequence[Member]) -> list[str]:
    """The accounts that a group may write to: those it declares, and those of the holds it ends."""
    declared = {account for member in members for account in member.accounts}
    ended = {
        hold.account for member in members for hold in found.holds.get(member.stream, ()) if hold.call in member.ending
    }
    return sorted(declared | ended)


def _made(group: Group, members: Sequence[Member]) -> list[Written]:
    written = []
    for member in members:
        try:
            changes = member.make(group)
            group.add(member, changes)
            written.append(Written(changes))
        except OrchestrateError as error:
            written.append(Written(error=error))
    return written


def _with_positions(written: Sequence[Written], positions: Sequence[int]) -> list[Written]:
    """Give the rows of each member their positions, which are in the order of all rows."""
    found, start = [], 0
    for one in written:
        end = start + len(one.changes.rows)
        found.append(Written(one.changes, tuple(positions[start:end]), one.error))
        start = end
    return found
