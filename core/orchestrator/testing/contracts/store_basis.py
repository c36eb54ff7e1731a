"""What the tests of stores share: where a store is made, how a second process opens it, and what is written to it."""

import tempfile
import weakref
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest import SkipTest

from orchestrator.errors import ConcurrencyError
from orchestrator.log import chain
from orchestrator.log.protocol import Changes, Member, Store, StoreKind, StoreReads, Tails, all_rows
from orchestrator.log.stored_rows import Last, NewRow, Select
from orchestrator.testing.contracts.base import PluginContract

AT: Final = 1_800_000_000_000_000
"""Microseconds UTC of everything that is written."""


def next_rows(stream: str, last: Last | None, *data: str, kind: str = "test") -> tuple[NewRow, ...]:
    """Events with some data that follow the last one of a stream."""
    version, previous = (0, chain.GENESIS) if last is None else (last.version, last.hash)
    rows = []
    for each in data:
        version += 1
        previous = chain.link(previous, stream, version, kind, 1, AT, each)
        rows.append(NewRow(stream, version, kind, 1, AT, each, previous))
    return tuple(rows)


def adding(stream: str, *data: str, kind: str = "test") -> Member:
    """Adds events to the end of a stream, wherever that is."""
    return Member(lambda tails: Changes(rows=next_rows(stream, tails.last(stream), *data, kind=kind)), stream)


def following(stream: str, known: Last | None, *data: str) -> Member:
    """Adds events after the one that its writer knows, and is refused where that is not the last."""

    def make(tails: Tails) -> Changes:
        last, wanted = tails.last(stream), known.version if known else 0
        if (last.version if last else 0) != wanted:
            raise ConcurrencyError(stream, wanted, last.version if last else 0)
        return Changes(rows=next_rows(stream, last, *data))

    return Member(make, stream, known)


def beside(changes: Changes) -> Member:
    """Writes changes as they are."""
    return Member(lambda tails: changes)


def written(store: Store, *members: Member) -> None:
    """Write members that must all succeed."""
    for each in store.write(members):
        assert each.error is None, f"a member was refused: {each.error}"


def data_of(store: StoreReads, stream: str) -> list[str]:
    """The data of a stream's events, oldest first."""
    return [row.data for row in all_rows(store, Select((stream,), by_version=True))]


class StoreBasis(PluginContract):
    """How the tests get at stores.

    Name the module in ``plugin`` and say in ``address`` where an empty store can be made; or override ``make_store``
    alone, and, where several processes can open a store, ``open_again``.
    """

    kind = "store"
    address: ClassVar[str] = ""
    """Of an empty store; ``{folder}`` is a new folder, such as in ``sqlite:{folder}/log``."""
    missing: ClassVar[str] = ""
    """Why it cannot be tried here, such as for want of a server; empty: it can."""
    _opened: ExitStack | None = None
    _places: dict[int, str]

    def make(self) -> StoreKind:
        """What opens stores."""
        kind: StoreKind = self.build()
        return kind

    def make_address(self, folder: Path) -> str:
        """The address of an empty store of its own; the folder is new."""
        if not self.address or self.missing:
            raise SkipTest(self.missing or "no address: say in `address` where an empty store can be made")
        return self.address.format(folder=folder)

    def new_address(self) -> str:
        """The same in a folder that is deleted at the end."""
        return self.make_address(Path(self._stack().enter_context(tempfile.TemporaryDirectory(prefix="contract-"))))

    def make_store(self) -> Store:
        """An empty store, open for writing."""
        address = self.new_address()
        store = self._kept(self.make().open(address, write=True))
        self._places[id(store)] = address
        return store

    def open_again(self, store: Store) -> Store:
        """The same store as another process opens it; where a store belongs to one process, itself."""
        address = getattr(self, "_places", {}).get(id(store))
        return store if address is None or not store.is_shared else self._kept(self.make().open(address, write=True))

    def shared(self) -> tuple[Store, Store]:
        """A store that two processes have open."""
        store = self.make_store()
        other = self.open_again(store)
        if other is store:
            raise SkipTest("it belongs to one process")
        return store, other

    def close(self) -> None:
        """Close every store that was opened, which else happens once this object is gone."""
        if self._opened is not None:
            self._opened.close()

    def _kept(self, store: Store) -> Store:
        self._stack().enter_context(closing(store))
        return store

    def _stack(self) -> ExitStack:
        if self._opened is None:
            self._opened, self._places = ExitStack(), {}
            weakref.finalize(self, self._opened.close)
        return self._opened


def contents(store: StoreReads) -> dict[str, Any]:
    """What stands beside the events, of every kind, so that two stores can be compared."""
    names = store.owners()
    return {
        "salts": [(name, bytes(salt)) for name in names if (salt := store.salt(name)) is not None],
        "texts": [(n, t.digest, bytes(store.blob(n, t.digest))) for n in names for t in store.texts(n)],
        "cached": sorted(store.cache_rows()),
        "holds": store.holds(),
        "asked": [(name, *each[1:]) for name in names for each in store.asked(name)],
        "pace": store.paces(),
    }
