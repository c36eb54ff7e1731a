"""One entry of a model's plan as a task, whatever keys and forms the model chose.

An entry is of the full form (``id``, ``type``, ``prompt``, ``dependencies``, ``hard_validators``, ``tests`` …) or of
the lean one (``file``, ``prompt``, ``needs``), in which type, checks and dependencies follow from names of files.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from attrs import Factory, frozen

from orchestrator.allowed_file_names import is_allowed
from orchestrator.engine.answers.blocks_as_files import content_of
from orchestrator.engine.answers.plan_types import exact_type, fits, near_type, type_by_traces, type_of_file
from orchestrator.models import PlanRepairKind, TaskType
from orchestrator.python_trees import tree_of

Notes = list[tuple[PlanRepairKind, str | None]]
"""Repairs of one entry: the kind of each, and a detail where it has one."""

SHORTEST_PROMPT: Final = 15
"""Characters that a prompt of the lean form has at least."""

_PROMPTS: Final = ("prompt", "description", "instructions")
_DEPENDENCIES: Final = ("dependencies", "depends_on", "needs")
_VALIDATORS: Final = ("hard_validators", "validators")
_CONTEXT: Final = ("context",)
_FILES: Final = ("path", "file", "filename")
_SIGNS: Final = frozenset({"prompt", "id", "type", "file", *_DEPENDENCIES, *_VALIDATORS})
"""Keys of which a task has one at least."""
_NOTHING: Final = frozenset({"", "none", "null", "nil", "n/a", "-", "[]"})
_LONGEST_PATH: Final = 200
_MOST_NAMES: Final = 1_000
_PLACEHOLDER: Final = re.compile(
    r"<(module|module[ _]name|next function|functions?|function\([^<>]*\)|arguments|what it [^<>]*)>", re.IGNORECASE
)
"""What stands in the place of a plan's content where its form is shown."""


@frozen(kw_only=True)
class Entry:
    """One task as the model wrote it, its texts still whole."""

    number: int
    """Its place in the model's list, from 1."""
    id: str
    """What the model calls it: its id, else its file, else its number."""
    aliases: tuple[str, ...]
    """Other names that dependencies may use: its file, its title."""
    type: TaskType
    prompt: str
    title: str | None = None
    wanted: tuple[str, ...] = ()
    """The dependencies, by the model's names."""
    validators: tuple[str, ...] = ()
    unknown_validators: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    tests: str | None = None
    file: str | None = None
    context: tuple[str, ...] = ()
    """The user's files that it needs, by the model's names."""
    replaces: str | None = None
    """The task in whose place it stands, by the model's name."""
    is_lean: bool = False
    notes: Notes = Factory(list)
    """What was repaired in it."""


def prompt_of(item: Mapping[str, Any]) -> str | None:
    """What the model asks for in an entry, under one of the names that models use."""
    return next((each for name in _PROMPTS if (each := _text(item.get(name)))), None)


def asks(item: Any) -> bool:
    """Whether an entry has the shape of a task: something is asked for in it, and it is no list of remarks."""
    return isinstance(item, dict) and prompt_of(item) is not None and not _SIGNS.isdisjoint(item)


def read_entry(number: int, item: Any, installed: Sequence[str]) -> Entry | None:
    """An entry as a task; None where nothing is asked for in it.

    Args:
        number: its place in the model's list, from 1.
        item: what the model wrote.
        installed: the names of the validators there are.
    """
    prompt = prompt_of(item) if isinstance(item, dict) else None
    if prompt is None:
        return None
    notes: Notes = []
    file = next((each for name in _FILES if (each := _path(item.get(name)))), None)
    if file is not None and not is_allowed(file):
        notes.append((PlanRepairKind.PATH_REFUSED, None))
    is_lean = file is not None and "file" in item and "type" not in item
    title, given = _text(item.get("title")), _name(item.get("id")) or (file if is_lean else None)
    checks = _listed(item, _VALIDATORS, notes)
    tests, schema = _tests(item, notes), item.get("schema") if isinstance(item.get("schema"), dict) else None
    kind = type_of_file(file or "") if is_lean else _type(item.get("type"), file, checks, tests is not None, notes)
    if is_lean and PurePosixPath(file or "").suffix == ".py":
        checks = ["python_syntax", *checks]
    known, unknown = _installed(checks, installed)
    fitting = [each for each in known if fits(each, kind, file, schema=schema is not None)]
    notes += [(PlanRepairKind.UNFIT_VALIDATOR, each) for each in known if each not in fitting]
    return Entry(
        number=number,
        id=given or str(number),
        aliases=_aliases(given, number, file, title),
        type=kind,
        prompt=prompt,
        title=title or (file if is_lean else None),
        wanted=tuple(_listed(item, _DEPENDENCIES, notes)),
        validators=tuple(fitting),
        unknown_validators=tuple(unknown),
        schema=schema,
        tests=tests,
        file=file,
        replaces=_name(item.get("replaces")),
        context=tuple(_listed(item, _CONTEXT, [])),
        is_lean=is_lean,
        notes=notes,
    )


