"""What was written for a task, for the report and the web application: drafts, critiques, checks, scores, changes."""

from collections.abc import Callable, Iterator, Sequence
from difflib import unified_diff
from typing import Final

from attrs import frozen

from orchestrator.cli.kit import DOING, LEFT_OUT
from orchestrator.decide.outcome import output_of
from orchestrator.engine.answers.read_answer import reasons_in
from orchestrator.events import Reading
from orchestrator.models import Role, is_comparison, sample_words
from orchestrator.state.calls import CallKey
from orchestrator.state.equal_answers import checks_of
from orchestrator.state.tasks import TaskState

Read = Callable[[str | None], str | None]
"""The text of a digest, or a note in its place; None where there is none."""

_LONGEST_DIFF: Final = 4_000
"""Lines of both sides; beyond, comparing takes too long."""
_STEPS: Final = ((Role.GENERATOR, "draft"), (Role.CRITIC, "critique"), (Role.REVISER, "revision"))


@frozen
class DefectShown:
    """An objection of a critique, and what came of its counterexample; empty where it has none."""

    text: str
    result: str


@frozen
class StepShown:
    """A draft, a critique or a revision.

    Attributes:
        label: ``draft``, ``critique`` or ``revision``.
        changes: the lines of a unified diff without its head; None where there is nothing to compare with.
    """

    label: str
    model: str
    text: str
    digest: str
    reused: bool
    defects: tuple[DefectShown, ...]
    changes: tuple[str, ...] | None


@frozen
class CheckShown:
    """What a validator found."""

    validator: str
    verdict: str
    tests: str
    """Such as ``3/4 tests``; empty where it counts none."""
    details: str | None


@frozen
class ScoreShown:
    """What a scorer or a model said of a result."""

    by: str
    said: str
    """The score, or which of two is better."""
    reasons: str


@frozen
class IterationShown:
    """One pass of the loop over a task."""

    number: int
    steps: tuple[StepShown, ...]
    skipped: tuple[str, ...]
    """Which steps were left out, and why, a line each."""
    checks: tuple[CheckShown, ...]
    scores: tuple[ScoreShown, ...]
    score: float | None
    gate: bool | None
    chosen: bool
    """Whether its result is the task's output."""


def iterations(task: TaskState, read: Read) -> Iterator[IterationShown]:
    """Everything that was written for a task, iteration by iteration."""
    before: str | None = None
    for number in range(1, task.iteration + 1):
        steps = tuple(_steps(task, number, before, read))
        evaluated, output = task.evaluated.get(number), output_of(task, number)
        yield IterationShown(
            number=number,
            steps=steps,
            skipped=tuple(_skipped(task, number)),
            checks=tuple(_checks(task, number, read)),
            scores=tuple(_scores(task, number, read)),
            score=None if evaluated is None else evaluated.score,
            gate=None if evaluated is None else evaluated.gate,
            chosen=task.output is not None and output is not None and task.output.call == output.version,
        )
        before = next((step.text for step in reversed(steps) if step.label != "critique"), before)


def _steps(task: TaskState, number: int, before: str | None, read: Read) -> Iterator[StepShown]:
    for role, label in _STEPS:
        call = task.call(role, number)
        answer = None if call is None else call.answer
        if answer is None:
            continue
        text = read(answer.digest) or ""
        probes = task.probes.get(answer.version)
        defects = _defects(answer.reading, () if probes is None else probes.results, read)
        compared = None if role is Role.CRITIC else before
        yield StepShown(
            label, answer.model, text, answer.digest, bool(answer.reused), tuple(defects), changes(compared, text)
        )
        if role is Role.GENERATOR:
            before = text


def _defects(found: Reading, results: Sequence[object] | None, read: Read) -> Iterator[DefectShown]:
    for number, defect in enumerate(found.defects or ()):
        if results is None:
            result = "being run"
        else:
            result = "" if number >= len(results) else str(getattr(results[number], "value", results[number]))
        yield DefectShown(read(defect.text) or "", result)


def _skipped(task: TaskState, number: int) -> Iterator[str]:
    for (role, at), reason in task.skipped.items():
        if at == number:
            yield f"{DOING[role]}: {LEFT_OUT.get(reason, str(reason))}"


def _checks(task: TaskState, number: int, read: Read) -> Iterator[CheckShown]:
    output = output_of(task, number)
    for name, check in (checks_of(task, output) if output is not None else {}).items():
        verdict = "running" if check.verdict is None else check.verdict.value
        tests = f"{check.passed_tests}/{check.total_tests} tests" if check.total_tests else ""
        yield CheckShown(name, verdict, tests, read(check.details))


def _scores(task: TaskState, number: int, read: Read) -> Iterator[ScoreShown]:
    evaluated = task.evaluated.get(number)
    scoring = None if evaluated is None else task.scorings.get(evaluated.call)
    if scoring is not None:
        said = scoring.problem or "no score" if scoring.score is None else f"{scoring.score:.3f}"
        yield ScoreShown(f"scorer {scoring.scorer}", said, read(scoring.reasons) or "")
    for key, call in task.calls.items():
        answer = call.answer if key.role is Role.EVALUATOR and key.iteration == number else None
        if answer is not None:
            text = read(answer.digest) or ""
            yield ScoreShown(answer.model, _verdict(key, answer.reading), reasons_in(text) or text)


def _verdict(key: CallKey, reading: Reading) -> str:
    """A score, or which of two results is better, in words."""
    if is_comparison(key.sample):
        return f"{reading.choice or 'unreadable'}{sample_words(key.sample)}"
    return "unreadable" if reading.score is None else f"{reading.score:.3f}"


def changes(before: str | None, after: str) -> tuple[str, ...] | None:
    """The lines of a unified diff of two texts, without its head; None where there is nothing to compare."""
    if before is None:
        return None
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _LONGEST_DIFF:
        return None
    return tuple(unified_diff(old, new, lineterm="", n=2))[2:]


def side_by_side(lines: Sequence[str], longest: int) -> list[tuple[str, str, str]]:
    """(kind, left, right) of each line of a unified diff: ``same``, ``changed``, ``added``, ``removed``, or ``at``."""
    rows: list[tuple[str, str, str]] = []
    gone: list[str] = []
    for line in lines:
        kind, text = line[:1], line[1:] if len(line) <= longest else f"{line[1:longest]}…"
        if kind == "-":
            gone.append(text)
        elif kind == "+":
            rows.append(("changed", gone.pop(0), text) if gone else ("added", "", text))
        else:
            rows.extend(("removed", left, "") for left in gone)
            gone.clear()
            rows.append(("at", line, "") if kind == "@" else ("same", text, text))
    rows.extend(("removed", left, "") for left in gone)
    return rows
