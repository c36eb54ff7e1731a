"""What runs from Python report through ``logging``: records of the logger ``orchestrator.runs``.

INFO: a run begins and ends, a task ends as it should. WARNING: failures, fallbacks, circuits, money that ran out.
Records name ids, models, codes and amounts, never a prompt or an answer.
"""

import logging
from collections.abc import Iterable
from typing import Final

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.models import ProjectStatus, TaskStatus

_LOGGER: Final = logging.getLogger("orchestrator.runs")


@define
class RunRecords:
    """Turns the committed events of one run into records.

    Args:
        run: the run's id, the first word of every record.
    """

    run: str
    _calls: dict[int, e.CallStarted] = Factory(dict)

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Record an event that is worth it."""
        if isinstance(event, e.CallStarted):
            self._calls[version] = event
        for level, text in self._said(event):
            _LOGGER.log(level, "%s: %s", self.run, text)

    def _said(self, event: e.Event) -> Iterable[tuple[int, str]]:
        match event:
            case e.RunStarted() | e.RunForked():
                yield logging.INFO, "started"
            case e.TaskFinished(status=status):
                level = logging.INFO if status is TaskStatus.COMPLETED else logging.WARNING
                model = event.model or "no model"
                yield level, f"task {event.task} {status.value}{_because(event)}, {model}, {event.cost.shown}"
            case e.RunFinished(status=status):
                level = logging.INFO if status is ProjectStatus.SUCCESS else logging.WARNING
                yield level, f"ended with {status.value}" + (f" ({event.reason.value})" if event.reason else "")
            case e.RunInterrupted(cause=cause):
                yield logging.WARNING, f"interrupted by {cause}"
            case e.CallFailed(by_vendor=True):
                yield logging.WARNING, self._failed(event)
            case e.ModelSelected(selection=number) if number > 1:
                yield (
                    logging.WARNING,
                    f"{event.node} {event.role.value}: {event.model} is called ({event.reason.value})",
                )
            case e.SpendRefused():
                need, free = event.need.shown, event.free.shown
                yield logging.WARNING, f"{event.node} {event.role.value}: needs {need}, {free} is free"
            case e.BreakerOpened(model=model, reason=reason):
                yield logging.WARNING, f"{model}: circuit open ({reason})"
            case e.BreakerClosed(model=model):
                yield logging.INFO, f"{model}: circuit closed"
            case e.BackendFailed(backend=backend, problem=problem):
                yield logging.WARNING, f"the backend {backend} failed ({problem})"

    def _failed(self, event: e.CallFailed) -> str:
        call = self._calls.get(event.call)
        what = "a call" if call is None else f"{call.node} {call.role.value}: {call.model}"
        return f"{what} failed ({event.kind.value})"


def _because(event: e.TaskFinished) -> str:
    return f" ({event.reason.value})" if event.reason else ""
