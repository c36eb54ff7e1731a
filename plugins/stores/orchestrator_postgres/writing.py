"""How a group is written: one statement for its events, sent together with what stands beside them.

The locks of accounts, then those of pace, are taken before anything is read that they protect; the lock of positions by
the statement that inserts, so that positions grow in the order of commits. All of them are the server's advisory locks
of a transaction: a role that may not update needs no rows to lock.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import psycopg
from attrs import define, field
from psycopg import errors

from orchestrator.log.protocol import Changes, Member, StoreError
from orchestrator.log.stored_call_tables import DELETE as STORED
from orchestrator.log.stored_rows import Hold, Last, StoredRow
from orchestrator_postgres.reads import COLUMNS, Reads
from orchestrator_postgres.run_owners import LIVE, SPACE

Statement = tuple[str, Sequence[Any]]

# Where an event is missing that the writer wrote before, as after a fail-over to a server that lags behind, nothing may
# be written: a gap would stay. The division by zero ends the statement, and with it the transaction.
INSERT: Final = f"""
WITH positions AS MATERIALIZED (SELECT pg_advisory_xact_lock({SPACE}, 0)),
known AS MATERIALIZED (
    SELECT 1 / CASE WHEN EXISTS (
        SELECT 1 FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS k(stream, version, hash)
        WHERE k.hash IS DISTINCT FROM (
            SELECT e.hash FROM events AS e WHERE e.stream = k.stream AND e.version = k.version
        )
    ) THEN 0 ELSE 1 END AS whole
),
texts AS (
    INSERT INTO blobs(run, digest, data) SELECT t.run, t.digest, t.data
    FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS t(run, digest, data), known WHERE known.whole = 1
    ON CONFLICT DO NOTHING
)
INSERT INTO events(stream, version, type, schema, at, data, hash)
SELECT r.stream, r.version, r.type, r.schema, r.at, r.data::json, r.hash
FROM positions, known,
    unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])
        WITH ORDINALITY AS r(stream, version, type, schema, at, data, hash, place)
