"""Progress on stderr: a live table on a terminal, one line per occasion elsewhere."""

import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from orchestrator import events as e
from orchestrator.cli.output import clean, decimals, line, money, notice, seconds
from orchestrator.cli.progress import Note, Progress, Tone
from orchestrator.cli.tables import STYLES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_MARKS: Final = {
    Tone.PLAIN: "",
    Tone.STARTED: "· ",
    Tone.GOOD: "✓ ",
    Tone.FAIR: "~ ",
    Tone.BAD: "✗ ",
    Tone.WARNING: "! ",
    Tone.DETAIL: "",
}
_STYLES: Final = {
    Tone.GOOD: "green",
    Tone.FAIR: "yellow",
    Tone.BAD: "red",
    Tone.WARNING: "yellow",
    Tone.DETAIL: "dim",
}
_SPARE_ROWS: Final = 8
_PER_SECOND: Final = 8


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
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    return Lines(quiet=False) if console.is_dumb_terminal else Live(console)


def _said(note: Note) -> str:
    """A note on one line; the columns of a detail stay aligned."""
    return clean(note.text) if note.tone is Tone.DETAIL else _MARKS[note.tone] + line(note.text)


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
                notice(_said(note))

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


class Live:
    """A table of the tasks that keeps itself up to date, with warnings scrolling by above it.

    A thread of rich draws it a few times a second; the lock keeps the state still meanwhile.
    """

    def __init__(self, console: "Console") -> None:
        from rich.live import Live as RichLive
        from rich.spinner import Spinner

        self._spinner = Spinner("dots")  # one for all: a new one would begin its iteration with every drawing
        self._console = console
        self._lock = threading.RLock()
        self._progress: Progress | None = None
        self._live = RichLive(
            console=console,
            get_renderable=self._render,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def begin(self, progress: Progress) -> None:
        """Take the run's story and begin to draw."""
        self._progress = progress
        self._live.start()

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Fold an event; the next drawing shows it."""
        if self._progress is None:
            return
        with self._lock:
            notes = self._progress.take(at, event)
        for note in notes:
            if note.tone in (Tone.PLAIN, Tone.WARNING, Tone.DETAIL):
                self._print(note)

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._print(Note(text, Tone.WARNING))

    def log(self, text: str) -> None:
        """Show lines above the table."""
        self._print(Note(text, Tone.DETAIL))

    def pause(self) -> None:
        """Stop drawing for a while."""
        self._live.stop()

    def go_on(self) -> None:
        """Draw again."""
        self._live.start()

    def end(self) -> None:
        """Stop drawing and give the terminal back."""
        self._live.stop()

    def _print(self, note: Note) -> None:
        from rich.text import Text

        text = Text(_said(note), style=_STYLES.get(note.tone, ""))
        self._console.print(text, soft_wrap=note.tone is Tone.DETAIL)

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _render(self) -> "RenderableType":
        from rich.columns import Columns
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            if self._progress is None:
                return Text("")
            if not self._progress.state.planned:
                return Columns([self._spinner, Text(self._before_tasks(self._progress))])
            return Group(self._table(self._progress), Text(self._footer(self._progress), style="bold"))

    def _before_tasks(self, progress: Progress) -> str:
        """What is being done before there are tasks, and by which model."""
        node = next((name for name in (e.PLAN, e.ADVISE, e.ENHANCE) if name in progress.doing), e.PLAN)
        asked = progress.asked.get(node, "")
        return progress.doing.get(node, "planning") + (f" with {asked}" if asked else "")

    def _table(self, progress: Progress) -> "Table":
        from rich.table import Table
        from rich.text import Text

        places = max(decimals(task.spend.total) for task in progress.state.tasks.values())
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
        for _ in range(6):
            table.add_column(no_wrap=True, overflow="ellipsis")
        for name in self._shown(progress):
            task = progress.state.tasks[name]
            end, title = task.finished, progress.title(name)
            model, doing, style = progress.asked.get(name, ""), "", "dim"
            mark: RenderableType = Text("·", style="dim")
            score = "" if end is None or end.score is None else f"{end.score:.3f}"
            if end is not None:
                style = STYLES[end.status.value]
                mark = Text({"green": "✓", "yellow": "~"}.get(style, "✗"), style=style)
                model, doing = end.model or "", end.status.value
            elif task.started:
                mark, style, doing = self._spinner, "cyan", progress.doing.get(name, "starting")
            spent = money(task.spend.total, places) if task.started else ""
            table.add_row(
                mark,
                Text(name),
                Text(title, style="dim"),
                Text(model),
                Text(f"{doing} {score}".strip(), style=style),
                Text(spent, justify="right"),
            )
        return table

    def _shown(self, progress: Progress) -> list[str]:
        """The tasks that fit on the screen: those at work, then those that wait, then those that ended last."""
        tasks, order = progress.state.tasks, progress.state.execution_order
        space = max(3, self._console.height - _SPARE_ROWS)
        if len(order) <= space:
            return list(order)
        ranked = sorted(
            order,
            key=lambda name: (
                tasks[name].finished is not None,
                tasks[name].started is None,
                -tasks[name].finished_version,
            ),
        )
        chosen = set(ranked[:space])
        return [name for name in order if name in chosen]

    def _footer(self, progress: Progress) -> str:
        state = progress.state
        ended = sum(task.finished is not None for task in state.tasks.values())
        held = f" + {money(state.in_flight_held)} held" if state.in_flight_held else ""
        simulated = " (simulated)" if state.settings.simulated else ""
        return (
            f"{ended} of {len(state.tasks)} tasks · {money(state.spend.total)}{held} of {money(state.cap)}{simulated}"
            f" · {seconds(state.active(max(state.at, time.time_ns() // 1000)))}"
            + (" · verifying" if state.verification is not None and state.verified is None else "")
        )
