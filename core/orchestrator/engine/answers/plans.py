"""A model's plan out of an answer's JSON. What can be repaired is, and each repair is recorded; nothing is guessed.

Tasks are named ``task_001`` … in their order, whatever the model called them; dependencies follow.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from attrs import define, evolve, field, frozen

from orchestrator.engine.answers.given_files_in_prompts import FileNames
from orchestrator.engine.answers.plan_edges import acyclic, first_with_dependencies
from orchestrator.engine.answers.plan_entries import Entry, asks, fault_of, loosely, prompt_of, read_entry, split
from orchestrator.events import Reading
from orchestrator.models import PlannedTask, PlanRepair, PlanRepairKind, ReadingProblem
from orchestrator.suites import is_test_file

Keep = Callable[[str], str]
"""Stores a text and returns its digest."""

MOST_TASKS: Final = 50
"""The most tasks of a plan, unless a spec says otherwise."""

_MOST_ENTRIES: Final = 1_000
"""Entries that are looked at; those behind them are only counted."""
_MOST_REPAIRS: Final = 200
"""Repairs that are listed; those behind them are only counted."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@frozen
class ExistingTasks:
    """The tasks of a plan that is patched."""

    names: Mapping[str, str]
    """Ids by the names, in lower case, that mean one task: its id, its file, its title."""
    count: int

    def meant(self, name: str | None) -> str | None:
        """The id of the task that a name means."""
        return None if name is None else self.names.get(name.strip().casefold())

    def free_ids(self, count: int) -> list[str]:
        """Ids for so many new tasks."""
        taken, found, number = set(self.names.values()), list[str](), self.count
        while len(found) < count:
            number += 1
            name = f"task_{number:03d}"
            found += [] if name in taken else [name]
        return found


def read_plan(
    documents: Iterable[Any],
    validators: Sequence[str],
    keep: Keep,
    paths: Mapping[str, str] = MappingProxyType({}),
    most: int = MOST_TASKS,
    files: FileNames | None = None,
    existing: ExistingTasks | None = None,
) -> Reading:
    """The plan in the JSON documents of an answer: the last list of tasks among them.

    Args:
        documents: what was found in the answer, in its order.
        validators: the names of the validators that are installed.
        keep: where the texts go.
        paths: where the user wants files, by a task's number from 1 or by its id, the model's or ours.
        most: the most tasks that are taken, the first with all they depend on.
        files: the names of the user's files that a task may need; None: there are none.
        existing: the tasks of the plan that this is a patch of; None: it is a plan.
    """
    found = _task_list(documents)
    if found is None:
        return Reading(problem=ReadingProblem.NO_JSON)
    if not any(isinstance(each, dict) for each in found):
        return Reading(problem=ReadingProblem.NO_TASKS)
    book = _Book()
    entries, same = _entries(found, validators, book)
    if not entries:
        return Reading(problem=ReadingProblem.BAD_TASK, repairs=book.repairs({}))
    needed = [_needed(entry, files, book) for entry in entries]
    names = _Names.of(entries, same)
    known = existing or ExistingTasks({}, 0)
    outside = [_outside(entry, names, known) for entry in entries]
    edges, cut = acyclic([_edges(place, entries, names, book, outside[place]) for place in range(len(entries))])
    taken = first_with_dependencies(edges, most)
    ids = dict(zip(taken, known.free_ids(len(taken)), strict=True))
    for task, dependency in cut:
        book.of(entries[task], PlanRepairKind.CYCLE, ids.get(dependency, entries[dependency].id))
    left_out = len(entries) - len(taken) + max(0, len(found) - _MOST_ENTRIES)
    if left_out:
        book.add(PlanRepairKind.TOO_MANY_TASKS, str(left_out))
    unknown = {_identifier(name) for place in taken for name in entries[place].unknown_validators}
    return Reading(
        plan=tuple(
            _patched(
                _planned(entries[place], name, [ids[each] for each in edges[place]], keep, paths, needed[place]),
                outside[place],
                existing,
                entries[place],
            )
            for place, name in ids.items()
        ),
        dropped_validators=tuple(sorted(unknown)),
        repairs=book.repairs({entries[place].number: name for place, name in ids.items()}),
    )


