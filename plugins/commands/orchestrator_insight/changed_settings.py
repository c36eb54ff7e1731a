"""The settings that two runs have otherwise, in lines for people; values are written as a spec writes them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from attrs import asdict, fields

from orchestrator.models import Strategy
from orchestrator.money import Usd
from orchestrator.policy import Policy
from orchestrator.settings import Approvals, Evaluation, Limits, RunSettings
from orchestrator.spec.policy_keys import POLICY

_GROUPS: Final = (Approvals, Evaluation, Limits, Strategy)
"""Settings that are compared by what they consist of."""
_TIMES: Final = frozenset(
    {"time_limit", "breaker_open", "outage", "call_timeout", "call_total", "batch_wait", "verify_timeout"}
)
"""Settings in microseconds; they are shown in seconds."""
_NONE: Final = "none"


def settings_changed(before: RunSettings, after: RunSettings) -> Iterator[str]:
    """The settings that differ, a line each, by name and, in a group or table of settings, by its name there."""
    for each in fields(RunSettings):
        yield from _unlike(each.name, getattr(before, each.name), getattr(after, each.name))


def _unlike(where: str, before: object, after: object) -> Iterator[str]:
    one, other = (_by_name(each, beside) for each, beside in ((before, after), (after, before)))
    if one is not None and other is not None:
        for key in dict.fromkeys((*one, *other)):
            yield from _unlike(f"{where}.{key}", one.get(key), other.get(key))
    elif before != after:
        name = where.rpartition(".")[2]
        yield f"{where}: {_shown(before, name)} → {_shown(after, name)}"


def _by_name(value: object, beside: object) -> Mapping[str, object] | None:
    """What a value consists of, where its parts have names; of nothing beside policies, no policy."""
    if value is None and isinstance(beside, tuple):
        value = ()
    if isinstance(value, _GROUPS):
        return asdict(value, recurse=False)
    if isinstance(value, Policy):
        return _spelled(value)
    if isinstance(value, tuple) and all(isinstance(each, Policy) for each in value):
        named = {each.name: each for each in value}
        return named if len(named) == len(value) else None
    return value if isinstance(value, dict) else None


def _spelled(policy: Policy) -> dict[str, Any]:
    """What a policy sets, its name aside."""
    return {key: value for key, value in POLICY.dump(policy).items() if key != "name"}


def _shown(value: object, name: str = "") -> str:
    match value:
        case None | () | []:
            return _NONE
        case bool():
            return str(value).lower()
        case int() if name in _TIMES:
            return f"{value / 1_000_000:g} s"
        case Usd():
            return value.trimmed
        case Enum():
            return str(value.value)
        case Decimal():
            return f"{value.normalize():f}"
        case Policy():
            return _shown(_spelled(value))
        case dict():
            return "{" + ", ".join(f"{_shown(key)}: {_inner(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return ", ".join(map(_inner, value))
    return str(value)


def _inner(value: object) -> str:
    """A value inside another."""
    match value:
        case Policy():
            return _inner(POLICY.dump(value))
        case list() | tuple():
            return f"[{', '.join(map(_inner, value))}]"
    return _shown(value)
