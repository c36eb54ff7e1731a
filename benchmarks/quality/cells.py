"""One cell: a problem in an arm, run by the product, its delivered file graded, its log counted."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import evolve, frozen

from benchmarks.quality.grading import Grader
from benchmarks.quality.problems import Problem
from benchmarks.quality.specs import FILE, Settings, spec_of
from orchestrator.engine.outputs.files_in_answer import output_files
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd
from orchestrator.models import Role, TaskType
from orchestrator_eval.run_measures import AUTHORS, Attempt, attempts


class CellError(RuntimeError):
    """A cell proves nothing: its run got no answer from any model."""


@frozen
class Cell:
    """What became of a problem in an arm.

    Attributes:
        problem: its id.
        arm: the strategy.
        solved: whether the delivered file passes the hidden tests.
        status: how the task ended.
        score: its score, None where it was not scored.
        calls: attempts, those that failed among them.
        tokens_in: tokens read, cached ones included.
        tokens_out: tokens generated.
        candidates: distinct files that authors wrote.
        right: those among them that pass the hidden tests.
        judgements: answers of evaluators.
        unreadable: those among them that hold no score.
        iterations: of the task.
        seconds: active time of the run.
    """

    problem: str
    arm: str
    solved: bool
    status: str
    score: float | None
    calls: int
    tokens_in: int
    tokens_out: int
    candidates: int
    right: int
    judgements: int
    unreadable: int
    iterations: int
    seconds: float

    @property
    def lost(self) -> bool:
        """Whether a right file was written and a wrong one, or none, delivered."""
        return self.right > 0 and not self.solved


async def run_cell(
    problem: Problem, arm: str, settings: Settings, fields: dict[str, object], folder: Path, grader: Grader
) -> Cell:
    """Run a cell in a folder of its own, with a data folder of its own: no cell knows another.

    Raises:
        SpecError: the program knows no such arm.
        CellError: no model answered.
    """
    shutil.rmtree(folder, ignore_errors=True)
    output = folder / "output"
    spec = spec_of(problem, arm, settings, fields, output)
    workspace = Engine.open(folder / "home")
    workspace.ports = evolve(workspace.ports, random_bytes=_random_bytes(f"{settings.seed}/{problem.id}"))
    try:
        outcome = await workspace.start(spec, output=output)
        calls = list(attempts([record.event for record in workspace.log.read(outcome.run)]))
        return await asyncio.to_thread(_cell, problem, arm, outcome, calls, output / FILE, grader)
    finally:
        workspace.close()


def _random_bytes(text: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every arm of a problem, so that its prompts are the same, too."""
    return lambda size: hashlib.shake_256(text.encode()).digest(size)


def _cell(problem: Problem, arm: str, outcome: RunEnd, calls: Sequence[Attempt], file: Path, grader: Grader) -> Cell:
    answered = [call for call in calls if call.answer is not None]
    state = outcome.state
    if not answered:
        raise CellError(f"{problem.id}, {arm}: no model answered ({_why(outcome)})")
    written = {_code(outcome.texts.get(call.answer or "")) for call in answered if call.role in AUTHORS}
    task = next(iter(state.tasks.values()))
    judgements = [call for call in answered if call.role is Role.EVALUATOR]
    return Cell(
        problem=problem.id,
        arm=arm,
        solved=file.is_file() and grader.is_right(problem, file.read_text(encoding="utf-8", errors="replace")),
        status="open" if task.finished is None else task.finished.status.value,
        score=None if task.finished is None else task.finished.score,
        calls=len(calls),
        tokens_in=sum(call.tokens_in for call in answered),
        tokens_out=sum(call.tokens_out for call in answered),
        candidates=len(written),
        right=sum(grader.is_right(problem, code) for code in written),
        judgements=len(judgements),
        unreadable=sum(not call.readable for call in judgements),
        iterations=0 if task.finished is None else task.finished.iterations,
        seconds=round(state.active(state.at) / 1_000_000, 1),
    )


def _code(answer: str) -> str:
    """The file that the product would deliver for an answer."""
    return output_files(1, TaskType.CODE_GEN, answer, FILE).get(FILE, "")


def _why(outcome: RunEnd) -> str:
    """The reason that the log has for a run without an answer."""
    ends = [task.finished for task in outcome.state.tasks.values() if task.finished is not None]
    removed = sorted({f"{each.model}: {each.rejection}" for end in ends for each in end.removed})
    finished = outcome.state.finished
    return "; ".join(removed) or ("open" if finished is None else f"{finished.status.value}, {finished.reason}")
