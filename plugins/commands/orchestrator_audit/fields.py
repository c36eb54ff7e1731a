"""What is stored of an event, beside what it is read as: each field once, and none that its session could not write."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

from orchestrator.decide import RULES
from orchestrator.engine.session import VERSION
from orchestrator.errors import LogError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import LogFinding

_SINCE: Final = MappingProxyType(
    {
        "session.opened": ("by", 4),
        "call.prepared": ("files_cut", 4),
        "call.started": ("ticket", 4),
        "call.succeeded": ("allowances", 4),
    }
)
"""By type a field that programs under older rules did not write, and the first rules under which there was one."""

_MOST_VALUES: Final = 500_000
"""In one event; a program writes some thousands at most."""


class _TwiceError(ValueError):
    """A field stands twice in an object: readers differ in which of the two they take."""


def doubtful_events(log: EventLog, streams: Iterable[str]) -> Iterator[LogFinding]:
    """The events whose stored fields are ambiguous, or contradict the rules that their session names."""
    for stream in streams:
        with suppress(LogError, AttributeError, TypeError):  # the chain itself names what cannot be read
            yield from _doubtful(log, stream)


def _doubtful(log: EventLog, stream: str) -> Iterator[LogFinding]:
    rules = RULES
    for row in log.store.raw(stream):
        kind, values = row.type.decode(errors="replace"), _read(row.data)
        if kind == "session.opened" and isinstance(values, dict):
            rules = values.get("rules", rules)
        problem = values if isinstance(values, str) else _aged(kind, values, rules)
        if problem is not None:
            yield LogFinding(row.position, stream, problem, "chain", row.version)


def _read(data: bytes) -> Any:
    """The fields; a text where one stands twice; None where they cannot be read, which the chain's check names."""
    if data.count(b",") > _MOST_VALUES:
        return f"it has more than {_MOST_VALUES} values, and would fill the memory"
    try:
        return json.loads(data, object_pairs_hook=_once)
    except _TwiceError as error:
        return str(error)
    except (ValueError, RecursionError):
        return None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"its field {twice[:80]!r} stands twice")
    return found


def _aged(kind: str, values: Any, rules: Any) -> str | None:
    if not isinstance(values, dict) or not isinstance(rules, int):
        return None
    if kind == "session.opened" and values.get("program") == VERSION and rules > RULES:
        return f"it names rules {rules}, and its program {VERSION} has rules {RULES}"
    name, since = _SINCE.get(kind, ("", 0))
    is_younger = rules < since and name in values
    return f"it has the field {name}, which there was not under rules {rules}" if is_younger else None
