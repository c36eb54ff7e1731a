"""The choice among several results of a task: those that pass their checks are compared in pairs, in both orders.

A judge prefers what it reads first, or last: a result wins a pair where both orders agree, else the pair is a tie. The
one with the most wins is chosen, of equals the earliest, and only that one gets a score.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from attrs import frozen

from orchestrator.decide.calling import CallStep, NoAnswer, next_step
from orchestrator.decide.gates import Gate, gate_of, next_check
from orchestrator.decide.outcome import conclude, output_of, waiting
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query
from orchestrator.decide.scoring import next_score, tests_decide
from orchestrator.decide.strategies import compares_pairs
from orchestrator.errors import present
from orchestrator.events import Compared, ComparedPair, Decision, ModelCandidate
from orchestrator.models import CallEnd, PairChoice, Role, TaskEndReason, comparison_sample, is_comparison
from orchestrator.state.calls import Answer
from orchestrator.state.equal_answers import first_equal
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

STOPPING: Final = (CallEnd.BUDGET, CallEnd.POLICY, CallEnd.TIME)
"""Why a task stops although it has an output already."""


@frozen
class SetAside:
    """An iteration's output waits to be compared with others.

    Attributes:
        lasting: whether no other output can stand better: a check of all of them cannot be made.
    """

    lasting: bool


@frozen
class _Candidate:
    iteration: int
    output: Answer
    gate: Gate


def is_set_aside(state: RunState, task: TaskState, gate: Gate) -> bool:
    """Whether an output is compared with others before it gets a score: no check objects, and no given tests decide."""
    return compares_pairs(state.settings, task.planned.type) and not gate.failed and not tests_decide(state, task, gate)


def choose(
    m: RoutingContext, task: TaskState, ended: CallEnd | None = None, removed: tuple[ModelCandidate, ...] = ()
) -> Decision | None:
    """What the choice among a task's results needs next; None: wait.

    Args:
        m: the state and the time.
        task: no further result of it is made, or there is one that is chosen already.
        ended: why no further result was made, where more were wanted.
        removed: with ``no_model``: every model, with its rejection reason.
    """
    if task.compared is not None:
        return _finish(m, task, task.compared)
    candidates = _candidates(m, task)
    if not isinstance(candidates, list):
        return candidates
    if not candidates:
        return conclude(m, task, None if ended is None else TaskEndReason(ended), removed)
    return _compare(m, task, candidates, ended)


def _finish(m: RoutingContext, task: TaskState, compared: Compared) -> Decision | None:
    """The score of what is chosen, then the end."""
    cause = TaskEndReason(compared.stopped) if compared.stopped in STOPPING else None
    output = output_of(task, compared.iteration)
    if compared.iteration in task.evaluated or output is None:
        return conclude(m, task, cause)
    check = next_check(m.state, task, compared.iteration, output)
    if check is not None:
        return conclude(m, task, TaskEndReason.TIME) if m.time_up else check
    gate = gate_of(m.state, task, output)
    return None if gate is None else next_score(m, task, compared.iteration, output, gate)


def _candidates(m: RoutingContext, task: TaskState) -> list[_Candidate] | Decision | None:
    """The different results that stand best by their checks, oldest first; or a check that one of them needs."""
    found: dict[int, _Candidate] = {}
    for iteration in waiting(task):
        output = present(output_of(task, iteration), "output")
        form = first_equal(task, output).version
        if form in found:
            continue
        check = next_check(m.state, task, iteration, output)
        if check is not None:
            if not m.time_up:
                return check
            continue
        gate = gate_of(m.state, task, output)
        if gate is None:
            return None
        found[form] = _Candidate(iteration, output, gate)
    best = max((_standing(each) for each in found.values()), default=None)
    return [each for each in found.values() if _standing(each) == best]


def _standing(candidate: _Candidate) -> tuple[bool, bool]:
    return candidate.gate.passed, not candidate.gate.failed


def _compare(
    m: RoutingContext, task: TaskState, candidates: Sequence[_Candidate], ended: CallEnd | None
) -> Decision | None:
    """The pairs one after the other, both orders of each side by side, until the rest can change nothing."""
    pairs: list[ComparedPair] = []
    names = [each.iteration for each in candidates]
    for earlier, later in combinations(candidates, 2):
        if is_settled(names, pairs):
            break
        steps = list(_both_orders(m, task, earlier, later))
        decision = next((step for step in steps if isinstance(step, Decision)), None)
        if decision is not None or None in steps:
            return decision
        reason = _why_no_more(steps)
        if reason in (None, CallEnd.UNREADABLE) or any(isinstance(step, Answer) for step in steps):
            pairs.append(_compared(earlier, later, steps))
        if reason is not None:
            ended = reason
            break
    if any(call.in_flight is not None and is_comparison(key.sample) for key, call in task.calls.items()):
        return None  # of a later pair: what ends the comparing now was not known when it was asked for
    chosen = leader(names, pairs)
    call = next(each.output.version for each in candidates if each.iteration == chosen)
    return Compared(task.name, tuple(names), tuple(pairs), chosen, call, ended)


def _both_orders(m: RoutingContext, task: TaskState, earlier: _Candidate, later: _Candidate) -> Iterator[CallStep]:
    """What each comparison of a pair needs next. The judge is, where possible, neither author nor of their vendor."""
    one, other = earlier.output, later.output
    avoid = (one.model,) if one.model != other.model else ()
    for swapped in (False, True):
        shown = (other.version, one.version) if swapped else (one.version, other.version)
        query = Query(Role.EVALUATOR, task.planned.type, other.model, avoid=avoid, compares=shown)
        sample = comparison_sample(earlier.iteration, swapped=swapped)
        yield next_step(m, task, later.iteration, query, sample)


def _compared(earlier: _Candidate, later: _Candidate, steps: Sequence[CallStep]) -> ComparedPair:
    first, second = (step.reading.choice if isinstance(step, Answer) else None for step in steps)
    winner = None
    if (first, second) == (PairChoice.A, PairChoice.B):
        winner = earlier.iteration
    elif (first, second) == (PairChoice.B, PairChoice.A):
        winner = later.iteration
    return ComparedPair(earlier.iteration, later.iteration, (first, second), winner)


def _why_no_more(steps: Sequence[CallStep]) -> CallEnd | None:
    """Why no further pair is compared: there is no judge, no money or no time, or no judge can be understood."""
    reasons = [step.reason for step in steps if isinstance(step, NoAnswer)]
    if len(reasons) == len(steps):
        return reasons[0]
    return next((reason for reason in reasons if reason is not CallEnd.UNREADABLE), None)


def _wins(candidates: Sequence[int], pairs: Sequence[ComparedPair]) -> dict[int, int]:
    return {each: sum(pair.winner == each for pair in pairs) for each in candidates}


def leader(candidates: Sequence[int], pairs: Sequence[ComparedPair]) -> int:
    """The iteration with the most wins, of equals the earliest."""
    wins = _wins(candidates, pairs)
    return max(candidates, key=lambda each: (wins[each], -each))


def is_settled(candidates: Sequence[int], pairs: Sequence[ComparedPair]) -> bool:
    """Whether no pair that is still to be compared can change which one is chosen."""
    wins, first = _wins(candidates, pairs), leader(candidates, pairs)

    def best_case(each: int) -> tuple[int, int]:
        made = sum(each in (pair.earlier, pair.later) for pair in pairs)
        return wins[each] + len(candidates) - 1 - made, -each

    return all(best_case(each) < (wins[first], -first) for each in candidates if each != first)
