"""One session of a run in front of a user: signals, progress, the stream of events, the table, the exit code."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, Self

from attrs import define

from orchestrator import events as e
from orchestrator.cli.exit_codes import EXIT_CODES, INTERRUPTED, SYSTEM
from orchestrator.cli.options.shared_options import command, home
from orchestrator.cli.progress.build_server_output import Pipeline
from orchestrator.cli.progress.progress_display import Display, Lines, display_for
from orchestrator.cli.progress.progress_lines import Progress
from orchestrator.cli.progress.run_table import print_run
from orchestrator.cli.running.asking_consent import prepare
from orchestrator.cli.running.terminal_questions import Terminal, asker_for
from orchestrator.cli.terminal.json_output import write_json
from orchestrator.cli.terminal.terminal_output import OutputClosedError, clean, notice, result, timestamp
from orchestrator.decide.forecast import is_declined, lacking
from orchestrator.diagnostics import Diagnostics, LogFormat
from orchestrator.engine.live_text import LiveTextFile
from orchestrator.engine.loop import Loop
from orchestrator.engine.questions import Agreeing
from orchestrator.engine.runs import Engine
from orchestrator.engine.session import Session
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.errors import DamagedLogError, UsageError
from orchestrator.log import Codec, Redactor
from orchestrator.models import ProjectStatus
from orchestrator.state.run import RunState

LOG_FORMAT: Final = "ORCHESTRATE_LOG_FORMAT"
"""The variable that says how log lines look where no flag does."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENOUGH: Final = 2
"""Signals that do not keep the report of a session from being written."""
_CENT: Final = 10**7


class RunSession:
    """One session on the data folder: ``with RunSession(...) as session``, one call of ``play``, and its exit code.

    Attributes:
        engine: the data folder, open until the run is played.
        watchers: what ``engine.start`` and ``engine.resume`` are to be given.
        outcome: how the run stands; None until it is played.
    """

    outcome: RunEnd | None = None

    def __init__(
        self,
        *,
        as_json: bool,
        verbose: bool = False,
        quiet: bool = False,
        log_format: str | None = None,
        yes: bool = False,
        allow: Sequence[str] = (),
        pipeline: Pipeline | None = None,
    ) -> None:
        """Open the data folder.

        Args:
            as_json: stdout is the stream of events.
            verbose: every event is a log line on stderr.
            quiet: nothing but warnings on stderr.
            log_format: ``json``: stderr is a log of JSON lines and nothing else; None: as the environment says.
            yes: every suggestion is taken, the tasks start at any risk, and no question is asked.
            allow: what ``--allow`` agrees to.
            pipeline: writes what a build server reads.

        Raises:
            UsageError: two options exclude each other.
        """
        if quiet and verbose:
            raise UsageError("--quiet and --verbose exclude each other")
        structured = _form(log_format) is LogFormat.JSON
        self._as_json, self._quiet, self._structured = as_json, quiet, structured
        self._pipeline = pipeline or Pipeline()
        self._pipeline.begin()
        self.engine = Engine.open(home())
        redactor = self.engine.log.redactor
        display: Display = Lines(quiet=True) if structured else display_for(quiet=as_json or quiet)
        level = logging.DEBUG if verbose else logging.WARNING if quiet or not structured else logging.INFO
        self._diagnostics = Diagnostics(
            notice if structured else display.log,
            redactor.shapes,
            form=LogFormat.JSON if structured else LogFormat.TEXT,
            level=level,
            events=structured or verbose,
        )
        report_line = self._report_line
        prepare(self.engine.admission, allow, may_ask=not (yes or structured), show=report_line)
        asker = asker_for(display, yes=yes, silent=as_json or quiet or structured)
        live = LiveTextFile(self.engine.folder, redactor.values)
        self._watch = watch = _Watch(self.engine, display, self._diagnostics, report_line, structured, asker, live)
        self.watchers = Watchers(
            observers=[watch.observe, live.observe],
            on_session=watch.begin,
            on_text=live.take,
            asker=asker,
            write=report_line if structured else display.log,
        )
        self._open = ExitStack()
        self._stream = _Stream(redactor)
        if as_json:
            self.watchers.observers.append(self._stream.observe)

    def __enter__(self) -> Self:
        self._open.enter_context(self._diagnostics)
        for close in self.engine.close, self._watch.live.end, self._watch.display.end:
            self._open.callback(close)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def play(self, run: Coroutine[Any, Any, RunEnd]) -> int:
        """Play a run to the end of its session, show how it stands, and give the exit code.

        Args:
            run: ``engine.start`` or ``engine.resume``, given the ``watchers``.
        """
        with self._open:
            self.outcome = outcome = asyncio.run(run)
            titles = _titles(outcome)
            unwritten = self._pipeline.end(outcome.run, outcome.state, outcome.texts.get)
        lost = self._stream.lost
        try:
            _report(outcome, titles, self._as_json, self._report_line)
        except OutputClosedError as error:
            lost = lost or error.reason
        lost = lost or unwritten
        if lost:
            notice(f"orchestrate: {lost}")
        self._pipeline.close()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # the exit code is settled
        return _exit_code(outcome.state, lost)

    def _report_line(self, text: str, level: int = logging.INFO) -> None:
        if self._structured:
            self._diagnostics.log(level, text)
        elif level >= logging.WARNING:
            notice(f"! {text}")
        elif not self._quiet:
            notice(text)


def _exit_code(state: RunState, lost: str) -> int:
    if state.finished is None:
        return INTERRUPTED
    return EXIT_CODES[state.finished.status] or (SYSTEM if lost else 0)


