import asyncio
import sqlite3

import pytest
from attrs import frozen
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.errors import DamagedLogError
from orchestrator.events import CallPrepared, Evaluated, TaskStarted
from orchestrator.log import GENESIS, LogFinding, Redactor, Texts, verify
from orchestrator.log.chain import link
from orchestrator.log.sqlite import SqliteStore
from orchestrator.testing.simulation.memory_log import memory_database, memory_log

COLUMNS = ("stream", "version", "type", "schema", "at", "data", "hash")
INTEGERS = ("version", "schema", "at")


@frozen
class Sample:
    """A log of two interleaved streams, ``a`` and ``b``, whose triggers are gone."""

    connection: sqlite3.Connection
    texts: tuple[str, ...]
    """The digest that each event of ``a`` refers to."""
    positions: tuple[int, ...]
    """Of the events of ``a``, by version."""


def sample() -> Sample:
    """A log with six events in ``a``, each with a text, and four in ``b``."""
    connection = memory_database()
    log = memory_log(connection)
    texts = Texts(log, "a", bytes, Redactor())
    digests, positions = [], []

    async def fill() -> None:
        for version in range(6):
            digests.append(texts.put(f"text {version}"))
            event = CallPrepared(version, digests[-1], version)
            done = await log.append("a", version, 100 + version, [event], texts.take(), salt=texts.salt)
            positions.append(done.position)
            if version % 3:
                await log.append("b", version // 2 if version < 5 else 3, 200 + version, [TaskStarted(f"t{version}")])

    asyncio.run(fill())
    for name in ("events_are_never_changed", "events_are_never_deleted"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DROP INDEX idx_events_stream_version")
    return Sample(connection, tuple(digests), tuple(positions))


def first(connection: sqlite3.Connection, stream: str | None = None) -> LogFinding:
    """The first finding; there is one."""
    findings = verify(SqliteStore(connection), stream)
    assert findings
    assert [each.position for each in findings] == sorted({each.position for each in findings})
    return findings[0]


def test_a_whole_log_has_no_findings() -> None:
    """What was appended verifies, all of it and stream by stream, also with any of its heads."""
    connection = sample().connection

    assert verify(SqliteStore(connection)) == []
    for stream, head in connection.execute("SELECT stream, hash FROM events").fetchall():
        assert verify(SqliteStore(connection), stream, head) == []
        assert verify(SqliteStore(connection), None, head) == []


def test_every_column_is_in_the_hash_and_no_boundary_can_move() -> None:
    """Hashes differ as soon as one part differs, also where two parts give the same text together."""
    base = ("p", "ab", 1, "c", 1, 1, "d")
    others = [
        ("q", "ab", 1, "c", 1, 1, "d"),
        ("p", "a", 1, "bc", 1, 1, "d"),
        ("p", "ab", 11, "c", 1, 1, "d"),
        ("p", "ab", 1, "c", 11, 1, "d"),
        ("p", "ab", 1, "c", 1, 11, "d"),
        ("p", "ab", 1, "c", 1, 1, "dd"),
        ("p", "ab", 1, "cd", 1, 1, ""),
    ]

    hashes = {link(*each) for each in [base, *others]}

    assert len(hashes) == len(others) + 1
    assert all(len(each) == 64 for each in hashes)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_any_changed_column_is_found_and_named(data: st.DataObject) -> None:
    """A change of any column of any row, to any other value of any type, names that row."""
    log = sample()
    position, stream = data.draw(
        st.sampled_from(log.connection.execute("SELECT position, stream FROM events").fetchall())
    )
    column = data.draw(st.sampled_from(COLUMNS))
    before = log.connection.execute(f"SELECT {column} FROM events WHERE position = ?", (position,)).fetchone()[0]
    value = data.draw(
        st.integers(-5, 300)
        | st.floats(allow_nan=False)
        | st.text(max_size=3)
        | st.binary(max_size=3)
        | (st.sampled_from(["a", "b"]) if column == "stream" else st.just(before))
    )
    log.connection.execute(f"UPDATE events SET {column} = ? WHERE position = ?", (value, position))
    after = log.connection.execute(f"SELECT {column} FROM events WHERE position = ?", (position,)).fetchone()[0]
    assume((type(after), after) != (type(before), before))

    found = first(log.connection)

    assert found.position == position
    if column != "stream":
        assert first(log.connection, stream).position == position


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_the_data_is_found(data: st.DataObject) -> None:
    """One bit of the stored text is enough."""
    log = sample()
    position, stored = data.draw(
        st.sampled_from(log.connection.execute("SELECT position, data FROM events").fetchall())
    )
    content = bytearray(stored.encode())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    log.connection.execute("UPDATE events SET data = CAST(? AS TEXT) WHERE position = ?", (bytes(content), position))

    assert first(log.connection).position == position


@pytest.mark.parametrize("version", [1, 2, 5])
def test_a_missing_event_is_named_by_the_one_before_it(version: int) -> None:
    """A removed event is missing after the event before it in its stream; after nothing, where it was the first."""
    log = sample()
    log.connection.execute("DELETE FROM events WHERE stream = 'a' AND version = ?", (version,))

    expected = (0, *log.positions)[version - 1]
    assert first(log.connection).position == expected
    assert first(log.connection, "a").position == expected
    assert verify(SqliteStore(log.connection), "b") == []


def test_a_cut_tail_needs_a_head() -> None:
    """Without a head kept elsewhere the rest verifies; with it, the end is what is missing."""
    log = sample()
    head = log.connection.execute("SELECT hash FROM events WHERE stream = 'a' AND version = 6").fetchone()[0]
    log.connection.execute("DELETE FROM events WHERE stream = 'a' AND version = 6")

    assert verify(SqliteStore(log.connection), "a") == []
    [found] = verify(SqliteStore(log.connection), "a", head)
    assert found.position == log.positions[4]
    assert "missing" in found.message
    [gone] = verify(SqliteStore(log.connection), "c", head)
    assert gone.position == 0


@pytest.mark.parametrize(("one", "two"), [(1, 2), (2, 3), (2, 5), (5, 6), (1, 6)])
@pytest.mark.parametrize("what", ["position", "version", "data", "everything"])
def test_swapped_events_are_found(one: int, two: int, what: str) -> None:
    """Whatever is exchanged between two events, the first place that is wrong is named."""
    log = sample()
    places = log.positions[one - 1], log.positions[two - 1]
    columns = ["position"] if what == "position" else [what] if what != "everything" else list(COLUMNS)
    for column in columns:
        values = [
            log.connection.execute(f"SELECT {column} FROM events WHERE position = ?", (place,)).fetchone()[0]
            for place in places
        ]
        if column == "position":
            log.connection.execute("UPDATE events SET position = -1 WHERE position = ?", (places[0],))
            log.connection.execute("UPDATE events SET position = ? WHERE position = ?", (places[0], places[1]))
            log.connection.execute("UPDATE events SET position = ? WHERE position = -1", (places[1],))
        else:
            for place, value in zip(places, reversed(values), strict=True):
                log.connection.execute(f"UPDATE events SET {column} = ? WHERE position = ?", (value, place))

    assert first(log.connection, "a").position == places[0]


def test_an_event_moved_to_the_end_is_named() -> None:
    """One event that alone stands out of order is the bad one."""
    log = sample()
    log.connection.execute("UPDATE events SET position = 99 WHERE position = ?", (log.positions[2],))

    assert first(log.connection, "a").position == 99


def test_an_inserted_event_is_found() -> None:
    """A copy, an invention with a made-up hash, and a second event of one version are found."""
    for version, digest in [(7, "0" * 64), (3, "0" * 64), (6, GENESIS), (0, "0" * 64)]:
        log = sample()
        log.connection.execute(
            "INSERT INTO events SELECT 99, stream, ?, type, schema, at, data, ? FROM events WHERE position = 1",
            (version, digest),
        )

        assert first(log.connection, "a").position == 99


def test_an_event_with_a_fresh_hash_is_found_by_its_successor() -> None:
    """Who changes an event and computes its hash anew breaks the link to the next."""
    log = sample()
    previous, kind, at = log.connection.execute(
        "SELECT p.hash, e.type, e.at FROM events e, events p WHERE e.stream = 'a' AND e.version = 3"
        " AND p.stream = 'a' AND p.version = 2"
    ).fetchone()
    forged = link(previous, "a", 3, kind, 1, at, "{}")
    log.connection.execute("UPDATE events SET data = '{}', hash = ? WHERE position = ?", (forged, log.positions[2]))

    assert first(log.connection, "a").position == log.positions[3]


@settings(max_examples=60, deadline=None)
@given(
    version=st.integers(1, 6), change=st.sampled_from(["delete", "flip", "empty", "text", "swap"]), at=st.integers(0)
)
def test_a_bad_text_is_named_by_the_first_event_that_refers_to_it(version: int, change: str, at: int) -> None:
    """A removed, changed or exchanged text is found, though the chain itself holds."""
    log = sample()
    digest, other = log.texts[version - 1], log.texts[version % 6]
    stored = log.connection.execute("SELECT data FROM blobs WHERE digest = ?", (digest,)).fetchone()[0]
    if change == "delete":
        log.connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
    elif change == "swap":
        query = "UPDATE blobs SET data = (SELECT data FROM blobs WHERE digest = ?) WHERE digest = ?"
        log.connection.execute(query, (other, digest))
    else:
        flipped = bytearray(stored)
        flipped[at % len(stored)] ^= 1
        value = {"flip": bytes(flipped), "empty": b"", "text": "plain"}[change]
        log.connection.execute("UPDATE blobs SET data = ? WHERE digest = ?", (value, digest))

    findings = verify(SqliteStore(log.connection))
    assert [each.position for each in findings] == [log.positions[version - 1]]


def test_a_text_used_twice_is_named_by_its_first_event() -> None:
    """The first reference counts, wherever in the data it stands."""
    connection = memory_database()
    log = memory_log(connection)
    texts = Texts(log, "a", bytes, Redactor())
    events = [TaskStarted("t"), CallPrepared(1, texts.put("x"), 1), CallPrepared(1, texts.put("x"), 1)]
    asyncio.run(log.append("a", 0, 1, events, texts.take(), salt=texts.salt))
    connection.execute("DELETE FROM blobs")

    assert [each.position for each in verify(SqliteStore(connection))] == [2]


def test_a_changed_or_missing_salt_is_found() -> None:
    """Without its salt no text of a run can be shown to be the one that was written."""
    for statement in ("DELETE FROM salts", "UPDATE salts SET salt = x'00'", "UPDATE salts SET salt = 'text'"):
        log = sample()
        log.connection.execute(statement)

        assert first(log.connection, "a").position == log.positions[0]


def test_a_damaged_run_is_not_appended_to() -> None:
    """After a check has failed, the stream takes no event; other streams do."""
    log = sample()
    log.connection.execute("UPDATE events SET at = 0 WHERE position = ?", (log.positions[1],))
    store = memory_log(log.connection)
    event = Evaluated("t", 1, 1, True, (), None)

    store.check("b")
    with pytest.raises(DamagedLogError, match=f"event {log.positions[1]}") as caught:
        store.check("a")
    assert caught.value.position == log.positions[1]
    with pytest.raises(DamagedLogError):
        asyncio.run(store.append("a", 6, 1, [event]))
    assert asyncio.run(store.append("b", 4, 1, [event])).version == 5


def test_rows_cannot_be_changed_by_accident() -> None:
    """Triggers refuse UPDATE and DELETE on events, and REPLACE."""
    connection = memory_database()
    asyncio.run(memory_log(connection).append("a", 0, 1, [TaskStarted("t")]))

    for statement in (
        "UPDATE events SET at = 2",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT 1, stream, version, type, schema, 9, data, hash FROM events",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
