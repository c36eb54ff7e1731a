"""Any event as one readable line: for ``log show``, ``log tail`` and ``run --verbose``."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from attrs import fields, has

from orchestrator.cli.terminal.terminal_output import line, money, timestamp
from orchestrator.events import TYPES, EndedAttempt, Event, ModelCandidate, PluginUsed
from orchestrator.models import ModelInfo, PlannedTask
from orchestrator.money import Usage, Usd
from orchestrator.settings import RunSettings

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_DURATIONS: Final = frozenset({"latency", "timeout", "retry_after", "time_limit"})
_NAMES: Final = {kind: name for name, kind in TYPES.items()}
_SHOWN_DIGITS: Final = 8


def stored_name(event: Event) -> str:
    """The event's stored name, such as ``task.started``."""
    return _NAMES[type(event)]


def describe(event: Event) -> str:
    """The event's fields as ``name=value``, what is empty left out; digests are cut to eight digits."""
    parts = []
    for field in fields(type(event)):
        value = getattr(event, field.name)
        if value is None or value is False or value in ((), {}):
            continue
        parts.append(f"{field.name.rstrip('_')}={_shown(field.name, value)}")
    return line(" ".join(parts))


def _shown(name: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if name in _DURATIONS:
            return f"{value / 1_000_000:g}s"
        if name == "until":
            return timestamp(value)
    return _value(value)


def _value(value: Any) -> str:
    match value:
        case Usd():
            return money(value)
        case Enum():
            return str(value.value)
        case str():
            return value[:_SHOWN_DIGITS] if _DIGEST.fullmatch(value) else value
        case float():
            return f"{value:g}"
        case tuple():
            return ",".join(_value(item) for item in value)
        case Mapping():
            return ",".join(f"{_value(key)}:{_value(item)}" for key, item in value.items())
        case ModelCandidate():
            score = "" if value.score is None else f"({value.score:g})"
            return ":".join(filter(None, (f"{value.model}{score}", value.rejection, value.policy)))
        case PlannedTask() | ModelInfo():
            return value.id
        case PluginUsed():
            return f"{value.kind}:{value.name}@{value.version}"
        case EndedAttempt():
            return f"{value.call}:{money(value.amount)}"
        case Usage():
            return f"{value.input_tokens}+{value.output_tokens}"
        case RunSettings():
            return f"cap:{money(value.cap)},concurrency:{value.concurrency}"
    if has(type(value)):
        found = ((field.name, getattr(value, field.name)) for field in fields(type(value)))
        return "{" + ",".join(f"{name}:{_value(item)}" for name, item in found if item not in (None, (), {})) + "}"
    return str(value)
