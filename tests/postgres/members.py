"""Members of groups as a log makes them, without its events."""

from collections.abc import Sequence

from orchestrator.errors import ConcurrencyError
from orchestrator.log.chain import GENESIS, link
from orchestrator.log.protocol import Changes, Member, Tails, Written
from orchestrator.log.stored_rows import Last, NewRow

AT = 1_767_225_600_000_000


def following(stream: str, last: Last | None, data: str = "{}") -> NewRow:
    """The next row of a stream."""
    version = last.version + 1 if last else 1
    digest = link(last.hash if last else GENESIS, stream, version, "t.x", 1, AT, data)
    return NewRow(stream, version, "t.x", 1, AT, data, digest)


def appending(
    stream: str, known: Last | None = None, count: int = 1, *, accounts: Sequence[str] = (), data: str = "{}"
) -> Member:
    """Appends after the event that its writer knows, and to accounts after whatever they end with."""

    def make(tails: Tails) -> Changes:
        last = tails.last(stream)
        if (last.version if last else 0) != (known.version if known else 0):
            raise ConcurrencyError(stream, known.version if known else 0, last.version if last else 0)
        rows = []
        for _ in range(count):
            rows.append(following(stream, last, data))
            last = tail_of(rows)
        rows += [following(account, tails.last(account)) for account in accounts]
        return Changes(rows=tuple(rows))

    return Member(make, stream, known, accounts=tuple(accounts))


def tail_of(rows: Sequence[NewRow]) -> Last:
    """The last of rows, as a writer knows it."""
    return Last(rows[-1].version, rows[-1].hash, rows[-1].at)


def tail(written: Written) -> Last:
    """The last event of a member's own stream."""
    assert written.error is None
    stream = written.changes.rows[0].stream
    return tail_of([row for row in written.changes.rows if row.stream == stream])
