"""The built-in stores keep the contract."""

from pathlib import Path

import pytest

from orchestrator.log.protocol import Store
from orchestrator.log.sqlite import SqliteStore
from orchestrator.testing.contracts.stores import StoreContract


class TestMemory(StoreContract):
    """The one in memory."""

    def make_store(self) -> Store:
        """A new one."""
        return SqliteStore.in_memory()


class TestSqlite(StoreContract):
    """The one in a file."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self) -> Store:
        """A new one."""
        return SqliteStore.open(self.folder)
