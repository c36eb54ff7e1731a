"""A real run's history, damaged in every way: found, named, and never gone on with."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.session_lifetime import Watchers
from orchestrator.errors import DamagedLogError, LogError, OrchestrateError
from orchestrator.events import TaskStarted
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import LogFinding, chain, read_heads
from orchestrator.log.sqlite import SqliteStore
from orchestrator.testing.simulation.memory_log import memory_log
from orchestrator_providers.scripted import Scripted
from tests.log.project import RUN, copied, in_workspace, spec_of, unguarded, watching, write_project

COLUMNS: Final = ("stream", "version", "type", "schema", "at", "data", "hash")
FLIPS: Final = 200


@frozen
class Row:
    """One event of the run as stored."""

    position: int
    version: int
    type: str
    data: str
    hash: str


@frozen
class Original:
    """Two data folders of the same project, and the finished run's history."""

    finished: Path
    killed: Path
    """As a process killed in the middle leaves it; the WAL is folded in."""
    image: bytes = field(repr=False)
    """The finished database."""
    rows: tuple[Row, ...] = field(repr=False)
    texts: dict[str, int] = field(repr=False)
    """Digest of every text to the position of the first event that refers to it."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """One run, with a copy from its middle."""
    folder = tmp_path_factory.mktemp("damage")
    spec = spec_of(write_project(folder / "project"))

    def snapshot(version: int, at: int, event: object) -> None:
        if version == 61:
            copied(folder / "finished", folder / "killed")

    in_workspace(folder / "finished", lambda w: w.start(spec, watchers=Watchers(observers=[snapshot])))
    for name in ("finished", "killed"):
        connection = sqlite3.connect(folder / name / "events.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = DELETE")  # one file, so that its bytes can be put in memory
        image = connection.serialize() if name == "finished" else image_of(folder / "finished")
        rows = connection.execute("SELECT position, version, type, data, hash FROM events ORDER BY position").fetchall()
        digests = [digest for (digest,) in connection.execute("SELECT digest FROM blobs")]
        if name == "finished":
            unreconciled = tuple(Row(*row) for row in rows)
            texts = {digest: next(r.position for r in unreconciled if f'"{digest}"' in r.data) for digest in digests}
        connection.close()
    return Original(folder / "finished", folder / "killed", image, unreconciled, texts)


def image_of(home: Path) -> bytes:
    """The bytes of the database of a data folder."""
    return (home / "events.db").read_bytes()


def loaded(image: bytes) -> sqlite3.Connection:
    """The database of these bytes in memory, unguarded."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(image)
    for name in ("events_are_never_changed", "events_are_never_deleted"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DROP INDEX idx_events_stream_version")
    return connection


def verify(connection: sqlite3.Connection, stream: str | None = None, head: str | None = None) -> list[LogFinding]:
    """What is wrong with a database."""
    return chain.verify(SqliteStore(connection), stream, head)


def first(connection: sqlite3.Connection, head: str | None = None) -> LogFinding:
    """The first finding, which the run alone shows too, and for which it is refused."""
    findings = verify(connection, None, head)
    assert findings
    return findings[0]


def refuses(connection: sqlite3.Connection, position: int) -> None:
    """The log names the position, and takes no event of the run any more."""
    log = memory_log(connection)
    with pytest.raises(DamagedLogError, match=rf"{RUN} is damaged at event {position}(?: \(v\d+\))?: ") as caught:
        log.check(RUN)
    assert caught.value.position == position
    before = connection.execute("SELECT count(*) FROM events").fetchone()
    with pytest.raises(DamagedLogError):
        asyncio.run(log.append(RUN, 129, 2**60, [TaskStarted("t")]))
    assert connection.execute("SELECT count(*) FROM events").fetchone() == before


def altered(value: Any) -> list[Any]:
    """Other values a column may be given: near, far, of another type, empty."""
    if isinstance(value, int):
        return [value + 1, -value - 1, value + 2**40, str(value) + "x", b"\0"]
    return [value + " ", value[:-1], value.swapcase(), value.encode(), "", value[::-1]]


@pytest.mark.parametrize("column", COLUMNS)
def test_every_edit_of_every_column_is_found_and_named(original: Original, column: str) -> None:
    """Each event, each column, several values: the edited event is the one that is named, and the run is refused."""
    connection = loaded(original.image)
    draw = random.Random(column)
    edits = 0
    for row in original.rows:
        [value] = connection.execute(f"SELECT {column} FROM events WHERE position = ?", (row.position,)).fetchone()
        other = draw.choice([each for each in altered(value) if each != value])
        connection.execute("SAVEPOINT edit")
        connection.execute(f"UPDATE events SET {column} = ? WHERE position = ?", (other, row.position))

        assert first(connection).position == row.position, (row.position, value, other)
        refuses(connection, row.position)
        connection.execute("ROLLBACK TO edit")
        edits += 1
    assert edits == len(original.rows)
    assert verify(connection) == []


def test_every_removed_event_is_found_after_the_one_before_it(original: Original) -> None:
    """The position after which it is missing is named; the last one is missing only with a head."""
    connection = loaded(original.image)
    head = original.rows[-1].hash
    for before, row in zip((None, *original.rows), original.rows, strict=False):
        expected = 0 if before is None else before.position
        connection.execute("SAVEPOINT edit")
        connection.execute("DELETE FROM events WHERE position = ?", (row.position,))

        assert first(connection, head).position == expected
        if row is not original.rows[-1]:
            assert first(connection).position == expected
            refuses(connection, expected)
        connection.execute("ROLLBACK TO edit")


def test_every_doubled_event_is_found(original: Original) -> None:
    """A copy at the end, under its own version or the next, is the event that is named."""
    connection = loaded(original.image)
    last = original.rows[-1]
    for row in original.rows:
        for version in (row.version, last.version + 1):
            connection.execute("SAVEPOINT edit")
            connection.execute(
                "INSERT INTO events SELECT 9000, stream, ?, type, schema, at, data, hash FROM events"
                " WHERE position = ?",
                (version, row.position),
            )

            assert first(connection).position == 9000
            refuses(connection, 9000)
            connection.execute("ROLLBACK TO edit")


@given(data=st.data())
def test_swapped_events_are_found(original: Original, data: st.DataObject) -> None:
    """Two events that exchange columns: the earlier of those that now differ is named."""
    one, other = data.draw(st.tuples(*[st.integers(0, len(original.rows) - 1)] * 2))
    columns = data.draw(st.lists(st.sampled_from(COLUMNS[1:]), min_size=1, unique=True))
    connection = loaded(original.image)
    places = [original.rows[one].position, original.rows[other].position]
    names = ", ".join(columns)
    before = [connection.execute(f"SELECT {names} FROM events WHERE position = ?", (at,)).fetchone() for at in places]
    assigned = ", ".join(f"{name} = ?" for name in columns)
    for at, values in zip(places, reversed(before), strict=True):
        connection.execute(f"UPDATE events SET {assigned} WHERE position = ?", (*values, at))

    if before[0] == before[1]:
        assert verify(connection) == []
    else:
        assert first(connection).position == min(places)
        refuses(connection, min(places))


def test_every_text_removed_changed_or_exchanged_is_found(original: Original) -> None:
    """The first event that refers to the text is named, for each text of the run."""
    connection = loaded(original.image)
    digests = list(original.texts)
    [place] = connection.execute("SELECT data ->> 'place' FROM events WHERE type = 'run.started'").fetchone()
    assert place in digests
    for digest, other in zip(digests, [*digests[1:], digests[0]], strict=True):
        for statement in (
            "DELETE FROM blobs WHERE digest = :digest",
            "UPDATE blobs SET data = x'' WHERE digest = :digest",
            "UPDATE blobs SET data = data || x'00' WHERE digest = :digest",
            "UPDATE blobs SET data = CAST(data || x'00' AS BLOB) WHERE digest = :digest",
            "UPDATE blobs SET data = CAST(substr(data, 1, length(data) - 4) AS BLOB) WHERE digest = :digest",
            "UPDATE blobs SET data = CAST(data AS TEXT) WHERE digest = :digest",
            "UPDATE blobs SET data = substr(data, 1, length(data) - 1) WHERE digest = :digest",
            "UPDATE blobs SET data = (SELECT data FROM blobs WHERE digest = :other) WHERE digest = :digest",
            "UPDATE blobs SET run = 'another' WHERE digest = :digest",
            "UPDATE blobs SET digest = upper(digest) || 'x' WHERE digest = :digest",
        ):
            connection.execute("SAVEPOINT edit")
            connection.execute(statement, {"digest": digest, "other": other})
            gone = (
                connection.execute("SELECT 1 FROM blobs WHERE run = ? AND digest = ?", (RUN, digest)).fetchone() is None
            )
            if gone and digest == place:
                assert verify(connection) == [], "the text that names a machine may be missing"
                connection.execute("ROLLBACK TO edit")
                continue

            assert first(connection).position == original.texts[digest], statement
            refuses(connection, original.texts[digest])
            connection.execute("ROLLBACK TO edit")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM salts",
        "UPDATE salts SET salt = zeroblob(32)",
        "UPDATE salts SET salt = salt || x'00'",
        "UPDATE salts SET salt = CAST(salt AS TEXT)",
        "UPDATE salts SET run = 'another'",
    ],
)
def test_a_changed_salt_is_found(original: Original, statement: str) -> None:
    """Without the right salt no text is proved: the first event that refers to any is named."""
    connection = loaded(original.image)
    connection.execute(statement)

    assert first(connection).position == 1
    refuses(connection, 1)


