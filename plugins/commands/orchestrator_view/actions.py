"""What pages may do with ``--allow-actions``: each action is a command of this program, run as a user types it.

So an action has the outcome, the messages and the exit code of its command, and a run that is started here goes on when
the application ends.
"""

import json
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from orchestrator.cli.kit import BY, clean

_PATIENCE: Final = 60.0
"""Seconds that a command may take which does not stay with its run."""
_BEGINNING: Final = 20.0
"""Seconds in which a run that is started is waited for."""
_PAUSE: Final = 0.1
_REMEMBERED: Final = 50
_LONGEST: Final = 4_000


@frozen
class Done:
    """What became of an action."""

    command: str
    """As it can be typed."""
    code: int | None
    """The exit code; None while it works."""
    said: str
    """What it said on stdout and stderr."""
    project: str = ""
    """Digest of the project of the run that it began: no two runs have the same."""
    run: str = ""
    """The run that it made; empty: none."""
    printed: str = ""
    """What it printed on stdout, whole and as it is."""

    @property
    def ok(self) -> bool:
        """Whether it did what it was to do."""
        return self.code in (None, 0)


@define
class Actions:
    """Runs commands on a data folder.

    Attributes:
        folder: the data folder.
    """

    folder: Path
    _said: OrderedDict[str, Done] = field(factory=OrderedDict)
    _running: list["subprocess.Popen[bytes]"] = field(factory=list)

    def do(self, words: Sequence[str], *arguments: str, given: str = "") -> Done:
        """Run a command to its end.

        Args:
            words: the command with its options.
            arguments: they are no options, whatever they begin with.
            given: what it reads from stdin.
        """
        line = [*words, "--home", str(self.folder), *(("--", *arguments) if arguments else ())]
        try:
            ended = subprocess.run(
                self._line(line), env=self._environment(), input=given.encode(), capture_output=True,
                timeout=_PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Done(self._shown(words, arguments), 1, f"it did not end within {_PATIENCE:.0f} s")
        said = (ended.stdout + ended.stderr).decode(errors="replace")
        printed = ended.stdout.decode(errors="replace")
        return Done(self._shown(words, arguments), ended.returncode, _cut(said), printed=printed)

    def begin(self, words: Sequence[str], *arguments: str) -> Done:
        """Start a command that stays with its run, and wait until the run goes on or the command has ended."""
        shown = self._shown(words, arguments)
        given = [*words, "--json", "--home", str(self.folder), "--", *arguments]
        outputs = self.folder / "view"
        outputs.mkdir(mode=0o700, exist_ok=True)
        base = outputs / f"{time.time_ns()}"
        with base.with_suffix(".out").open("wb") as out, base.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                self._line(given), env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip
        self._running = [each for each in self._running if each.poll() is None]
        self._running.append(process)
        until = time.monotonic() + _BEGINNING
        while time.monotonic() < until:
            code, first = process.poll(), _first_event(base.with_suffix(".out"))
            if first is not None or code is not None:
                said = base.with_suffix(".err").read_text(errors="replace") if code else ""
                project = "" if first is None else str(first.get("data", {}).get("project", ""))
                return Done(shown, code if first is None else None, _cut(said), project)
            time.sleep(_PAUSE)
        return Done(shown, None, "it is still beginning")

    def wait(self, seconds: float) -> None:
        """Wait until the commands that stay with their runs have ended.

        Raises:
            subprocess.TimeoutExpired: one has not.
        """
        for process in self._running:
            process.wait(seconds)

    def remember(self, done: Done) -> str:
        """Keep what became of an action for the page that comes after it."""
        key = secrets.token_urlsafe(8)
        self._said[key] = done
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        return key

    def said(self, key: str) -> Done | None:
        """What became of an action."""
        return self._said.get(key)

    def keep(self, text: str) -> Path:
        """Write a spec that was pasted into a file of the data folder; equal ones share theirs."""
        from hashlib import sha256

        folder = self.folder / "view"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"spec-{sha256(text.encode()).hexdigest()[:12]}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def _line(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "orchestrator", *words]

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, BY: "view"}

    def _shown(self, words: Sequence[str], arguments: Sequence[str]) -> str:
        return shlex.join(["orchestrate", *words, *arguments])


def _first_event(path: Path) -> dict[str, Any] | None:
    """The first event that a command has written; None before."""
    with path.open("rb") as file:
        line = file.readline(1_000_000)
    try:
        found = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "version" in found else None


def _cut(said: str) -> str:
    said = clean(said).strip()
    return said if len(said) <= _LONGEST else f"…{said[-_LONGEST:]}"
