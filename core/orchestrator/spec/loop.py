"""The key ``loop``: the strategy of the review loop, for all types of task or by type."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from orchestrator.decide.strategies import REVIEWED, STRATEGIES
from orchestrator.models import CritiqueUse, JudgeMethod, JudgeUse, Strategy, TaskType
from orchestrator.spec.value_kinds import Choice, Kind, Place, Real, Refused, Whole, described, suggestion

_NAME: Final = "strategy"
_DEFAULT: Final = "default"
_EVALUATE: Final[Mapping[str, tuple[str, Kind[Any]]]] = {
    "runs": ("runs", Whole(0, 20)),
    "judge": ("method", Choice(JudgeMethod)),
}
"""The keys of a strategy's ``evaluate``: the field that each sets, and its kind."""
_KEYS: Final[Mapping[str, Kind[Any]]] = {
    "samples": Whole(1, 100),
    "iterations": Whole(1, 100),
    "critique": Choice(CritiqueUse),
    "judge": Choice(JudgeUse),
    "temperature": Real(0, 2),
}
"""What of a strategy a spec can change, beside its ``evaluate``."""


def named(name: str) -> dict[TaskType, Strategy]:
    """The strategy of that name for every type of task, as a spec's ``loop`` has it.

    Raises:
        KeyError: there is none of that name.
    """
    return _different(dict.fromkeys(TaskType, STRATEGIES[name]))


def _different(found: Mapping[TaskType, Strategy]) -> dict[TaskType, Strategy]:
    """Those that are not the default: equal rules are equal values."""
    return {kind: strategy for kind, strategy in found.items() if strategy != REVIEWED}


def under(strategy: Strategy, judge: JudgeMethod | None) -> Strategy:
    """A strategy beside ``evaluate: {judge: …}``: that replaces what it usually has, not what ``loop`` says."""
    usual = STRATEGIES[strategy.name].method
    if judge is None or usual is None or strategy.method is not usual:
        return strategy
    return evolve(strategy, method=judge)


class LoopRules(Kind[dict[TaskType, Strategy]]):
    """A name, a mapping with the name and the keys that change it, or one of these by type of task."""

    def read(self, value: Any, at: Place) -> dict[TaskType, Strategy]:
        """See ``Kind``."""
        if not isinstance(value, Mapping) or _NAME in value:
            return _different(dict.fromkeys(TaskType, _strategy(value, at)))
        before, given = len(at.problems), dict[str, Strategy]()
        types = {kind.value: kind for kind in TaskType}
        for name, each in value.items():
            if name != _DEFAULT and name not in types:
                known = suggestion(name, {**types, _DEFAULT: _DEFAULT, _NAME: _NAME})
                at.below(str(name)).report(
                    f"unknown key{known or f'; known are {_DEFAULT}, {_NAME} and the task types'}"
                )
                continue
            try:
                given[name] = _strategy(each, at.below(name))
            except Refused:
                continue
        if len(at.problems) > before:
            raise Refused
        rest = given.get(_DEFAULT, REVIEWED)
        return _different({kind: given.get(name, rest) for name, kind in types.items()})

    def dump(self, value: dict[TaskType, Strategy]) -> Any:
        """One strategy where it holds for every type."""
        found = {kind.value: _dumped(strategy) for kind, strategy in value.items()}
        same = len(found) == len(TaskType) and len(set(value.values())) == 1
        return next(iter(found.values())) if same else found

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        one = _schema()
        types = [_DEFAULT, *(kind.value for kind in TaskType)]
        by_type = {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(types, one)}
        return {"type": ["string", "object"], "anyOf": [*one["anyOf"], by_type, {"type": "null"}]}


def _strategy(value: Any, at: Place) -> Strategy:
    if isinstance(value, str):
        return _of_name(value, at)
    if not isinstance(value, Mapping):
        raise at.refuse(f"expected the name of a strategy, or a mapping, found {described(value)}")
    if _NAME not in value:
        raise at.refuse(f"the key {_NAME!r} is required")
    before = len(at.problems)
    strategy = _of_name(value[_NAME], at.below(_NAME))
    changes: dict[str, Any] = {}
    for name, each in value.items():
        if name == _NAME or each is None:
            continue
        try:
            changes |= _change(name, each, at.below(str(name)))
        except Refused:
            continue
    if len(at.problems) > before:
        raise Refused
    return evolve(strategy, **changes)


def _change(name: object, value: Any, at: Place) -> dict[str, Any]:
    if name == "evaluate":
        if not isinstance(value, Mapping) or not value or not set(value) <= set(_EVALUATE):
            raise at.refuse(
                f"expected a mapping with the key {' or '.join(map(repr, _EVALUATE))}, found {described(value)}"
            )
        read = ((_EVALUATE[key], each, at.below(key)) for key, each in value.items() if each is not None)
        return {field: kind.read(each, place) for (field, kind), each, place in read}
    kind = _KEYS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise at.refuse(f"unknown key{suggestion(name, {**_KEYS, 'evaluate': None, _NAME: None})}")
    return {str(name): kind.read(value, at)}


def _of_name(value: Any, at: Place) -> Strategy:
    found = STRATEGIES.get(value) if isinstance(value, str) else None
    if found is None:
        known = suggestion(value, STRATEGIES) or f"; there are {', '.join(STRATEGIES)}"
        raise at.refuse(f"no strategy is named {described(value)}{known}")
    return found


def _dumped(strategy: Strategy) -> Any:
    usual = STRATEGIES[strategy.name]
    if strategy == usual:
        return strategy.name
    changed = {
        name: kind.dump(getattr(strategy, name))
        for name, kind in _KEYS.items()
        if getattr(strategy, name) != getattr(usual, name)
    }
    evaluate = {
        name: kind.dump(getattr(strategy, field))
        for name, (field, kind) in _EVALUATE.items()
        if getattr(strategy, field) != getattr(usual, field)
    }
    return {_NAME: strategy.name, **changed, **({"evaluate": evaluate} if evaluate else {})}


def _schema() -> dict[str, Any]:
    name = {"enum": list(STRATEGIES)}
    evaluate = {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {key: kind.schema() for key, (_, kind) in _EVALUATE.items()},
    }
    properties = {_NAME: name, **{key: kind.schema() for key, kind in _KEYS.items()}, "evaluate": evaluate}
    keys = {"type": "object", "additionalProperties": False, "required": [_NAME], "properties": properties}
    return {"anyOf": [name, keys]}


LOOP: Final = LoopRules()
