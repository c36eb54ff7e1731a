"""Why this model? Every choice of a run as its log has it: who was considered, what was known, what it cost.

The history is folded up to each choice, so that prices and measurements are those of that moment. Nothing here touches
a network, a clock or a provider.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Final

from orchestrator import events as e
from orchestrator.cli.kit import remarks_on, remarks_on_choice
from orchestrator.decide.compliance import binding, undeclared
from orchestrator.decide.input_stage import input_chain
from orchestrator.decide.outcome import output_of
from orchestrator.decide.ranking import telemetry_of
from orchestrator.decide.routing import slots_of
from orchestrator.decide.spending import estimated_tokens, is_too_long
from orchestrator.ledger.accounts import called
from orchestrator.models import Finish, RejectionReason, Role, SpendLimit, TaskType
from orchestrator.money import Usd
from orchestrator.spi import ModelTelemetry
from orchestrator.state.calls import CallKey
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState
from orchestrator_insight.explained_choices import (
    AttemptSeen,
    BackendFallback,
    ConsideredModel,
    Explained,
    ModelChoice,
    NoCandidateLeft,
    PlanRemarks,
    ResultsCompared,
    ScoreGiven,
    SpendRefusal,
    VerifiedResult,
)

_ROW: Final = "row"


def explain(history: Iterable[tuple[int, e.Event]]) -> list[Explained]:
    """Every choice, refusal and failure of the backend in a run's history (pairs of at and event), in order."""
    explainer = Explainer()
    for at, event in history:
        explainer.take(at, event)
    return explainer.explained


def about(explained: Iterable[Explained], node: str | None) -> list[Explained]:
    """What concerns one task (``plan`` for the plan), or everything where it is None."""
    return [each for each in explained if node is None or isinstance(each, BackendFallback) or each.node == node]


