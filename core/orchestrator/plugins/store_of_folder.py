"""Which store a data folder has its log in: the one of its folder, or the one of an address.

The address is that of ``--store``, else ``ORCHESTRATE_STORE``, else ``store`` in the user's configuration. The folder
keeps what is no part of the log: heads, keys, locks of its own.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.deadlines.awaiting import Offload
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.log import Redactor
    from orchestrator.log.protocol import Store, StoreKind

VARIABLE: Final = "ORCHESTRATE_STORE"
_SCHEME: Final = re.compile(r"([a-z][a-z0-9_+.-]*):")
_PASSWORD: Final = re.compile(r"(?<=://)([^/:@]*):[^/]*@")
_BEFORE_HOST: Final = re.compile(r"^([^:@]*://)?.*@", re.DOTALL)
_PASSWORD_KEY: Final = re.compile(r"([?&])\w*password=[^&#]*&?")
_CHOSEN: Final[list[str]] = []

Log = TypeVar("Log", bound="EventLog")


def choose_store(url: str | None) -> None:
    """Let every log of this process be in the store of an address; None: as environment and configuration say.

    Raises:
        UsageError: it is no address.
    """
    if url is not None:
        _scheme_of(url)
    _CHOSEN[:] = [] if url is None else [url]


def store_url(variables: "Mapping[str, str]" = os.environ) -> str | None:
    """The address of the store; None: that of the data folder itself.

    Raises:
        UsageError: it is no address, or the user's configuration cannot be used.
    """
    from orchestrator.trust.user_configuration import read_configuration

    url = next(iter(_CHOSEN), None) or variables.get(VARIABLE) or read_configuration(variables).store
    if url:
        _scheme_of(url)
    return url or None


def store_variables() -> dict[str, str]:
    """The variables by which a process that is started from here finds the same store; they may hold a password.

    Raises:
        UsageError: the address of the store makes no sense.
    """
    url = store_url()
    return {} if url is None else {VARIABLE: url}


def shown_store() -> str | None:
    """The address of the store as it may be kept and shown: without a password. None: that of the data folder.

    Raises:
        UsageError: it makes no sense.
    """
    url = store_url()
    return None if url is None else _PASSWORD_KEY.sub(r"\1", _PASSWORD.sub(r"\1@", url))


def open_log(folder: Path, *, redactor: "Redactor | None" = None, offload: "Offload | None" = None) -> "EventLog":
    """The log of a data folder, for reading and appending, wherever its store is.

    Raises:
        UsageError: the address of the store makes no sense.
        LogError: it cannot be opened; the message says what to do.
    """
    import asyncio

    from orchestrator.ledger.event_log import EventLog

    store = chosen_store(write=True)
    return EventLog.open(folder, redactor=redactor, offload=offload or asyncio.to_thread, store=store)


def open_log_to_read(folder: Path, kind: type[Log]) -> Log:
    """The same for reading only.

    Args:
        folder: the data folder, or a database alone.
        kind: the class of the log.
    """
    return kind.open_to_read(folder, chosen_store(write=False))


def chosen_store(*, write: bool) -> "Store | None":
    """The store that was chosen by its address; None: the one of the data folder.

    Raises:
        UsageError: the address makes no sense, or no plugin knows it.
        LogError: it cannot be opened.
    """
    url = store_url()
    return None if url is None else open_store(url, write=write)


def open_store(url: str, *, write: bool) -> "Store":
    """The store at an address.

    Raises:
        UsageError: the address makes no sense, or no plugin knows it.
        LogError: it cannot be opened.
    """
    return _kind_of(url).open(url, write=write)


def store_exists(url: str) -> bool:
    """Whether there is a log at an address.

    Raises:
        UsageError: the address makes no sense, or no plugin knows it.
        LogError: the store cannot be asked.
    """
    return _kind_of(url).exists(url)


def has_store(folder: Path) -> bool:
    """Whether there is a log of a data folder.

    Raises:
        OSError: the folder must not be looked into.
        LogError: the store cannot be asked.
    """
    from orchestrator.log.sqlite import database_of

    url = store_url()
    return database_of(folder).exists() if url is None else store_exists(url)


def _kind_of(url: str) -> "StoreKind":
    from orchestrator.plugins import Catalogue

    return Catalogue.discover().store(_scheme_of(url))


def _scheme_of(url: str) -> str:
    found = _SCHEME.match(url)
    if found is None:
        named = _PASSWORD_KEY.sub(r"\1", _BEFORE_HOST.sub(r"\1…@", url))
        raise UsageError(f"{named!r} is no address of a store: write one such as sqlite:/path/to/folder")
    return found[1]
