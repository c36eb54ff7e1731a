"""A process that has imported the program once and forks for every command, so that a command costs its own work only.

Each command is a process of its own all the same: its own arguments, environment, folder, descriptors and end. What
the interpreter reads when it starts (``PYTHONPATH`` and its like) needs an interpreter of its own: see ``can_fork``.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

_LEFT_OUT: Final = ("orchestrator.__main__", "orchestrator.testing")
_LATE: Final = ("email.parser", "importlib.metadata", "rich.console", "sqlite_utils", "structlog")
"""What commands import when they need it."""

_OF_THE_START: Final = ("PYTHON", "LC_", "LD_", "TZ")
_ALL_THE_SAME: Final = ("LC_ALL", "PYTHONDONTWRITEBYTECODE")
"""What every test says of the start, and the process that forks is told likewise."""
_CHUNK: Final = 65_536


def can_fork(environ: Mapping[str, str]) -> bool:
    """Whether none of these variables has to be there when the interpreter starts."""
    special = {name for name in environ if name.startswith(_OF_THE_START)}
    return hasattr(os, "fork") and special <= {*_ALL_THE_SAME}


def run(arguments: Sequence[str], folder: Path, environ: Mapping[str, str], seconds: float) -> tuple[int, str, str]:
    """Run a command in a fork to its end; returns its exit code, negative for a signal, its stdout and its stderr."""
    command = {"arguments": [*arguments], "folder": str(folder.absolute()), "environ": {**environ}}
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        code = _forking().run(command, out, err, seconds)
        out.seek(0)
        err.seek(0)
        said, complained = out.read(), err.read()
    assert code is not None, f"no end within {seconds} s: {said[-1000:]}{complained[-2000:]}"
    return code, said, complained


class _Forking:
    """The process that forks, seen from a test; it ends with the tests."""

    def __init__(self) -> None:
        path = {"PATH": os.environ.get("PATH", os.defpath)}
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd=Path(__file__).parent,
                env={**path, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self.end)

    def run(self, command: Mapping[str, Any], out: IO[str], err: IO[str], seconds: float) -> int | None:
        """Run a command to its end; returns its exit code, None where it takes longer."""
        self._channel.settimeout(seconds)
        try:
            socket.send_fds(self._channel, [json.dumps(command).encode() + b"\n"], [out.fileno(), err.fileno()])
            return int(self._channel.recv(_CHUNK))
        except TimeoutError:
            self.end()
            _forking.cache_clear()
            return None

    def end(self) -> None:
        """Kill the process and what it forked."""
        self._channel.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


_forking: Final = cache(_Forking)
"""The one process that forks for these tests, begun when it is needed first."""


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
            os.close(channel.detach())
            _become(json.loads(line), *given)
        for descriptor in given:
            os.close(descriptor)
        channel.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


if __name__ == "__main__":
    del sys.path[0]
    for name in (*_names("orchestrator"), *_LATE):
        with suppress(Exception):  # the command that needs it will tell
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector of a copy leaves alone, and so does not copy, what all share
    _serve(socket.socket(fileno=int(sys.argv[1])))
