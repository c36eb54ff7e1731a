"""Which answers of a call can be used: the latest one that can ends the call."""

from collections import Counter

from orchestrator.models import Finish, ReadingProblem, Role
from orchestrator.state.calls import Answer, LogicalCall


def usable(call: LogicalCall) -> Answer | None:
    """The answer that ends the call: the latest that can be used."""
    answer = call.answer
    return answer if answer is not None and is_usable(call, answer) else None


def unusable(call: LogicalCall) -> list[Answer]:
    """The answers that cannot be used, oldest first."""
    return [answer for answer in call.answers if not is_usable(call, answer)]


def is_usable(call: LogicalCall, answer: Answer) -> bool:
    """Whether an answer can be used; that there is nothing to suggest is an answer, too."""
    return call.can_use(answer) or answer.reading.problem is ReadingProblem.NO_SUGGESTIONS


def is_cut_off(call: LogicalCall) -> bool:
    """The call has an answer of the current selection that was cut off, so that a higher limit may give a better one.

    That is so of what is delivered only: a plan or a score that can be read is whole all the same, and a critique says
    the most important first. An answer that cannot be used is asked for anew; see ``calling``. One that repeats
    itself at its end would do so to any limit.
    """
    if call.key.role not in (Role.GENERATOR, Role.REVISER) or not call.cut:
        return False
    latest = call.answers[-1]
    return latest.finish is Finish.LENGTH and not latest.reading.repeats and is_usable(call, latest)


def unusable_of(call: LogicalCall) -> Counter[str]:
    """How many answers cannot be used, by model."""
    return Counter(answer.model for answer in unusable(call))
