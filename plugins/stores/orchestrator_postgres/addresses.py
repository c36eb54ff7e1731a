"""The addresses of logs on a PostgreSQL server; the driver is imported when one is opened."""

from typing import TYPE_CHECKING

from orchestrator.errors import UsageError
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from types import ModuleType

    from orchestrator_postgres.store import PostgresStore

orchestrator_contract = {"missing": "it needs a server: inherit from the contract, and give `make_address`"}


class PostgresStores:
    """The stores of this kind."""

    def open(self, url: str, *, write: bool) -> "PostgresStore":
        """The store at an address; see ``StoreKind``."""
        store: PostgresStore = _driven().PostgresStore(url, write=write)
        return store

    def exists(self, url: str) -> bool:
        """Whether there is a log at an address; see ``StoreKind``."""
        found: bool = _driven().exists(url)
        return found


def _driven() -> "ModuleType":
    """The module that needs the driver.

    Raises:
        UsageError: the driver is not installed.
    """
    try:
        from orchestrator_postgres import store
    except ImportError as error:
        text = f"a log on PostgreSQL needs {error.name or 'psycopg'}: pip install 'multi-llm-orchestrator[postgres]'"
        raise UsageError(text) from error
    return store


@hookimpl
def orchestrator_store() -> PostgresStores:
    """The stores of this kind."""
    return PostgresStores()
