"""Stores with golden logs and rows beside them, and what a copy of one must be."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from attrs import asdict

from orchestrator.log.protocol import Changes, Member, Store
from orchestrator.log.stored_rows import CacheRow, Hold, NewRow
from orchestrator_stores.copying import contents_of
from tests import golden


@cache
def rows_of(name: str) -> tuple[NewRow, ...]:
    """The events of a golden log, as they are stored."""
    rows = golden.read(golden.FOLDER / f"{name}.jsonl").rows
    return tuple(NewRow(*(row[field] for field in NewRow._fields)) for row in rows)


@cache
def names() -> tuple[str, ...]:
    """The golden logs that can stand in one store: none has a stream of another."""
    found, streams = [], set[str]()
    for path in sorted(golden.FOLDER.glob("*.jsonl"), key=lambda each: each.stat().st_size):
        own = {row.stream for row in rows_of(path.stem)}
        if not own & streams:
            found.append(path.stem)
            streams |= own
    return tuple(found)


def write(store: Store, changes: Changes) -> None:
    """Write changes as they are."""
    [written] = store.write([Member(lambda tails: changes)])
    assert written.error is None


def fill(store: Store, logs: Iterable[str] = ()) -> None:
    """Give a store golden logs, and something in every table beside them."""
    for name in logs or names():
        write(store, Changes(rows=rows_of(name)))
    run = rows_of(names()[0])[0].stream
    write(
        store,
        Changes(
            salts=((run, b"\0salt\xff"),),
            texts=((run, "d" * 64, b"\0text\xff"), ("gone", "e" * 64, b"")),
            secret=b"secret",
            cached=(CacheRow("key", run, 3), CacheRow("other", run, 3)),
            holds=(Hold(run, 7, "account/org", 2**53 + 1), Hold("gone", 1, "account/org", 5)),
            asked=((run, "cancel", "it's \U0001f600", 4), (run, "raise", "", 5)),
            pace={"vendor/requests": 2**53 + 1},
        ),
    )
    write(store, Changes(taken=((run, "cancel", None),)))


def everything(store: Store) -> dict[str, Any]:
    """What is in a store, of every kind, verbatim."""
    return {name: [tuple(each) for each in part] for name, part in asdict(contents_of(store, 0), recurse=False).items()}


class Dying:
    """A store whose process dies at a call of one of its methods."""

    def __init__(self, store: Store, method: str, after: int = 0) -> None:
        self._store = store
        self._method = method
        self._left = after

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        return getattr(self._store, name)
