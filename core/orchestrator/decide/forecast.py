"""What a plan is expected to cost and to take: from what was measured, else from prices, in whole nano-dollars.

Where that comes near the ceiling a person is asked, if one can be, whether the tasks may start all the same.
"""

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from orchestrator.decide.batch_lanes import lane_of
from orchestrator.decide.estimates import expected_call, typical_output
from orchestrator.decide.gates import has_given_tests
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import DraftQuery, Query, list_candidates
from orchestrator.decide.strategies import COLD, compares_pairs, judge_runs, most_iterations, strategy_of
from orchestrator.events import FORECAST, ForecastMade, QuestionAsked
from orchestrator.models import CritiqueUse, DraftMode, Phase, RiskLevel, Role, TaskType
from orchestrator.money import Usd
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_AROUND: Final = 300
"""Tokens of a prompt beside its task and the outputs it builds on."""
_MOST_SHOWN: Final = 120_000
"""Bytes of the user's files in a prompt."""
_BYTES_PER_TOKEN: Final = 4
_REVISED, _SAMPLED = 150, 175
"""Drafts of a typical task, in percent: where results are improved (revisions count as drafts), and where not."""
_MEDIUM, _HIGH = 50, 80


@frozen
class _Models:
    """The model that comes first for each part of a task of one type; None: none can, or the part is left out."""

    author: str | None = None
    critic: str | None = None
    judge: str | None = None


@frozen
class _Expected:
    """Some calls of a task: what they cost, and how many microseconds they take one after the other."""

    cost: Usd = Usd.ZERO
    duration: int = 0
    tokens: int = 0
    """Read and written."""


