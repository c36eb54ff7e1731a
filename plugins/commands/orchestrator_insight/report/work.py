"""What was written for each task: drafts, critiques, revisions, checks, scores, and the changes between iterations."""

from collections.abc import Callable, Iterable, Iterator
from difflib import unified_diff
from typing import Any, Final

from attrs import define

from orchestrator.decide.outcome import output_of
from orchestrator.engine.answers.read_answer import reasons_in
from orchestrator.engine.outputs.placement import Placement
from orchestrator.errors import DamagedLogError
from orchestrator.events import Reading
from orchestrator.models import Role, is_comparison, sample_words
from orchestrator.state.calls import CallKey
from orchestrator.state.results import checks_of
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState
from orchestrator_insight.report.drawing import TaskRow

_LONGEST_RESULT: Final = 30_000
_LONGEST_TEXT: Final = 200_000
_LONGEST_DIFF: Final = 4_000  # lines of both sides; beyond, comparing takes too long
_MOST_TEXT: Final = 24_000_000


@define
class PageTexts:
    """The texts of a run, as many as one page can carry.

    Args:
        get: the text of a digest; raises KeyError where it was deleted.
    """

    get: Callable[[str], str]
    left: int = _MOST_TEXT
    left_out: int = 0
    """How many texts did not fit."""

    def read(self, digest: str | None) -> str | None:
        """A text, cut where it is very long; None where there is none."""
        if digest is None:
            return None
        try:
            text = self.get(digest)
        except KeyError:
            return "(this text was deleted)"
        except DamagedLogError:
            return "(this text is damaged)"
        if self.left < len(text):
            self.left_out += 1
            return "(left out: the page has enough; orchestrate runs export writes every output)"
        if len(text) > _LONGEST_TEXT:
            text = f"{text[:_LONGEST_TEXT]}\n(cut: {len(text)} characters in all)"
        self.left -= len(text)
        return text


def results_of(state: RunState, rows: Iterable[TaskRow], texts: PageTexts) -> Iterator[dict[str, Any]]:
    """Each task with the files that it delivers: (name, text) pairs, the main one first."""
    placement = Placement(state, lambda digest: texts.read(digest) or "")
    for row in rows:
        found = placement.files(state.tasks[row.name])
        files = [
            (name, text if len(text) <= _LONGEST_RESULT else f"{text[:_LONGEST_RESULT]}…")
            for name, text in found.items()
        ]
        yield {"task": row, "files": files}


def work_of(state: RunState, texts: PageTexts) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each task with its prompt and its iterations, as plain values for the page."""
    for name in state.execution_order:
        task = state.tasks[name]
        yield (
            name,
            {
                "title": texts.read(task.planned.title),
                "prompt": texts.read(task.planned.prompt),
                "iterations": list(_iterations(task, texts)),
            },
        )


def _iterations(task: TaskState, texts: PageTexts) -> Iterator[dict[str, Any]]:
    before: str | None = None
    for iteration in range(1, task.iteration + 1):
        draft = _answer(task, Role.GENERATOR, iteration, texts)
        critique = _answer(task, Role.CRITIC, iteration, texts)
        revision = _answer(task, Role.REVISER, iteration, texts)
        steps = [
            {"label": label, "model": step[0], "text": step[1], "changes": changes}
            for label, step, changes in (
                ("draft", draft, _changes(before, draft)),
                ("critique", critique, None),
                ("revision", revision, _changes(draft[1] if draft else None, revision)),
            )
            if step is not None
        ]
        evaluated = task.evaluated.get(iteration)
        output = output_of(task, iteration)
        yield {
            "iteration": iteration,
            "steps": steps,
            "skipped": {role.value: why for (role, at), why in task.skipped.items() if at == iteration},
            "checks": [
                {
                    "validator": name,
                    "verdict": "at work" if check.verdict is None else check.verdict.value,
                    "details": texts.read(check.details),
                }
                for name, check in (checks_of(task, output) if output is not None else {}).items()
            ],
            "scores": list(_scores(task, iteration, texts)),
            "score": None if evaluated is None else evaluated.score,
            "gate": None if evaluated is None else evaluated.gate,
            "chosen": task.output is not None and output is not None and task.output.call == output.version,
        }
        latest = revision or draft
        before = latest[1] if latest is not None else before


def _answer(task: TaskState, role: Role, iteration: int, texts: PageTexts) -> tuple[str, str] | None:
    """(model, text) of the latest answer of a role."""
    call = task.call(role, iteration)
    answer = None if call is None else call.answer
    if answer is None:
        return None
    return answer.model, texts.read(answer.digest) or ""


def _scores(task: TaskState, iteration: int, texts: PageTexts) -> Iterator[dict[str, Any]]:
    evaluated = task.evaluated.get(iteration)
    scoring = None if evaluated is None else task.scorings.get(evaluated.call)
    if scoring is not None:
        said = scoring.problem or "no score" if scoring.score is None else f"{scoring.score:.3f}"
        yield {"model": f"scorer {scoring.scorer}", "said": said, "reasons": texts.read(scoring.reasons) or ""}
    for key, call in task.calls.items():
        answer = call.answer if key.role is Role.EVALUATOR and key.iteration == iteration else None
        if answer is not None:
            text = texts.read(answer.digest) or ""
            yield {"model": answer.model, "said": _verdict(key, answer.reading), "reasons": reasons_in(text) or text}


def _verdict(key: CallKey, reading: Reading) -> str:
    """A score, or which of two results is better, in words."""
    if is_comparison(key.sample):
        return f"{reading.choice or 'unreadable'}{sample_words(key.sample)}"
    return "unreadable" if reading.score is None else f"{reading.score:.3f}"


def _changes(before: str | None, after: tuple[str, str] | None) -> list[str] | None:
    """The lines of a unified diff without its head; None where there is nothing to compare."""
    if before is None or after is None:
        return None
    old, new = before.splitlines(), after[1].splitlines()
    if len(old) + len(new) > _LONGEST_DIFF:
        return None
    return list(unified_diff(old, new, lineterm="", n=2))[2:]
