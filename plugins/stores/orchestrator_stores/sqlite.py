"""``sqlite:FOLDER``: a file of SQLite, for the processes of one machine."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote

from orchestrator.errors import UsageError
from orchestrator.log.protocol import Store, StoreKind
from orchestrator.log.sqlite import DATABASE, SqliteStore, database_of, is_database
from orchestrator.spi import hookimpl

orchestrator_contract = {"address": "sqlite:{folder}/log"}

_SCHEME: Final = "sqlite:"


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
        path = unquote(url.removeprefix(_SCHEME))
        path = path.removeprefix("//") if path.startswith("//") else path
        if not path or "?" in path:
            raise UsageError(f"{url!r} names no folder: write sqlite:/path/to/folder, or leave it out and say --home")
        place = Path(path).expanduser().absolute()
        return place.parent if place.name == DATABASE and not is_database(place) else place


@hookimpl
def orchestrator_store() -> StoreKind:
    """Return what opens them."""
    return SqliteStores()