def extents(original: Original) -> list[tuple[int, int, int]]:
    """Where in the file the columns of an event, or a text, lie: start, end, and the position to be named."""
    found = []
    image = original.image
    for row in original.rows:
        end = image.find(row.data.encode() + row.hash.encode())
        number = b"" if row.version == 1 else row.version.to_bytes(1 + (row.version > 127))
        start = image.rfind(RUN.encode() + number + row.type.encode(), 0, max(end, 0))
        if end > 0 and 0 < end - start < 100:  # on one page
            found.append((start, end + len(row.data) + len(row.hash), row.position))
    connection = loaded(image)
    for digest, data in connection.execute("SELECT digest, data FROM blobs"):
        start = image.find(data)
        if start > 0:
            found.append((start, start + len(data), original.texts[digest]))
    return found


def test_bits_flipped_in_the_file_inside_rows_and_texts_are_found(original: Original, tmp_path: Path) -> None:
    """Two hundred single bits, in every column of events and in compressed texts: each is found where it is."""
    places = extents(original)
    assert len(places) > 140, "most rows and texts lie on one page each"
    draw = random.Random(20)
    for number in range(FLIPS):
        start, end, position = places[number % len(places)] if number % 2 else draw.choice(places)
        image = bytearray(original.image)
        image[draw.randrange(start, end)] ^= 1 << draw.randrange(8)
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.deserialize(bytes(image))

        assert first(connection).position == position
        refuses(connection, position)
        connection.close()