def _form(given: str | None) -> LogFormat:
    word = given or os.environ.get(LOG_FORMAT) or LogFormat.TEXT.value
    try:
        return LogFormat(word)
    except ValueError:
        raise UsageError(f"{LOG_FORMAT}={word}: a log format is {' or '.join(LogFormat)}") from None


@define
class _Watch:
    """Connects a session with the terminal."""

    workspace: Engine
    display: Display
    diagnostics: Diagnostics
    report_line: Callable[[str], None]
    structured: bool
    """Whether stderr is a log of JSON lines."""
    asker: Terminal | Agreeing | None
    live: LiveTextFile
    _progress: Progress | None = None
    _signals: int = 0
    _run: str = ""

    def begin(self, session: Session, loop: Loop) -> None:
        """Take the session before its first step."""
        self._run = session.stream.run
        self.live.begin(self._run, session.state)
        self.diagnostics.begin(self._run)
        agreeing, asking = isinstance(self.asker, Agreeing), isinstance(self.asker, Terminal)
        progress = Progress(session.stream.texts.get, self._run, agreeing=agreeing, asking=asking)
        for record in self.workspace.log.read(self._run):
            self.diagnostics.recall(record.version, record.event)
            progress.recall([(record.at, record.event)])
        self._progress = progress
        self._handle_signals(loop)
        if session.state.version:
            self.report_line(f"resuming {self._run}")
        if not self.structured:
            self.display.begin(progress)

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Show a committed event."""
        self.display.observe(version, at, event)
        self.diagnostics.observe(version, at, event)

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
        if name == signal.SIGINT.name and isinstance(self.asker, Terminal) and self.asker.stop():
            return  # an answer: no more questions
        self._signals += 1
        if self._signals == 1:
            stopping = "stopping: calls in flight are recorded (Ctrl-C again to exit at once)"
            self.report_line(stopping) if self.structured else self.display.say(stopping)
            loop.interrupt(name)
            return
        with suppress(Exception):
            self.display.end()
        notice(f"stopped at once; resume with: {command(f'resume {self._run}')}")
        os._exit(INTERRUPTED)


class _Stream:
    """The run's events as JSON lines on stdout, each once it is committed.

    Attributes:
        lost: why stdout took nothing more; empty while it does, or where its reader has simply gone.
    """

    def __init__(self, redactor: Redactor) -> None:
        self.lost = ""
        self._codec = Codec()
        self._redactor = redactor
        self._is_closed = False

    def observe(self, version: int, at: int, event: e.Event) -> None:
        if self._is_closed:
            return
        try:
            self._write(version, at, event)
        except OutputClosedError as error:  # the run goes on, and its results are in the log
            self._is_closed, self.lost = True, error.reason

    def _write(self, version: int, at: int, event: e.Event) -> None:
        name, schema, data = self._codec.encode(event)
        head = f'{{"version":{version},"at":"{timestamp(at)}","type":"{name}","schema":{schema},"data":'
        result(clean(f"{head}{self._redactor.data(data)}}}"), as_is=True)


def _titles(outcome: RunEnd) -> dict[str, str]:
    """The titles of the tasks by digest, as far as they can be read; while the log is open."""
    titles = {}
    for task in outcome.state.tasks.values():
        if task.planned.title:
            with suppress(KeyError, DamagedLogError):
                titles[task.planned.title] = outcome.texts.get(task.planned.title)
    return titles


def _report(outcome: RunEnd, titles: Mapping[str, str], as_json: bool, report_line: Callable[..., None]) -> None:
    """Say how the run stands: to a person or to a program."""
    state, finished = outcome.state, outcome.state.finished
    status = finished.status.value if finished is not None else "interrupted"
    for warning in outcome.warnings:
        report_line(warning, logging.WARNING)
    if outcome.notice:
        report_line(outcome.notice)
    if as_json:
        write_json(done_line(outcome), pretty=False)
    else:
        print_run(state, outcome.run, outcome.head, status, outcome.folder, text_of=titles.__getitem__)
    advice = advice_for(outcome.run, state)
    if advice and outcome.played:
        report_line(advice)
    has_output = any(task.output is not None for task in state.tasks.values())
    if finished is not None and has_output and outcome.folder is None and outcome.played and not as_json:
        report_line(
            f"the results are in the log; write them to files with: {command(f'runs export {outcome.run} -o DIR')}"
        )


def done_line(outcome: RunEnd) -> dict[str, Any]:
    """The last line of the stream of events, as data: how the run stands."""
    state = outcome.state
    return {
        "type": "done",
        "schema": 1,
        "run_id": outcome.run,
        "status": "interrupted" if state.finished is None else state.finished.status.value,
        "settled_usd": str(state.spend.settled),
        "held_usd": str(state.held),
        "cap_usd": str(state.cap),
        "head": outcome.head,
    }


def advice_for(run: str, state: RunState) -> str:
    """How to go on with a run that has not ended for good."""
    match None if state.finished is None else state.finished.status:
        case None if is_declined(state):
            start = f"start the tasks all the same with: {command(f'resume {run} --yes')}"
            more = f"{-(-lacking(state).nano // _CENT) / 100:.2f}"
            return f"{start}; or raise the ceiling first: {command(f'resume {run} --add-budget {more}')}"
        case None:
            return f"resume with: {command(f'resume {run}')}"
        case ProjectStatus.BUDGET_EXHAUSTED:
            return f"resume with more money: {command(f'resume {run} --add-budget USD')}"
        case ProjectStatus.TIMEOUT:
            return f"resume with more time: {command(f'resume {run} --add-time SECONDS')}"
        case ProjectStatus.SYSTEM_FAILURE:
            return f"when the cause is removed, resume with: {command(f'resume {run}')}"
    return ""