WHERE known.whole = 1 ORDER BY r.place RETURNING position
"""
LOCK_POSITIONS: Final = f"SELECT pg_advisory_xact_lock({SPACE}, 0)"
LOCK: Final = "SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS keys(key)"
HOLDS: Final = "SELECT run, call, account, nano FROM open_holds WHERE run = ANY(%s::text[]) ORDER BY run, call, account"
TAILS: Final = f"""
SELECT tail.* FROM unnest(%s::text[]) AS s(stream) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM events WHERE events.stream = s.stream ORDER BY version DESC LIMIT 1
) AS tail
"""
PACE: Final = "SELECT scope, reserved FROM pace WHERE scope = ANY(%s::text[])"
_NOW: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
_IN_FLIGHT: Final = f"""
SELECT h.run, h.call, h.nano FROM open_holds AS h
WHERE h.account = %s AND (h.run = %s OR EXISTS (SELECT 1 FROM owners WHERE owners.run = h.run AND {LIVE}))
"""
_SECRET: Final = "INSERT INTO salts(run, salt) VALUES ('', %s) ON CONFLICT DO NOTHING"
_CACHE: Final = """
INSERT INTO cache(key, run, call) SELECT c.key, c.run, c.call
FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS c(key, run, call)
WHERE EXISTS (SELECT 1 FROM salts WHERE run = '' AND salt = %s)
ON CONFLICT (key) DO UPDATE SET run = excluded.run, call = excluded.call
"""
_CONFLICTS: Final = (errors.UniqueViolation, errors.DivisionByZero)


class Conflict(Exception):  # noqa: N818 - it is caught at once, and no error of the store's
    """The group rests on something that is not so any more; nothing of it was written."""


def key_of(space: str, name: str) -> int:
    """The advisory lock of an account or of a scope: 64 bits of a digest, as a signed number."""
    return int.from_bytes(sha256(f"{space}\0{name}".encode()).digest()[:8], "big", signed=True)


def _columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


@define
class Prefetched:
    """What was read for a group after its locks were taken."""

    tails: dict[str, StoredRow | Last | None] = field(factory=dict)
    holds: dict[str, list[Hold]] = field(factory=dict)
    """By run; of the runs whose holds were read."""
    pace: dict[str, int | None] = field(factory=dict)
    now: int | None = None


class Group(Reads):
    """The tails as one member after another leaves them; what is not prefetched is read from the transaction.

    Args:
        connection: in a transaction of the caller's, or in none where everything is prefetched.
        found: what was read for the group.
        begun: whether a transaction is open, and what is pending may be written before the end.
    """

    def __init__(self, connection: psycopg.Connection[Any], found: Prefetched, begun: bool) -> None:
        self._connection = connection
        self._found = found
        self.has_begun = begun
        self._pending: list[Changes] = []
        self.known: list[tuple[str, Last]] = []
        self.positions: list[int] = []

    def begin(self) -> None:
        """Open the transaction, where that was not needed before."""
        if not self.has_begun:
            self._connection.execute("BEGIN")
            self.has_begun = True

    # what members read

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._names_and_rows(query, values)[1]

    def _names_and_rows(
        self, query: str, values: Sequence[Any] = (), setting: str = ""
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        self.flush()
        if setting:
            self._connection.execute(setting)
        cursor = self._connection.execute(query, values)
        return [each.name for each in cursor.description or ()], cursor.fetchall()

    def last(self, stream: str) -> Last | None:
        """The last event of a stream."""
        if stream in self._found.tails:
            found = self._found.tails[stream]
            return Last(found.version, found.hash, found.at) if found is not None else None
        return super().last(stream)

    def last_row(self, stream: str) -> StoredRow | None:
        """The same, whole."""
        found = self._found.tails.get(stream)
        if stream in self._found.tails and not isinstance(found, Last):
            return found
        return super().last_row(stream)

    def holds(self, *, run: str | None = None, account: str | None = None) -> list[Hold]:
        """The open holds of a run, of an account's stream, or all."""
        if run is not None and run in self._found.holds:
            return [hold for hold in self._found.holds[run] if account in (None, hold.account)]
        return super().holds(run=run, account=account)

    def pace(self, scope: str) -> int | None:
        """The reserved time of a scope."""
        if scope in self._found.pace:
            return self._found.pace[scope]
        return super().pace(scope)

    def now(self, at: int) -> int:
        """The time of the server's clock, in microseconds: the machines that share limits have clocks of their own."""
        if self._found.now is None:
            self._found.now = int(self._connection.execute(_NOW).fetchone()[0])  # type: ignore[index]
        return self._found.now

    def in_flight(self, account: str, run: str) -> int:
        """The nano-dollars that an account's stream holds for calls of live runs."""
        return sum(nano for _, _, nano in self._rows(_IN_FLIGHT, (account, run)))

    # what members change

    def add(self, member: Member, changes: Changes) -> None:
        """Take in what a member writes."""
        if self._must_be_written_before(changes):
            self.flush()
        self._pending.append(changes)
        for run in changes.forgotten:
            self._found.tails.pop(run, None)
        for run, call in changes.ended:
            if run in self._found.holds:
                self._found.holds[run] = [hold for hold in self._found.holds[run] if hold.call != call]
        for row in changes.rows:
            before = self._found.tails.get(row.stream)
            if isinstance(before, Last) and row.stream == member.stream and before is member.known:
                self.known.append((row.stream, before))
            self._found.tails[row.stream] = StoredRow(0, *row)
        for hold in changes.holds:
            if hold.run in self._found.holds:
                self._found.holds[hold.run].append(hold)
        self._found.pace.update(changes.pace)

    def _must_be_written_before(self, changes: Changes) -> bool:
        """Whether it deletes what an earlier member adds: what is pending is written with its deletions first."""
        if (
            changes.archived
            or changes.forgotten
            or changes.dropped_texts
            or changes.dropped_cache
            or changes.clear_cache
        ):
            return True
        calls, runs = set(changes.ended), {run for run, _, _ in changes.taken}
        return any(
            any((hold.run, hold.call) in calls for hold in one.holds) or any(each[0] in runs for each in one.asked)
            for one in self._pending
        )

    def flush(self) -> None:
        """Write what is pending, so that it can be read."""
        if self._pending:
            self.begin()
            self._send(self._statements())

    def commit(self) -> None:
        """Write what is pending and end the transaction, in one round trip."""
        statements = self._statements()
        if self.has_begun or len(statements) > 1:
            self._send([*([] if self.has_begun else [_BEGIN]), *statements, _COMMIT])
        else:
            self._send(statements)

    def _statements(self) -> list[tuple[Statement, int]]:
        """The pending changes as statements, each with the number of rows that it returns."""
        changes, self._pending = self._pending, []
        known, self.known = self.known, []
        statements = [(each, 0) for one in changes for each in _deletions(one)]
        rows = [row for one in changes for row in one.rows]
        texts = [text for one in changes for text in one.texts]
        statements += [(each, 0) for each in _salts(changes)]
        if rows or texts:
            tails = _columns([(stream, last.version, last.hash) for stream, last in known], 3)
            values = [*tails, *_columns(texts, 3), *_columns(rows, 7)]
            statements.append(((INSERT, values), len(rows)))
        return statements + [(each, 0) for each in _additions(changes)]

    def _send(self, statements: Sequence[tuple[Statement, int]]) -> None:
        """Run statements in one round trip."""
        try:
            if len(statements) == 1:
                cursors = [self._connection.execute(*statements[0][0])]
            elif statements:
                with self._connection.pipeline():
                    cursors = [self._connection.execute(*each) for each, _ in statements]
            else:
                cursors = []
        except _CONFLICTS as error:
            raise Conflict from error
        for cursor, (_, expected) in zip(cursors, statements, strict=True):
            if expected:
                positions = sorted(int(row[0]) for row in cursor.fetchall())
                if len(positions) != expected:
                    raise StoreError(
                        f"the server wrote {len(positions)} of {expected} events: see its log, then resume"
                    )
                self.positions += positions