def _outside(entry: Entry, names: "_Names", existing: ExistingTasks) -> dict[str, str]:
    """By name, the tasks of the patched plan that an entry depends on."""
    wanted = (name for name in entry.wanted if not names.meant(name))
    return {name: meant for name in wanted if (meant := existing.meant(name)) is not None}


def _patched(
    planned: PlannedTask, outside: Mapping[str, str], existing: ExistingTasks | None, entry: Entry
) -> PlannedTask:
    """A task of a patch: with what it replaces and depends on outside, without tests, which would count as given."""
    if existing is None:
        return planned
    return evolve(
        planned,
        dependencies=tuple(dict.fromkeys((*outside.values(), *planned.dependencies))),
        tests=None,
        replaces=existing.meant(entry.replaces),
    )


@frozen
class _Repair:
    code: PlanRepairKind
    detail: str | None
    entry: int | None
    """The number of the entry that becomes a task; None where none is meant."""


@define
class _Book:
    """The repairs of one plan, noted before its tasks have their names."""

    _noted: list[_Repair] = field(factory=list)

    def of(self, entry: Entry, code: PlanRepairKind, detail: str | None = None) -> None:
        """Note a repair of an entry that becomes a task."""
        self._noted.append(_Repair(code, detail, entry.number))

    def add(self, code: PlanRepairKind, detail: str) -> None:
        """Note a repair that belongs to no task."""
        self._noted.append(_Repair(code, detail, None))

    def repairs(self, ids: Mapping[int, str]) -> tuple[PlanRepair, ...]:
        """What was noted: first of entries left out, of which nothing else is said, then by task."""
        of_tasks = sorted((each for each in self._noted if each.entry in ids), key=lambda each: each.entry or 0)
        others = [each for each in self._noted if each.entry is None]
        found = [
            PlanRepair(each.code, ids.get(each.entry or 0), None if each.detail is None else _identifier(each.detail))
            for each in (*others, *of_tasks)
        ]
        more = len(found) - _MOST_REPAIRS
        if more <= 0:
            return tuple(found)
        return (*found[:_MOST_REPAIRS], PlanRepair(PlanRepairKind.MORE_REPAIRS, None, str(more)))


