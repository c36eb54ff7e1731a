"""The stores that come with the program keep the contract."""

from orchestrator.testing import StoreContract
from orchestrator_stores import memory, sqlite


class TestMemory(StoreContract):
    """The one in memory."""

    plugin = memory
    address = "memory:{folder}"


class TestSqlite(StoreContract):
    """The one in a file."""

    plugin = sqlite
    address = "sqlite:{folder}/log"
