"""Reading every answer again: what the decisions saw of it must follow from its stored text."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import Factory, define, fields

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.engine.answer_readers import reader_of
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.errors import DamagedLogError
from orchestrator.log import Texts
from orchestrator.models import ReadingProblem
from orchestrator.state.run import RunState

_UNREPEATABLE: Final = ReadingProblem.UNREADABLE
"""Reading took too long on that machine; it need not here."""


@define
class Readings:
    """Takes a run's events one by one, each with the state before it.

    Attributes:
        texts: of the run.
        foreign: whether a session followed other rules, so that its answers were read by another program.
    """

    texts: Texts
    foreign: bool = False
    _calls: dict[int, e.CallStarted] = Factory(dict)
    _selected: dict[int, e.ModelSelected] = Factory(dict)
    _validators: tuple[str, ...] = ()
    _placement: Placement | None = None
    _paths: Mapping[str, str] | None = None

    def take(self, version: int, event: e.Event, state: RunState) -> Iterator[str]:
        """What is wrong with the reading of an answer that comes in with an event."""
        match event:
            case e.SessionOpened():
                self.foreign = event.rules != RULES
                self._validators = tuple(used.name for used in event.plugins if used.kind == "validator")
            case e.PlanMade() | e.PlanEdited() | e.PlanPatched():
                self._placement = None
            case e.ModelSelected():
                self._selected[version] = event
            case e.CallStarted():
                self._calls[version] = event
            case e.CallPrepared(reused=e.Reused() as reused) if event.selected in self._selected:
                yield from self._check(self._selected[event.selected], reused, state)
            case e.CallSucceeded() if event.call in self._calls:
                yield from self._check(self._calls[event.call], event, state)

    def _check(
        self, call: e.ModelSelected | e.CallStarted, answer: e.CallSucceeded | e.Reused, state: RunState
    ) -> Iterator[str]:
        if self.foreign:
            return
        try:
            text = self.texts.get(answer.answer)
        except (KeyError, DamagedLogError):
            return  # the check of the texts names it
        if len(text.encode()) != answer.answer_bytes:
            yield f"the answer has {len(text.encode())} bytes, the event says {answer.answer_bytes}"
        if answer.reading.problem is _UNREPEATABLE:
            return
        read = reader_of(state, self.texts, self._placed(state), call, self._validators, self._task_paths(state))
        found = read(text, self.texts.digest)
        if found != answer.reading:
            what = f"the answer of the {call.role.value} for {call.node}"
            yield f"{what} reads otherwise: {_difference(found, answer.reading)}"

    def _placed(self, state: RunState) -> Placement:
        if self._placement is None:
            self._placement = Placement(state, self.texts.get)
        return self._placement

    def _task_paths(self, state: RunState) -> Mapping[str, str]:
        """Where the user wants the files of a plan's tasks, as the spec says."""
        if self._paths is None:
            spec = json.loads(self.texts.get(state.start.spec)) if state.start is not None else {}
            self._paths = spec.get("task_paths") or {}
        return self._paths


def _difference(found: e.Reading, stored: e.Reading) -> str:
    """The fields that differ; a score with both values, for it decides."""
    names = [field.name for field in fields(e.Reading) if getattr(found, field.name) != getattr(stored, field.name)]
    if "score" in names:
        return f"score {stored.score} is stored, {found.score} follows from the text"
    return ", ".join(names)
