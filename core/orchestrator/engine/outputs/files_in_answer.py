"""From the answer of a task to its files: what is content, how many files there are, and their names."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Final

from orchestrator.allowed_file_names import UnsafeNameError, checked_name
from orchestrator.engine.answers.block_names import is_file_name
from orchestrator.engine.answers.blocks_as_files import blocks, files_of, refused_names
from orchestrator.engine.answers.languages import SUFFIXES, suffix_of
from orchestrator.engine.answers.result_block import NOTHING, Block, Delivery, Wanted, chosen_block
from orchestrator.engine.outputs.delivered_json import is_strict, laid_out
from orchestrator.engine.outputs.folder_writing import ASIDE, MARKER
from orchestrator.engine.outputs.own_imports import without_own_imports
from orchestrator.models import TaskType

_OURS: Final = frozenset({MARKER, "summary.json", "readme.md"})
_BARE: Final = frozenset({TaskType.CODE_GEN, TaskType.DATA_EXTRACTION})
"""Types whose results are delivered without what the model wrote around them."""
MOST_FILES: Final = 200
"""Files of one answer; what goes beyond is not written."""


def render(kind: TaskType, text: str, wanted: Wanted = NOTHING) -> tuple[str, str]:
    """The ending and the content of an output's one file: bare code, pretty JSON where it is JSON, else prose."""
    return _rendered(kind, text, blocks(text) if kind in _BARE else [], wanted)


def _rendered(kind: TaskType, text: str, found: Sequence[Block], wanted: Wanted) -> tuple[str, str]:
    if kind is TaskType.CODE_GEN:
        block = chosen_block(found, kind, wanted)
        suffix = suffix_of("" if block is None else block.language)
        return suffix, _code(suffix, text if block is None else block.content)
    if kind is TaskType.DATA_EXTRACTION:
        return _data(text, found)
    return ".md", _ended(text)


def _data(text: str, found: Sequence[Block]) -> tuple[str, str]:
    """The document of an answer: the whole of it, a block, or what one pair of brackets in prose holds."""
    block = chosen_block([each for each in found if is_strict(each.content)] or found, TaskType.DATA_EXTRACTION)
    for each in (text, _inside(text) if block is None else block.content):
        if is_strict(each):
            return ".json", _ended(laid_out(each))
    if block is not None and SUFFIXES.get(block.language) == ".json":
        return ".json", _ended(block.content)
    return (".json" if text.lstrip()[:1] in ("{", "[") else ".md"), _ended(text)


def _inside(text: str) -> str:
    """A text from its first opening bracket to its last closing one."""
    first = min((place for place in (text.find("{"), text.find("[")) if place >= 0), default=len(text))
    return text[first : max(text.rfind("}"), text.rfind("]")) + 1]


def _code(suffix: str, content: str) -> str:
    """Code as it can be run: without a margin that all its lines share."""
    is_indented = suffix == ".py" and content.lstrip("\r\n")[:1] in (" ", "\t")
    return _ended(textwrap.dedent(content) if is_indented else content)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def file_name(number: int, kind: TaskType, suffix: str) -> str:
    """Such as ``task_001_code_generation.py``."""
    return f"task_{number:03d}_{kind.value}{suffix}"


def output_files(
    number: int, kind: TaskType, text: str, path: str | None = None, wanted: Wanted = NOTHING, *, is_app: bool = False
) -> dict[str, str]:
    """The files of ``delivery``."""
    return dict(delivery(number, kind, text, path, wanted, is_app=is_app).files)


