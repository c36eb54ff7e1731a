"""The page of a task: its final files first, then how they came to be."""

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any, Final

from orchestrator.cli.kit import DOING, LEFT_OUT, Placement
from orchestrator.errors import DamagedLogError
from orchestrator.models import Role, sample_words
from orchestrator.reading import TaskState, checks_of, output_of
from orchestrator_insight.report.drawing import task_row
from orchestrator_view.deciding import decisions, exchange_values
from orchestrator_view.reading import RunReading

_MOST_LINES: Final = 4_000
_LONGEST_LINE: Final = 2_000
_STEPS: Final = ((Role.GENERATOR, "draft"), (Role.CRITIC, "critique"), (Role.REVISER, "revision"))


def task_values(reading: RunReading, name: str) -> dict[str, Any]:
    """What the page of a task, or of a node before the tasks, shows."""
    task = reading.state.tasks.get(name)
    exchanges = [each for each in reading.exchanges.by_selection.values() if each.node == name]
    return {
        "run": reading.run,
        "node": name,
        "task": None if task is None else task_row(reading.state, name, reading.text),
        "prompt": None if task is None else reading.text(task.planned.prompt),
        "files": [] if task is None else files_of(reading, task),
        "iterations": [] if task is None else list(_iterations(reading, task)),
        "exchanges": [exchange_values(reading, each) for each in exchanges],
        "decisions": decisions(reading, name)[0],
        "dependants": reading.state.dependants.get(name, []),
    }


def files_of(reading: RunReading, task: TaskState) -> list[dict[str, Any]]:
    """The final files of a task as they are delivered, the main one first."""
    if task.output is None:
        return []
    try:
        found = Placement(reading.state, reading.texts.get).files(task)
    except (KeyError, DamagedLogError):
        return [{"name": "(the text of the output was deleted)", "text": "", "digest": None}]
    return [{"name": name, "text": text, "digest": task.output.answer} for name, text in found.items()]


def _iterations(reading: RunReading, task: TaskState) -> Iterator[dict[str, Any]]:
    before: str | None = None
    for iteration in range(1, task.iteration + 1):
        texts = {role: _answer(reading, task, role, iteration) for role, _ in _STEPS}
        draft, revision = texts[Role.GENERATOR], texts[Role.REVISER]
        evaluated, output = task.evaluated.get(iteration), output_of(task, iteration)
        compared = {Role.GENERATOR: before, Role.REVISER: draft["text"] if draft else None}
        yield {
            "number": iteration,
            "steps": [
                {"label": label, **found, "rows": changes(compared.get(role), found["text"])}
                for role, label in _STEPS
                if (found := texts[role]) is not None
            ],
            "skipped": [
                f"{DOING[role]}: {LEFT_OUT.get(reason, str(reason))}"
                for (role, at), reason in task.skipped.items()
                if at == iteration
            ],
            "checks": [
                {
                    "name": name,
                    "verdict": "running" if check.verdict is None else check.verdict.value,
                    "tests": f"{check.passed_tests}/{check.total_tests} tests" if check.total_tests else "",
                    "details": reading.text(check.details),
                }
                for name, check in (checks_of(task, output) if output is not None else {}).items()
            ],
            "scores": list(_scores(reading, task, iteration)),
            "score": None if evaluated is None else evaluated.score,
            "gate": None if evaluated is None else evaluated.gate,
            "chosen": task.output is not None and output is not None and task.output.call == output.version,
        }
        latest = revision or draft
        before = latest["text"] if latest is not None else before


def _answer(reading: RunReading, task: TaskState, role: Role, iteration: int) -> dict[str, Any] | None:
    call = task.call(role, iteration)
    answer = None if call is None else call.answer
    if answer is None:
        return None
    text = reading.text(answer.digest) or ""
    probes = task.probes.get(answer.version)
    return {
        "model": answer.model,
        "text": text,
        "digest": answer.digest,
        "reused": answer.reused,
        "defects": _defects(reading, answer.reading, () if probes is None else probes.results),
    }


def _defects(reading: RunReading, found: Any, results: Any) -> list[dict[str, str]]:
    """The objections of a critique, each with what came of its counterexample."""
    shown = []
    for number, defect in enumerate(found.defects or ()):
        result = "" if results is None or number >= len(results) else str(results[number].value)
        shown.append({"text": reading.text(defect.text) or "", "result": "being run" if results is None else result})
    return shown


def _scores(reading: RunReading, task: TaskState, iteration: int) -> Iterator[dict[str, Any]]:
    for key, call in task.calls.items():
        answer = call.answer if key.role is Role.EVALUATOR and key.iteration == iteration else None
        if answer is None:
            continue
        read = answer.reading
        said = "unreadable" if read.score is None else f"{read.score:.3f}"
        yield {
            "model": answer.model,
            "said": f"{read.choice.value}{sample_words(key.sample)}" if read.choice else said,
            "text": reading.text(answer.digest) or "",
        }


def changes(before: str | None, after: str) -> list[tuple[str, str, str]] | None:
    """Two texts side by side: (kind, left, right) of each line that differs, with two lines around it."""
    if before is None or before == after:
        return None
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _MOST_LINES:
        return None
    rows: list[tuple[str, str, str]] = []
    gone: list[str] = []
    for line in list(unified_diff(old, new, lineterm="", n=2))[2:]:
        kind, text = line[:1], _shortened(line[1:])
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


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
