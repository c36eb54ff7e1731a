"""What two runs must have in common to be equal.

A run that was killed and resumed may differ from one that was not in its times, its sessions, and one unreconciled hold
plus one repeated request per call that was in flight; in nothing else. Texts are compared by their own SHA-256, so that
runs of different data folders, whose digests are salted differently, can be compared too.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from attrs import Factory, fields, frozen

from orchestrator.engine.answers.architecture_advice import profile_of
from orchestrator.engine.outputs.files_in_answer import file_name, render
from orchestrator.models import ArchitectureProfile, ProjectStatus, Role, TaskStatus, TaskType, Verdict
from orchestrator.money import Usd
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Node, TaskState

Get = Callable[[str], str]
"""The text of a digest."""


@frozen
class AnswerOutcome:
    """The last answer to one logical call."""

    model: str
    text: str
    """SHA-256 of what it says."""
    score: float | None
    problem: str | None


@frozen
class NodeOutcome:
    """What was asked for one node, and what it cost."""

    settled: Usd
    ended: int
    """Attempts that a vendor ended."""
    lost: int
    """Attempts that ended with their session, or were cancelled; each keeps one hold and is made once more."""
    unreconciled: Usd
    answers: Mapping[tuple[Role, int, int], AnswerOutcome] = Factory(dict)
    """By role, iteration and sample."""


@frozen
class TaskOutcome:
    """What became of one task."""

    type: TaskType
    prompt: str
    """SHA-256 of the prompt."""
    dependencies: tuple[str, ...]
    validators: tuple[str, ...]
    status: TaskStatus | None
    """None while it is unfinished."""
    reason: str | None
    blocked_by: str | None
    score: float | None
    gate: bool
    model: str | None
    reviewer: str | None
    iterations: int
    fallbacks: int
    output: str | None
    """SHA-256 of the best output."""
    file: str | None
    """The name of its file, where it was written."""
    file_content: str | None
    """SHA-256 of what was to be written there."""
    file_problem: str | None
    scores: tuple[tuple[int, bool, float | None], ...]
    """(iteration, gate, score) of every scored iteration."""
    checks: tuple[tuple[int, Role, str, Verdict | None], ...]
    """(iteration, role of who wrote what is judged, validator, verdict)."""
    skipped: tuple[tuple[Role, int, str], ...]
    """(role, iteration, reason) of every step left out."""
    node: NodeOutcome


@frozen
class RunOutcome:
    """What a run amounts to, without its times and sessions."""

    status: ProjectStatus | None
    """None while it is open."""
    reason: str | None
    verified: Verdict | None
    """Of the whole result; None where it was not verified."""
    cap: Usd
    project: str
    """SHA-256 of the description, as the prompts had it last."""
    criteria: str
    enhanced: tuple[tuple[int, ...], tuple[int, ...], str | None] | None
    """The suggestions taken, those refused, and why there were none."""
    architecture: ArchitectureProfile | None
    """With its texts."""
    execution_order: tuple[str, ...]
    enhance: NodeOutcome
    advise: NodeOutcome
    plan: NodeOutcome
    tasks: Mapping[str, TaskOutcome]

    @property
    def lost(self) -> int:
        """Attempts that ended with their session, in the whole run."""
        nodes = (self.enhance, self.advise, self.plan, *(task.node for task in self.tasks.values()))
        return sum(node.lost for node in nodes)


def outcome_of(state: RunState, get: Get) -> RunOutcome:
    """The outcome of a run from its state and its texts."""
    finished = state.finished
    return RunOutcome(
        status=None if finished is None else finished.status,
        reason=None if finished is None else finished.reason,
        verified=None if state.verified is None else state.verified.verdict,
        cap=state.cap,
        project=_sha(get(state.project)),
        criteria=_sha(get(state.criteria)),
        enhanced=None if (end := state.enhance.ended) is None else (end.taken, end.refused, end.problem),
        architecture=profile_of(state, get),
        execution_order=state.execution_order,
        enhance=_node(state.enhance, get),
        advise=_node(state.advise, get),
        plan=_node(state.plan, get),
        tasks={name: _task(state.tasks[name], get) for name in state.execution_order},
    )


def _sha(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _node(node: Node, get: Get) -> NodeOutcome:
    calls = node.calls.values()
    return NodeOutcome(
        settled=node.spend.settled,
        ended=sum(call.ended for call in calls),
        lost=sum(call.attempts - call.ended for call in calls),
        unreconciled=node.spend.unreconciled,
        answers={
            (call.key.role, call.key.iteration, call.key.sample): AnswerOutcome(
                last.model, _sha(get(last.digest)), last.reading.score, last.reading.problem
            )
            for call in calls
            if (last := call.answer) is not None
        },
    )


def _task(task: TaskState, get: Get) -> TaskOutcome:
    end, planned = task.finished, task.planned
    text = None if task.output is None else get(task.output.answer)
    rendered = None if text is None or task.written is None else render(planned.type, text)
    return TaskOutcome(
        type=planned.type,
        prompt=_sha(get(planned.prompt)),
        dependencies=planned.dependencies,
        validators=planned.validators,
        status=None if end is None else end.status,
        reason=None if end is None else end.reason,
        blocked_by=None if end is None else end.blocked_by,
        score=None if end is None else end.score,
        gate=end is not None and end.gate,
        model=None if end is None else end.model,
        reviewer=None if end is None else end.reviewer,
        iterations=task.iteration,
        fallbacks=task.fallbacks,
        output=None if text is None else _sha(text),
        file=None if rendered is None else file_name(task.number, planned.type, rendered[0]),
        file_content=None if rendered is None else _sha(rendered[1]),
        file_problem=None if task.written is None else task.written.problem,
        scores=tuple((iteration, scored.gate, scored.score) for iteration, scored in sorted(task.evaluated.items())),
        checks=_checks(task),
        skipped=tuple((role, iteration, reason) for (role, iteration), reason in sorted(task.skipped.items())),
        node=_node(task, get),
    )


def _checks(task: TaskState) -> tuple[tuple[int, Role, str, Verdict | None], ...]:
    """Every verdict by what was judged: versions differ between a run that crashed and one that did not."""
    written = {answer.version: call.key for call in task.calls.values() for answer in call.answers}
    found = [
        (written[version].iteration, written[version].role, name, check.verdict)
        for version, checks in task.checks.items()
        for name, check in checks.items()
    ]
    return tuple(sorted(found, key=lambda check: check[:3]))


def same_outcome(a: RunOutcome, b: RunOutcome) -> list[str]:
    """Every difference between two outcomes, one line each; empty where they are the same.

    Attempts lost with a session may differ, and with them the unreconciled money; no other difference is allowed.
    """
    found = _different("run", a, b, ("tasks", "enhance", "advise", "plan"))
    for name in ("enhance", "advise", "plan"):
        found += _different_nodes(name, getattr(a, name), getattr(b, name))
    for name in sorted(a.tasks.keys() | b.tasks.keys()):
        one, other = a.tasks.get(name), b.tasks.get(name)
        if one is None or other is None:
            found.append(f"{name}: only in the {'first' if other is None else 'second'}")
            continue
        found += _different(name, one, other, ("node",))
        found += _different_nodes(name, one.node, other.node)
    return found


def _different(what: str, a: Any, b: Any, ignored: tuple[str, ...]) -> list[str]:
    return [
        f"{what}: {name} is {getattr(a, name)!r} and {getattr(b, name)!r}"
        for name in (field.name for field in fields(type(a)))
        if name not in ignored and getattr(a, name) != getattr(b, name)
    ]


def _different_nodes(what: str, a: NodeOutcome, b: NodeOutcome) -> list[str]:
    found = _different(what, a, b, ("lost", "unreconciled", "answers"))
    for key in sorted(a.answers.keys() | b.answers.keys()):
        one, other = a.answers.get(key), b.answers.get(key)
        if one != other:
            role, iteration, sample = key
            found.append(f"{what}: the answer of {role.value} {iteration}/{sample} is {one!r} and {other!r}")
    return found + _unexplained(what, a, b)


def _unexplained(what: str, a: NodeOutcome, b: NodeOutcome) -> list[str]:
    """Unreconciled money that no lost attempt explains."""
    fewer, more = sorted((a, b), key=lambda node: node.lost)
    if fewer.lost == more.lost == 0 and a.unreconciled != b.unreconciled:
        return [f"{what}: {a.unreconciled} and {b.unreconciled} are unreconciled, and no attempt was lost"]
    if fewer.lost == 0 and more.lost and more.unreconciled < fewer.unreconciled:
        return [
            f"{what}: less is unreconciled with {more.lost} lost attempts, {more.unreconciled} < {fewer.unreconciled}"
        ]
    return []
