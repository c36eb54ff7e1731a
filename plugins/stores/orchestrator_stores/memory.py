"""``memory:``: a store in the memory of one process, for tests."""

from typing import Final

from orchestrator.log.protocol import Store, StoreKind
from orchestrator.log.sqlite import SqliteStore
from orchestrator.spi import hookimpl

orchestrator_contract = {"address": "memory:{folder}"}


class MemoryStores:
    """One store for each address, in this process alone: ``memory:``, ``memory:NAME``."""

    def __init__(self) -> None:
        self._open: dict[str, Store] = {}

    def open(self, url: str, *, write: bool) -> Store:
        """The store of an address; it lives as long as the process."""
        return self._open.setdefault(url, SqliteStore.in_memory())

    def exists(self, url: str) -> bool:
        """Whether it was opened before."""
        return url in self._open


_STORES: Final = MemoryStores()


@hookimpl
def orchestrator_store() -> StoreKind:
    """Return what opens them."""
    return _STORES