_BEGIN: Final[tuple[Statement, int]] = (("BEGIN", ()), 0)
_COMMIT: Final[tuple[Statement, int]] = (("COMMIT", ()), 0)


def _deletions(changes: Changes) -> Iterable[Statement]:
    if changes.archived:  # only the owner of the table can give itself this right, and only for this transaction
        yield "GRANT DELETE ON events TO CURRENT_USER", ()
        yield "SELECT set_config('orchestrate.archives', 'on', true)", ()
        yield "DELETE FROM events WHERE stream = ANY(%s::text[])", (list(changes.archived),)
        yield "SELECT set_config('orchestrate.archives', 'off', true)", ()
        yield "REVOKE DELETE ON events FROM CURRENT_USER", ()
        for statement in STORED:
            yield f"{statement} ANY(%s::text[])", (list(changes.archived),)
    for table in ("blobs", "salts", "cache") if changes.forgotten else ():
        yield f"DELETE FROM {table} WHERE run = ANY(%s::text[])", (list(changes.forgotten),)
    for run, digest in changes.dropped_texts:
        yield "DELETE FROM blobs WHERE run = %s AND digest = %s", (run, digest)
    if changes.dropped_cache:
        yield "DELETE FROM cache WHERE run = ANY(%s::text[])", (list(changes.dropped_cache),)
    if changes.clear_cache:
        yield "DELETE FROM cache", ()
        yield "DELETE FROM salts WHERE run = ''", ()
    if changes.ended:
        ended = _columns(changes.ended, 2)
        yield "DELETE FROM open_holds WHERE (run, call) IN (SELECT * FROM unnest(%s::text[], %s::bigint[]))", ended
    for run, kind, number in changes.taken:
        yield (
            "DELETE FROM requests WHERE run = %s AND kind = coalesce(%s, kind) AND id <= coalesce(%s, id)",
            (run, kind, number),
        )


def _salts(changes: Sequence[Changes]) -> Iterable[Statement]:
    salts = [salt for one in changes for salt in one.salts]
    if salts:
        query = "INSERT INTO salts(run, salt) SELECT * FROM unnest(%s::text[], %s::bytea[]) ON CONFLICT DO NOTHING"
        yield query, _columns(salts, 2)


def _additions(changes: Sequence[Changes]) -> Iterable[Statement]:
    holds = [hold for one in changes for hold in one.holds]
    if holds:
        values = "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[])"
        yield f"INSERT INTO open_holds(run, call, account, nano) {values}", _columns(holds, 4)
    for one in changes:
        if one.secret is not None:
            yield _SECRET, (one.secret,)
            if one.cached:
                rows = {row.key: row for row in one.cached}.values()
                yield _CACHE, (*_columns(rows, 3), one.secret)
        elif one.cached:
            raise ValueError("cached answers come with the secret of their keys")
        for request in one.asked:
            yield "INSERT INTO requests(run, kind, text, at) VALUES (%s, %s, %s, %s)", request
        for scope, reserved in one.pace.items():
            query = "INSERT INTO pace(scope, reserved) VALUES (%s, %s) ON CONFLICT (scope) DO UPDATE"
            yield f"{query} SET reserved = excluded.reserved", (scope, reserved)
