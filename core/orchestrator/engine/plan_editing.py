"""A plan as a person edits it: the tasks of a run in the form of a spec, and back."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from attrs import evolve

from orchestrator import events as e
from orchestrator.decide.plan_checks import execution_order
from orchestrator.documents import LineOf
from orchestrator.engine.answers.given_files_in_prompts import FileNames, names_of
from orchestrator.engine.vendors.environment import application_word
from orchestrator.errors import SpecError
from orchestrator.models import PlannedTask
from orchestrator.spec import TaskSpec, parse_spec
from orchestrator.spec.plan import TASK
from orchestrator.state.run import RunState

_KEYS: Final = ("tasks", "task_paths")


class EditedTexts(Protocol):
    """The texts of the run."""

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text for the next append, and return its digest."""

    def get(self, digest: str) -> str:
        """The text of a digest."""


def plan_of(state: RunState, get: Callable[[str], str]) -> dict[str, Any]:
    """The plan of a run in the form of a spec: ``tasks`` and ``task_paths``."""
    names = names_of(state, get)
    planned = [task.planned for task in sorted(state.tasks.values(), key=lambda each: each.number)]
    paths = {each.id: get(each.path) for each in planned if each.path is not None}
    tasks = [TASK.dump(_given(each, get, names)) for each in planned]
    return {"tasks": tasks, **({"task_paths": paths} if paths else {})}


def _given(planned: PlannedTask, get: Callable[[str], str], names: FileNames | None) -> TaskSpec:
    def text(digest: str | None) -> str | None:
        return None if digest is None else get(digest)

    context = None if names is None or planned.context is None else planned.context
    return TaskSpec(
        id=planned.id,
        type=planned.type,
        prompt=get(planned.prompt),
        title=text(planned.title),
        dependencies=planned.dependencies,
        hard_validators=planned.validators,
        schema=None if planned.schema is None else json.loads(get(planned.schema)),
        tests=text(planned.tests),
        context=None if context is None or names is None else tuple(names.names[each - 1] for each in context),
    )


def checked_plan(
    value: Any, names: FileNames | None, validators: tuple[str, ...], source: str, line_of: LineOf | None = None
) -> dict[str, Any]:
    """A plan that a person has edited, as plain data that can be put into the mailbox.

    Args:
        value: a mapping with ``tasks`` and, if need be, ``task_paths``.
        names: of the files of the run's context.
        validators: the names of the validators that the run has.
        source: what the plan is called in messages.
        line_of: where its parts stand.

    Raises:
        SpecError: it is no plan; all problems together.
    """
    unknown = sorted(set(value) - set(_KEYS)) if isinstance(value, Mapping) else []
    if not isinstance(value, Mapping) or unknown or "tasks" not in value:
        what = f"unknown key {unknown[0]!r}" if unknown else "there are no tasks"
        raise SpecError([f"{source}: {what}; a plan has {' and '.join(_KEYS)}"])
    spec = parse_spec({"project": "-", "criteria": "-", **value}, source, line_of)
    problems = [
        f"{source}: tasks.{task.id}.context: {name!r} is no file of the run's context"
        for task in spec.tasks
        for name in task.context or ()
        if names is None or not names.meant(name)
    ]
    problems += [
        f"{source}: tasks.{task.id}.hard_validators: no validator is called {name!r}; there are {', '.join(validators)}"
        for task in spec.tasks
        for name in task.hard_validators
        if name not in validators
    ]
    if problems:
        raise SpecError(problems)
    paths = {"task_paths": dict(spec.task_paths)} if spec.task_paths else {}
    return {"tasks": [TASK.dump(task) for task in spec.tasks], **paths}


def edited_plan(state: RunState, texts: EditedTexts, text: str, request: int) -> e.PlanEdited:
    """The outcome of a request that brings a plan; its texts are staged.

    Raises:
        SpecError: the request holds no plan.
    """
    value = {**json.loads(text)}
    by = application_word(value.pop("by", ""))
    spec = parse_spec({"project": "-", "criteria": "-", **value}, "the edited plan")
    names = names_of(state, texts.get)
    paths = dict(spec.task_paths)
    tasks = tuple(
        _planned(task, texts, paths.get(task.id) or paths.get(str(number)), names)
        for number, task in enumerate(spec.tasks, 1)
    )
    return e.PlanEdited(tasks, execution_order(tasks), request, by)


def _planned(task: TaskSpec, texts: EditedTexts, path: str | None, names: FileNames | None) -> PlannedTask:
    planned = planned_task(task, texts.put, path)
    if names is None or task.context is None:
        return planned
    return evolve(planned, context=tuple(sorted({each for name in task.context for each in names.meant(name)})))


def planned_task(task: TaskSpec, put: Callable[[str], str], path: str | None) -> PlannedTask:
    """A task of a spec as an event has it; which files it needs is left open."""
    return PlannedTask(
        id=task.id,
        type=task.type,
        prompt=put(task.prompt),
        prompt_bytes=len(task.prompt.encode()),
        title=put(task.title) if task.title else None,
        dependencies=task.dependencies,
        validators=task.hard_validators,
        schema=put(json.dumps(dict(task.schema))) if task.schema is not None else None,
        tests=put(task.tests) if task.tests else None,
        path=put(path) if path else None,
        lane=task.lane,
    )
