"""How an answer is read: the reader of a role's answers, from the state at its call and the texts of the run."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import evolve

from orchestrator.decide.outcome import output_of
from orchestrator.engine.answers.architecture_advice import app_types_of
from orchestrator.engine.answers.equivalence import canonical_form
from orchestrator.engine.answers.given_files_in_prompts import names_of
from orchestrator.engine.answers.plan_patches import existing_tasks
from orchestrator.engine.answers.prompt_marks import marks_of
from orchestrator.engine.answers.prompts_by_role import criteria_count
from orchestrator.engine.answers.read_answer import Keep, read_answer
from orchestrator.engine.answers.timed_reading import Read
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.events import PLAN, CallStarted, ModelSelected, Reading
from orchestrator.models import Role, is_comparison
from orchestrator.state.run import RunState


class ReaderTexts(Protocol):
    """The texts of the run."""

    def get(self, digest: str) -> str:
        """The text of a digest."""

    def fingerprint(self, text: str) -> str:
        """What equal texts of the run have in common; nothing is stored."""


def reader_of(
    state: RunState,
    texts: ReaderTexts,
    placement: Placement,
    call: ModelSelected | CallStarted,
    validators: Sequence[str],
    task_paths: Mapping[str, str],
) -> Read:
    """The reader of answers to a call. It looks at nothing that changes: any thread may call it.

    Args:
        state: as it is when the answer comes in.
        texts: of the run.
        placement: where the files of its tasks go.
        call: of a task, or of a stage before the tasks.
        validators: the names of those that are installed.
        task_paths: where the user wants the files of a plan's tasks.
    """
    role, compares = call.role, call.role is Role.EVALUATOR and is_comparison(call.sample)
    task = state.tasks.get(call.node)
    deliver = None if task is None else placement.deliverer(task)
    most_tasks = state.settings.limits.max_tasks
    criteria = criteria_count(state, texts.get) if role is Role.EVALUATOR else 0
    output = None if task is None or role is not Role.EVALUATOR else output_of(task, task.iteration)
    judged = "" if output is None else texts.get(output.digest)
    existing = existing_tasks(state, texts.get) if role is Role.DECOMPOSER and call.iteration > 1 else None
    files = names_of(state, texts.get) if role is Role.DECOMPOSER else None
    marks = marks_of(state.start.seed, PLAN) if role is Role.DECOMPOSER and state.start is not None else None

    app_types = app_types_of(state)

    def read(text: str, keep: Keep) -> Reading:
        text = text if marks is None else marks.taken_out(text)
        reading = read_answer(
            role,
            text,
            validators,
            keep,
            task_paths,
            most_tasks,
            deliver,
            criteria,
            compares,
            judged,
            files,
            existing,
            app_types,
        )
        if deliver is None or role not in (Role.GENERATOR, Role.REVISER):
            return reading
        return evolve(reading, equivalence=texts.fingerprint(canonical_form(deliver(text).files)))

    return read