def _aliases(given: str | None, number: int, file: str | None, title: str | None) -> tuple[str, ...]:
    """Other names of a task: its file, with and without the folders; its title; the number in its id."""
    numbered = re.search(r"\d+\Z", given) if given is not None else None
    others = (f"task {number}" if given is None else None, numbered and numbered[0])
    return tuple(each for each in (file, file and PurePosixPath(file).name, title, *others) if each)


def fault_of(entry: Entry) -> PlanRepairKind | None:
    """Why an entry of the lean form asks for nothing after all; None where it does."""
    if not entry.is_lean:
        return None
    if _PLACEHOLDER.search(entry.prompt) or set("<>") & set(entry.file or ""):
        return PlanRepairKind.PLACEHOLDER
    return PlanRepairKind.SHORT_PROMPT if len(entry.prompt.strip()) < SHORTEST_PROMPT else None


def _type(value: Any, file: str | None, checks: Sequence[str], tested: bool, notes: Notes) -> TaskType:
    """The type that is written, the nearest one, or that of what else is known of the task."""
    text = _text(value[0] if isinstance(value, list) and value else value)
    exact = exact_type(text) if text is not None else None
    if exact is not None:
        return exact
    found = near_type(text) if text is not None else None
    found = found or type_by_traces(file, checks, tested=tested)
    notes.append((PlanRepairKind.TYPE_ADDED if text is None else PlanRepairKind.TYPE_REPLACED, found.value))
    return found


def _tests(item: Mapping[str, Any], notes: Notes) -> str | None:
    """The tests of an entry, out of their fence where they stand in one; None where they cannot be run."""
    text = _text(item.get("tests"))
    if text is None or text.strip().casefold() in _NOTHING:
        return None
    for source in (text, content_of(text, TaskType.CODE_GEN), textwrap.dedent(text)):
        try:
            tree = tree_of(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if any(_is_test(node) for node in ast.walk(tree)):
            return source
        notes.append((PlanRepairKind.TESTS_EMPTY, None))
        return None
    notes.append((PlanRepairKind.TESTS_UNREADABLE, None))
    return None


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")


def _listed(item: Mapping[str, Any], keys: Sequence[str], notes: Notes) -> list[str]:
    """The names under one of these keys: a list of them, or what stands in a list's place."""
    key = next((each for each in keys if item.get(each) is not None), None)
    if key is None:
        return []
    value = item[key]
    if isinstance(value, list):
        return _names(value)
    names = _names(value) if isinstance(value, dict) and {"id", "name"}.isdisjoint(value) else _names([value])
    if names:
        notes.append((PlanRepairKind.TEXT_AS_LIST, key))
    return names


def _names(values: Iterable[Any]) -> list[str]:
    named = (_name(each.get("id", each.get("name")) if isinstance(each, dict) else each) for each in values)
    return list(dict.fromkeys(each for each in named if each and each.casefold() not in _NOTHING))[:_MOST_NAMES]


def split(name: str) -> list[str]:
    """The names in a text that may be several, parted by commas, semicolons or line ends."""
    return [each for part in re.split(r"[,;\n]", name) if (each := part.strip().strip("\"'`[]"))]


def _installed(wanted: Sequence[str], installed: Sequence[str]) -> tuple[list[str], list[str]]:
    """The validators that are meant and installed, and the names of those that are not."""
    names = {loosely(each): each for each in installed}
    known, unknown = [], []
    for given in wanted:
        for each in [given] if given in installed else split(given):
            found = each if each in installed else names.get(loosely(each))
            known.append(found) if found is not None else unknown.append(each)
    return list(dict.fromkeys(known)), list(dict.fromkeys(unknown))


def loosely(name: str) -> str:
    """A name without what models vary: case, spaces, hyphens, leading zeros, ``./`` before a file's."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s_-]+", "", name.strip().removeprefix("./").casefold()))


def _name(value: Any) -> str | None:
    """A name as text; a number is one, too."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else value
    return str(value).strip() or None


def _text(value: Any) -> str | None:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = "\n".join(value)
    return value if isinstance(value, str) and value.strip() else None


def _path(value: Any) -> str | None:
    """Where the model wants a task's file; names are confined when files are written."""
    return value.strip() if isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST_PATH else None
