"""A log moves to another store whole, and at any moment at most one of both takes writes."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import DamagedLogError, LogError, RunLockedError, UsageError
from orchestrator.events import TaskStarted
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import chain
from orchestrator.log.protocol import UNFINISHED, Changes, Store, StoreError
from orchestrator.log.sqlite import SqliteStore
from orchestrator.log.stored_rows import NewRow
from orchestrator_stores.copying import copy_log
from tests.cli.command import orchestrate, scripted_spec
from tests.plugins.stores.copies import Dying, everything, fill, names, rows_of, write

_RUN = rows_of(names()[0])[0].stream


def _takes_writes(store: Store) -> bool:
    """Whether an event can be appended to the run; one that is stays."""
    last = store.last(_RUN)
    version, previous = (1, chain.GENESIS) if last is None else (last.version + 1, last.hash)
    digest = chain.link(previous, _RUN, version, "t.x", 1, 1, "{}")
    try:
        write(store, Changes(rows=(NewRow(_RUN, version, "t.x", 1, 1, "{}", digest),)))
    except StoreError:
        return False
    return True


@settings(max_examples=8, deadline=None)
@given(logs=st.sets(st.sampled_from(names()[:6]), min_size=1), in_file=st.booleans())
def test_a_copy_is_equal_and_goes_on(logs: set[str], in_file: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Golden logs with rows of every kind, into memory and into a file: the same bytes, and the old store is closed."""
    source = SqliteStore.in_memory()
    target = SqliteStore.open(tmp_path_factory.mktemp("copy")) if in_file else SqliteStore.in_memory()
    fill(source, sorted(logs))
    before = everything(source)
    copied = copy_log(source, target)
    assert everything(source) == everything(target) == before
    assert chain.verify(target, texts=False) == []
    assert (copied.events, copied.streams) == (len(before["rows"]), len(source.extents()))
    assert [target.layout(), source.layout(), target.closed] == [[], [], ""]
    assert not _takes_writes(source)
    high = target.high_water()
    assert _takes_writes(target)
    assert target.high_water() > high
    target.close()


def test_every_part_is_refused_once_a_store_is_closed(tmp_path: Path) -> None:
    """By the database itself: also whatever had it open before, and only deletes or only asks."""
    source, other = SqliteStore.open(tmp_path), SqliteStore.open(tmp_path)
    fill(source)
    copy_log(source, SqliteStore.in_memory())
    for changes in (
        Changes(rows=(rows_of(names()[0])[0]._replace(stream="new"),)),
        Changes(asked=((_RUN, "cancel", "", 1),)),
        Changes(pace={"scope": 1}),
        Changes(forgotten=(_RUN,)),
        Changes(ended=((_RUN, 7),)),
    ):
        with pytest.raises(StoreError, match=r"^this log was moved to memory:: name that with --store"):
            write(other, changes)
    with pytest.raises(StoreError, match="moved to memory:"):
        EventLog.open(tmp_path)
    log = EventLog.open_to_read(tmp_path)
    assert log.last(_RUN) is not None  # what is there can still be read
    for each in (log, source, other):
        each.close()


@pytest.mark.parametrize(
    ("dying", "method", "after", "is_old_open"),
    [
        ("source", "page", 0, True),
        ("source", "page", 1, True),
        ("source", "blob", 1, True),
        ("target", "take_in", 0, True),
        ("target", "extents", 0, True),
        ("target", "reopen", 0, False),
    ],
)
def test_a_copy_that_ended_early_is_repeated(
    dying: str, method: str, after: int, is_old_open: bool, tmp_path: Path
) -> None:
    """Wherever it ends: one store at most takes writes, the copy is not taken for whole, and the command goes on."""
    stores: dict[str, Any] = {"source": SqliteStore.in_memory(), "target": SqliteStore.open(tmp_path)}
    source, target = cast("Store", stores["source"]), cast("Store", stores["target"])
    fill(source)
    with pytest.raises(KeyboardInterrupt):
        copy_log(**{**stores, dying: Dying(stores[dying], method, after)})
    assert (source.closed == "") == is_old_open
    if target.high_water():
        with pytest.raises(StoreError, match=f"{UNFINISHED} of memory:: finish it with orchestrate log copy"):
            EventLog.open_to_read(tmp_path)
        assert not _takes_writes(target)
    assert _takes_writes(source) == is_old_open
    copy_log(source, target)
    assert everything(source) == everything(target)
    assert (target.closed, _takes_writes(target), _takes_writes(source)) == ("", True, False)
    target.close()


