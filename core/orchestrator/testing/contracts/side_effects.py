"""What a suite notices of the world around a plugin: programs, connections and files, shared state, clocks, hashes."""

import contextlib
import locale
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import ModuleType
from typing import Any, Final
from unittest import mock

from attrs import Factory, define

YEAR: Final = 3.2e7
"""Seconds by which clocks are put forward: about a year."""

_PROGRAMS: Final = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty")
_CONNECTIONS: Final = ("socket.connect", "socket.sendto", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname")
_CODE: Final = (".py", ".pyc", ".so", ".pyd", ".pth", ".dll")
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@define
class SideEffects:
    """What was done to the world, each as an author would look for it."""

    programs: list[str] = Factory(list)
    connections: list[str] = Factory(list)
    read: list[str] = Factory(list)
    written: list[str] = Factory(list)
    thread: int = Factory(threading.get_ident)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take in one audit event of the interpreter."""
        if event in _PROGRAMS:
            self.programs.append(str(arguments[0])[:80] if arguments else event)
        elif event in _CONNECTIONS:
            named = [each for each in arguments[:3] if isinstance(each, str | bytes | tuple | int)]
            self.connections.append(" ".join(map(str, named[:2])))
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, flags = os.fsdecode(arguments[0]), arguments[2] if isinstance(arguments[2], int) else 0
            if not path.endswith(_CODE) and "__pycache__" not in path:
                (self.written if flags & _WRITES else self.read).append(path)


_LISTENING: Final[list[SideEffects]] = []
_HOOKED: Final = threading.Event()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    for side_effects in _LISTENING:
        # what other threads do, such as those of a runner of tests, is not the plugin's
        if threading.get_ident() == side_effects.thread or threading.current_thread().name == "contract":
            side_effects.note(event, arguments)


@contextlib.contextmanager
def overheard() -> Iterator[SideEffects]:
    """Notice programs, connections and files that this thread, or one of ``in_time``, has to do with."""
    if not _HOOKED.is_set():
        _HOOKED.set()
        sys.addaudithook(_hear)  # for the rest of the process: there is no way to take one back
    side_effects = SideEffects()
    _LISTENING.append(side_effects)
    try:
        yield side_effects
    finally:
        _LISTENING.remove(side_effects)


def _set_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _set_path(path: list[str]) -> None:
    sys.path[:] = path


def _set_handlers(handlers: list[logging.Handler]) -> None:
    logging.getLogger().handlers[:] = handlers


_SHARED: Final[Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]]] = {
    "the environment": (lambda: dict(os.environ), _set_environment),
    "the working folder": (os.getcwd, os.chdir),
    "sys.path": (lambda: list(sys.path), _set_path),
    "the recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "the locale": (lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    "the time limit of all sockets": (socket.getdefaulttimeout, socket.setdefaulttimeout),
    "the handlers of the root logger": (lambda: list(logging.getLogger().handlers), _set_handlers),
    "the level of the root logger": (lambda: logging.getLogger().level, logging.getLogger().setLevel),
}
"""What everything in the process shares: how it stands, and how it is put back."""


class SharedStateError(AssertionError):
    """A plugin has changed what is not its own."""


@contextlib.contextmanager
def shared_state_kept() -> Iterator[None]:
    """Fail where something that the whole process shares stands otherwise afterwards; it is put back in any case."""
    before = {what: look() for what, (look, _) in _SHARED.items()}
    changed: list[str] = []
    try:
        yield
    finally:
        for what, (look, put_back) in _SHARED.items():
            if look() != before[what]:
                put_back(before[what])
                changed.append(what)
    if changed:
        raise SharedStateError(f"it changed {', '.join(changed)}, which the whole process shares")


class _LaterDate(date):
    @classmethod
    def today(cls) -> Any:
        """A year on."""
        return date.today() + timedelta(seconds=YEAR)


class _LaterDatetime(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """A year on."""
        return datetime.now(tz) + timedelta(seconds=YEAR)

    @classmethod
    def utcnow(cls) -> Any:
        """A year on."""
        return datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=YEAR)

    @classmethod
    def today(cls) -> Any:
        """A year on."""
        return datetime.now() + timedelta(seconds=YEAR)


def _put_forward(look: Callable[[], Any], units: int) -> Any:
    return look() + int(YEAR) * units


@contextlib.contextmanager
def a_year_later(*modules: ModuleType | None) -> Iterator[None]:
    """Put the clocks forward: those of ``time`` and ``datetime``, and what the given modules have imported of them."""
    real: dict[str, Callable[[], Any]] = {
        name: getattr(time, name) for name in ("time", "monotonic", "time_ns", "monotonic_ns", "perf_counter")
    }
    later: dict[Any, Any] = {datetime: _LaterDatetime, date: _LaterDate}
    later |= {look: partial(_put_forward, look, 10**9 if name.endswith("_ns") else 1) for name, look in real.items()}
    with contextlib.ExitStack() as stack:
        for name, look in real.items():
            stack.enter_context(mock.patch.object(time, name, later[look]))
        for name, kind in (("datetime", datetime), ("date", date)):
            stack.enter_context(mock.patch(f"datetime.{name}", later[kind]))
        for module in filter(None, modules):
            for name, value in list(vars(module).items()):
                if isinstance(value, type | type(time.sleep)) and value in later:
                    stack.enter_context(mock.patch.object(module, name, later[value]))
        yield


class Salted(str):
    """A text whose hash is that of another process, so that sets and dictionaries of it are ordered otherwise."""

    salt = 0

    def __hash__(self) -> int:
        return hash((self.salt, str(self)))

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return str.__ne__(self, other) if isinstance(other, str) else NotImplemented


def salted(salt: int) -> Callable[[str], str]:
    """Makes texts with one salt: equal ones have equal hashes."""
    return type(f"Salted{salt}", (Salted,), {"salt": salt})
