"""Progress on stderr: the live view on a terminal, one line per occasion elsewhere."""

import sys
from typing import TYPE_CHECKING, Protocol

from orchestrator import events as e
from orchestrator.cli.progress.progress_lines import Progress
from orchestrator.cli.terminal.terminal_output import notice
from orchestrator.cli.wording.progress_wording import Tone, said

if TYPE_CHECKING:
    from orchestrator.cli.progress.live_view import Pace


class Display(Protocol):
    """Shows a run while it goes on."""

    def begin(self, progress: Progress) -> None:
        """Take the run's story; it has folded what happened before."""

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Show a committed event."""

    def say(self, text: str) -> None:
        """Show a line of the command itself."""

    def log(self, text: str) -> None:
        """Show lines as they are; from any thread."""

    def pause(self) -> None:
        """Leave the terminal to a question."""

    def go_on(self) -> None:
        """Take it back."""

    def end(self) -> None:
        """Leave the terminal as it was; a second time does nothing."""


def display_for(*, quiet: bool) -> Display:
    """What fits stderr. ``quiet``: only warnings, because stdout is read by a program."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return Lines(quiet=quiet)
    return live_view() or Lines(quiet=False)


def live_view(pace: "Pace | None" = None) -> "Display | None":
    """The live view on stderr; None where its terminal cannot draw one."""
    from rich.console import Console

    from orchestrator.cli.progress.live_view import Live

    console = Console(stderr=True, highlight=False)
    return None if console.is_dumb_terminal else Live(console, pace)


class Lines:
    """One line per occasion."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._progress: Progress | None = None

    def begin(self, progress: Progress) -> None:
        """Take the run's story."""
        self._progress = progress

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Print what is to be said of an event."""
        if self._progress is None:
            return
        for note in self._progress.take(at, event):
            if not self._quiet or note.tone is Tone.WARNING:
                notice(said(note))

    def say(self, text: str) -> None:
        """Print a line."""
        notice(text)

    def log(self, text: str) -> None:
        """Print lines."""
        notice(text)

    def pause(self) -> None:
        """Nothing moves anyway."""

    def go_on(self) -> None:
        """Nothing was stopped."""

    def end(self) -> None:
        """Nothing is left to do."""
