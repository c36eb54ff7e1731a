"""The files that a user gives to a run, in prompts: the map a planner sees, the names it may use, the texts shown."""

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from attrs import frozen

from orchestrator.engine.answers.prompt_marks import cut

if TYPE_CHECKING:
    from orchestrator.engine.answers.task_prompt_sections import Get, PromptSource
    from orchestrator.events import ContextFile
    from orchestrator.models import PlannedTask
    from orchestrator.state.run import RunState

LONGEST_FILE: Final = 40_000
"""Characters of one file in a prompt; the middle of a longer one is left out."""
LONGEST_FILES: Final = 120_000
"""Characters of all files in a prompt."""
LONGEST_MAP: Final = 24_000
_LONGEST_LINE: Final = 80
_MOST_NAMES: Final = 12
_LOOKED_THROUGH: Final = 200_000
"""Characters of a file in which names are looked for."""
_DEFINED: Final = re.compile(r"^(?:async[ \t]+)?(def|class)[ \t]+(\w{1,80})[ \t]*(\([^()\n]{0,60}\))?", re.MULTILINE)


@frozen
class FileNames:
    """The names of the files of a run's context, and what a planner may mean by them."""

    names: tuple[str, ...]

    def meant(self, name: str) -> tuple[int, ...]:
        """The numbers of the files that a name means: one file, all of a folder, all of a pattern; else none."""
        name = name.strip().removeprefix("./").rstrip("/")
        exact = self._where(lambda each: each == name)
        below = exact or self._where(lambda each: each.startswith(f"{name}/")) if name else ()
        if below or not name:
            return below
        if set("*?[") & set(name):
            return self._where(lambda each: fnmatchcase(each, name))
        ending = self._where(lambda each: each.casefold().endswith(f"/{name}".casefold()))
        return ending if len(ending) == 1 else ()

    def _where(self, fits: Callable[[str], bool]) -> tuple[int, ...]:
        return tuple(number for number, each in enumerate(self.names, 1) if fits(each))


def names_of(state: "RunState", get: "Get") -> FileNames | None:
    """The names of a run's files; None where it has none."""
    context = None if state.start is None else state.start.context
    return None if context is None else FileNames(tuple(get(each.name) for each in context.files))


def files_of(state: "RunState", planned: "PlannedTask") -> "tuple[ContextFile, ...]":
    """The files that a task is shown: those it names, else all."""
    context = None if state.start is None else state.start.context
    if context is None:
        return ()
    return context.files if planned.context is None else tuple(context.files[number - 1] for number in planned.context)


def quoted_bytes(state: "RunState", planned: "PlannedTask") -> int:
    """How many bytes of a task's files its prompts hold at least."""
    total = 0
    for file in files_of(state, planned):
        size = min(file.size, LONGEST_FILE)
        total += size if total + size <= LONGEST_FILES else 0
    return total


def context_parts(source: "PromptSource", planned: "PlannedTask") -> Iterator[str]:
    """The files of a task, each under its name, and the names of those that are too many."""
    missing = []
    left = LONGEST_FILES
    for file in files_of(source.state, planned):
        name, text = source.get(file.name), cut(source.get(file.text), LONGEST_FILE)
        if len(text) > left:
            missing.append(name)
            continue
        left -= len(text)
        yield source.marks.quoted(f"FILE {name}", text)
    if missing:
        yield source.marks.quoted("FILES LEFT OUT", "\n".join(missing)[:_LOOKED_THROUGH])


def not_whole(state: "RunState", planned: "PlannedTask", get: "Get") -> int:
    """How many files of a task a prompt does not hold whole."""
    lost, left = 0, LONGEST_FILES
    for file in files_of(state, planned):
        whole = len(get(file.text)) if file.size > LONGEST_FILE else file.size
        size = min(whole, LONGEST_FILE)
        lost += whole > LONGEST_FILE or size > left
        left -= size if size <= left else 0
    return lost


def map_of(files: Sequence[tuple[str, str]]) -> str:
    """What a planner is shown of files, as (name, text): a line each, by folder, as much of it as fits."""
    ordered = sorted(files)
    for lines in ([_line(*each, known=True) for each in ordered], [_line(*each, known=False) for each in ordered]):
        if sum(map(len, lines)) + len(lines) <= LONGEST_MAP:
            return "\n".join(lines)
    shown, left = [], LONGEST_MAP
    for name, _ in ordered:
        left -= len(name) + 1
        if left < 0:
            break
        shown.append(name)
    more = _folders([name for name, _ in ordered[len(shown) :]])
    return "\n".join([*shown, *more])


def _folders(names: Sequence[str]) -> list[str]:
    """Files that are not listed, by their outermost folder."""
    counted: dict[str, int] = {}
    for name in names:
        top = PurePosixPath(name).parts[0] + "/" if "/" in name else "."
        counted[top] = counted.get(top, 0) + 1
    lines = [f"{top}: {count} more file{'s' * (count > 1)}" for top, count in counted.items()]
    return lines[:_MOST_NAMES]


def _line(name: str, text: str, *, known: bool) -> str:
    """A file's name and size, its first line, and what a Python module defines."""
    head = f"{name} ({text.count(chr(10)) + 1} lines)"
    if not known:
        return head
    first = next((line for each in text[:4000].splitlines() if (line := each.strip())), "")
    defined = [f"{kind} {what}{how}" for kind, what, how in _DEFINED.findall(text[:_LOOKED_THROUGH])]
    listed = ", ".join(defined[:_MOST_NAMES]) + (", …" if len(defined) > _MOST_NAMES else "")
    parts = [first[:_LONGEST_LINE], listed if name.endswith(".py") else ""]
    return ": ".join([head, " | ".join(each for each in parts if each)]).removesuffix(": ")
