"""One run in virtual time: ``decide``, ``apply``, and outcomes from a source instead of the world."""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Final, Protocol

from attrs import Factory, define, field

from orchestrator import events as e
from orchestrator.decide import BackendError, Memo, Rank, Wait, decide
from orchestrator.errors import present
from orchestrator.models import Lane, ProbeResult
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState

_MOST_EVENTS: Final = 200_000
_MOST_IDLE: Final = 1000
"""Times in a row at which there was something to decide, and was not."""

Watch = Callable[[int, int, e.Event], None]
"""Called with (version, at, event) for every event."""


class Source(Protocol):
    """Where outcomes come from. Each method says how many microseconds an effect takes, and how it ends."""

    def prepared(self, state: RunState, version: int, opened: e.ModelSelected) -> tuple[int, e.CallPrepared]:
        """A body is shaped."""

    def called(
        self, state: RunState, version: int, opened: e.CallStarted
    ) -> tuple[int, e.CallSucceeded | e.CallFailed]:
        """A model is asked."""

    def checked(self, state: RunState, version: int, opened: e.CheckStarted) -> tuple[int, e.Validated]:
        """A validator judges."""

    def scored(self, state: RunState, version: int, opened: e.ScoringStarted) -> tuple[int, e.Scored]:
        """How the scoring of an output ends."""

    def probed(self, state: RunState, version: int, opened: e.ProbeStarted) -> tuple[int, e.Probed]:
        """Counterexamples are run."""

    def verified(self, state: RunState, version: int, opened: e.VerificationStarted) -> tuple[int, e.ResultVerified]:
        """The user's command judges the result."""

    def answered(self, state: RunState, version: int, opened: e.QuestionAsked) -> tuple[int, e.QuestionAnswered]:
        """A person answers."""


def unverified(state: RunState, opened: e.ProbeStarted) -> tuple[ProbeResult, ...]:
    """One result for each defect of a critique, where nothing is known of them."""
    answers = (answer for call in state.tasks[opened.task].calls.values() for answer in call.answers)
    critique = next(answer for answer in answers if answer.version == opened.critique)
    return (ProbeResult.UNVERIFIED,) * len(critique.reading.defects or ())


@define
class Play:
    """One run, played from its first event to its end.

    ``rank`` None stands for the order of the routing table. A run that waits for something the source cannot bring
    ends there, unfinished.
    """

    source: Source
    rank: Rank | None = None
    watch: Watch = lambda version, at, event: None
    state: RunState = Factory(RunState)
    now: int = 0
    """Microseconds."""
    _memo: Memo = field(factory=Memo, init=False)
    _arriving: list[tuple[int, int, e.Outcome]] = field(factory=list, init=False)

    def run(self, opening: Iterable[e.Outcome]) -> RunState:
        """Play on from the opening outcomes until the run has ended.

        Raises:
            RuntimeError: it goes in circles.
        """
        until, idle = self._step(opening), 0
        while self.state.is_open:
            if not self._arriving and until is None:
                return self.state
            if not self._arriving or (until is not None and until < self._arriving[0][0]):
                until = present(until, "until")
                before, self.now = self.state.version, max(self.now + 1, until)
                until = self._step(())
                idle = idle + 1 if self.state.version == before else 0
                if idle > _MOST_IDLE:
                    return self.state
                continue
            self.now = max(self.now, self._arriving[0][0])
            arrived = []
            while self._arriving and self._arriving[0][0] <= self.now:
                arrived.append(heappop(self._arriving)[2])
            until = self._step(arrived)
        return self.state

    def _step(self, arrived: Iterable[e.Outcome]) -> int | None:
        """Fold what has arrived, then decide until there is nothing to decide. Returns when to look again."""
        state = self.state
        self.now = max(self.now, state.at + 1)
        for outcome in arrived:
            self._take(outcome)
        while True:
            if state.version > _MOST_EVENTS:
                raise RuntimeError("the rehearsal goes in circles")
            try:
                decision = decide(state, self.now, self.rank, self._memo)
            except BackendError as error:
                self._take(e.BackendFailed("backend", error.problem, None))
                continue
            if isinstance(decision, Wait):
                return decision.until
            self._take(decision)
            self._perform(decision)

    def _take(self, event: e.Event) -> None:
        apply(self.state, self.now, event)
        self.watch(self.state.version, self.now, event)

    def _perform(self, decision: e.Decision) -> None:
        """Ask the source how the effect that a decision has opened ends."""
        state, version = self.state, self.state.version
        outcome: tuple[int, e.Outcome]
        match decision:
            case e.ModelSelected():
                outcome = self.source.prepared(state, version, decision)
            case e.CallStarted(lane=Lane.BATCH):
                return  # it is asked with its batch
            case e.BatchStarted():
                self._submit(version, decision)
                return
            case e.CallStarted():
                outcome = self.source.called(state, version, decision)
            case e.CheckStarted():
                outcome = self.source.checked(state, version, decision)
            case e.ProbeStarted():
                outcome = self.source.probed(state, version, decision)
            case e.ScoringStarted():
                outcome = self.source.scored(state, version, decision)
            case e.VerificationStarted():
                outcome = self.source.verified(state, version, decision)
            case e.QuestionAsked():
                outcome = self.source.answered(state, version, decision)
            case e.OutputChosen(file=True):
                outcome = (0, e.FileWritten(version, 0, None))
            case _:
                return
        delay, event = outcome
        heappush(self._arriving, (self.now + max(delay, 1), version, event))

    def _submit(self, version: int, decision: e.BatchStarted) -> None:
        """A batch is taken at once, and each of its calls ends as it would alone."""
        heappush(self._arriving, (self.now + 1, version, e.BatchSubmitted(version, "")))
        for call in decision.calls:
            opened = self.state.pending[call]
            if isinstance(opened, e.CallStarted):
                delay, event = self.source.called(self.state, call, opened)
                heappush(self._arriving, (self.now + max(delay, 2), call, event))
