"""The type of a planned task: as it is written, by a table of other words, by its file, or by its checks."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from orchestrator.models import TaskType

PYTHON_CHECKS: Final = ("python_syntax", "pytest", "ruff")
"""The validators that judge Python code."""

_WORDS: Final[Mapping[TaskType, str]] = MappingProxyType(
    {
        TaskType.CODE_GEN: (
            "code coding programming implementation implement implementing development develop testing test tests "
            "unittest unittests scripting script refactoring refactor bugfix fix setup configuration config deployment "
            "devops infrastructure integration frontend backend module migration scaffolding boilerplate build python"
        ),
        TaskType.CODE_REVIEW: "review reviewing audit inspection critique lint linting",
        TaskType.COMPLEX_REASONING: (
            "analysis analyze analyse analyzing reasoning research planning plan design designing architecture "
            "requirements specification spec decision investigation strategy math mathematics modeling modelling "
            "debugging problem optimization algorithm reason"
        ),
        TaskType.CREATIVE_WRITING: (
            "documentation document docs doc readme writing write creative copywriting content text article blog "
            "story poem poetry novel report essay guide tutorial manual translation editing presentation latex"
        ),
        TaskType.DATA_EXTRACTION: (
            "data extraction extract parsing parse scraping json dataset collection classification labeling labelling "
            "transformation"
        ),
        TaskType.SUMMARIZATION: "summarization summarisation summary summarize summarise summarizing abstract digest",
        TaskType.EVALUATION: (
            "evaluation evaluate evaluating validation validate verification verify scoring score grading assessment "
            "assess judging judge quality qa benchmark benchmarking"
        ),
    }
)
_BY_WORD: Final[Mapping[str, TaskType]] = MappingProxyType(
    {word: kind for kind, words in _WORDS.items() for word in words.split()}
)
_NEAR: Final = 0.8
"""How much two words have to be alike to be one, misspelled."""
_LONGEST: Final = 100

_BY_SUFFIX: Final[Mapping[str, TaskType]] = MappingProxyType(
    {
        **dict.fromkeys((".md", ".markdown", ".txt", ".rst", ".adoc", ".tex"), TaskType.CREATIVE_WRITING),
        **dict.fromkeys((".json", ".jsonl"), TaskType.DATA_EXTRACTION),
    }
)


def exact_type(text: str) -> TaskType | None:
    """The type of this name, however it is spaced and capitalised."""
    try:
        return TaskType("_".join(_words(text)))
    except ValueError:
        return None


def near_type(text: str) -> TaskType | None:
    """The type that another word means, by its last word that is known: a ``data analysis`` is an analysis."""
    words = _words(text[:_LONGEST])
    known = [_BY_WORD[word] for word in words if word in _BY_WORD]
    if known:
        return known[-1]
    names = {kind.value: kind for kind in TaskType}
    if close := get_close_matches("_".join(words), names, 1, _NEAR):
        return names[close[0]]
    misspelled = [near for word in words for near in get_close_matches(word, _BY_WORD, 1, _NEAR)]
    return _BY_WORD[misspelled[-1]] if misspelled else None


def type_of_file(name: str) -> TaskType:
    """The type of the task that writes a file of this name."""
    return _BY_SUFFIX.get(PurePosixPath(name).suffix.lower(), TaskType.CODE_GEN)


def type_by_traces(file: str | None, checks: Iterable[str], *, tested: bool) -> TaskType:
    """The type of a task that names none: by its file, its checks and its tests, else the most general one."""
    if file is not None and PurePosixPath(file).suffix:
        return type_of_file(file)
    if tested or not set(PYTHON_CHECKS).isdisjoint(checks):
        return TaskType.CODE_GEN
    return TaskType.COMPLEX_REASONING


_PROSE: Final = frozenset({TaskType.CREATIVE_WRITING, TaskType.SUMMARIZATION, TaskType.COMPLEX_REASONING})
_FITTING: Final[Mapping[str, frozenset[TaskType]]] = MappingProxyType(
    {
        **dict.fromkeys(PYTHON_CHECKS, frozenset({TaskType.CODE_GEN})),
        "json_schema": frozenset({TaskType.DATA_EXTRACTION}),
        "latex": _PROSE | {TaskType.CODE_GEN},
    }
)
"""The types whose results a validator can judge; one that is not listed can judge every result."""
_SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {**dict.fromkeys(PYTHON_CHECKS, (".py", ".pyi")), "json_schema": (".json", ".jsonl"), "latex": (".tex", ".latex")}
)
"""The endings of the files that a validator can judge."""


def fits(validator: str, kind: TaskType, file: str | None, *, schema: bool) -> bool:
    """Whether a validator can judge the result of a task; ``schema``: the task has a JSON Schema of its own."""
    if validator == "json_schema" and schema:
        return True
    suffix = PurePosixPath(file or "").suffix.lower()
    if suffix and validator in _SUFFIXES:
        same = suffix in _SUFFIXES[validator]
        return same and (validator not in PYTHON_CHECKS or kind is TaskType.CODE_GEN)
    return kind in _FITTING.get(validator, frozenset(TaskType))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.casefold())
