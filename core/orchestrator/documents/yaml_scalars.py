"""What an unquoted word of YAML means, by the core schema of YAML 1.2."""

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from orchestrator.documents.document import Scalar

_MAX_DIGITS: Final = 400
_MAX_DECIMALS: Final = 40
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{f"{sign}{word}": math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **{f"-{word}": -math.inf for word in (".inf", ".Inf", ".INF")},
}
_DECIMAL_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_INTEGER: Final = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_FRACTION: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def number(text: str) -> int | float | Decimal:
    """The number written in decimal digits, exactly: a Decimal where a float would not print like it.

    Raises:
        ValueError: more than 400 characters.
    """
    if len(text) > _MAX_DIGITS:
        raise ValueError("the number is too long")
    if _DECIMAL_INTEGER.fullmatch(text):
        return int(text)
    nearest = float(text)
    if not math.isfinite(nearest):
        return nearest
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return nearest
    exponent = exact.as_tuple().exponent
    # Arithmetic on 1e-400000000 would take all memory; such a number is as good as its float.
    if not isinstance(exponent, int) or exponent < -_MAX_DECIMALS or exact == Decimal(repr(nearest)):
        return nearest
    return exact


def resolve(text: str) -> Scalar:
    """What a plain scalar means: null, a truth value, a number, or the text itself.

    Raises:
        ValueError: a number of more than 400 characters.
    """
    if text in _WORDS:
        return _WORDS[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _FRACTION.fullmatch(text):
        return number(text)
    other = _OTHER_INTEGER.fullmatch(text)
    if other is None:
        return text
    if len(text) > _MAX_DIGITS:
        raise ValueError("the number is too long")
    return int(other[1], 8) if other[1] else int(other[2], 16)


def read_value(text: str, source: str) -> Any:
    """The value of a flag such as ``--set``: a plain scalar; quoted text, a ``[list]`` or a ``{mapping}`` are YAML.

    Raises:
        SpecError: it begins like YAML and is none.
    """
    from orchestrator.documents import load_yaml
    from orchestrator.documents.document import refusal, text_node

    text = text.strip()
    if text[:1] in ("[", "{", '"', "'"):
        return load_yaml(text, source).value
    try:
        value = resolve(text)
    except ValueError as error:
        raise refusal(source, 1, str(error)) from error
    if isinstance(value, str):
        text_node(1, value, source)
    return value
