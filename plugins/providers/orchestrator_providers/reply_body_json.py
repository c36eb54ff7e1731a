"""JSON as vendors should write it: what is ambiguous or no number is refused, not guessed."""

from typing import Any, Final

from orchestrator.documents import parse_json
from orchestrator_providers.openai_answers import larger_usage

NO_JSON: Final = (ValueError, RecursionError, MemoryError)
"""What parsing raises for a body that is no such JSON."""


_USAGES: Final = ("usage", "usageMetadata")
MOST_VALUES: Final = 1_000_000
"""Values in one document beyond which it is refused: an empty list takes two bytes on the wire and eighty here."""


def parse_strict(content: bytes) -> Any:
    """Parse UTF-8 JSON, refusing NaN and infinities, and more values than any answer has.

    Where a key stands twice in one object the last one counts; of two usages the larger.

    Raises:
        ValueError: not such JSON.
        RecursionError: nested too deeply.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values")
    return parse_json(content.decode("utf-8-sig"), _object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        for name in _USAGES:
            for key, each in pairs:
                if key == name:
                    value[name] = larger_usage(value[name], each)
    return value
