"""Reading of answers: pure functions from a text to what a decision may see of it.

They tolerate what models do (fences, prose around the JSON, trailing commas, a wrapping object) and refuse rather
than guess: a score out of range, two different scores, a task without a prompt are no reading.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from orchestrator.engine.answers.advising import read_profile
from orchestrator.engine.answers.enhancing import read_suggestions
from orchestrator.engine.answers.fences import blocks, content_of
from orchestrator.events import Reading
from orchestrator.models import PlannedTask, ReadingProblem, Role, TaskType

__all__ = ["content_of", "read_answer", "read_plan", "read_score", "reasons_in"]

Keep = Callable[[str], str]
"""Stores a text and returns its digest."""

_COMMA: Final = r",(?=\s*[\]}])"
_UNCLOSED: Final = r'"(?s:[^"\\]|\\.)*+\\?\Z'
"""After a quote that no other closes, none of those behind it is closed: they need not be looked at one by one."""
_TRAILING_COMMA: Final = re.compile(rf'("(?s:[^"\\]|\\.)*+")|({_UNCLOSED})|{_COMMA}')
_OPENING: Final = re.compile(r"""\{\s*+["}]|\[\s*+["\[{\]0-9tfn-]""")
_PER_FAILURE: Final = 50
"""A failed attempt also searches all the text before it, for the number of its line: so much faster."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_LONGEST_PATH: Final = 200
_LONGEST_JSON: Final = 1_000_000
_LONGEST_SEARCH: Final = 5_000_000
"""Characters looked at in search of JSON between prose; what opens and never closes is read again and again."""


def read_answer(
    role: Role, text: str, validators: Sequence[str], keep: Keep, paths: Mapping[str, str] = MappingProxyType({})
) -> Reading:
    """What a decision may know of an answer. ``paths`` is where the user wants the files of a plan's tasks."""
    if role is Role.EVALUATOR:
        return read_score(text)
    if role is Role.DECOMPOSER:
        return read_plan(text, validators, keep, paths)
    if role is Role.ENHANCER:
        return read_suggestions(_documents(text), keep)
    if role is Role.ADVISOR:
        return read_profile(_documents(text), keep)
    return Reading(problem=None if text.strip() else ReadingProblem.EMPTY)


def read_score(text: str) -> Reading:
    """A JSON object with a ``score`` from 0 to 1."""
    found = [value for value in _documents(text) if isinstance(value, dict) and "score" in value]
    if not found:
        return Reading(problem=ReadingProblem.NO_SCORE)
    scores = {repr(value["score"]) for value in found}
    score = found[0]["score"]
    if len(scores) > 1:
        return Reading(problem=ReadingProblem.AMBIGUOUS_SCORE)
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
        return Reading(problem=ReadingProblem.NO_SCORE)
    if not 0 <= score <= 1:
        return Reading(problem=ReadingProblem.SCORE_OUT_OF_RANGE)
    return Reading(score=float(score))


def reasons_in(text: str) -> str:
    """The reasons of an evaluation, for the next draft; empty where there are none."""
    for value in _documents(text):
        if isinstance(value, dict) and isinstance(value.get("reasons"), str):
            return str(value["reasons"])
    return ""


def read_plan(
    text: str, validators: Sequence[str], keep: Keep, paths: Mapping[str, str] = MappingProxyType({})
) -> Reading:
    """A JSON list of tasks, or an object that holds one.

    Tasks are named ``task_001`` … in their order, whatever the model called them; dependencies follow. ``paths`` are
    by a task's number from 1, or by its id, the model's or ours.
    """
    items = _task_list(text)
    if items is None:
        return Reading(problem=ReadingProblem.NO_JSON)
    if not items or not all(isinstance(item, dict) for item in items):
        return Reading(problem=ReadingProblem.NO_TASKS)
    given = [str(item.get("id", number)) for number, item in enumerate(items, 1)]
    if len(set(given)) < len(given):
        return Reading(problem=ReadingProblem.DUPLICATE)
    names = {name: f"task_{number:03d}" for number, name in enumerate(given, 1)}
    tasks, dropped = [], set()
    for number, (name, item) in enumerate(zip(given, items, strict=True), 1):
        kind, prompt = _type_of(item.get("type")), item.get("prompt", item.get("description"))
        if kind is None or not isinstance(prompt, str) or not prompt.strip():
            return Reading(problem=ReadingProblem.BAD_TASK)
        wanted = [str(each) for each in _listed(item.get("hard_validators"))]
        dropped |= {each if _IDENTIFIER.fullmatch(each) else "unnamed" for each in wanted if each not in validators}
        title = item.get("title")
        tasks.append(
            PlannedTask(
                id=names[name],
                type=kind,
                prompt=keep(prompt),
                prompt_bytes=len(prompt.encode(errors="replace")),
                title=keep(title) if isinstance(title, str) and title.strip() else None,
                dependencies=_unique(names.get(str(each), "unknown") for each in _listed(item.get("dependencies"))),
                validators=_unique(each for each in wanted if each in validators),
                schema=keep(json.dumps(item["schema"])) if isinstance(item.get("schema"), dict) else None,
                tests=keep(item["tests"]) if isinstance(item.get("tests"), str) and item["tests"].strip() else None,
                path=_kept(paths.get(str(number)) or paths.get(names[name]) or paths.get(name) or _path(item), keep),
            )
        )
    return Reading(plan=tuple(tasks), dropped_validators=tuple(sorted(dropped)))


def _path(item: Mapping[str, Any]) -> str | None:
    """Where the model wants a task's file; names are confined when files are written."""
    path = item.get("path")
    return path.strip() if isinstance(path, str) and 0 < len(path.strip()) <= _LONGEST_PATH else None


def _kept(text: str | None, keep: Keep) -> str | None:
    return None if text is None else keep(text)


def _type_of(value: Any) -> TaskType | None:
    if not isinstance(value, str):
        return None
    try:
        return TaskType(value.strip().lower().replace("-", "_").replace(" ", "_"))
    except ValueError:
        return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _unique(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _task_list(text: str) -> list[Any] | None:
    """The longest list of tasks in the text."""
    lists = []
    for value in _documents(text):
        if isinstance(value, list):
            lists.append(value)
        elif isinstance(value, dict):
            inner = value.get("tasks", value.get("plan"))
            if isinstance(inner, list):
                lists.append(inner)
    return max(lists, key=len, default=None)


def _documents(text: str) -> Iterator[Any]:
    """The JSON documents in a text: the whole of it, or each fenced block, or what stands in braces or brackets."""
    if len(text) > _LONGEST_JSON:
        return
    for whole in (text, *(block.content for block in blocks(text))):
        value = _parsed(whole)
        if value is not None:
            yield value
            return
    yield from _embedded(_without_trailing_commas(text))


def _embedded(text: str) -> list[Any]:
    """What stands in braces or brackets; nothing where the search takes too long, for a part would be a guess."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    found, position, left = [], 0, _LONGEST_SEARCH
    while (opening := _OPENING.search(text, position)) is not None:
        start = opening.start()
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            position = start + 1
            reached = error.pos if isinstance(error, json.JSONDecodeError) else len(text)
            left -= 1 + reached - start + start // _PER_FAILURE
            if left < 0:
                return []
            continue
        found.append(value)
    return found


def _parsed(text: str) -> Any:
    for attempt in (text, _without_trailing_commas(text)):
        try:
            value = json.loads(attempt.strip(), parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, (dict, list)):
            return value
    return None


def _without_trailing_commas(text: str) -> str:
    return _TRAILING_COMMA.sub(lambda match: match[1] or re.sub(_COMMA, "", match[2] or ""), text)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
