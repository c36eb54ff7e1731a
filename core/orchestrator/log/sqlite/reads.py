"""Reading a database of events: the same queries for a reader and inside a transaction."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from orchestrator.errors import LogError
from orchestrator.log.sqlite.connections import Queryable
from orchestrator.log.stored_rows import (
    CacheRow,
    Extent,
    Hold,
    Last,
    MailboxRow,
    Page,
    RawRow,
    Select,
    StoredRow,
    StoredText,
)
from orchestrator.log.views import VIEWS, own

T = TypeVar("T")

COLUMNS: Final = "position, stream, version, type, schema, at, data, hash"
"""Of the table ``events``, in the order of ``StoredRow``."""

_PAGE: Final = 1000
_PAGE_BYTES: Final = 16 * 1024 * 1024
_MOST: Final = 2**62
_RAW: Final = (
    "position, CAST(stream AS BLOB), version, CAST(type AS BLOB), schema, at, CAST(data AS BLOB), CAST(hash AS BLOB),"
    " typeof(stream) || ' ' || typeof(version) || ' ' || typeof(type) || ' ' || typeof(schema) || ' ' || typeof(at)"
    " || ' ' || typeof(data) || ' ' || typeof(hash)"
)
_POSITIONS: Final = "SELECT position FROM events WHERE stream = ?"
_OF_STREAM: Final = f"position IN ({_POSITIONS})"
_AMONG: Final = "position IN (SELECT value FROM json_each(?))"
_LAST: Final = "SELECT version, hash, at FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1"
_LAST_ROW: Final = f"SELECT {COLUMNS} FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1"
_ROW: Final = f"SELECT {COLUMNS} FROM events WHERE stream = ? AND version = ?"
_AT: Final = f"SELECT {COLUMNS} FROM events WHERE position = ?"
_STREAMS: Final = (
    "SELECT stream FROM events WHERE (version = 1 OR type IN ('run.forked', 'run.archived'))"
    " AND substr(stream, 1, ?) = ? ORDER BY position"
)
_EXTENTS: Final = "SELECT stream, min(position), max(version) FROM events GROUP BY stream ORDER BY 2"
_OWNERS: Final = """
SELECT run FROM blobs UNION SELECT run FROM salts UNION SELECT run FROM cache UNION SELECT run FROM open_holds
"""
_ASKED_OF: Final = "UNION SELECT run FROM requests"
"""In a log of an earlier program there is no such table."""


def _whole(value: object) -> int:
    """A number beside the events.

    Raises:
        LogError: somebody has stored something else in its place.
    """
    if type(value) is not int:
        raise LogError("a row beside the events holds no number where one must be; see: orchestrate audit verify")
    return value


class SqliteReads:
    """What can be read of a database.

    Args:
        connection: to it.
    """

    def __init__(self, connection: Queryable) -> None:
        self._reader = connection

    def _asking(self, work: Callable[[Queryable], T]) -> T:
        """Do what reads; here as it is."""
        return work(self._reader)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query over the tables and views of this database."""
        return self._asking(lambda connection: connection.execute(sql, parameters).fetchall())

    def _one(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        def fetched(connection: Queryable) -> tuple[Any, ...] | None:
            row: tuple[Any, ...] | None = connection.execute(sql, parameters).fetchone()
            return row

        return self._asking(fetched)

    def page(self, select: Select) -> Page:
        """The first rows of a selection; see ``StoreReads``."""
        where, values = _where(select)
        order = f"{'version' if select.by_version else 'position'}{' DESC' if select.reverse else ''}"
        limit = _PAGE if select.limit is None else select.limit
        sql = f"SELECT {COLUMNS} FROM events WHERE {where} ORDER BY {order} LIMIT {limit}"

        def fetched(connection: Queryable) -> Page:
            rows, size = [], 0
            for row in connection.execute(sql, values):
                rows.append(StoredRow(*row))
                size += len(str(row[6]))
                if size > _PAGE_BYTES and select.limit is None:
                    return Page(rows, False)
            return Page(rows, select.limit is not None or len(rows) < limit)

        return self._asking(fetched)

    def last(self, stream: str) -> Last | None:
        """The last event of a stream."""
        row = self._one(_LAST, (stream,))
        return None if row is None else Last(*row)

    def last_row(self, stream: str) -> StoredRow | None:
        """The last event of a stream, whole."""
        row = self._one(_LAST_ROW, (stream,))
        return None if row is None else StoredRow(*row)

    def row(self, stream: str, version: int) -> StoredRow | None:
        """One event of a stream."""
        row = self._one(_ROW, (stream, version))
        return None if row is None else StoredRow(*row)

    def at_position(self, position: int) -> StoredRow | None:
        """The event at a position."""
        row = self._one(_AT, (position,))
        return None if row is None else StoredRow(*row)

    def high_water(self) -> int:
        """The last position: write transactions exclude each other, so that none appears below it."""
        return int(self.query("SELECT coalesce(max(position), 0) FROM events")[0][0])

    def streams(self, prefix: str = "") -> list[str]:
        """The streams that begin with ``prefix``, oldest first."""
        return [str(row[0]) for row in self.query(_STREAMS, (len(prefix), prefix))]

    def extents(self) -> list[Extent]:
        """Every stream, oldest first."""
        return [Extent(*row) for row in self.query(_EXTENTS)]

    def salt(self, run: str) -> Any:
        """The salt of a run, as it is stored."""
        row = self._one("SELECT salt FROM salts WHERE run = ?", (run,))
        return None if row is None else row[0]

    def blob(self, run: str, digest: str) -> Any:
        """What a run stored under a digest."""
        row = self._one("SELECT data FROM blobs WHERE run = ? AND digest = ?", (run, digest))
        return None if row is None else row[0]

    def texts(self, run: str) -> list[StoredText]:
        """What is stored of a run, by digest."""
        sql = "SELECT digest, length(data), substr(data, 1, 16) FROM blobs WHERE run = ? ORDER BY digest"
        return [
            StoredText(str(digest), int(size), start if isinstance(start, bytes) else str(start).encode())
            for digest, size, start in self.query(sql, (run,))
        ]

    def owners(self) -> list[str]:
        """Every name that side rows belong to, sorted."""
        is_old = self._one("SELECT 1 FROM sqlite_master WHERE name = 'requests'", ()) is None
        return sorted(str(name) for (name,) in self.query(_OWNERS if is_old else f"{_OWNERS} {_ASKED_OF}"))

    def cached(self, key: str) -> CacheRow | None:
        """The row of the response cache under a key."""
        row = self._one("SELECT key, run, call FROM cache WHERE key = ?", (key,))
        return None if row is None else CacheRow(str(row[0]), str(row[1]), _whole(row[2]))

    def cache_rows(self) -> list[CacheRow]:
        """Every row of the response cache."""
        rows = self.query("SELECT key, run, call FROM cache ORDER BY run, call")
        return [CacheRow(str(key), str(run), _whole(call)) for key, run, call in rows]

    def holds(self, *, run: str | None = None, account: str | None = None) -> list[Hold]:
        """The open holds of a run, of an account's stream, or all."""
        conditions = {"run": run, "account": account}
        where, values = _equal({name: value for name, value in conditions.items() if value is not None})
        sql = f"SELECT run, call, account, nano FROM open_holds {where} ORDER BY run, call, account"
        return [Hold(str(a), _whole(b), str(c), _whole(d)) for a, b, c, d in self.query(sql, values)]

    def asked(self, run: str) -> list[MailboxRow]:
        """What is asked of a run, in order."""
        rows = self.query("SELECT id, at, kind, text FROM requests WHERE run = ? ORDER BY id", (run,))
        return [MailboxRow(_whole(number), _whole(at), str(kind), str(text)) for number, at, kind, text in rows]

    def pace(self, scope: str) -> int | None:
        """The number kept for a scope of shared rate limits."""
        row = self._one("SELECT reserved FROM pace WHERE scope = ?", (scope,))
        return None if row is None else _whole(row[0])

    def paces(self) -> dict[str, int]:
        """These numbers of all scopes; none in a log of an earlier program, which has no such table."""
        if self._one("SELECT 1 FROM sqlite_master WHERE name = 'pace'", ()) is None:
            return {}
        return {str(scope): _whole(number) for scope, number in self.query("SELECT scope, reserved FROM pace")}

    def view(
        self, name: str, where: Mapping[str, Any] | None = None, *, streams: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a view by this program's definition: the stored one may have been replaced."""
        if name not in VIEWS:
            raise ValueError(f"there is no view {name!r}")
        condition, values = _equal(where or {})
        sql = f"{own(name, len(streams or ()))} SELECT * FROM {name} {condition}"

        def fetched(connection: Queryable) -> list[dict[str, Any]]:
            cursor = connection.execute(sql, [*(streams or ()), *values])
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

        return [] if streams is not None and not streams else self._asking(fetched)

    def raw(
        self,
        stream: str | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        version: int | None = None,
        upto_version: int | None = None,
        limit: int | None = None,
    ) -> Iterator[RawRow]:
        """The stored rows in the order of positions; see ``StoreReads``."""
        conditions: list[tuple[str, Any]] = [
            ("position < ?", before),
            ("version = ?", version),
            ("version <= ?", upto_version),
        ]
        used = [(condition, value) for condition, value in conditions if value is not None]
        if stream is None or limit is not None:
            of_stream = [] if stream is None else [(_OF_STREAM, stream)]
            yield from self._raw_pages([*of_stream, *used], after, limit)
            return
        found = [each for each in self._positions(stream) if each > after]
        for start in range(0, len(found), _PAGE):
            yield from self._raw_pages([(_AMONG, json.dumps(found[start : start + _PAGE])), *used], 0, None)

    def _positions(self, stream: str) -> list[int]:
        """Where the events of a stream are, in order: looked up once, for at every page it would take as long."""
        return sorted(row[0] for row in self.query(_POSITIONS, (stream,)))

    def _raw_pages(self, used: list[tuple[str, Any]], after: int, limit: int | None) -> Iterator[RawRow]:
        past: int | None = after or None
        while True:
            rows, is_last = self._raw_page(used if past is None else [*used, ("position > ?", past)], limit or _PAGE)
            yield from rows
            if is_last or limit is not None:
                return
            past = rows[-1].position

    def _raw_page(self, conditions: Sequence[tuple[str, Any]], limit: int) -> tuple[list[RawRow], bool]:
        # With an index at hand SQLite takes columns from it that may differ from those of a damaged row.
        where = f"WHERE {' AND '.join(condition for condition, _ in conditions)}" if conditions else ""
        sql = f"SELECT {_RAW} FROM events NOT INDEXED {where} ORDER BY position LIMIT {limit}"

        def fetched(connection: Queryable) -> tuple[list[RawRow], bool]:
            rows, size = [], 0
            for row in connection.execute(sql, [value for _, value in conditions]):
                rows.append(RawRow(row[0], row[1] or b"", *row[2:]))
                size += len(row[6] or b"")
                if size > _PAGE_BYTES:
                    return rows, False
            return rows, len(rows) < limit

        return self._asking(fetched)

    def raw_salt(self, run: str) -> tuple[bytes, bool] | None:
        """The salt of a run, and whether it is stored as it was written."""
        return self._raw_value("SELECT CAST(salt AS BLOB), typeof(salt) FROM salts WHERE run = ?", (run,))

    def raw_blob(self, run: str, digest: str) -> tuple[bytes, bool] | None:
        """A text of a run, and whether it is stored as it was written."""
        sql = "SELECT CAST(data AS BLOB), typeof(data) FROM blobs WHERE run = ? AND digest = ?"
        return self._raw_value(sql, (run, digest))

    def _raw_value(self, sql: str, values: tuple[str, ...]) -> tuple[bytes, bool] | None:
        row = self._one(sql, values)
        return None if row is None else (bytes(row[0]), row[1] == "blob")


def _equal(wanted: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """A WHERE clause for columns that equal values; without any, nothing."""
    clause = " AND ".join(f"{name} = ?" for name in wanted)
    return (f"WHERE {clause}" if clause else ""), list(wanted.values())


def _where(select: Select) -> tuple[str, list[Any]]:
    """The conditions of a selection, with their values; versions go by an index, positions by the table."""
    parts, values = list[str](), list[Any]()

    def add(condition: str, *given: Any) -> None:
        parts.append(condition)
        values.extend(given)

    if select.streams is not None:
        marks = ", ".join("?" * len(select.streams))
        add("stream = ?" if len(select.streams) == 1 else f"stream IN ({marks})", *select.streams)
    if select.after_version or select.upto_version is not None or select.by_version:
        upto = _MOST if select.upto_version is None else select.upto_version
        add("version > ? AND version <= ?", select.after_version, upto)
    if select.after or not parts:
        add("position > ?", select.after)
    if select.before is not None:
        add("position < ?", select.before)
    if select.types is not None:
        add(f"type IN ({', '.join('?' * len(select.types))})", *select.types)
    if select.search:
        add("(instr(lower(data), ?) OR instr(type, ?) OR position = ? OR 'v' || version = ?)", *[select.search] * 4)
    return " AND ".join(parts), values
