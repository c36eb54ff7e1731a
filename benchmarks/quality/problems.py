"""Problems with hidden tests, one JSON object a line."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from attrs import fields, frozen

_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class ProblemError(ValueError):
    """A file of problems cannot be used; the message names file and line."""


@frozen
class Problem:
    """A function to write.

    Attributes:
        id: its name; letters, digits, ``_``, ``.`` and ``-``, for it names a folder.
        prompt: the request that the model gets.
        entry_point: the function's name.
        header: imports and helpers that the function may use.
        examples: a pytest module, importing from ``solution``; it may be shown to the program.
        hidden: Python source that defines ``check(candidate)``; it grades and is never part of a spec.
    """

    id: str
    prompt: str
    entry_point: str
    header: str
    examples: str
    hidden: str


_KEYS: Final = tuple(each.name for each in fields(Problem))


def read_problems(paths: Iterable[Path]) -> tuple[Problem, ...]:
    """The problems of several files, in their order.

    Raises:
        ProblemError: a file cannot be read, a line is no problem, or two problems have one id.
    """
    found: dict[str, Problem] = {}
    for path in paths:
        for number, line in enumerate(_lines(path), 1):
            if line.strip():
                problem = _problem(line, f"{path}:{number}")
                if problem.id in found:
                    raise ProblemError(f"{path}:{number}: a second problem has the id {problem.id!r}")
                found[problem.id] = problem
    if not found:
        raise ProblemError("there is no problem in the files")
    return tuple(found.values())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(f"{path}: {error}") from error


def _problem(line: str, where: str) -> Problem:
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise ProblemError(f"{where}: not JSON: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in _KEYS):
        raise ProblemError(f"{where}: a problem is an object with the texts {', '.join(_KEYS)}")
    problem = Problem(**{key: value[key] for key in _KEYS})
    if not problem.id.strip(".") or not _LETTERS.issuperset(problem.id):
        raise ProblemError(f"{where}: the id {problem.id!r} cannot name a folder")
    if not problem.entry_point.isidentifier():
        raise ProblemError(f"{where}: {problem.entry_point!r} is no name of a function")
    return problem
