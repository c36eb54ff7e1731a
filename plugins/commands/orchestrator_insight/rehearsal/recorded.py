"""The outcomes of a recorded run, to play it again: exact where the same is asked."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from attrs import Factory, define, evolve, field

from orchestrator import events as e
from orchestrator.decide.estimates import expected_call
from orchestrator.errors import MissingError
from orchestrator.models import (
    AnsweredBy,
    ApprovalPoint,
    Finish,
    ModelInfo,
    PairChoice,
    Role,
    ScorerProblem,
    Verdict,
    is_comparison,
)
from orchestrator.money import Price, Usage, Usd
from orchestrator.state.calls import CallKey
from orchestrator.state.fold.planning import APPROVALS
from orchestrator.state.run import RunState
from orchestrator_insight.rehearsal.play import unverified

_NOTHING: Final = "0" * 64
_TYPICAL_BODY: Final = 6000


class Basis(StrEnum):
    """What an attempt's outcome in a rehearsal rests on."""

    RECORDED = "recorded"
    """The same model was asked the same: the same answer, at exactly its tokens."""
    SUBSTITUTED = "substituted"
    """Another model was asked: its answer is unknown, and so is its quality; the recorded tokens stand for its own."""
    INVENTED = "invented"
    """No model was asked that: tokens are expected, a score is the latest recorded iteration's, a comparison a tie."""


@define
class _Recorded:
    """What happened to one logical call."""

    prepared: dict[str, tuple[int, e.CallPrepared]] = Factory(dict)
    """By model: how long it took, and how it ended."""
    ends: dict[str, list[tuple[int, int, e.CallSucceeded | e.CallFailed]]] = Factory(dict)
    """By model, every end by the vendor: when, after how long, how."""
    answer: tuple[int, int, e.CallSucceeded] | None = None
    """The latest answer of any model."""


