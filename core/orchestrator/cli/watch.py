"""Follow a run of this or another process."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from orchestrator.cli.kit import (
    EXIT_CODES,
    INTERRUPTED,
    STYLES,
    Display,
    Lines,
    Live,
    Progress,
    advice_for,
    existing_run,
    home_option,
    money,
    notice,
    open_log,
    print_run,
    seconds,
    trust_in,
)
from orchestrator.errors import DamagedLogError
from orchestrator.money import Usd
from orchestrator.reading import EventLog, Texts
from orchestrator.reading import events as e
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text
    from rich.tree import Tree

_PAUSE: Final = 0.25
"""Seconds between two looks at the log."""
_WINDOW: Final = 60_000_000
"""Microseconds over which the rate is taken."""
_DEEPEST: Final = 5
"""Levels of the tree; a task further down stands at the last of them."""
_BAR: Final = 20


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--verbose", "-v", is_flag=True, help="Print every event.")
@home_option
def watch(run_id: str, verbose: bool) -> int:
    """Follow a run of this or another process. Nothing is changed.

    It ends with the run and with its exit code; 130 where no process works on the run and it can be resumed.
    """
    log = open_log(run_id)
    existing_run(log, run_id)
    held = log.locks.is_held(run_id)
    trust = trust_in(log, *(() if held else (run_id,)))  # a run that goes on was verified when it was taken

    def read() -> tuple[Progress, Pace, int, str]:
        progress, pace, position, head = Progress(_reader(log, run_id), verbose=verbose), Pace(), 0, ""
        for record in log.read(run_id):
            progress.recall([(record.at, record.event)])
            pace.take(record.version, record.at, record.event)
            position, head = record.position, record.hash
        if progress.state.start is None:
            raise LookupError(run_id)
        return progress, pace, position, head

    progress, pace, position, head = trust.read(read)
    if progress.state.is_open and held:
        _follow(log, run_id, progress, pace, position)
    state = progress.state
    status = None if state.finished is None else state.finished.status
    last = log.last(run_id)
    if last is not None and not trust.damage:
        head = last.hash
    print_run(state, run_id, head, "interrupted" if status is None else status.value, mark=trust.mark)
    if trust.damage:
        return trust.code
    advice = advice_for(run_id, state)
    if advice:
        notice(advice)
    return INTERRUPTED if status is None else EXIT_CODES[status]


def _reader(log: EventLog, run: str) -> Callable[[str], str]:
    texts = Texts(log, run, os.urandom, log.redactor)

    def text_of(digest: str) -> str:
        try:
            return texts.get(digest)
        except (KeyError, DamagedLogError):
            return ""  # deleted, or damaged: watching goes on without it

    return text_of


def _follow(log: EventLog, run: str, progress: Progress, pace: "Pace", position: int) -> None:
    """Show events as they are committed, until the session is over or its process is gone."""
    display = _progress(run, pace)
    if isinstance(display, Lines):
        spent, cap = money(progress.state.spend.total), money(progress.state.cap)
        notice(f"watching {run}: {_tasks(progress)}, {spent} of {cap}; {pace.shown(progress.state.in_flight)}")
    display.begin(progress)
    try:
        while progress.state.is_open:
            held = log.locks.is_held(run)  # asked first: what it wrote before it went is read below
            for record in log.tail(position, run):
                position = record.position
                pace.take(record.version, record.at, record.event)
                display.observe(record.version, record.at, record.event)
            if not held:
                return
            time.sleep(_PAUSE)
    finally:
        display.end()


def _progress(run: str, pace: "Pace") -> Display:
    """What fits stderr."""
    if sys.stderr is None or not sys.stderr.isatty():
        return Lines(quiet=False)
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    return Lines(quiet=False) if console.is_dumb_terminal else TreeView(console, run, pace)


def _tasks(progress: Progress) -> str:
    ended = sum(task.finished is not None for task in progress.state.tasks.values())
    return f"{ended} of {len(progress.state.tasks)} tasks" if progress.state.planned else "planning"


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


class TreeView(Live):
    """The tasks as a tree, each below the last task it waits for, with the spend against the ceiling."""

    def __init__(self, console: "Console", run: str, pace: Pace) -> None:
        super().__init__(console)
        self._run = run
        self._pace = pace

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            progress = self._progress
            if progress is None:
                return Text("")
            state = progress.state
            part = min(1.0, float(state.spend.total + state.in_flight_held) / max(float(state.cap), 1e-9))
            full = round(part * _BAR)
            bar = Text("█" * full + "░" * (_BAR - full), style="yellow" if part >= 0.8 else "green")
            footer = Text(f" {self._footer(progress)}", style="bold")
            pace = Text(self._pace.shown(state.in_flight), style="dim")
            return Group(self._tree(progress), Text.assemble(bar, footer, no_wrap=True, overflow="ellipsis"), pace)

    def _tree(self, progress: Progress) -> "Tree":
        from rich.text import Text
        from rich.tree import Tree

        root = Tree(Text(self._run, style="bold"), guide_style="dim")
        if not progress.state.planned:
            asked = progress.asked.get(e.PLAN, "")
            root.add(Text.assemble(self._mark(), f" planning with {asked}" if asked else " planning"))
        branches: dict[str, tuple[Tree, int]] = {}
        for name in self._shown(progress) if progress.state.planned else []:
            waited = [each for each in progress.state.tasks[name].planned.dependencies if each in branches]
            above = max(waited, key=list(branches).index) if waited else None
            parent, depth = branches[above] if above is not None else (root, 0)
            branch = parent.add(self._label(progress, name))
            branches[name] = (branch, depth + 1) if depth + 1 < _DEEPEST else (parent, depth)
        return root

    def _label(self, progress: Progress, name: str) -> "Text":
        """Mark, name, status, model, score, spend and title of a task."""
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
        parts: list[str | Text] = [
            mark,
            f" {name} ",
            Text(f"{status}{score}", style=style),
            f" {model}" if model else "",
            spent,
        ]
        return Text.assemble(*parts, Text(f" {progress.title(name)}", style="dim"), no_wrap=True, overflow="ellipsis")

    def _mark(self) -> "Text":
        from rich.text import Text

        painted = self._spinner.render(self._console.get_time())
        return painted if isinstance(painted, Text) else Text("·")


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return watch
