"""The stores that come with the program: a file of SQLite, and one in memory, for tests."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote

from orchestrator.errors import UsageError
from orchestrator.log.protocol import Store
from orchestrator.log.sqlite.connections import DATABASE, database_of, is_database
from orchestrator.log.sqlite.store import SqliteStore

SQLITE: Final = "sqlite:"


class SqliteStores:
    """Files of SQLite: ``sqlite:FOLDER``, ``sqlite:///absolute/folder``, or the file ``events.db`` in one."""

    def open(self, url: str, *, write: bool) -> Store:
        """The store in a folder; to read, a database alone will do.

        Raises:
            UsageError: the address names no place.
            LogError: it cannot be opened.
        """
        place = self._place(url)
        if not write:
            return SqliteStore.open_to_read(place)
        return SqliteStore.open(place.parent if place.name == DATABASE else place)

    def exists(self, url: str) -> bool:
        """Whether there is a log."""
        return database_of(self._place(url)).exists()

    @staticmethod
    def _place(url: str) -> Path:
        path = unquote(url.removeprefix(SQLITE))
        path = path.removeprefix("//") if path.startswith("//") else path
        if not path or "?" in path:
            raise UsageError(f"{url!r} names no folder: write sqlite:/path/to/folder, or leave it out and say --home")
        place = Path(path).expanduser().absolute()
        return place.parent if place.name == DATABASE and not is_database(place) else place


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