def test_events_that_came_since_are_in_the_repeated_copy() -> None:
    """The old store went on after a copy that ended early: the repeated one has all of it."""
    source, target = SqliteStore.in_memory(), SqliteStore.in_memory()
    fill(source, names()[:1])
    with pytest.raises(KeyboardInterrupt):
        copy_log(source, cast("Store", Dying(target, "extents")))
    write(source, Changes(rows=rows_of(names()[1]), forgotten=("gone",), taken=((_RUN, None, None),)))
    copy_log(source, target)
    assert everything(source) == everything(target)
    assert {row[1] for row in everything(target)["rows"]} == {_RUN, rows_of(names()[1])[0].stream}


def test_what_is_not_fit_is_refused_and_stays_as_it_was(tmp_path: Path) -> None:
    """A live run, a damaged log, a place that has a log, nothing to copy, and a log that was moved already."""
    source, target = SqliteStore.in_memory(), SqliteStore.in_memory()
    with pytest.raises(UsageError, match="there is nothing to copy in memory:"):
        copy_log(source, target)
    fill(source, names()[:2])
    handle = source.locks.acquire(_RUN)
    with pytest.raises(RunLockedError, match=f"^{_RUN} is live: wait for the end"):
        copy_log(source, target)
    handle.release()
    with pytest.raises(UsageError, match="there is a log in memory: already"):
        copy_log(source, source)
    before = everything(source)
    copy_log(source, target)
    assert everything(source) == before
    with pytest.raises(UsageError, match="moved to memory:"):
        copy_log(source, SqliteStore.in_memory())
    broken = SqliteStore.open(tmp_path)
    write(broken, Changes(rows=(rows_of(names()[0])[0]._replace(hash="0" * 64),)))
    with pytest.raises(DamagedLogError, match="is damaged at event 1"):
        copy_log(broken, SqliteStore.in_memory())
    assert broken.closed == ""
    broken.close()


def test_a_copy_that_differs_is_found_out() -> None:
    """A store that keeps something else than it was given gets no log: the old one goes on."""

    class Careless(SqliteStore):
        def cache_rows(self) -> list[Any]:
            return super().cache_rows()[1:]

    source, target = SqliteStore.in_memory(), Careless.in_memory()
    fill(source, names()[:1])
    with pytest.raises(StoreError, match="differs in its cached"):
        copy_log(source, target)
    assert (source.closed, target.closed.startswith(UNFINISHED)) == ("", True)


def test_a_log_moves_by_one_command(tmp_path: Path) -> None:
    """A run, its copy, the next run there: the same head, a sound audit, and one line where the old one is used."""
    home, new = tmp_path / "home", f"sqlite:{tmp_path / 'new'}"
    spec = str(scripted_spec(tmp_path, project_id="moved"))
    assert orchestrate(home, "run", spec).code == 0
    head = orchestrate(home, "runs", "show", "moved", "--json").json["head"]
    opened = EventLog.open(home)
    shown = orchestrate(home, "log", "copy", f"sqlite:{home}", new, "--json")
    assert (shown.code, shown.err) == (0, "")
    assert (shown.json["streams"], shown.json["target"]) == (1, new)
    with pytest.raises(LogError, match="this log was moved to"):
        asyncio.run(opened.append("late", 0, 1, [TaskStarted("t")]))
    opened.close()
    refused = orchestrate(home, "run", spec, "--new-project")
    assert (refused.code, refused.err.count("\n")) == (3, 1)
    assert f"this log was moved to {new}: name that with --store" in refused.err
    assert orchestrate(home, "audit", "verify", "moved", "--head", head, "--store", new).code == 0
    assert orchestrate(home, "run", spec, "--new-project", "--store", new).code == 0
    again = orchestrate(home, "log", "copy", f"sqlite:{home}", new)
    assert (again.code, again.err.splitlines()[-1].count("this log was moved to")) == (2, 1)
    stale = orchestrate(home, "runs", "list")
    assert "moved" in stale.out
    assert "this log was moved to" in stale.err


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("sqlite:nothing", "sqlite:new", "there is no event log at sqlite:nothing"),
        ("nowhere", "sqlite:new", "'nowhere' is no address of a store"),
        ("sqlite:home", "memory:", "memory: ends with this command"),
        ("sqlite:home", "sqlite:home", "there is a log in"),
    ],
)
def test_a_bad_place_is_one_line(source: str, target: str, said: str, tmp_path: Path) -> None:
    """It says what to write instead, and nothing changes."""
    log = EventLog.open(tmp_path / "home")
    asyncio.run(log.append("a", 0, 1, [TaskStarted("t")]))
    log.close()
    shown = orchestrate(tmp_path / "home", "log", "copy", source, target, cwd=tmp_path)
    assert shown.code == 2
    assert said in shown.err.splitlines()[-1]
    EventLog.open(tmp_path / "home").close()
    assert not (tmp_path / "new").exists()
