"""What models write now, in a file beside the log, for those who look on from another process.

It is shown, never recorded, and gone when the session ends. One that a dead process left is not shown. An encrypted run
has none.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define, fields

from orchestrator import events as e
from orchestrator.models import Role
from orchestrator.state.run import RunState

_PAUSE: Final = 0.5
"""Seconds between two writes."""
_LONGEST: Final = 4_000
"""Characters of one call that are shown: its latest."""
_KEPT: Final = 1.0
"""Seconds for which the text of a call that has ended stays in the file, for those who look once in a while."""
_FRESH: Final = 120.0
"""Seconds after which a file is of a process that has gone, or of a call that is silent."""

_Key = tuple[str, Role, str]


@define
class CallText:
    """What one call has written so far."""

    task: str
    """The task, or ``plan``, ``enhance``, ``advise``, ``verify``."""
    role: Role
    model: str
    call: str
    """Iteration, sample and attempt, such as ``1/1/1``."""
    text: str = ""
    """Its latest characters."""
    before: int = 0
    """The number of characters before them."""
    has_ended: bool = False

    @classmethod
    def of(cls, call: e.CallStarted) -> "CallText":
        """A call that has written nothing yet."""
        return cls(call.node, call.role, call.model, f"{call.iteration}/{call.sample}/{call.attempt}")

    @property
    def key(self) -> _Key:
        """Which call of its run it is."""
        return self.task, self.role, self.call

    @property
    def length(self) -> int:
        """The number of characters written."""
        return self.before + len(self.text)

    def after(self, length: int) -> str:
        """What came after so many characters, as far as it is still here."""
        return self.text[max(0, length - self.before) :]

    def shorten(self, redact: Callable[[str], str]) -> None:
        """Take keys out, then all but the latest characters."""
        whole = redact(self.text)
        self.text = whole[-_LONGEST:]
        self.before += len(whole) - len(self.text)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS: Final = tuple(each.name for each in fields(CallText))


def _path(folder: Path, run: str) -> Path:
    return folder / "live" / sha256(run.encode()).hexdigest()[:24]


def read_calls(folder: Path, run: str) -> tuple[CallText, ...]:
    """What the calls in flight have written, and those that ended just now; empty where nothing is."""
    path = _path(folder, run)
    with suppress(OSError, ValueError, TypeError, KeyError):
        if time.time() - path.stat().st_mtime < _FRESH:
            found = json.loads(path.read_text(encoding="utf-8"))
            return tuple(CallText(**{**each, "role": Role(each["role"])}) for each in found)
    return ()


def read_live(folder: Path, run: str) -> Mapping[str, str]:
    """What is written now, by task; empty where nothing is."""
    return {each.task: each.text for each in read_calls(folder, run) if not each.has_ended}


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
    _texts: dict[_Key, CallText] = Factory(dict)
    _calls: dict[int, _Key] = Factory(dict)
    """The calls in flight, by the version of their beginning."""
    _ended: dict[_Key, float] = Factory(dict)
    """When calls ended whose text is still here."""
    _written: float = 0.0

    def begin(self, run: str, state: RunState | None = None) -> None:
        """The session of a run begins; the texts of an encrypted one are never in a file in clear."""
        is_encrypted = state is not None and state.version > 0 and state.settings.encrypt
        self.run = "" if is_encrypted else run
        forget_live(self.folder, run)

    def take(self, call: e.CallStarted, text: str) -> None:
        """A piece of text of a call."""
        empty = CallText.of(call)
        self._texts.setdefault(empty.key, empty).text += text
        if self.run and time.monotonic() - self._written >= _PAUSE:
            self._write()

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """An event was committed: a call has begun, or ended."""
        match event:
            case e.RunStarted(settings=settings) if settings.encrypt:
                self.run = ""
            case e.CallStarted():
                key = self._calls[version] = CallText.of(event).key
                self._forget(key)
            case e.CallSucceeded(call=call) | e.CallFailed(call=call):
                ended = self._calls.pop(call, None)
                if ended in self._texts:
                    self._texts[ended].has_ended = True
                    self._ended[ended] = time.monotonic()
                    self._write()

    def end(self) -> None:
        """The session is over."""
        if self.run:
            forget_live(self.folder, self.run)

    def _write(self) -> None:
        self._written = time.monotonic()
        for key in [each for each, at in self._ended.items() if self._written - at > _KEPT]:
            self._forget(key)
        for text in self._texts.values():
            text.shorten(self.redact)
        path = _path(self.folder, self.run)
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump([each.to_dict() for each in self._texts.values()], file)
            temporary.replace(path)

    def _forget(self, key: _Key) -> None:
        self._texts.pop(key, None)
        self._ended.pop(key, None)