def everything(connection: sqlite3.Connection) -> list[Any]:
    """All that the chain covers, as stored."""
    return [
        connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2").fetchall()
        for table, columns in {
            "events": f"position, {', '.join(COLUMNS)}",
            "blobs": "run, digest, data",
            "salts": "run, salt",
        }.items()
    ]


def test_bits_flipped_anywhere_in_the_file_are_found_or_harmless(original: Original) -> None:
    """Five hundred single bits anywhere: something is found, or every event and text reads as it was written."""
    draw = random.Random(21)
    expected = everything(loaded(original.image))
    harmless = 0
    for _ in range(500):
        image = bytearray(original.image)
        image[draw.randrange(len(image))] ^= 1 << draw.randrange(8)
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.deserialize(bytes(image))
        if not verify(connection):
            harmless += 1
            assert everything(connection) == expected
        connection.close()
    assert harmless < 300


def test_every_bit_of_a_stored_text_counts(original: Original) -> None:
    """Also those that do not change what it unpacks to."""
    connection = loaded(original.image)
    query = "SELECT digest, data FROM blobs ORDER BY length(data) LIMIT 1"
    digest, data = connection.execute(query).fetchone()
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        connection.execute("UPDATE blobs SET data = ? WHERE digest = ?", (bytes(flipped), digest))
        [found] = verify(connection, RUN)
        assert found.position == original.texts[digest]


def test_a_tail_cut_at_any_place_is_seen_with_the_head(original: Original) -> None:
    """Without the head the rest is a whole history; with it the last event that is left is named."""
    connection = loaded(original.image)
    head = original.rows[-1].hash
    for row in original.rows[::7]:
        connection.execute("SAVEPOINT edit")
        connection.execute("DELETE FROM events WHERE position > ?", (row.position,))

        assert verify(connection) == []
        [found] = verify(connection, RUN, head)
        assert found.position == row.position
        assert verify(connection, RUN, row.hash) == []
        connection.execute("ROLLBACK TO edit")


def test_a_removed_run_is_seen_through_the_heads(original: Original, tmp_path: Path) -> None:
    """Nothing in the database tells of it any more; the line in ``heads.jsonl`` does."""
    home = copied(original.finished, tmp_path / "home")
    connection = unguarded(home)
    for table, column in (("events", "stream"), ("blobs", "run"), ("salts", "run")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (RUN,))
    connection.close()

    log = EventLog.open_to_read(home)
    assert log.verify() == []
    [unreconciled] = read_heads(home)
    assert (unreconciled.run, unreconciled.version, unreconciled.head) == (
        RUN,
        len(original.rows),
        original.rows[-1].hash,
    )
    [found] = log.verify(unreconciled.run, unreconciled.head)
    log.close()
    assert found.position == 0
    assert "missing" in found.message


