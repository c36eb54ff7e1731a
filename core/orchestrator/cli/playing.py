"""One session of a run in front of a user: signals, progress, the stream of events, the table, the exit code."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from attrs import define

from orchestrator import events as e
from orchestrator.cli import INTERRUPTED
from orchestrator.cli.options import command, home
from orchestrator.cli.output import OutputClosedError, moment, notice, result, result_json
from orchestrator.cli.progress import Progress, progress_for
from orchestrator.cli.story import Story
from orchestrator.cli.tables import print_run
from orchestrator.engine.loop import Loop
from orchestrator.engine.runs import Outcome, Watchers, Workspace
from orchestrator.engine.session import Session
from orchestrator.log import Codec, Redactor
from orchestrator.models import ProjectStatus

EXIT_CODES: Final = {
    ProjectStatus.SUCCESS: 0,
    ProjectStatus.PARTIAL_SUCCESS: 1,
    ProjectStatus.SYSTEM_FAILURE: 3,
    ProjectStatus.BUDGET_EXHAUSTED: 4,
    ProjectStatus.TIMEOUT: 5,
}
"""What the command exits with, by how the run ended."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENOUGH: Final = 2
"""Signals that do not keep the report of a session from being written."""

Begin = Callable[[Workspace, Watchers], Awaitable[Outcome]]
"""Starts or resumes a run on a workspace."""


def play(begin: Begin, *, as_json: bool, verbose: bool = False) -> int:
    """Run one session on the data folder, show it, and give the exit code."""
    workspace = Workspace.open(home())
    progress = progress_for(quiet=as_json)
    watch = _Watch(workspace, progress, as_json, verbose)
    watchers = Watchers(observers=[watch.observe], on_session=watch.begin)
    if as_json:
        watchers.observers.append(_Stream(workspace.log.redactor).observe)
    try:
        outcome = asyncio.run(_begun(begin, workspace, watchers))
    finally:
        progress.end()
        workspace.close()
    try:
        _report(outcome, as_json)
    except OutputClosedError as error:  # the run is over, and its exit code is what counts
        if error.reason:
            notice(f"orchestrate: {error.reason}")
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the exit code is settled
    if outcome.state.finished is None:
        return INTERRUPTED
    return EXIT_CODES[outcome.state.finished.status]


async def _begun(begin: Begin, workspace: Workspace, watchers: Watchers) -> Outcome:
    return await begin(workspace, watchers)


@define
class _Watch:
    """Connects a session with the terminal."""

    workspace: Workspace
    progress: Progress
    as_json: bool
    verbose: bool
    _story: Story | None = None
    _signals: int = 0
    _run: str = ""

    def begin(self, session: Session, loop: Loop) -> None:
        """Take the session before its first step."""
        self._run = session.stream.run
        story = Story(session.stream.texts.get, verbose=self.verbose and not self.as_json)
        story.recall((record.at, record.event) for record in self.workspace.log.read(self._run))
        self._story = story
        self._handle_signals(loop)
        if session.state.version:
            notice(f"resuming {self._run}")
        self.progress.begin(story)

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Show a committed event."""
        self.progress.observe(version, at, event)

    def _handle_signals(self, loop: Loop) -> None:
        """Take the signals for good: asyncio would give them back as soon as its loop ends, before the report."""
        running = asyncio.get_running_loop()

        def handle(number: int, frame: object) -> None:
            try:
                running.call_soon_threadsafe(self._on_signal, loop, signal.Signals(number).name)
            except RuntimeError:  # the session is over, and only the report is to be written
                self._signals += 1
                if self._signals > _ENOUGH:
                    os._exit(INTERRUPTED)

        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup a hangup is to be ignored
                signal.signal(number, handle)

    def _on_signal(self, loop: Loop, name: str) -> None:
        self._signals += 1
        if self._signals == 1:
            self.progress.say("stopping: what is in flight is recorded (once more to exit at once)")
            loop.interrupt(name)
            return
        with suppress(Exception):
            self.progress.end()
        notice(f"stopped at once; go on with: {command(f'resume {self._run}')}")
        os._exit(INTERRUPTED)


class _Stream:
    """The run's events as JSON lines on stdout, each once it is committed."""

    def __init__(self, redactor: Redactor) -> None:
        self._codec = Codec()
        self._redactor = redactor

    def observe(self, version: int, at: int, event: e.Event) -> None:
        name, _, data = self._codec.encode(event)
        head = f'{{"version":{version},"at":"{moment(at)}","type":"{name}","data":'
        result(f"{head}{self._redactor.data(data)}}}")


def _report(outcome: Outcome, as_json: bool) -> None:
    """Say how the run stands: to a person or to a program."""
    state, finished = outcome.state, outcome.state.finished
    status = finished.status.value if finished is not None else "interrupted"
    for warning in outcome.warnings:
        notice(f"! {warning}")
    if not outcome.played and outcome.notice:
        notice(outcome.notice)
    if as_json:
        result_json(
            {
                "type": "done",
                "run_id": outcome.run,
                "status": status,
                "settled_usd": str(state.spend.settled),
                "held_usd": str(state.held),
                "cap_usd": str(state.cap),
                "head": outcome.head,
            },
            pretty=False,
        )
    else:
        print_run(state, outcome.run, outcome.head, status, outcome.folder)
    advice = advice_for(outcome.run, finished.status if finished is not None else None)
    if advice and outcome.played:
        notice(advice)
    has_output = any(task.output is not None for task in state.tasks.values())
    if finished is not None and has_output and outcome.folder is None and outcome.played and not as_json:
        notice(f"the results are in the log; write them to files with: {command(f'runs export {outcome.run} -o DIR')}")


def advice_for(run: str, status: ProjectStatus | None) -> str:
    """How to go on with a run that has not ended for good."""
    match status:
        case None:
            return f"go on with: {command(f'resume {run}')}"
        case ProjectStatus.BUDGET_EXHAUSTED:
            return f"go on with more money: {command(f'resume {run} --add-budget USD')}"
        case ProjectStatus.TIMEOUT:
            return f"go on with more time: {command(f'resume {run} --add-time SECONDS')}"
        case ProjectStatus.SYSTEM_FAILURE:
            return f"once the cause is removed, go on with: {command(f'resume {run}')}"
    return ""
