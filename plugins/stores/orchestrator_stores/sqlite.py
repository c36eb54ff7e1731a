"""``sqlite:FOLDER``: a file of SQLite, for the processes of one machine."""

from orchestrator.log.protocol import StoreKind
from orchestrator.log.sqlite.store_addresses import SqliteStores
from orchestrator.spi import hookimpl

orchestrator_contract = {"address": "sqlite:{folder}/log"}


@hookimpl
def orchestrator_store() -> StoreKind:
    """Return what opens them."""
    return SqliteStores()
