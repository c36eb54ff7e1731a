"""The law of the response cache: an answer that a run took over is another run's, to an equal request, and older."""

import os
from typing import Final

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.engine.answers.prompt_marks import marks_of
from orchestrator.engine.answers.stored_prompts import Prompt, read_prompt
from orchestrator.errors import LogError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.log.transaction import Recorded

_COMPARED: Final = ("role", "iteration", "sample")
"""What a key of the cache is made of, beside the prompt and the model."""


@define
class Reuses:
    """Takes the events of runs and holds every answer taken over against the run that it was paid in.

    Args:
        log: it has the other runs, too; it is only read.
    """

    log: EventLog
    _selected: dict[tuple[str, int], e.ModelSelected] = Factory(dict)

    def take(self, run: str, record: Recorded) -> str | None:
        """What is wrong with the answer that an event of the run took over; None: nothing, or it cannot be known."""
        event = record.event
        if isinstance(event, e.ModelSelected):
            self._selected[run, record.version] = event
        if not isinstance(event, e.CallPrepared) or event.reused is None or record.stream != run:
            return None
        selected, reused = self._selected.get((run, event.selected)), event.reused
        if selected is None or self.log.last(reused.run) is None or self.log.archived(reused.run) is not None:
            return None
        what = f"it takes over the answer to call {reused.call} of {reused.run}"
        answer = self._answer(reused)
        if answer is None or answer.position > record.position:
            return f"{what}, which had none then"
        if not self._is_equal(run, selected, event, reused, answer.event):
            return f"{what}, which is another answer, or to another request"
        return None

    def _answer(self, reused: e.Reused) -> Recorded | None:
        for record in self.log.read_own(reused.run, after=reused.call, types=[e.CallSucceeded]):
            if isinstance(record.event, e.CallSucceeded) and record.event.call == reused.call:
                return record
        return None

    def _is_equal(
        self, run: str, selected: e.ModelSelected, event: e.CallPrepared, reused: e.Reused, answer: e.Event
    ) -> bool:
        started, prepared = self._call(reused)
        if started is None or not isinstance(answer, e.CallSucceeded):
            return False
        own, other = [(each.model, *(getattr(each, name) for name in _COMPARED)) for each in (selected, started)]
        if (own, reused.answer_bytes, reused.finish) != (other, answer.answer_bytes, answer.finish):
            return False
        texts, others = self._texts(run), self._texts(reused.run)
        try:
            if texts.get(reused.answer) != others.get(answer.answer):
                return False
            if prepared is None:
                return True
            return self._compared(run, selected.node, texts.get(event.prompt)) == self._compared(
                reused.run, started.node, others.get(prepared.prompt)
            )
        except (KeyError, LogError, ValueError, LookupError, TypeError):
            return True  # the texts of one of them are deleted; the check of the texts names a damaged one

    def _call(self, reused: e.Reused) -> tuple[e.CallStarted | None, e.CallPrepared | None]:
        """The start of a call, and how it was prepared; None where there is none."""
        kinds = [e.CallPrepared, e.CallStarted]
        found = {each.version: each.event for each in self.log.read_own(reused.run, upto=reused.call, types=kinds)}
        started = found.get(reused.call)
        if not isinstance(started, e.CallStarted):
            return None, None
        own = [
            each for each in found.values() if isinstance(each, e.CallPrepared) and each.selected == started.selected
        ]
        return started, own[-1] if own else None

    def _compared(self, run: str, node: str, prompt: str) -> Prompt:
        first = next(self.log.read(run)).event
        seed = first.seed if isinstance(first, e.RunStarted) else 0
        return read_prompt(prompt).compared(marks_of(seed, node).tag)

    def _texts(self, run: str) -> Texts:
        return Texts(self.log, run, os.urandom, self.log.redactor)
