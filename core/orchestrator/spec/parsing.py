"""From a file, a document or Python's arguments to a spec."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from orchestrator.documents import Address, Document, LineOf, expanded, read_document
from orchestrator.errors import SpecError
from orchestrator.events import ADVISE, ENHANCE, PLAN
from orchestrator.models import ModelInfo
from orchestrator.money import Usd
from orchestrator.policy import Policy
from orchestrator.spec.container_kinds import Record
from orchestrator.spec.evaluation_keys import EVALUATION
from orchestrator.spec.limits import BREAKER, LIMITS
from orchestrator.spec.model_keys import MODEL, PRICE, RATE
from orchestrator.spec.plan import TASK
from orchestrator.spec.policy_keys import POLICIES, POLICY, RATE_LIMIT
from orchestrator.spec.set_options import addresses_of, apply_sets
from orchestrator.spec.spec_keys import MODELS_FILE, REVIEW, ROUTING, SPEC, VALIDATORS, ModelsFile, Spec
from orchestrator.spec.value_kinds import FileUse, Kind, Money, Place, Refused, suggestion

MODELS_VARIABLE: Final = "ORCHESTRATE_MODELS"
"""The variable that names the models file to use where no other is named."""


def read_spec(path: Path, sets: Sequence[str] = ()) -> Spec:
    """The spec in a YAML or JSON file, after ``sets`` (see ``apply_sets``) changed it.

    Raises:
        SpecError: it cannot be used; all problems together.
        UsageError: one of ``sets`` cannot be applied.
    """
    return evolve(spec_of(read_document(path), sets, path.parent), source=str(path.absolute()))


def spec_of(document: Document, sets: Sequence[str], folder: Path) -> Spec:
    """The spec in a document; paths in it are resolved against ``folder``.

    Raises:
        SpecError: it cannot be used; all problems together.
        UsageError: one of ``sets`` cannot be applied.
    """
    as_read = _without_sets(document, folder) if sets else None
    value = apply_sets(document.value, sets)
    given = addresses_of(value, sets, "--set")
    spec = parse_changed(value, document.source, document.line_of, given, is_sound=as_read is not None)
    spec = evolve(spec, as_read=as_read)
    return evolve(spec, folder=str(folder), hints=tuple(_hints(document)), source=document.source)


def _without_sets(document: Document, folder: Path) -> Spec | None:
    """The spec as the file has it; None where the file alone is none."""
    try:
        return spec_of(document, (), folder)
    except SpecError:
        return None


_PROSE: Final = frozenset({"project", "criteria", "prompt", "title", "tests", "verify_cmd"})
"""Keys of texts in which ``#`` may well be meant."""


def _hints(document: Document) -> Iterator[str]:
    """Where a comment has perhaps cut a text."""
    for address, line in document.commented:
        if address[-1:] and address[-1] in _PROSE:
            text = f"{address[-1]} ends before ' #', which begins a comment; put it in quotes if that belongs to it"
            yield f"{document.source}:{line}: {text}"


def parse_spec(
    value: Any, source: str, line_of: LineOf | None = None, given: Mapping[Address, str] | None = None
) -> Spec:
    """The spec that plain data means; without ``line_of`` problems start with the source alone.

    ``given`` names the options that gave parts of it, by their addresses: problems there start with the option.

    Raises:
        SpecError: it cannot be used; all problems together.
    """
    place = Place(source, line_of, given=given or {})
    spec: Spec = _parse(SPEC, value, place)
    for node in spec.node_policies:
        refuse_unknown_node(spec, node, place.below("node_policies").below(node))
    _refuse_unknown_paths(spec, place.below("task_paths"))
    if place.problems:
        raise place.error()
    files = (*place.files, *_files_of_providers(spec, place.below("providers")))
    return evolve(spec, models=_from(spec.models, "spec"), uses=tuple(place.uses), files=files)


def _files_of_providers(spec: Spec, place: Place) -> Iterator[FileUse]:
    """The files that options of providers name."""
    for name, options in spec.providers.items():
        path = options.get("answers")
        if isinstance(path, str):
            at = place.below(name).below("answers")
            yield FileUse(path, str(at), at.line)


def parse_changed(
    value: Any, source: str, line_of: LineOf | None, given: Mapping[Address, str], *, is_sound: bool
) -> Spec:
    """The spec that a document means after options changed it.

    Args:
        value: the changed data.
        source: the document.
        line_of: the document's lines.
        given: the options, by the addresses of what they gave.
        is_sound: whether the document alone is a spec: then options are to blame for whatever is wrong.

    Raises:
        SpecError: it cannot be used; all problems together.
    """
    try:
        return parse_spec(value, source, line_of, given)
    except SpecError:
        if not (is_sound and given):
            raise
    return parse_spec(value, source, line_of, {(): next(iter(given.values())), **given})


