"""The store on a server keeps the contract."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.testing import StoreContract
from orchestrator_postgres import addresses


class TestPostgres(StoreContract):
    """A schema for each store."""

    plugin = addresses

    @pytest.fixture(autouse=True)
    def _schemas(self, new_url: Callable[[], str]) -> Iterator[None]:
        self._new_url = new_url
        yield
        self.close()

    def make_address(self, folder: Path) -> str:
        """An empty schema."""
        return self._new_url()