DAMAGES: Final[Sequence[tuple[str, int]]] = (
    ("UPDATE events SET at = at + 1 WHERE version = 30", 30),
    ("UPDATE events SET data = replace(data, '0', '1') WHERE version = 61", 61),
    ("UPDATE events SET type = 'task.teleported' WHERE version = 40", 40),
    ("UPDATE events SET schema = 2 WHERE version = 2", 2),
    ("UPDATE events SET data = 'not json' WHERE version = 1", 1),
    ("UPDATE events SET type = 'task.started' WHERE version = 1", 1),
    ("DELETE FROM events WHERE version = 1", 0),
    ("DELETE FROM events WHERE version = 50", 49),
    ("UPDATE events SET hash = hash || 'x' WHERE version = 61", 61),
    ("UPDATE events SET stream = x'00' WHERE version = 20", 20),
    ("INSERT INTO events SELECT 9000, stream, 64, type, schema, at, data, hash FROM events WHERE version = 9", 9000),
    ("UPDATE blobs SET data = x'00'", 1),
    ("DELETE FROM blobs", 1),
    ("DELETE FROM salts", 1),
)


@pytest.mark.parametrize(("statement", "position"), DAMAGES)
@pytest.mark.parametrize("door", ["resume", "start", "resume with money"])
def test_a_damaged_run_is_never_gone_on_with(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, position: int, door: str
) -> None:
    """Resuming names the first bad event, makes no call and appends nothing; so does running the same spec again."""
    home = copied(original.killed, tmp_path / "home")
    spec = spec_of(write_project(tmp_path / "project"))
    connection = unguarded(home)
    connection.execute(statement)
    before = everything(connection)
    connection.close()
    calls: list[object] = []
    seen: list[str] = []
    monkeypatch.setattr(Scripted, "call", lambda *arguments: calls.append(arguments))
    doors: dict[str, Callable[[Any], Any]] = {
        "resume": lambda w: w.resume(RUN, watchers=watching(seen)),
        "start": lambda w: w.start(spec, watchers=watching(seen)),
        "resume with money": lambda w: w.resume(RUN, add_budget=spec.budget_usd, watchers=watching(seen)),
    }

    with pytest.raises(DamagedLogError, match=rf"{RUN} is damaged at event {position}(?: \(v\d+\))?: ") as caught:
        in_workspace(home, doors[door])

    assert caught.value.position == position
    assert caught.value.exit_code == 6
    assert (calls, seen) == ([], [])
    undamaged = sqlite3.connect(home / "events.db")
    assert everything(undamaged) == before
    undamaged.close()


def test_the_killed_run_is_otherwise_sound(original: Original, tmp_path: Path) -> None:
    """What the damages above are done to can be resumed: it is the damage that is refused."""
    home = copied(original.killed, tmp_path / "home")
    seen: list[str] = []

    outcome = in_workspace(home, lambda w: w.resume(RUN, watchers=watching(seen)))

    assert outcome.state.finished is not None
    assert "CallSucceeded" in seen


@pytest.mark.parametrize("page", [0, 1, 2, 3, 5, 8, 11])
def test_a_destroyed_page_ends_in_one_line(original: Original, tmp_path: Path, page: int) -> None:
    """Opening and resuming on a broken database file raises an error of the program, never another."""
    home = copied(original.killed, tmp_path / "home")
    with (home / "events.db").open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xa5" * 4096)

    try:
        in_workspace(home, lambda w: w.resume(RUN))
    except OrchestrateError as error:
        assert isinstance(error, LogError) or page > 0  # noqa: PT017 - some pages are not read
        assert "\n" not in str(error)  # noqa: PT017


def test_a_cut_tail_that_the_heads_know_of_is_not_gone_on_with(original: Original, tmp_path: Path) -> None:
    """What is left verifies, but ``heads.jsonl`` has a head that is not in it."""
    home = copied(original.finished, tmp_path / "home")
    spec = spec_of(write_project(tmp_path / "project"))
    connection = unguarded(home)
    connection.execute("DELETE FROM events WHERE version > 100")
    connection.close()

    for door in (lambda w: w.resume(RUN), lambda w: w.start(spec)):
        with pytest.raises(DamagedLogError, match=r"damaged at event 100 \(v100\): no event has the head"):
            in_workspace(home, door)
