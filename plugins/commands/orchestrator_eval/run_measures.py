"""What the log of a run says of it: calls, tokens, money, time, and what judges thought."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from attrs import frozen

from orchestrator.errors import MissingError
from orchestrator.models import Finish, Role, ScoredBy, TaskStatus
from orchestrator.money import Usd
from orchestrator.reading import events as e

T = TypeVar("T", bound=e.Event)

AUTHORS: Final = (Role.GENERATOR, Role.REVISER)
"""Who writes answers."""


@frozen
class Attempt:
    """An attempt at a call that has ended, as the log has it."""

    role: Role
    model: str
    answer: str | None
    """The digest of its answer; None where there is none."""
    readable: bool
    tokens_in: int
    tokens_out: int
    settled: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO
    cut: bool = False
    """Whether the answer ends at the limit of its length."""


def attempts(history: Sequence[e.Event]) -> Iterator[Attempt]:
    """The attempts of a run that have ended, in the order of their ends."""
    for event in history:
        if not isinstance(event, e.CallSucceeded | e.CallFailed):
            continue
        started = history[event.call - 1]
        if not isinstance(started, e.CallStarted):
            raise MissingError("CallStarted")
        if isinstance(event, e.CallFailed):
            yield Attempt(started.role, started.model, None, False, 0, 0, event.settled, event.unreconciled)
            continue
        read, written = (event.usage.input_tokens, event.usage.output_tokens) if event.usage else (0, 0)
        yield Attempt(
            started.role,
            started.model,
            event.answer,
            event.reading.problem is None,
            read,
            written,
            event.settled,
            event.unreconciled,
            event.finish is Finish.LENGTH,
        )


@frozen
class RunMeasures:
    """The figures of one run.

    Attributes:
        calls: attempts that ended, those that failed among them.
        failed_calls: those without an answer.
        tokens_in: tokens read, cached ones included.
        tokens_out: tokens generated.
        settled: what it cost, as far as that is known.
        unreconciled: what calls of unknown cost may have cost at most.
        seconds: active time.
        answers: answers of models.
        unreadable: those among them that could not be used.
        judgements: answers of evaluators.
        unscored: those among them that hold no score.
        approved: whether the program took the answer for good enough; None where no model judged it.
        completed: whether the task is *completed*.
        iterations: of the task.
        author: the model of the delivered answer.
    """

    calls: int = 0
    failed_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    settled: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO
    seconds: float = 0.0
    answers: int = 0
    unreadable: int = 0
    judgements: int = 0
    unscored: int = 0
    approved: bool | None = None
    completed: bool = False
    iterations: int = 0
    author: str | None = None


def measured_run(history: Sequence[e.Event], active: int) -> RunMeasures:
    """The figures of a run's history; ``active``: microseconds in which it was worked on."""
    ended = list(attempts(history))
    answered = [each for each in ended if each.answer is not None]
    judged = [each for each in answered if each.role is Role.EVALUATOR]
    finished = _last(history, e.TaskFinished)
    lost = (attempt.amount for event in history if isinstance(event, e.SessionOpened) for attempt in event.ended)
    completed = finished is not None and finished.status is TaskStatus.COMPLETED
    return RunMeasures(
        calls=len(ended),
        failed_calls=len(ended) - len(answered),
        tokens_in=sum(each.tokens_in for each in answered),
        tokens_out=sum(each.tokens_out for each in answered),
        settled=total(each.settled for each in ended),
        unreconciled=total([*(each.unreconciled for each in ended), *lost]),
        seconds=round(active / 1_000_000, 3),
        answers=len(answered),
        unreadable=sum(not each.readable for each in answered),
        judgements=len(judged),
        unscored=sum(not each.readable for each in judged),
        approved=completed if _is_judged(history) else None,
        completed=completed,
        iterations=0 if finished is None else finished.iterations,
        author=None if finished is None else finished.model,
    )


def _is_judged(history: Sequence[e.Event]) -> bool:
    """Whether the score of the delivered answer is a model's."""
    chosen = _last(history, e.OutputChosen)
    scores = [each for each in history if isinstance(each, e.Evaluated) and chosen is not None]
    return any(
        each.scored_by is ScoredBy.JUDGE and each.score is not None and chosen is not None and each.call == chosen.call
        for each in scores
    )


def _last(history: Sequence[e.Event], kind: type[T]) -> T | None:
    return next((each for each in reversed(history) if isinstance(each, kind)), None)


def total(amounts: Iterable[Usd]) -> Usd:
    """The sum of amounts."""
    return Usd(sum(amount.nano for amount in amounts))