def next_forecast(m: RoutingContext) -> ForecastMade:
    """The forecast for the tasks that have not ended: the calls that their strategies typically make.

    Raises:
        BackendError: the backend failed.
    """
    state = m.state
    models: dict[TaskType, _Models] = {}
    phases = dict.fromkeys((Phase.GENERATION, Phase.CROSS_REVIEW, Phase.EVALUATION), Usd.ZERO)
    total, tokens, longest = 0, 0, dict[str, int]()
    for name in state.execution_order:
        task = state.tasks[name]
        if task.finished is not None:
            continue
        kind = task.planned.type
        chosen = models.get(kind) or models.setdefault(kind, _models(m, kind))
        parts = (_drafts(state, task, chosen), _critiques(state, task, chosen), _judgements(state, task, chosen))
        for phase, part in zip(phases, parts, strict=True):
            phases[phase] += part.cost
        duration = sum(part.duration for part in parts)
        total += duration
        tokens += sum(part.tokens for part in parts)
        longest[name] = duration + max((longest.get(d, 0) for d in task.planned.dependencies), default=0)
    expected = _sum(phases.values())
    spent = state.spend.total
    return ForecastMade(
        expected=expected,
        phases=phases,
        duration=max(max(longest.values(), default=0), total // state.settings.concurrency),
        risk=risk(spent + expected, state.cap),
        spent=spent,
        cap=state.cap,
        models={kind: chosen.author for kind, chosen in models.items() if chosen.author is not None},
        tokens=tokens,
    )


def _sum(amounts: Iterable[Usd]) -> Usd:
    return Usd(sum(amount.nano for amount in amounts))


def risk(total: Usd, cap: Usd) -> RiskLevel:
    """How near an expected total comes to a cap; a cap of nothing is always at risk."""
    if cap <= Usd.ZERO or total.nano * 100 >= cap.nano * _HIGH:
        return RiskLevel.HIGH
    return RiskLevel.MEDIUM if total.nano * 100 >= cap.nano * _MEDIUM else RiskLevel.LOW


def wants_consent(m: RoutingContext) -> bool:
    """Whether a person is still to say that the tasks may start: the risk is high, and not agreed to.

    Where no person can be asked that is so only if one has been: unanswered means no.
    """
    state = m.state
    if state.begun or state.consent.is_given or state.session is None or m.time_up:
        return False
    return (state.session.can_ask or state.consent.asked > 0) and lacking(state) > Usd.ZERO


def next_consent(m: RoutingContext) -> QuestionAsked | None:
    """The question, once per session; while it is open, and after a no, there is nothing to decide."""
    state = m.state
    if state.consent.asked_version > state.session_version:
        return None
    return QuestionAsked(FORECAST, state.forecast_version, state.consent.asked + 1)


def is_declined(state: RunState) -> bool:
    """Whether no task has started because a person was asked and has not agreed to the risk, which still is high."""
    refused = state.consent.answer is not None and not state.consent.is_given
    return refused and not state.begun and lacking(state) > Usd.ZERO


def expected_total(state: RunState) -> Usd:
    """What the run is expected to have spent in the end, as its forecast had it before its first task."""
    return state.spend.total + (Usd.ZERO if state.forecast is None else state.forecast.expected)


def lacking(state: RunState) -> Usd:
    """The least that must be added to the cap for the forecast's risk not to be high; nothing where it is not."""
    total = expected_total(state)
    if risk(total, state.cap) is not RiskLevel.HIGH:
        return Usd.ZERO
    return Usd(total.nano * 100 // _HIGH + 1) - state.cap


def _models(m: RoutingContext, kind: TaskType) -> _Models:
    """The models of a type; without an author there is nothing to review."""
    strategy = strategy_of(m.state.settings, kind)
    draft = DraftQuery(DraftMode.FRESH, COLD, order=strategy.order)
    author = _first(m, Query(Role.GENERATOR, kind, draft=draft))
    if author is None:
        return _Models()
    critic = None if strategy.critique is CritiqueUse.NEVER else _first(m, Query(Role.CRITIC, kind, author))
    judge = _first(m, Query(Role.EVALUATOR, kind, author)) if judge_runs(m.state.settings, kind) else None
    return _Models(author, critic, judge)


def _first(m: RoutingContext, query: Query) -> str | None:
    return list_candidates(m, query, {}, ("forecast", query.role, query.type)).chosen


def _drafts(state: RunState, task: TaskState, models: _Models) -> _Expected:
    """All samples where they are compared; where results are improved, revisions count as drafts."""
    kind = task.planned.type
    improves = strategy_of(state.settings, kind).improves
    percent = min(100 * most_iterations(state.settings, kind), _REVISED if improves else _SAMPLED)
    if compares(state, task):
        percent = 100 * most_iterations(state.settings, kind) * (_REVISED if models.critic else 100) // 100
    return _calls(state, task, models.author, Role.GENERATOR, percent)


def _critiques(state: RunState, task: TaskState, models: _Models) -> _Expected:
    """None where given tests decide, and the author is the only model."""
    alone = sum(model.price is not None for model in state.models.values()) < 2
    if alone and _is_decided(state, task):
        return _Expected()
    count = most_iterations(state.settings, task.planned.type) if compares(state, task) else 1
    return _calls(state, task, models.critic, Role.CRITIC, 100 * count)


def _judgements(state: RunState, task: TaskState, models: _Models) -> _Expected:
    """Evaluations, one where given tests decide; and each pair of samples in both orders, where they are compared."""
    kind = task.planned.type
    runs = 1 if _is_decided(state, task) else judge_runs(state.settings, kind)
    scores = _calls(state, task, models.judge, Role.EVALUATOR, 100 * runs)
    if not compares(state, task) or models.judge is None:
        return scores
    samples = most_iterations(state.settings, kind)
    read = _read(state, task, Role.EVALUATOR) + typical_output(Role.GENERATOR, kind)
    judge = state.models[models.judge]
    call = expected_call(state, judge, Role.EVALUATOR, kind, read, lane_of(state, task.name, judge))
    times = samples * (samples - 1)
    return _Expected(
        _sum((scores.cost, Usd(call.cost.nano * times))),
        scores.duration + call.latency * times // 2,
        scores.tokens + (call.read + call.written + call.thought) * times,
    )


def _is_decided(state: RunState, task: TaskState) -> bool:
    """Whether given tests that pass end the task."""
    rules = state.settings.evaluation
    return rules.tests_decide and task.planned.type not in rules.judged_types and has_given_tests(state, task)


def compares(state: RunState, task: TaskState) -> bool:
    """Whether the task's results are compared in pairs, unless all but one of them fail their checks."""
    return compares_pairs(state.settings, task.planned.type) and not _is_decided(state, task)


def _calls(state: RunState, task: TaskState, model: str | None, role: Role, percent: int) -> _Expected:
    """So many calls in the hundred."""
    if model is None:
        return _Expected()
    info = state.models[model]
    read, lane = _read(state, task, role), lane_of(state, task.name, info)
    call = expected_call(state, info, role, task.planned.type, read, lane)
    tokens = call.read + call.written + call.thought
    return _Expected(call.cost.part(percent, 100), call.latency * percent // 100, tokens * percent // 100)


def _read(state: RunState, task: TaskState, role: Role) -> int:
    """Tokens of a prompt: what is around, the task, the outputs it builds on and, for a reviewer, the draft."""
    built_on = sum(typical_output(Role.GENERATOR, state.type_of(each)) for each in task.planned.dependencies)
    draft = 0 if role is Role.GENERATOR else typical_output(Role.GENERATOR, task.planned.type)
    given = min(_shown_bytes(state, task), _MOST_SHOWN)
    return _AROUND + (task.planned.prompt_bytes + given) // _BYTES_PER_TOKEN + built_on + draft


def _shown_bytes(state: RunState, task: TaskState) -> int:
    """Of the user's files that a task is shown."""
    context = None if state.start is None else state.start.context
    if context is None:
        return 0
    wanted = task.planned.context
    shown = context.files if wanted is None else [context.files[number - 1] for number in wanted]
    return sum(file.size for file in shown)
