"""A process that has imported the program once and forks for every command, so that a command costs its own work only.

Each command is a process of its own all the same: its own arguments, environment, folder, descriptors and end. What
the interpreter reads when it starts (``PYTHONPATH`` and its like) needs an interpreter of its own: see ``can_fork``.
"""

import atexit
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

_LEFT_OUT: Final = ("orchestrator.__main__", "orchestrator.testing")
_LATE: Final = ("email.parser", "importlib.metadata", "rich.console", "sqlite_utils", "structlog")
"""What commands import when they need it."""

_OF_THE_START: Final = ("PYTHON", "LC_", "LD_", "TZ")
_CHUNK: Final = 65_536


def can_fork(environ: Mapping[str, str]) -> bool:
    """Whether none of these variables has to be there when the interpreter starts."""
    return hasattr(os, "fork") and not any(name.startswith(_OF_THE_START) for name in environ)


class Forking:
    """The process that forks, seen from a test; it ends with the tests."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd=Path(__file__).parent,
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self.end)

    def run(self, command: Mapping[str, Any], out: IO[str], err: IO[str], seconds: float) -> int | None:
        """Run a command to its end and return its exit code, negative for a signal; None where it takes longer."""
        self._channel.settimeout(seconds)
        try:
            socket.send_fds(self._channel, [json.dumps(command).encode() + b"\n"], [out.fileno(), err.fileno()])
            return int(self._channel.recv(_CHUNK))
        except TimeoutError:
            self.end()
            return None

    def end(self) -> None:
        """Kill the process and what it forked."""
        self._channel.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@cache
def forking(*environ: tuple[str, str]) -> Forking:
    """The one process that forks with these variables."""
    return Forking(dict(environ))


def _names(package: str) -> Iterator[str]:
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if not found.name.startswith(_LEFT_OUT):
            yield found.name
            if found.ispkg:
                yield from _names(found.name)


def _become(command: Mapping[str, Any], out: int, err: int) -> None:
    """Be the process of a command, and end with its exit."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, max(out, err) + 1)
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environ"])
    sys.path.insert(0, command["folder"])
    sys.argv[1:] = command["arguments"]
    runpy.run_module("orchestrator", run_name="__main__", alter_sys=True)
    sys.exit()


def _serve(channel: socket.socket) -> None:
    """Fork for every line of JSON that comes with two descriptors; answer with the exit code."""
    while True:
        line, given, _, _ = socket.recv_fds(channel, _CHUNK, 2)
        while line and not line.endswith(b"\n"):
            line += channel.recv(_CHUNK)
        if not line:
            return
        child = os.fork()
        if not child:
            _become(json.loads(line), *given)
        for descriptor in given:
            os.close(descriptor)
        channel.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


if __name__ == "__main__":
    del sys.path[0]
    for name in (*_names("orchestrator"), *_LATE):
        with suppress(Exception):  # the command that needs it will tell
            importlib.import_module(name)
    _serve(socket.socket(fileno=int(sys.argv[1])))