@define
class RecordedRun:
    """A run's history, arranged by what was asked. It is also the source of outcomes for a rehearsal.

    ``basis`` and ``spent`` say of the rehearsal's attempts, by version, what their outcomes rest on and cost; use one
    copy (``again``) for each rehearsal.
    """

    started: e.RunStarted
    began: int
    """When; microseconds UTC."""
    opened: e.SessionOpened
    """The latest session, with the priors of the first."""
    cap: Usd
    time_limit: int
    calls: Mapping[CallKey, _Recorded]
    checks: Mapping[tuple[str, int, Role, str], tuple[int, e.Validated]]
    """By task, iteration, role of who wrote what is judged, and validator."""
    probes: Mapping[tuple[str, int], tuple[int, e.Probed]]
    """By task and iteration."""
    scores: Mapping[tuple[str, int], tuple[int, e.Scored]]
    """By task and iteration."""
    result: tuple[int, e.ResultVerified] | None
    answers: Mapping[tuple[str, int], tuple[int, e.QuestionAnswered]]
    """By node and number of the suggestion."""
    basis: dict[int, Basis] = field(factory=dict, init=False)
    spent: dict[int, Usd] = field(factory=dict, init=False)
    keys: dict[int, tuple[CallKey, str]] = field(factory=dict, init=False)
    """By version of the rehearsal's CallStarted: the logical call, and the model."""
    _asked: dict[tuple[CallKey, str], int] = field(factory=dict, init=False)

    def again(self) -> "RecordedRun":
        """The same recording for another rehearsal."""
        return RecordedRun(
            self.started,
            self.began,
            self.opened,
            self.cap,
            self.time_limit,
            self.calls,
            self.checks,
            self.probes,
            self.scores,
            self.result,
            self.answers,
        )

    def prepared(self, state: RunState, version: int, opened: e.ModelSelected) -> tuple[int, e.CallPrepared]:
        """The recorded body of the model; of another one, for the same call, where it was not asked."""
        found = self.calls.get(_key(opened))
        if found is None or not found.prepared:
            return 1, e.CallPrepared(version, _NOTHING, _TYPICAL_BODY)
        of_model = found.prepared.get(opened.model)
        if of_model is not None:
            delay, event = of_model
            return delay, e.CallPrepared(
                version, event.prompt, event.body_bytes, event.problem, cache=event.cache, reused=event.reused
            )
        sizes = [event.body_bytes for _, event in found.prepared.values() if event.problem is None]
        return 1, e.CallPrepared(version, _NOTHING, sizes[0] if sizes else _TYPICAL_BODY)

    def called(
        self, state: RunState, version: int, opened: e.CallStarted
    ) -> tuple[int, e.CallSucceeded | e.CallFailed]:
        """The recorded end of the model's attempt; where there is none, the answer another model gave; else a guess."""
        key, model = _key(opened), state.models[opened.model]
        self.keys[version] = (key, model.id)
        number = self._asked.get((key, model.id), 0)
        self._asked[key, model.id] = number + 1
        found = self.calls.get(key)
        ends = () if found is None else found.ends.get(model.id, ())
        if number < len(ends):
            at, delay, end = ends[number]
            return self._outcome(
                version, Basis.RECORDED, delay, _repriced(end, version, at, model, opened, self._price(model.id))
            )
        if found is not None and found.answer is not None:
            at, delay, answer = found.answer
            return self._outcome(version, Basis.SUBSTITUTED, delay, _repriced(answer, version, at, model, opened, None))
        return self._outcome(version, Basis.INVENTED, *self._invented(state, version, opened, model))

    def _price(self, model: str) -> Price | None:
        return next((each.price for each in self.opened.models if each.id == model), None)

    def _outcome(
        self, version: int, basis: Basis, delay: int, end: e.CallSucceeded | e.CallFailed
    ) -> tuple[int, e.CallSucceeded | e.CallFailed]:
        self.basis[version] = basis
        self.spent[version] = end.settled + end.unreconciled
        return delay, end

    def checked(self, state: RunState, version: int, opened: e.CheckStarted) -> tuple[int, e.Validated]:
        """The recorded verdict; a pass where there is none."""
        calls = state.tasks[opened.task].calls.values()
        key = next(call.key for call in calls if any(answer.version == opened.call for answer in call.answers))
        found = self.checks.get((opened.task, key.iteration, key.role, opened.validator))
        if found is None:
            return 1, e.Validated(version, Verdict.PASSED, None, 1, vote=opened.vote)
        return found[0], evolve(found[1], check=version, vote=opened.vote, latency=found[0], sandbox=None)

    def probed(self, state: RunState, version: int, opened: e.ProbeStarted) -> tuple[int, e.Probed]:
        """The recorded results; where there are none, or of another number of defects, nothing is known."""
        unknown = unverified(state, opened)
        found = self.probes.get((opened.task, opened.iteration))
        if found is None or len(found[1].results) != len(unknown):
            return 1, e.Probed(version, unknown, 1)
        return found[0], evolve(found[1], probe=version)

    def scored(self, state: RunState, version: int, opened: e.ScoringStarted) -> tuple[int, e.Scored]:
        """The recorded score; none where there is none."""
        found = self.scores.get((opened.task, opened.iteration))
        if found is None:
            return 1, e.Scored(version, None, ScorerProblem.ABSENT, None, 1)
        return found[0], evolve(found[1], scoring=version)

    def verified(self, state: RunState, version: int, opened: e.VerificationStarted) -> tuple[int, e.ResultVerified]:
        """The recorded verdict; a pass where there is none."""
        if self.result is None:
            return 1, e.ResultVerified(version, Verdict.PASSED, None, 0, None, None, 1)
        delay, event = self.result
        return delay, e.ResultVerified(
            version,
            event.verdict,
            event.command,
            event.code,
            event.problem,
            event.details,
            event.latency,
            event.sandbox,
        )

    def answered(self, state: RunState, version: int, opened: e.QuestionAsked) -> tuple[int, e.QuestionAnswered]:
        """The recorded answer, no where there is none; that the tasks may start is taken for granted."""
        if opened.node == e.FORECAST:
            return 1, e.QuestionAnswered(version, True, AnsweredBy.FLAG, False)
        found = self.answers.get((opened.node, opened.number))
        if opened.node in APPROVALS:
            return 1, _approval(state, version, opened, None if found is None else found[1])
        if found is None:
            return 1, e.QuestionAnswered(version, False, AnsweredBy.NO_TERMINAL, True)
        return found[0], evolve(found[1], question=version)

    def _invented(
        self, state: RunState, version: int, opened: e.CallStarted, model: ModelInfo
    ) -> tuple[int, e.CallSucceeded]:
        expected = expected_call(state, model, opened.role, state.type_of(opened.node))
        reading = e.Reading(score=self._latest_score(opened)) if opened.role is Role.EVALUATOR else e.Reading()
        if opened.role is Role.EVALUATOR and is_comparison(opened.sample):
            reading = e.Reading(choice=PairChoice.TIE)
        usage = Usage(input=opened.body_bytes // 4 + 1, output=opened.max_tokens // 2 or 1)
        settled = min(expected.cost, opened.hold)
        size, latency = usage.output * 4, expected.latency
        end = e.CallSucceeded(version, _NOTHING, size, Finish.STOP, reading, usage, settled, Usd.ZERO, latency)
        return latency, end

    def _latest_score(self, opened: e.CallStarted) -> float | None:
        """The score of the task's latest recorded evaluation: what one iteration more would change is unknown."""
        scores = [
            (key.iteration, found.answer[2].reading.score)
            for key, found in self.calls.items()
            if (key.node, key.role) == (opened.node, Role.EVALUATOR)
            and found.answer is not None
            and not is_comparison(key.sample)
        ]
        return max(scores, default=(0, 0.5), key=lambda each: each[0])[1]


def record(history: Iterable[tuple[int, e.Event]]) -> RecordedRun:
    """Arrange a run's history (pairs of at and event, from the beginning).

    Attempts that no vendor has ended (lost with a session, or cancelled) are left out.

    Raises:
        ValueError: it begins with no run, or no session was opened.
    """
    reader = _Reader()
    for at, event in history:
        reader.take(at, event)
    if reader.started is None or reader.opened is None:
        raise ValueError("nothing was decided in this run yet")
    return RecordedRun(
        started=reader.started,
        began=reader.began,
        opened=reader.opened,
        cap=reader.cap,
        time_limit=reader.time_limit,
        calls=reader.calls,
        checks=reader.checks,
        probes=reader.probes,
        scores=reader.scores,
        result=reader.result,
        answers=reader.answers,
    )


def _approval(
    state: RunState, version: int, opened: e.QuestionAsked, found: e.QuestionAnswered | None
) -> e.QuestionAnswered:
    """The ceiling is raised where it was; everything else is approved, so that the run goes on."""
    if opened.node != ApprovalPoint.CEILING:
        return e.QuestionAnswered(version, True, AnsweredBy.FLAG, False)
    raised = found is not None and found.accepted and opened.amount is not None
    cap = state.cap + (opened.amount or Usd.ZERO) if raised else None
    return e.QuestionAnswered(version, raised, AnsweredBy.FLAG, False, cap=cap)


@define
class _Reader:
    version: int = 0
    began: int = 0
    started: e.RunStarted | None = None
    opened: e.SessionOpened | None = None
    cap: Usd = Usd.ZERO
    time_limit: int = 0
    plan: e.PlanMade | None = None
    calls: dict[CallKey, _Recorded] = Factory(dict)
    checks: dict[tuple[str, int, Role, str], tuple[int, e.Validated]] = Factory(dict)
    probes: dict[tuple[str, int], tuple[int, e.Probed]] = Factory(dict)
    scores: dict[tuple[str, int], tuple[int, e.Scored]] = Factory(dict)
    result: tuple[int, e.ResultVerified] | None = None
    answers: dict[tuple[str, int], tuple[int, e.QuestionAnswered]] = Factory(dict)
    effects: dict[int, tuple[int, e.Event]] = Factory(dict)

    def take(self, at: int, event: e.Event) -> None:
        """Remember what an event says of what was asked."""
        self.version += 1
        match event:
            case e.RunStarted(settings=settings):
                self.began, self.started = at, event
                self.cap, self.time_limit = settings.cap, settings.time_limit
            case e.RunForked(settings=settings):
                if self.started is None:
                    raise MissingError("first event")
                started = evolve(self.started, settings=settings, spec=event.spec)
                self.started = evolve(started, project=event.project, place=event.place)
                self.cap, self.time_limit = settings.cap, settings.time_limit
            case e.SessionOpened():
                first = self.opened
                self.opened = event if first is None else evolve(event, priors=first.priors)
            case e.BudgetRaised(cap=cap):
                self.cap = cap
            case e.TimeRaised(time_limit=limit):
                self.time_limit = limit
            case (
                e.ModelSelected()
                | e.CallStarted()
                | e.CheckStarted()
                | e.ProbeStarted()
                | e.ScoringStarted()
                | e.VerificationStarted()
                | e.QuestionAsked()
            ):
                self.effects[self.version] = (at, event)
            case e.SpendReconciled(call=version, settled=settled):
                self._reconcile(version, settled)
            case _:
                self._end(at, event)

    def _reconcile(self, version: int, settled: Usd) -> None:
        """What an answer has cost is known after all; attempts that no vendor ended are none of these."""
        _, started = self.effects[version]
        if not isinstance(started, e.CallStarted):
            raise MissingError("CallStarted")
        ends = self._call(started).ends.get(started.model, [])
        for number, (at, delay, end) in enumerate(ends):
            if end.call == version:
                ends[number] = (at, delay, evolve(end, settled=settled, unreconciled=Usd.ZERO))

    def _end(self, at: int, event: e.Event) -> None:
        match event:
            case e.CallPrepared(selected=version):
                since, opened = self.effects[version]
                if not isinstance(opened, e.ModelSelected):
                    raise MissingError("ModelSelected")
                self._call(opened).prepared[opened.model] = (at - since, event)
            case e.CallSucceeded(call=version) | e.CallFailed(call=version):
                since, started = self.effects[version]
                if not isinstance(started, e.CallStarted):
                    raise MissingError("CallStarted")
                if isinstance(event, e.CallFailed) and not event.by_vendor:
                    return
                call = self._call(started)
                call.ends.setdefault(started.model, []).append((at, at - since, event))
                if isinstance(event, e.CallSucceeded):
                    call.answer = (at, at - since, event)
            case e.Validated(check=version):
                since, check = self.effects[version]
                if not isinstance(check, e.CheckStarted):
                    raise MissingError("CheckStarted")
                _, written = self.effects[check.call]
                if not isinstance(written, e.CallStarted | e.ModelSelected):
                    raise MissingError("CallStarted or ModelSelected")
                self.checks[check.task, written.iteration, written.role, check.validator] = (at - since, event)
            case e.Probed(probe=version):
                since, probe = self.effects[version]
                if not isinstance(probe, e.ProbeStarted):
                    raise MissingError("ProbeStarted")
                self.probes[probe.task, probe.iteration] = (at - since, event)
            case e.Scored(scoring=version):
                since, scoring = self.effects[version]
                if not isinstance(scoring, e.ScoringStarted):
                    raise MissingError("ScoringStarted")
                self.scores[scoring.task, scoring.iteration] = (at - since, event)
            case e.ResultVerified(verification=version):
                self.result = (at - self.effects[version][0], event)
            case e.QuestionAnswered(question=version):
                since, asked = self.effects[version]
                if not isinstance(asked, e.QuestionAsked):
                    raise MissingError("QuestionAsked")
                self.answers[asked.node, asked.number] = (at - since, event)

    def _call(self, event: e.ModelSelected | e.CallStarted) -> _Recorded:
        return self.calls.setdefault(_key(event), _Recorded())


def _key(event: e.ModelSelected | e.CallStarted) -> CallKey:
    return CallKey(event.node, event.role, event.iteration, event.sample)


def _repriced(
    end: e.CallSucceeded | e.CallFailed,
    version: int,
    at: int,
    model: ModelInfo,
    opened: e.CallStarted,
    old: Price | None,
) -> e.CallSucceeded | e.CallFailed:
    """The same end for another attempt: its tokens at the model's price at that moment, unknown cost at its hold.

    Under the price it was settled at (``old``) the cost is the recorded one. What a failure cost is not repriced: the
    log has no tokens of it.
    """
    if isinstance(end, e.CallFailed):
        return evolve(end, call=version, unreconciled=opened.hold if end.unreconciled else Usd.ZERO)
    if end.settled and end.usage is None and old is not None:
        return evolve(end, call=version)  # found out later, and not in tokens
    if end.unreconciled or end.usage is None or model.price is None:
        return evolve(end, call=version, settled=Usd.ZERO, unreconciled=opened.hold)
    settled = end.settled if model.price == old else model.price.cost(end.usage, at)
    return evolve(end, call=version, settled=settled, unreconciled=Usd.ZERO)
