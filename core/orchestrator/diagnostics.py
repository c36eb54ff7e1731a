"""What the program says about its own doings: log lines through structlog, for people or as JSON.

Lines about a run are derived from its committed events, so that they tell what the log tells; their names are the
stored names of the events. Everything else comes from the standard loggers below ``orchestrator``. No line holds a text
of the run or a key.
"""

import logging
import re
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import fields, has

from orchestrator import events as e
from orchestrator.models import Verdict
from orchestrator.money import Usage, Usd

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

__all__ = ["Diagnostics", "LogFormat"]

_DEBUG, _INFO, _WARNING, _ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

_LEVELS: Final[Mapping[type[e.Event], int]] = {
    e.RunStarted: _INFO,
    e.RunForked: _INFO,
    e.SessionOpened: _INFO,
    e.PlanMade: _INFO,
    e.PlanRefused: _WARNING,
    e.TaskStarted: _INFO,
    e.CallSucceeded: _INFO,
    e.CallFailed: _WARNING,
    e.AccountRefused: _WARNING,
    e.SpendRefused: _WARNING,
    e.SpendExceeded: _ERROR,
    e.BreakerOpened: _WARNING,
    e.BreakerClosed: _INFO,
    e.BackendFailed: _WARNING,
    e.BudgetWarned: _WARNING,
    e.StepSkipped: _WARNING,
    e.Compared: _INFO,
    e.Evaluated: _INFO,
    e.TaskFinished: _INFO,
    e.RunFinished: _INFO,
    e.RunInterrupted: _WARNING,
    e.SessionFailed: _ERROR,
    e.SessionLost: _WARNING,
    e.BudgetRaised: _INFO,
    e.TimeRaised: _INFO,
    e.ContentDeleted: _INFO,
}
"""How important an event is; any other one is for those who look for details."""

_NAMES: Final = {kind: name for name, kind in e.TYPES.items()}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_DURATIONS: Final = frozenset({"duration", "latency", "timeout", "retry_after", "time_limit"})
_IDENTITY: Final = frozenset({"node", "task", "iteration", "sample", "attempt", "selected", "call", "check", "chosen"})
"""Fields that the bound ids say already."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class Diagnostics:
    """The log of the program: an observer of a run's committed events, and a handler of standard loggers.

    Used as a context manager it takes what the loggers below ``orchestrator`` say meanwhile.

    Args:
        write: takes one rendered line at a time, from any thread.
        redact: takes secrets out of a text.
        form: for people, or one JSON document a line.
        level: what is less important is left out, as a number of ``logging``.
        events: whether events of the run become lines. For people who do not want them, what loggers say is a remark
            like any other: ``! history is large``.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        redact: Callable[[str], str],
        *,
        form: LogFormat = LogFormat.TEXT,
        level: int = logging.INFO,
        events: bool = True,
    ) -> None:
        self._write = write
        self._redact = redact
        self._form = form
        self._level = level
        self._events = events
        self._bound: dict[str, str] = {}
        self._opened: dict[int, e.Event] = {}
        self._step = 0
        self._handler = _Handler(self)
        self._before: tuple[int, bool] | None = None

    def __enter__(self) -> Self:
        logger = logging.getLogger("orchestrator")
        self._before = logger.level, logger.propagate
        logger.addHandler(self._handler)
        logger.setLevel(self._level)
        logger.propagate = False
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        logger = logging.getLogger("orchestrator")
        logger.removeHandler(self._handler)
        if self._before is not None:
            level, logger.propagate = self._before
            logger.setLevel(level)

    def begin(self, run: str) -> None:
        """From here on every line carries the run's id."""
        self._bound = {"run": run}

    def log(self, level: int, message: str, **values: Any) -> None:
        """Write one line, if it is important enough."""
        self._logger.log(level, message, **{**self._bound, **values})

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Write the line of a committed event."""
        if isinstance(event, e.CallStarted | e.CheckStarted | e.OutputChosen | e.ModelSelected):
            self._opened[version] = event
        ids = self._ids(event)
        if not self._events:
            return
        timestamp = _time(at)
        if at != self._step:
            self._step = at
            self.log(_DEBUG, "step.committed", version=version, timestamp=timestamp)
        level = _level(event)
        if level >= self._level:
            self.log(level, _NAMES[type(event)], version=version, timestamp=timestamp, **{**_values(event), **ids})

    def recall(self, version: int, event: e.Event) -> None:
        """Take in an event of before, so that later ones can refer to it."""
        if isinstance(event, e.CallStarted | e.CheckStarted | e.OutputChosen | e.ModelSelected):
            self._opened[version] = event
        self._ids(event)

    @cached_property
    def _logger(self) -> "FilteringBoundLogger":
        import structlog

        render: Any = structlog.processors.JSONRenderer(ensure_ascii=True)
        if self._form is LogFormat.TEXT and not self._events:
            render = _remark
        elif self._form is LogFormat.TEXT:
            render = structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=16, exception_formatter=structlog.dev.plain_traceback
            )
        logger: FilteringBoundLogger = structlog.wrap_logger(
            _Sink(self._write),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                self._redacted,
                render,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
            cache_logger_on_first_use=True,
        )
        return logger

    def _redacted(self, logger: object, method: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Take secrets out of every text of a line; a processor of structlog."""
        return {name: self._redact(value) if isinstance(value, str) else value for name, value in values.items()}

    def _ids(self, event: e.Event) -> dict[str, Any]:
        """The task and the call an event is about, found by what opened them."""
        match event:
            case e.CallStarted():
                return _of_call(event)
            case e.AccountRefused(call=call) | e.PaceRefused(call=call):
                return _of_call(call)
            case e.CallSucceeded(call=version) | e.CallFailed(call=version):
                opened = self._opened.pop(version, None)
                found = _of_call(opened) if isinstance(opened, e.CallStarted) else {}
                return {**found, "model": opened.model} if isinstance(opened, e.CallStarted) else found
            case e.CallPrepared(selected=version):
                opened = self._opened.pop(version, None)
                return {"task": opened.node} if isinstance(opened, e.ModelSelected) else {}
            case e.Validated(check=version):
                opened = self._opened.pop(version, None)
                found = {"validator": opened.validator} if isinstance(opened, e.CheckStarted) else {}
                return {**found, "task": opened.task} if isinstance(opened, e.CheckStarted) else found
            case e.FileWritten(chosen=version):
                opened = self._opened.pop(version, None)
                return {"task": opened.task} if isinstance(opened, e.OutputChosen) else {}
        node = getattr(event, "task", None) or getattr(event, "node", None)
        return {"task": node} if isinstance(node, str) else {}


