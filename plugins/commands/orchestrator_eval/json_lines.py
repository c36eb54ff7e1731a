"""Cases out of a file of JSON lines, by a mapping: ``{from: FILE, map: humaneval}`` or with templates of one's own."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from orchestrator.spec.value_kinds import Place, Whole, described

FROM: Final = "from"
"""The key that makes an item of ``cases`` a file of cases."""

HUMANEVAL: Final[Mapping[str, Any]] = {
    "id": "{task_id}",
    "type": "code_generation",
    "prompt": "Complete this Python function. Give the whole module, imports included.\n\n{prompt}",
    "path": "solution.py",
    "hard_validators": ["python_syntax"],
    "oracle": "```python\n{prompt}{canonical_solution}\n```\n",
    "grade": {
        "pytest": "import solution\nfrom solution import *\n\n{test}\n\n"
        "def test_hidden():\n    check(solution.{entry_point})\n"
    },
    "tags": ["humaneval"],
}
"""The mapping of the files of HumanEval and those shaped like it."""

_MAPPINGS: Final = {"humaneval": HUMANEVAL}
_KEYS: Final = (FROM, "map", "limit", "tags")
_FIELD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_BYTES: Final = 64 * 1024 * 1024


@frozen
class Row:
    """One line as a case, still to be read."""

    source: str
    line: int
    case: Mapping[str, Any]

    def place(self, item: Place) -> Place:
        """Where it stands, for messages: every key of it in this one line."""
        return _at(self.source, self.line, item)


def _at(source: str, line: int, item: Place) -> Place:
    return Place(source, lambda _: line, (), item.problems)


def rows(item: Mapping[str, Any], at: Place, folder: Path) -> list[Row]:
    """The cases of a file.

    Raises:
        Refused: the item, or the file, cannot be used; ``at`` has recorded why.
    """
    for name in item:
        if name not in _KEYS:
            raise at.below(str(name)).refuse(f"unknown key; known are {', '.join(_KEYS)}")
    if not isinstance(item[FROM], str):
        raise at.below(FROM).refuse(f"expected the name of a file, found {described(item[FROM])}")
    templates = _templates(item.get("map"), at.below("map"))
    if "tags" in item:
        templates = {**templates, "tags": item["tags"]}
    limit = None if item.get("limit") is None else Whole(1, 1_000_000).read(item["limit"], at.below("limit"))
    path = folder / Path(item[FROM]).expanduser()
    found: list[Row] = []
    for number, line in enumerate(_lines(path, at.below(FROM)), 1):
        if limit is not None and len(found) >= limit:
            break
        if line.strip():
            found.append(Row(str(path), number, _case(line, templates, _at(str(path), number, at))))
    if not found:
        raise at.below(FROM).refuse(f"{path} holds no line")
    return found


def _templates(value: Any, at: Place) -> Mapping[str, Any]:
    if isinstance(value, str) and value in _MAPPINGS:
        return _MAPPINGS[value]
    if isinstance(value, Mapping):
        base = value.get("like")
        if base is not None and base not in _MAPPINGS:
            raise at.below("like").refuse(f"no mapping is called {base!r}; there is {', '.join(_MAPPINGS)}")
        return {**_MAPPINGS.get(str(base), {}), **{name: each for name, each in value.items() if name != "like"}}
    raise at.refuse(f"expected {' or '.join(_MAPPINGS)}, or a mapping from keys of a case to templates")


def _lines(path: Path, at: Place) -> list[str]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise at.refuse(f"{path} is larger than {_MOST_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not valid UTF-8"
        raise at.refuse(f"{path} cannot be read: {reason}") from None


def _case(line: str, templates: Mapping[str, Any], at: Place) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise at.refuse(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise at.refuse(f"expected an object, found {described(value)}")
    case: dict[str, Any] = {name: _filled(template, value, at) for name, template in templates.items()}
    if isinstance(case.get("id"), str):
        case["id"] = re.sub(r"[^A-Za-z0-9_.-]+", "-", case["id"]).lstrip("_.-")[:64]
    return case


def _filled(template: Any, value: Mapping[str, Any], at: Place) -> Any:
    """A template with the fields of a line in the place of ``{NAME}``; other braces stay."""
    if isinstance(template, Mapping):
        return {name: _filled(each, value, at) for name, each in template.items()}
    if isinstance(template, list):
        return [_filled(each, value, at) for each in template]
    if not isinstance(template, str):
        return template
    lacking = [name for name in _FIELD.findall(template) if name not in value]
    if lacking:
        raise at.refuse(f"the line has no field {lacking[0]!r}; it has {', '.join(value)}")
    return _FIELD.sub(lambda found: _plain(value[found[1]]), template)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