_DECOMPOSED: Final = re.compile("task_[0-9]{3,}")
"""What a task of a plan is called that a model makes."""


def refuse_unknown_node(spec: Spec, node: str, place: Place) -> None:
    """Record a problem where policies are meant for a task that the spec's own plan does not have."""
    known = {**dict.fromkeys((PLAN, ENHANCE, ADVISE)), **{task.id: None for task in spec.tasks}}
    if node in known or (not spec.tasks and _DECOMPOSED.fullmatch(node)):
        return
    near = suggestion(node, known) or f"; there are {', '.join(known)}"
    if not spec.tasks:
        near += "; the tasks of a plan that a model makes are called task_001, task_002, …"
    place.report(f"the plan has no task {node!r}{near}")


def _refuse_unknown_paths(spec: Spec, place: Place) -> None:
    """Record a problem where a file is named for a task that the spec's own plan does not have."""
    known = dict.fromkeys(task.id for task in spec.tasks)
    numbers = [str(number) for number in range(1, len(spec.tasks) + 1)]
    for task in spec.task_paths if spec.tasks else ():
        if task not in known and task not in numbers:
            near = suggestion(task, known) or f"; there are {', '.join(known)}, numbered from 1"
            place.below(task).report(f"the plan has no task {task!r}{near}")


def spec_from(project: str, criteria: str, **fields: Any) -> Spec:
    """The spec that keys of the file, given as arguments, mean; amounts, enums, paths and our own classes are fine.

    Raises:
        SpecError: as for a file, the source being ``arguments``.
    """
    given = {name: _plain(item) for name, item in fields.items()}
    return parse_spec({"project": project, "criteria": criteria, **given}, "arguments")


def read_models(path: Path) -> tuple[ModelInfo, ...]:
    """The models in a YAML or JSON file of the form ``models: [...]``.

    Raises:
        SpecError: it cannot be used; all problems together.
    """
    return read_models_file(path).models


def read_models_file(path: Path) -> ModelsFile:
    """A YAML or JSON file of the form ``models: [...]``.

    Raises:
        SpecError: it cannot be used; all problems together.
    """
    document = read_document(path)
    place = Place(document.source, document.line_of)
    file: ModelsFile = _parse(MODELS_FILE, document.value, place)
    return ModelsFile(_from(file.models, "models file"), tuple(place.uses))


def with_models(spec: Spec, path: Path | None) -> Spec:
    """The spec with the models of a file added; one of the same id and provider replaces the spec's.

    Raises:
        SpecError: the file cannot be used.
    """
    if path is None:
        return spec
    file = read_models_file(path)
    named = {(model.provider, model.id) for model in file.models}
    saved = (model for model in spec.models if (model.provider, model.id) not in named)
    return evolve(spec, models=(*file.models, *saved), uses=(*spec.uses, *file.uses))


def usual_models() -> Path | None:
    """The models file of the environment, which counts where a run starts and no other file is named."""
    named = os.environ.get(MODELS_VARIABLE)
    return expanded(named) if named else None


def _from(models: tuple[ModelInfo, ...], source: str) -> tuple[ModelInfo, ...]:
    return tuple([evolve(model, source=source) for model in models])


def parse_policies(value: Any, source: str, line_of: LineOf | None = None, path: Address = ()) -> tuple[Policy, ...]:
    """The policies that a list means; ``path`` is the list's address in the document.

    Raises:
        SpecError: it cannot be used, or asks for what nothing enforces yet; all problems together.
    """
    place = Place(source, line_of, path)
    try:
        return POLICIES.read(value, place)
    except Refused:
        raise place.error() from None


def _parse(record: Record[Any], value: Any, place: Place) -> Any:
    try:
        if value is None:
            raise place.refuse("the document is empty")
        return record.read(value, place)
    except Refused:
        raise place.error() from None


_RECORDS: Final[tuple[Record[Any], ...]] = (
    *(TASK, POLICY, RATE_LIMIT, MODEL, PRICE, RATE, EVALUATION),
    *(ROUTING, REVIEW, VALIDATORS, BREAKER, LIMITS),
)
_OBJECTS: Final[dict[type, Kind[Any]]] = {Usd: Money(), **{record.cls: record for record in _RECORDS}}


def _plain(value: Any) -> Any:
    """What a document would hold in the place of a Python object."""
    kind = _OBJECTS.get(type(value))
    if kind is not None:
        return kind.dump(value)
    match value:
        case Enum():
            return value.value
        case PathLike():
            return fspath(value)
        case Mapping():
            return {_plain(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value
