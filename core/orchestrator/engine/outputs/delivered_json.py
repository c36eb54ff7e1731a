"""JSON as it is delivered: laid out anew, every number and text in the characters of the model."""

import json
import re
from typing import Any, Final

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)
_INDENT: Final = "  "
_LONGEST: Final = 16 * 1024 * 1024
"""Characters of a layout; what would be longer stays as it is."""


def is_strict(text: str) -> bool:
    """Whether a text is one JSON object or list, without NaN, Infinity and keys that one object has twice."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refused, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, (dict, list))


def laid_out(text: str) -> str:
    """Strict JSON with a line for each value, two blanks deeper at each level; only white space changes."""
    found, length, depth = list[str](), 0, 0
    tokens = _TOKEN.findall(text)
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if token in "{[":
            depth += 1
            piece = token if following in ("}", "]") else token + _line(depth)
        elif token in "}]":
            depth -= 1
            piece = token if found[-1] in ("{", "[") else _line(depth) + token
        else:
            piece = "," + _line(depth) if token == "," else ": " if token == ":" else token
        length += len(piece)
        if length > _LONGEST:
            return text
        found.append(piece)
    return "".join(found)


def _line(depth: int) -> str:
    return "\n" + _INDENT * depth


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
