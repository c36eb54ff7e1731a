"""The live view of a run on a terminal: for the process that runs it, and for one that watches."""

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from orchestrator import events as e
from orchestrator.cli.progress.progress_lines import Progress
from orchestrator.cli.terminal.tables import STYLES
from orchestrator.cli.terminal.terminal_output import line, money, seconds
from orchestrator.cli.terminal.text_fitting import wrapped
from orchestrator.cli.wording.progress_wording import STYLES_OF_NOTES, Note, Tone, said
from orchestrator.money import Usd

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text
    from rich.tree import Tree

_WINDOW: Final = 60_000_000
"""Microseconds over which the rate is taken."""
_DEEPEST: Final = 5
"""Levels of the tree; a task further down stands at the last of them."""
_BAR: Final = 20
_SPARE_ROWS: Final = 8
_PER_SECOND: Final = 8
_LEAST_TITLE: Final = 32


class Pace:
    """How fast a run goes: its calls in flight, and what ended within the last minute."""

    def __init__(self) -> None:
        self._ended: deque[tuple[int, Usd]] = deque()
        self.flying: dict[int, tuple[int, e.CallStarted]] = {}
        """When each call in flight was started, by version; microseconds UTC."""

    def take(self, version: int, at: int, event: e.Event) -> None:
        """Take in an event."""
        match event:
            case e.CallStarted():
                self.flying[version] = at, event
            case e.CallSucceeded() | e.CallFailed():
                self.flying.pop(event.call, None)
                self._ended.append((at, event.settled + event.unreconciled))
            case e.SessionOpened(ended=ended) | e.SessionLost(ended=ended):
                for attempt in ended:
                    self.flying.pop(attempt.call, None)
            case e.RunForked():
                self.flying.clear()
                self._ended.clear()
        while self._ended and self._ended[0][0] < at - _WINDOW:
            self._ended.popleft()

    def shown(self, in_flight: int) -> str:
        """Calls and money a minute, and the calls in flight."""
        now = time.time_ns() // 1000
        recent = [cost for at, cost in self._ended.copy() if at >= now - _WINDOW]
        calls = "1 call" if in_flight == 1 else f"{in_flight} calls"
        return f"{len(recent)} calls/min, {money(sum(recent, Usd.ZERO))}/min; {calls} in flight"

    def longest(self, task: str) -> int | None:
        """Since when a task's oldest call in flight is under way."""
        return min((at for at, call in self.flying.copy().values() if call.node == task), default=None)


class Live:
    """The tasks as a tree that keeps itself up to date, each below the last task it waits for.

    Below it the spend stands against the ceiling; warnings scroll by above.

    A thread of rich draws it a few times a second; the lock keeps the state still meanwhile.
    """

    def __init__(self, console: "Console", pace: "Pace | None" = None) -> None:
        from rich.live import Live as RichLive
        from rich.spinner import Spinner

        self._spinner = Spinner("dots")  # one for all: a new one would begin its iteration with every drawing
        self._console = console
        self._pace = pace or Pace()
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
            self._pace.take(version, at, event)
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

        for piece in wrapped(said(note), self._console.width):
            self._console.print(Text(piece, style=STYLES_OF_NOTES.get(note.tone, "")), soft_wrap=True)

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            progress = self._progress
            if progress is None:
                return Text("")
            state = progress.state
            if state.start is None:
                return self._tree(progress)
            part = min(1.0, float(state.spend.total + state.in_flight_held) / max(float(state.cap), 1e-9))
            full = round(part * _BAR)
            bar = Text("█" * full + "░" * (_BAR - full) + " ", style="yellow" if part >= 0.8 else "green")
            said = self._footer(progress)
            if len(said) + len(bar) > self._console.width:
                bar = Text("")
            footer = [Text(each, style="bold") for each in wrapped(said, self._console.width, "")]
            pace = Text(self._pace.shown(state.in_flight), style="dim")
            return Group(self._tree(progress), Text.assemble(bar, footer[0]), *footer[1:], pace)

    def _tree(self, progress: Progress) -> "Tree":
        from rich.text import Text
        from rich.tree import Tree

        root = Tree(Text(progress.run, style="bold"), guide_style="dim")
        if not progress.state.planned:
            root.add(Text.assemble(self._mark(), f" {_before_tasks(progress)}"))
        branches: dict[str, tuple[Tree, int]] = {}
        for name in self._shown(progress) if progress.state.planned else []:
            waited = [each for each in progress.state.tasks[name].planned.dependencies if each in branches]
            above = max(waited, key=list(branches).index) if waited else None
            parent, depth = branches[above] if above is not None else (root, 0)
            branch = parent.add(self._label(progress, name, self._console.width - 4 * (depth + 1)))
            branches[name] = (branch, depth + 1) if depth + 1 < _DEEPEST else (parent, depth)
        hidden = len(progress.state.execution_order) - len(branches)
        if progress.state.planned and hidden:
            root.add(Text(f"… {hidden} more", style="dim"))
        return root

    def _label(self, progress: Progress, name: str, free: int) -> "Text":
        """Mark, name, status, score, model, spend and title of a task, as far as they fit.

        The title is shortened first, then the model is left out, then the spend.
        """
        from rich.text import Text

        task = progress.state.tasks[name]
        end, style = task.finished, "dim"
        mark, status, model = Text("·", style="dim"), "waiting", ""
        if end is not None:
            style, status, model = STYLES[end.status.value], end.status.value, end.model or ""
            mark = Text({"green": "✓", "yellow": "~"}.get(style, "✗"), style=style)
        elif task.started:
            mark, style, model = self._mark(), "cyan", progress.asked.get(name, "")
            since = self._pace.longest(name)
            waited = "" if since is None else f" {seconds(max(0, time.time_ns() // 1000 - since))}"
            status = progress.doing.get(name, "starting") + waited
        score = "" if end is None or end.score is None else f" {end.score:.3f}"
        spent = f" {money(task.spend.total)}" if task.started else ""
        model, title = f" {model}" if model else "", progress.title(name)
        fixed = len(f"  {name} {status}{score} ")
        model, spent, left = _fitted(model, spent, len(title), free - fixed)
        parts: list[str | Text] = [mark, f" {name} ", Text(f"{status}{score}", style=style), model, spent]
        return Text.assemble(*parts, Text(f" {line(title, left)}" if left > 1 else "", style="dim"))

    def _mark(self) -> "Text":
        from rich.text import Text

        painted = self._spinner.render(self._console.get_time())
        return painted if isinstance(painted, Text) else Text("·")

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


def _before_tasks(progress: Progress) -> str:
    """What is being done before there are tasks, and by which model."""
    node = next((name for name in (e.PLAN, e.ADVISE, e.ENHANCE) if name in progress.doing), e.PLAN)
    asked = progress.asked.get(node, "")
    return progress.doing.get(node, "planning") + (f" with {asked}" if asked else "")


def _fitted(model: str, spent: str, title: int, free: int) -> tuple[str, str, int]:
    """Model and spend as far as they fit beside a title of that length, and the columns left for the title."""
    least = min(title, _LEAST_TITLE)
    for one, other in ((model, spent), ("", spent), ("", "")):
        left = free - len(one) - len(other) - 1
        if left >= least:
            return one, other, left
    return "", "", max(0, free - 1)
