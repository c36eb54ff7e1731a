"""A terminal of a certain size, for commands that look whether they have one."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.cli.command import PATIENCE, clean_environment

_TAKE_TERMINAL: Final = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it
os.execv(sys.executable, [sys.executable, "-m", "orchestrator", *sys.argv[1:]])
"""
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs the command on a pseudo-terminal; everything it writes is collected in ``raw``."""

    def __init__(
        self, home: Path, *arguments: str, environ: Mapping[str, str] | None = None, size: tuple[int, int] = (40, 120)
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        variables = clean_environment(home, TERM="xterm-256color", **(environ or {}))
        del variables["COLUMNS"]
        self.raw = ""
        self._descriptor, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *arguments],
            cwd=home,
            env=variables,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._descriptor)

    @property
    def text(self) -> str:
        """What was written, without colours and movements of the cursor."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")

    def type(self, keys: str) -> None:
        """Press keys; ``chr(3)`` is Ctrl-C."""
        os.write(self._descriptor, keys.encode())

    def wait_for(self, pattern: str) -> None:
        """Read until the text has a match."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert self._read(), f"{pattern!r} was never shown:\n{self.text}"
            assert time.monotonic() < deadline, f"{pattern!r} is not shown:\n{self.text}"

    def wait(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, f"no end:\n{self.text}"
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        """Read what there is; False at the end."""
        ready, _, _ = select.select([self._descriptor], [], [], 0.1)
        if not ready:
            return True
        try:
            found = os.read(self._descriptor, 65536)
        except OSError:  # what Linux says when the other side has been closed
            return False
        self.raw += found.decode(errors="replace")
        return bool(found)