class Explainer:
    """Reads a history once: folds it, and tells what there is to explain.

    Attributes:
        state: what the events taken so far fold to.
        explained: what they explain, in order.
    """

    def __init__(self) -> None:
        self.state = RunState()
        self.explained: list[Explained] = []
        self._choices: dict[int, ModelChoice] = {}
        self._attempts: dict[int, AttemptSeen] = {}
        self._seen: dict[tuple[str, TaskType | None], ConsideredModel] = {}
        """The latest of each: most models are as they were at the choice before, and need no second object."""

    def take(self, at: int, event: e.Event) -> None:
        """Look at one event before it is folded, and fold it."""
        choice = self._choice(at, event) if isinstance(event, e.ModelSelected) else None
        apply(self.state, at, event)
        version = self.state.version
        match event:
            case e.ModelSelected() if choice is not None:
                self._choices[version] = choice
                self.explained.append(choice)
            case e.SessionOpened(ended=ended) | e.SessionLost(ended=ended):
                for attempt in ended:
                    self._end(attempt.call, Usd.ZERO, attempt.amount)
            case e.CallPrepared(selected=selected):
                self._prepared(self._choices[selected], event)
            case e.CallStarted():
                sizes = (event.max_tokens, event.body_bytes, event.hold)
                seen = AttemptSeen(
                    version, event.attempt, *sizes, violates=event.violates, larger=event.larger, lane=event.lane
                )
                self._attempts[version] = seen
                self._choices[event.selected].attempts.append(seen)
            case e.BatchStarted(calls=calls):
                for call in calls:
                    self._attempts[call].batch = version
            case e.CallSucceeded() | e.CallFailed():
                self._ended(event)
            case e.SpendReconciled(call=call, settled=settled):
                seen = self._attempts[call]
                seen.cost, seen.end = settled, "settled" if settled else "released"
            case e.SpendRefused():
                key = (event.node, event.role, event.iteration, event.sample)
                name = self._account(event.name) if event.limit is SpendLimit.ACCOUNT else event.name
                self.explained.append(
                    SpendRefusal(version, at, *key, event.need, event.free, event.limit, name, final=True)
                )
            case e.AccountRefused(call=call):
                key = (call.node, call.role, call.iteration, call.sample)
                limit, name = SpendLimit.ACCOUNT, self._account(event.account)
                self.explained.append(SpendRefusal(version, at, *key, event.need, event.free, limit, name, final=False))
            case e.TaskFinished(task=node, removed=removed) if removed:
                self.explained.append(self._no_candidate(at, node, Role.GENERATOR, removed))
            case e.StepSkipped(task=node, role=role, removed=removed) if removed:
                self.explained.append(self._no_candidate(at, node, role, removed))
            case e.RunFinished(removed=removed) if removed:
                self.explained.append(self._no_candidate(at, e.PLAN, Role.DECOMPOSER, removed))
            case e.PlanMade(repairs=repairs) if remarks := remarks_on(event):
                self.explained.append(PlanRemarks(version, at, remarks, repairs))
            case e.Compared():
                self.explained.append(ResultsCompared(version, at, event, remarks_on_choice(event), event.task))
            case e.Scored(scoring=of):
                found = ((task.name, each) for task in self.state.tasks.values() for each in task.scorings.values())
                name, scoring = next((name, each) for name, each in found if each.version == of)
                self.explained.append(ScoreGiven(version, at, name, scoring))
            case e.ResultVerified():
                self.explained.append(VerifiedResult(version, at, event))
            case e.BackendFailed():
                self.explained.append(BackendFallback(version, at, event.backend, event.problem))

    def _account(self, recorded: str | None) -> str | None:
        """The name of an account outside the run, where that of simulated providers is another one."""
        return None if recorded is None else called(recorded, self.state.settings.simulated)

    def _prepared(self, choice: ModelChoice, event: e.CallPrepared) -> None:
        """What the cache had, or that the prompt is too long for the model."""
        choice.reused = event.reused
        model = self.state.models.get(choice.model)
        if model is not None and event.reused is None and is_too_long(model, event.body_bytes):
            choice.too_long = (estimated_tokens(event.body_bytes), model.context or 0)

    def _ended(self, event: e.CallSucceeded | e.CallFailed) -> None:
        self._end(event.call, event.settled, event.unreconciled)
        seen = self._attempts[event.call]
        seen.latency = event.latency
        if isinstance(event, e.CallSucceeded):
            seen.usage = event.usage
            seen.cut_off = event.finish is Finish.LENGTH
            seen.end = (
                "unreconciled" if event.unreconciled else "settled"
            )  # a free call that answered is settled at nothing
        else:
            seen.error = event.kind

    def _end(self, version: int, settled: Usd, unreconciled: Usd) -> None:
        seen = self._attempts[version]
        seen.cost = settled + unreconciled
        seen.end = "unreconciled" if unreconciled else "settled" if settled else "released"

    def _choice(self, at: int, event: e.ModelSelected) -> ModelChoice:
        """A choice with what stood before it."""
        state = self.state
        kind = state.type_of(event.node)
        measured = TaskType.EVALUATION if kind is not None and event.role is Role.EVALUATOR else kind
        call = state.call(CallKey(event.node, event.role, event.iteration, event.sample))
        listed = {candidate.model: candidate for candidate in event.candidates}
        known = call.candidates.values() if call is not None else ()
        rest = (each for each in known if each.model not in listed and each.model in state.models)
        backend = next((used for used in state.opened.plugins if used.kind == "backend"), None)
        return ModelChoice(
            version=state.version + 1,
            at=at,
            node=event.node,
            role=event.role,
            iteration=event.iteration,
            sample=event.sample,
            type=kind,
            selection=event.selection,
            reason=event.reason,
            model=event.model,
            waiver=event.waiver,
            policy=event.policy,
            author=self._author(event),
            backend=backend if event.backend != _ROW else None,
            considered=tuple(
                self._considered(candidate, measured, event.node) for candidate in chain(listed.values(), rest)
            ),
            chain=input_chain(state.words) if event.node in (e.ENHANCE, e.ADVISE) else (),
        )

    def _no_candidate(self, at: int, node: str, role: Role, removed: Iterable[e.ModelCandidate]) -> NoCandidateLeft:
        kind = self.state.type_of(node)
        considered = tuple(self._considered(candidate, kind, node) for candidate in removed)
        return NoCandidateLeft(self.state.version, at, node, role, considered)

    def _author(self, event: e.ModelSelected) -> str | None:
        if event.node not in self.state.tasks or event.role is Role.GENERATOR:
            return None
        task = self.state.tasks[event.node]
        if event.role is Role.EVALUATOR:
            output = output_of(task, event.iteration)
            return None if output is None else output.model
        draft = task.call(Role.GENERATOR, event.iteration)
        return None if draft is None or draft.answer is None else draft.answer.model

    def _considered(self, candidate: e.ModelCandidate, kind: TaskType | None, node: str) -> ConsideredModel:
        state = self.state
        model, record = state.models.get(candidate.model), state.records.get(candidate.model)
        rejection = candidate.rejection
        policies = {policy.name: policy for policy in reversed(binding(state.settings, node))}
        removing = policies.get(candidate.policy) if candidate.policy is not None else None
        trouble: tuple[str, ...] = ()
        if record is not None and rejection is RejectionReason.OFF:
            trouble = (*sorted(kind.value for kind in record.kinds), *(["exceeded"] if record.exceeded else []))
        made = ConsideredModel(
            model=candidate.model,
            vendor="" if model is None else model.vendor,
            slots=() if model is None else tuple(slots_of(state, candidate.model)),
            price=None if model is None else model.price,
            telemetry=ModelTelemetry() if kind is None else telemetry_of(record, kind),
            score=candidate.score,
            rejection=rejection,
            reason=candidate.reason or "",
            policy_name=candidate.policy,
            policy=removing,
            undeclared=() if removing is None or model is None else undeclared(removing, model),
            violates=tuple([policies[each] for each in candidate.violates if each in policies]),
            until=record.until if record is not None and rejection is RejectionReason.BREAKER else None,
            trouble=trouble,
        )
        known = self._seen.get((made.model, kind))
        if known == made:
            return known
        self._seen[made.model, kind] = made
        return made
