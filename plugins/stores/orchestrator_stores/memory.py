"""``memory:``: a store in the memory of one process, for tests."""

from typing import Final

from orchestrator.log.protocol import StoreKind
from orchestrator.log.sqlite.store_addresses import MemoryStores
from orchestrator.spi import hookimpl

_STORES: Final = MemoryStores()

orchestrator_contract = {"address": "memory:{folder}"}


@hookimpl
def orchestrator_store() -> StoreKind:
    """Return what opens them."""
    return _STORES