def delivery(
    number: int, kind: TaskType, text: str, path: str | None = None, wanted: Wanted = NOTHING, *, is_app: bool = False
) -> Delivery:
    """What an answer to a task is delivered as.

    One file as a rule. Code that names several files becomes a folder of them. ``path`` is where the user wants it: a
    folder, where it ends in ``/`` or does not look like a file's name; else the name of the file that suits it best,
    and the others of the answer lie beside that one as they do in the answer. ``is_app``: see ``wanted_name``.
    """
    found = blocks(text) if kind in _BARE else []
    several = files_of(found) if kind is TaskType.CODE_GEN else {}
    place = _place(path, is_app)
    if several:
        files = _several(several, place, file_name(number, kind, ""), is_app)
    else:
        suffix, content = _rendered(kind, text, found, wanted)
        files = {_named(place, file_name(number, kind, suffix)): content}
    is_whole = not several and _ended(text) in files.values()
    renamed = refused_names(found) if several else 0
    if kind is TaskType.CODE_GEN:
        tests = wanted.tests if len(files) == 1 else None
        files = {name: without_own_imports(name, content, tests) for name, content in files.items()}
    return Delivery(files, 0 if is_whole else max(0, len(found) - len(files)), renamed)


def _place(path: str | None, is_app: bool) -> str | None:
    """The name a path stands for, see ``wanted_name``; that of a folder ends in ``/``."""
    name = None if path is None else wanted_name(path, is_app=is_app)
    return f"{name}/" if name is not None and path is not None and is_folder(path) else name


def _named(place: str | None, name: str) -> str:
    """The name of an answer's one file, which is ``name`` where the place does not say."""
    if place is None:
        return name
    return f"{place}{name}" if is_folder(place) else place


def _several(several: Mapping[str, str], place: str | None, otherwise: str, is_app: bool) -> dict[str, str]:
    """The files of an answer that names them, at the place or in the folder ``otherwise``."""
    inside = {name: _code(PurePosixPath(name).suffix, body) for name, body in list(several.items())[:MOST_FILES]}
    if place is not None and not is_folder(place) and is_file_name(place):
        return _around(place, inside, otherwise, is_app)
    folder = (place or otherwise).rstrip("/")
    return {f"{folder}/{name}": body for name, body in inside.items() if wanted_name(f"{folder}/{name}")}


def is_folder(path: str) -> bool:
    """Whether a path that a user or a plan gives is a folder's whatever the answer is."""
    return path.endswith("/")


def wanted_name(path: str, *, is_app: bool = False) -> str | None:
    """The name a path stands for, or None where it must not be used or is the folder's own.

    An application (``is_app``) may have a ``README.md`` and a ``summary.json``: those of the run do not lie beside it.
    """
    name = path.rstrip("/")
    top = name.casefold().partition("/")[0]
    try:
        return None if top in (MARKER, ASIDE) or (not is_app and name.casefold() in _OURS) else checked_name(name)
    except UnsafeNameError:
        return None


def _around(wanted: str, files: Mapping[str, str], otherwise: str, is_app: bool) -> dict[str, str]:
    """The files of an answer, that one under the wanted name which suits it best, the others as they lie around it.

    It suits best to have the most parts of the path in common, from the end; else the same ending; else to be first.
    What cannot lie there, such as the folder's own ``README.md``, lies in the folder ``otherwise``.
    """
    goal = wanted.split("/")
    main = max(files, key=lambda name: (_common(name.split("/"), goal), name.endswith(PurePosixPath(goal[-1]).suffix)))
    parts = main.split("/")
    common = max(1, _common(parts, goal))
    left, put = parts[:-common], goal[:-common]
    placed = {wanted: files[main]}
    taken = {wanted.casefold()}
    for name, content in files.items():
        own = name.split("/")
        target = "/".join((*put, *(own[len(left) :] if own[: len(left)] == left else own)))
        if wanted_name(target, is_app=is_app) is None or target.casefold() in taken:
            target = f"{otherwise}/{name}"
        if name != main and wanted_name(target, is_app=is_app):
            taken.add(target.casefold())
            placed[target] = content
    return placed


def _common(name: Sequence[str], goal: Sequence[str]) -> int:
    """How many parts two paths have in common, from the end."""
    pairs = zip(reversed(name), reversed(goal), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
