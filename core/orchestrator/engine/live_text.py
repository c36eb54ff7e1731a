"""What models write now, in a file beside the log, for those who look on from another process.

It is shown, never recorded, and gone when the session ends. One that a dead process left is not shown.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define

from orchestrator import events as e

_PAUSE: Final = 0.5
"""Seconds between two writes."""
_LONGEST: Final = 4_000
"""Characters of one call that are shown: its latest."""
_FRESH: Final = 120.0
"""Seconds after which a file is of a process that has gone, or of a call that is silent."""


def _path(folder: Path, run: str) -> Path:
    return folder / "live" / sha256(run.encode()).hexdigest()[:24]


def read_live(folder: Path, run: str) -> Mapping[str, str]:
    """What is written now, by task; empty where nothing is."""
    path = _path(folder, run)
    with suppress(OSError, ValueError):
        if time.time() - path.stat().st_mtime < _FRESH:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {str(node): str(text) for node, text in found.items()}
    return {}


def forget_live(folder: Path, run: str) -> None:
    """Take the file away."""
    with suppress(OSError):
        _path(folder, run).unlink(missing_ok=True)


@define
class LiveTextFile:
    """Writes what the models of one run write; nothing that fails here reaches the run.

    Attributes:
        folder: the data folder.
        redact: takes keys out of a text.
        run: its id, once the session has it.
    """

    folder: Path
    redact: Callable[[str], str]
    run: str = ""
    _texts: dict[str, str] = Factory(dict)
    _nodes: dict[int, str] = Factory(dict)
    _written: float = 0.0

    def begin(self, run: str) -> None:
        """The session of a run begins."""
        self.run = run
        forget_live(self.folder, run)

    def take(self, call: Any, text: str) -> None:
        """A piece of text of a call, or of a task by its name."""
        node = str(getattr(call, "node", call))
        self._texts[node] = (self._texts.get(node, "") + text)[-_LONGEST:]
        now = time.monotonic()
        if self.run and now - self._written >= _PAUSE:
            self._written = now
            self._write()

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """An event was committed: a call has begun, or ended."""
        match event:
            case e.CallStarted(node=node):
                self._nodes[version] = node
                self._texts.pop(node, None)
            case e.CallSucceeded(call=call) | e.CallFailed(call=call):
                if self._texts.pop(self._nodes.pop(call, ""), None) is not None:
                    self._write()

    def end(self) -> None:
        """The session is over."""
        if self.run:
            forget_live(self.folder, self.run)

    def _write(self) -> None:
        path = _path(self.folder, self.run)
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump({node: self.redact(text) for node, text in self._texts.items()}, file)
            temporary.replace(path)
