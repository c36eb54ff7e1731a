"""What can be read of a log on PostgreSQL: the same on the connection that reads, and inside a transaction."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

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
from orchestrator.log.views import own
from orchestrator_postgres.dialect import POSTGRES

COLUMNS: Final = "position, stream, version, type, schema, at, data, hash"
PAGE: Final = 1000
_TYPES: Final = "text integer text integer integer text text"
"""The server lets no value of another type in."""

_RAW: Final = """
SELECT position, convert_to(stream, 'UTF8'), version, convert_to(type, 'UTF8'), schema, at,
    convert_to(data::text, 'UTF8'), convert_to(hash, 'UTF8') FROM events
"""
_ONE: Final = f"SELECT {COLUMNS} FROM events WHERE"
_NO_NESTED_LOOPS: Final = "SET LOCAL enable_nestloop = off"
"""For a view of some streams: the planner takes them for a few rows, and would compare each call with each other."""
_TAIL: Final = f"{_ONE} stream = %s ORDER BY version DESC LIMIT 1"


class Reads:
    """Reads by statements that ``_rows`` runs."""

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; of one that fails a ``StoreError``."""
        raise NotImplementedError

    def _names_and_rows(
        self, query: str, values: Sequence[Any] = (), setting: str = ""
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The same, with the names of the columns, and with a setting of the server's for this transaction alone."""
        raise NotImplementedError

    def _first(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row, or None."""
        rows = self._rows(query, values)
        return rows[0][0] if rows else None

    def _row(self, query: str, values: Sequence[Any]) -> StoredRow | None:
        rows = self._rows(query, values)
        return StoredRow(*rows[0]) if rows else None

    def page(self, select: Select) -> Page:
        """The first rows of a selection."""
        where, values = _condition(select)
        order = "version" if select.by_version else "position"
        limit = PAGE if select.limit is None else select.limit
        query = f"{_ONE} {where} ORDER BY {order} {'DESC' if select.reverse else 'ASC'} LIMIT %s"
        rows = self._rows(query, [*values, limit])
        return Page([StoredRow(*row) for row in rows], len(rows) < limit)

    def last(self, stream: str) -> Last | None:
        """The last event of a stream, or None where there is no such stream."""
        row = self.last_row(stream)
        return None if row is None else Last(row.version, row.hash, row.at)

    def last_row(self, stream: str) -> StoredRow | None:
        """The same, whole."""
        return self._row(_TAIL, (stream,))

    def row(self, stream: str, version: int) -> StoredRow | None:
        """One event of a stream."""
        return self._row(f"{_ONE} stream = %s AND version = %s", (stream, version))

    def at_position(self, position: int) -> StoredRow | None:
        """The event at a position."""
        return self._row(f"{_ONE} position = %s", (position,))

    def high_water(self) -> int:
        """The last position: whatever inserts holds the lock of positions until it has committed."""
        return int(self._first("SELECT coalesce(max(position), 0) FROM events"))

    def streams(self, prefix: str = "") -> list[str]:
        """The streams that begin with ``prefix``, in the order of their first events."""
        first = "(version = 1 OR type IN ('run.forked', 'run.archived'))"
        query = f"SELECT stream FROM events WHERE {first} AND starts_with(stream, %s) ORDER BY position"
        return [str(row[0]) for row in self._rows(query, (prefix,))]

    def extents(self) -> list[Extent]:
        """Every stream, in the order of their first events."""
        query = "SELECT stream, min(position), max(version) FROM events GROUP BY stream ORDER BY 2"
        return [Extent(*row) for row in self._rows(query)]

    def salt(self, run: str) -> Any:
        """The salt of a run; None where it has none."""
        return self._first("SELECT salt FROM salts WHERE run = %s", (run,))

    def blob(self, run: str, digest: str) -> Any:
        """What a run itself stored under a digest; None where there is nothing."""
        return self._first("SELECT data FROM blobs WHERE run = %s AND digest = %s", (run, digest))

    def texts(self, run: str) -> list[StoredText]:
        """What is stored of a run, by digest."""
        query = "SELECT digest, octet_length(data), substring(data FOR 16) FROM blobs WHERE run = %s ORDER BY digest"
        return [StoredText(*row) for row in self._rows(query, (run,))]

    def owners(self) -> list[str]:
        """Every name that side rows belong to, sorted."""
        query = "SELECT run FROM blobs UNION SELECT run FROM salts UNION SELECT run FROM cache"
        others = "UNION SELECT run FROM open_holds UNION SELECT run FROM requests"
        return [str(row[0]) for row in self._rows(f"{query} {others} ORDER BY 1")]

    def cached(self, key: str) -> CacheRow | None:
        """The row of the response cache under a key."""
        rows = self._rows("SELECT key, run, call FROM cache WHERE key = %s", (key,))
        return CacheRow(*rows[0]) if rows else None

    def cache_rows(self) -> list[CacheRow]:
        """Every row of the response cache, by run and call."""
        return [CacheRow(*row) for row in self._rows("SELECT key, run, call FROM cache ORDER BY run, call, key")]

    def holds(self, *, run: str | None = None, account: str | None = None) -> list[Hold]:
        """The open holds of a run, of an account's stream, or all; by run, call and account."""
        given = {"run": run, "account": account}
        wanted = {name: value for name, value in given.items() if value is not None}
        where = "".join(f" AND {name} = %s" for name in wanted)
        query = f"SELECT run, call, account, nano FROM open_holds WHERE true{where} ORDER BY run, call, account"
        return [Hold(*row) for row in self._rows(query, list(wanted.values()))]

    def asked(self, run: str) -> list[MailboxRow]:
        """What is asked of a run, in order."""
        query = "SELECT id, at, kind, text FROM requests WHERE run = %s ORDER BY id"
        return [MailboxRow(*row) for row in self._rows(query, (run,))]

    def pace(self, scope: str) -> int | None:
        """The number kept for a scope of shared rate limits; None where there is none."""
        found = self._first("SELECT reserved FROM pace WHERE scope = %s", (scope,))
        return None if found is None else int(found)

    def paces(self) -> dict[str, int]:
        """These numbers of all scopes, by scope."""
        return {str(scope): int(number) for scope, number in self._rows("SELECT scope, reserved FROM pace")}

    def view(
        self, name: str, where: Mapping[str, Any] | None = None, *, streams: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of one of the views, by this program's definition and in its order."""
        if streams is not None and not streams:
            return []
        only = "".join(f' AND "{column}" = %s' for column in where or ())
        query = f"{own(name, len(streams or ()), POSTGRES)} SELECT * FROM {name} WHERE true{only}"
        setting = _NO_NESTED_LOOPS if streams else ""
        names, rows = self._names_and_rows(query, [*(streams or ()), *(where or {}).values()], setting)
        return [dict(zip(names, row, strict=True)) for row in rows]

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
        """The stored rows in the order of positions, read past every index."""
        parts: dict[str, Any] = {
            "stream = %s": stream,
            "position > %s": after,
            "position < %s": before,
            "version = %s": version,
            "version <= %s": upto_version,
        }
        given = {part: value for part, value in parts.items() if value is not None}
        query = f"{_RAW} WHERE {' AND '.join(given)} ORDER BY position LIMIT %s"
        for row in self._raw_rows(query, [*given.values(), limit]):
            yield RawRow._make((*row, _TYPES))

    def _raw_rows(self, query: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        yield from self._rows(query, values)

    def raw_salt(self, run: str) -> tuple[bytes, bool] | None:
        """The salt of a run; the server lets no value of another type in."""
        found = self.salt(run)
        return None if found is None else (found, True)

    def raw_blob(self, run: str, digest: str) -> tuple[bytes, bool] | None:
        """A text of a run; the server lets no value of another type in."""
        found = self.blob(run, digest)
        return None if found is None else (found, True)


def _condition(select: Select) -> tuple[str, list[Any]]:
    parts: list[tuple[str, list[Any]]] = [("position > %s AND version > %s", [select.after, select.after_version])]
    if select.streams is not None:
        parts.append(("stream = ANY(%s::text[])", [list(select.streams)]))
    if select.types is not None:
        parts.append(("type = ANY(%s::text[])", [list(select.types)]))
    if select.before is not None:
        parts.append(("position < %s", [select.before]))
    if select.upto_version is not None:
        parts.append(("version <= %s", [select.upto_version]))
    if select.search:
        text = select.search
        found = "strpos(lower(data::text), %s) > 0 OR strpos(lower(type), %s) > 0 OR position::text = %s"
        parts.append((f"({found} OR 'v' || version::text = %s)", [text, text, text, text]))
    return " AND ".join(part for part, _ in parts), [value for _, values in parts for value in values]