def _of_call(call: e.CallStarted) -> dict[str, Any]:
    identity = f"{call.node}/{call.role.value}/{call.iteration}/{call.sample}/{call.attempt}"
    return {"task": call.node, "call": identity}


def _level(event: e.Event) -> int:
    match event:
        case e.Validated(verdict=verdict):
            return _INFO if verdict is Verdict.PASSED else _WARNING
        case e.FileWritten(problem=problem):
            return _DEBUG if problem in (None, "no_folder") else _WARNING
        case e.CallStarted(try_=number) if number > 1:
            return _INFO  # asked again
    return _LEVELS.get(type(event), _DEBUG)


def _values(event: e.Event) -> dict[str, Any]:
    """The plain fields of an event: amounts with ``_usd``, durations with ``_ms``; digests and lists of things not."""
    found: dict[str, Any] = {}
    for field in fields(type(event)):
        if field.name in _IDENTITY:
            continue
        value, name = getattr(event, field.name), field.name.rstrip("_")
        if value is None or value is False or (isinstance(value, str) and _DIGEST.fullmatch(value)):
            continue
        match value:
            case Usd():
                found[f"{name}_usd"] = str(value)
            case Enum():
                found[name] = value.value
            case int() if name in _DURATIONS and not isinstance(value, bool):
                found[f"{name}_ms"] = value / 1000
            case int() if name == "until":
                found[name] = _time(value)
            case bool() | int() | float() | str():
                found[name] = value
            case Usage():
                found["input_tokens"], found["output_tokens"] = value.input_tokens, value.output_tokens
            case e.Reading():
                found.update({key: each for key in ("score", "problem") if (each := getattr(value, key)) is not None})
            case tuple() if value and not has(type(value[0])):
                found[name] = [each if isinstance(each, int | float) else str(each) for each in value]
            case tuple() if value:
                found[name] = len(value)
    return found


def _time(at: int) -> str:
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Sink:
    """The end of structlog's chain."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = write


def _remark(logger: object, method: str, values: MutableMapping[str, Any]) -> str:
    """A line of a logger among the lines that people read."""
    return "\n".join(filter(None, (f"! {values['event']}", values.get("exception"))))


class _Handler(logging.Handler):
    """Brings lines of the standard loggers into the chain."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__()
        self._diagnostics = diagnostics

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on; a failure to write it is ignored."""
        try:
            more = {"exc_info": record.exc_info} if record.exc_info else {}
            self._diagnostics.log(record.levelno, record.getMessage(), logger=record.name, **more)
        except Exception:
            self.handleError(record)