def _identifier(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else "unnamed"


def _task_list(documents: Iterable[Any]) -> list[Any] | None:
    """The last list in which something is asked for, else the longest of all."""
    lists = [found for each in documents if (found := _list_in(each)) is not None]
    asking = [each for each in lists if any(map(asks, each))]
    return asking[-1] if asking else max(lists, key=len, default=None)


def _list_in(document: Any) -> list[Any] | None:
    """The tasks of a document: itself, or what it holds; a mapping of them by their ids is a list, and so is one."""
    if isinstance(document, list):
        return document
    inner = document.get("tasks", document.get("plan")) if isinstance(document, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("tasks"), list):
        inner = inner["tasks"]
    if isinstance(inner, dict):
        named = [{"id": name, **item} for name, item in inner.items() if isinstance(item, dict)]
        return named if named and not prompt_of(inner) else [inner]
    return inner if isinstance(inner, list) else None


def _entries(found: Sequence[Any], validators: Sequence[str], book: _Book) -> tuple[list[Entry], dict[str, str]]:
    """The entries that become tasks, and which of them is meant by the id of one with the same prompt.

    Each of the others is noted with its number.
    """
    entries: list[Entry] = []
    prompts: dict[str, Entry] = {}
    same: dict[str, str] = {}
    for number, item in enumerate(found[:_MOST_ENTRIES], 1):
        entry = read_entry(number, item, validators)
        if entry is None:
            book.add(PlanRepairKind.NO_PROMPT if isinstance(item, dict) else PlanRepairKind.NOT_A_TASK, str(number))
            continue
        fault = fault_of(entry)
        if fault is None and entry.is_lean:
            first = prompts.setdefault(" ".join(entry.prompt.split()), entry)
            if first is not entry:
                same[entry.id], fault = first.id, PlanRepairKind.EQUAL_PROMPT
        if fault is not None:
            book.add(fault, str(number))
            continue
        entries.append(entry)
        for code, detail in entry.notes:
            book.of(entry, code, detail)
    _note_doubles(entries, book)
    return entries, same


def _note_doubles(entries: Sequence[Entry], book: _Book) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            book.of(entry, PlanRepairKind.DUPLICATE_ID, entry.id)
        seen.add(entry.id)


@frozen
class _Names:
    """Which tasks a name means, by their places."""

    _exact: Mapping[str, Sequence[int]]
    _loose: Mapping[str, Sequence[int]]

    @classmethod
    def of(cls, entries: Sequence[Entry], same: Mapping[str, str]) -> "_Names":
        """The names of a plan; ``same`` has ids that mean what another id means."""
        exact: dict[str, list[int]] = {}
        loose: dict[str, list[int]] = {}
        for place, entry in enumerate(entries):
            exact.setdefault(entry.id, []).append(place)
            for name in dict.fromkeys(map(loosely, (entry.id, *entry.aliases))):
                loose.setdefault(name, []).append(place)
        for name, other in same.items():
            exact.setdefault(name, exact[other])
        return cls(exact, loose)

    def meant(self, name: str) -> Sequence[int]:
        """Every task with this id, else the only one that the name can mean, else none."""
        if name in self._exact:
            return self._exact[name]
        found = self._loose.get(loosely(name), ())
        return found if len(found) == 1 else ()


def _edges(place: int, entries: Sequence[Entry], names: _Names, book: _Book, outside: Mapping[str, str]) -> list[int]:
    """The places of the tasks that one depends on, less those of the plan that is patched."""
    entry = entries[place]
    found: list[int] = []
    for given in (each for each in entry.wanted if each not in outside):
        for name in [given] if names.meant(given) else split(given):
            meant = names.meant(name)
            if place in meant:  # one of several with this id waits for those before it
                meant = [each for each in meant if each < place]
                if not meant:
                    book.of(entry, PlanRepairKind.SELF_DEPENDENCY)
            elif not meant:
                book.of(entry, PlanRepairKind.UNKNOWN_DEPENDENCY, name)
            found += meant
    if entry.is_lean and not found and is_test_file(entry.file or ""):
        found += [each for each in names.meant(_tested(entry.file or "")) if each < place]
    return list(dict.fromkeys(found))


def _tested(file: str) -> str:
    """The file that a file of tests is about, by its name."""
    stem = PurePosixPath(file).stem.removeprefix("test_").removesuffix("_test")
    return f"{stem}{PurePosixPath(file).suffix}"


def _needed(entry: Entry, files: FileNames | None, book: _Book) -> tuple[int, ...] | None:
    """The numbers of the user's files that a task names; None where there are no files."""
    if files is None:
        return None
    found: dict[int, None] = {}
    for name in entry.context:
        meant = files.meant(name)
        if not meant:
            book.of(entry, PlanRepairKind.UNKNOWN_FILE, name)
        found |= dict.fromkeys(meant)
    return tuple(sorted(found))


def _planned(
    entry: Entry,
    name: str,
    dependencies: Sequence[str],
    keep: Keep,
    paths: Mapping[str, str],
    context: tuple[int, ...] | None,
) -> PlannedTask:
    number = str(int(name.rpartition("_")[2]))
    path = paths.get(number) or paths.get(name) or paths.get(entry.id) or entry.file
    return PlannedTask(
        id=name,
        type=entry.type,
        prompt=keep(entry.prompt),
        prompt_bytes=len(entry.prompt.encode(errors="replace")),
        title=None if entry.title is None else keep(entry.title),
        dependencies=tuple(dependencies),
        validators=entry.validators,
        schema=None if entry.schema is None else keep(json.dumps(entry.schema)),
        tests=None if entry.tests is None else keep(entry.tests),
        path=None if path is None else keep(path),
        context=context,
    )
