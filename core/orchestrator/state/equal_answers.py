"""What was written for a task, and the verdicts that hold for it: equal answers share theirs."""

from collections.abc import Iterator, Mapping
from typing import Final

from orchestrator.models import Role
from orchestrator.state.calls import Answer
from orchestrator.state.tasks import Check, TaskState

_WRITING: Final = (Role.GENERATOR, Role.REVISER)


def written(task: TaskState) -> Iterator[tuple[int, Answer]]:
    """The drafts and revisions of a task, oldest first, with their iterations."""
    found = [
        (answer.version, call.key.iteration, answer)
        for call in task.calls.values()
        if call.key.role in _WRITING
        for answer in call.answers
        if call.can_use(answer)
    ]
    return ((iteration, answer) for _, iteration, answer in sorted(found, key=lambda each: each[0]))


def first_equal(task: TaskState, answer: Answer) -> Answer:
    """The earliest draft or revision of the task that is the same answer; itself where there is none."""
    form = answer.reading.equivalence
    if form is None:
        return answer
    first = None
    for call in task.calls.values():
        if call.key.role in _WRITING:
            for each in call.answers:
                is_earlier = first is None or each.version < first.version
                if is_earlier and each.reading.equivalence == form and call.can_use(each):
                    first = each
    return first or answer


def checks_of(task: TaskState, answer: Answer) -> Mapping[str, Check]:
    """The verdicts that hold for an answer, by validator: its own, an equal answer's, and those that cannot change."""
    if not task.checks:
        return {}
    lasting = {name: check for checks in task.checks.values() for name, check in checks.items() if check.permanent}
    return {**lasting, **task.checks.get(first_equal(task, answer).version, {})}
