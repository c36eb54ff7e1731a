"""Connections to a server, and what its errors mean on one line."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import TextLoader

from orchestrator.errors import UsageError
from orchestrator.log.protocol import StoreError

logging.getLogger("psycopg").addHandler(logging.NullHandler())  # else it writes lines of its own about lost connections

T = TypeVar("T")

_QUOTED: Final = re.compile('".*"')
"""What the driver quotes of an address that it cannot read: a password may be in it, or all of it."""
_SLASHED: Final = re.compile(r"\w+://[^/@]*/[^?#]*@")
"""An address with an @ behind the host's end: a password has a slash, and is taken for the name of the database."""
_PATIENCE: Final = 10
"""Seconds for a connection to be made."""

# A server notices that the machine of a writer is gone, and frees its runs: idle, and with bytes not acknowledged.
_NOTICE_LOSS: Final = (
    "SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),"
    " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '25000', false)"
)
_NOTICE_SILENCE: Final = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"
_LOST: Final = 25_000
_WRITTEN, _READ = 2, 10
"""How many times as long as a lost connection takes to be noticed an answer may take."""
_CLIENT: Final = {
    "connect_timeout": _PATIENCE,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": _LOST,
    "application_name": "orchestrate",
}


def parameters(url: str) -> dict[str, Any]:
    """The parts of an address, those that a user left out included.

    Raises:
        UsageError: it is none.
    """
    wanted = "postgresql://USER@HOST/DATABASE?sslmode=verify-full"
    if _SLASHED.match(url):
        raise UsageError(
            "this is no address of a PostgreSQL database (an @ follows a slash; write %2F for a slash in a password,"
            f" and %40 for an @): write {wanted}"
        )
    try:
        given = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeEncodeError) as error:
        why = "it is no text" if isinstance(error, UnicodeEncodeError) else _line(error)
        if "query parameter" not in why:  # of these only the name is quoted
            why = _QUOTED.sub('"…"', why)
        raise UsageError(f"this is no address of a PostgreSQL database ({why}): write {wanted}") from error
    return {**_CLIENT, **{name: value for name, value in given.items() if value is not None}}


def shown(url: str) -> str:
    """An address for people: without user, password and options."""
    given = parameters(url)
    place = given.get("host") or given.get("hostaddr") or "localhost"
    port = f":{given['port']}" if given.get("port") else ""
    return f"postgresql://{place}{port}/{given.get('dbname') or given.get('user') or ''}"


class AnsweredConnection(psycopg.Connection[Any]):
    """A connection that breaks where nothing comes from the server for too long.

    The system notices a machine that is gone, but no proxy that takes bytes and passes none on.
    """

    patience: float = 60.0
    """Seconds without an answer."""

    def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        """Have a statement's generator run to its end, as the driver does."""
        return super().wait(self._bounded(gen), *arguments, **options)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        until = time.monotonic() + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    until = time.monotonic() + self.patience
                elif time.monotonic() > until:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer came within {self.patience:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value


def connect(url: str, *, writes: bool = False) -> psycopg.Connection[Any]:
    """A connection in autocommit mode, which gives JSON as it is stored.

    Args:
        url: the address. Its ``tcp_user_timeout`` (25 s) says how soon a server counts as gone: twice as long may an
            answer to what is written take, ten times as long one to what is read.
        writes: whether it writes. The server then ends it, too, where it keeps a transaction open for as long: the
            locks of accounts would be held for ever by a process that is cut off.

    Raises:
        UsageError: the address is none.
        StoreError: there is no connection to be had.
    """
    given = parameters(url)
    with explained(url):
        connection = AnsweredConnection.connect(**given, autocommit=True)
        lost = int(given["tcp_user_timeout"]) or _LOST
        connection.patience = lost / 1000 * (_WRITTEN if writes else _READ)
        connection.adapters.register_loader("json", TextLoader)
        connection.execute(_NOTICE_LOSS)
        if writes:
            connection.execute(_NOTICE_SILENCE, (str(_WRITTEN * lost),))
        return connection


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Have what the driver raises say on one line what to do, without its types."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        is_damage = isinstance(error, errors.DataCorrupted | errors.IndexCorrupted)
        raise StoreError(f"{shown(url)}: {_advice(error)}", _line(error), is_damage=is_damage) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _advice(error: BaseException) -> str:
    text = _line(error)
    match error:
        case errors.DiskFull():
            return f"the server's disk is full ({text}): free some space there, then resume"
        case errors.InsufficientPrivilege():
            return f"the role may not do this ({text}): connect as the owner of the tables, or grant it the right"
        case errors.ObjectNotInPrerequisiteState():
            return error.diag.message_primary or text  # a closed log says itself what to do
        case errors.TooManyConnections():
            return "the server has no connection left: raise its max_connections, or start fewer processes"
        case errors.ReadOnlySqlTransaction():
            return "the server only reads (a replica?): name the primary server"
        case errors.AdminShutdown() | errors.CrashShutdown() | errors.CannotConnectNow():
            return f"the server stopped or is starting ({text}): wait until it runs, then resume"
        case errors.InvalidSchemaName():
            return f"{text}: create the schema that the address names first"
        case psycopg.OperationalError():
            return _no_connection(text)
    return f"{text}: remove the cause, then resume"


def _no_connection(text: str) -> str:
    if "password" in text or "authentication" in text or "pg_hba" in text:
        return f"the server refuses the login ({text}): check user and password, or set PGPASSWORD or ~/.pgpass"
    if "does not exist" in text:
        return f"{text}: create it, or name another in the address"
    if "SSL" in text or "certificate" in text:
        return f"there is no safe connection ({text}): see sslmode and sslrootcert in the address"
    if "too many" in text or "connection slots" in text:
        return "the server has no connection left: raise its max_connections, or start fewer processes"
    if "starting up" in text or "shutting down" in text:
        return f"the server stopped or is starting ({text}): wait until it runs, then resume"
    return f"the server cannot be reached, or the connection broke ({text}): check the address and the server"
