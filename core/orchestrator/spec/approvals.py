"""The key ``approve``: what the run stops at until a person has agreed."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from orchestrator.money import Usd
from orchestrator.settings import Approvals
from orchestrator.spec.value_kinds import Flag, Kind, Money, Place, Refused, described, suggestion

_FLAGS: Final = ("plan", "tasks", "ceiling")
_SPEND: Final = "spend"
_AMOUNT: Final = Money()
_MOST: Final = 100


class ApprovalPoints(Kind[Approvals]):
    """One point or a list of them: ``plan``, ``tasks``, ``ceiling``, or a mapping with one of these or ``spend``."""

    def read(self, value: Any, at: Place) -> Approvals:
        """See ``Kind``."""
        items = value if isinstance(value, list | tuple) else [value]
        if len(items) > _MOST:
            raise at.refuse(f"{len(items)} items are more than {_MOST}")
        found, before = Approvals(), len(at.problems)
        for number, item in enumerate(items):
            here = at.below(number) if items is value else at
            try:
                for name, wanted in _points(item, here):
                    found = _with(found, name, wanted, here)
            except Refused:
                continue
        if len(at.problems) > before:
            raise Refused
        return evolve(found, spend=tuple(sorted(found.spend)))

    def dump(self, value: Approvals) -> list[Any]:
        """The points in a list."""
        flags = [name for name in _FLAGS if getattr(value, name)]
        return [*flags, *({_SPEND: _AMOUNT.dump(amount)} for amount in value.spend)]

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        points = {**{name: Flag().schema() for name in _FLAGS}, _SPEND: _AMOUNT.schema()}
        one = [
            {"enum": [*_FLAGS]},
            {"type": "object", "properties": points, "additionalProperties": False, "minProperties": 1},
        ]
        return {
            "type": ["string", "object", "array"],
            "anyOf": [*one, {"type": "array", "items": {"anyOf": one}, "maxItems": _MOST}, {"type": "null"}],
        }


def _points(item: Any, at: Place) -> Iterator[tuple[str, Any]]:
    if isinstance(item, str):
        yield item, True
    elif isinstance(item, Mapping) and item:
        for name, wanted in item.items():
            yield str(name), wanted
    else:
        raise at.refuse(f"expected {', '.join(_FLAGS)} or a mapping such as {{spend: 0.5}}, found {described(item)}")


def _with(found: Approvals, name: str, wanted: Any, at: Place) -> Approvals:
    if name == _SPEND and wanted is not True:
        amount: Usd = _AMOUNT.read(wanted, at.below(name))
        return found if amount in found.spend else evolve(found, spend=(*found.spend, amount))
    if name not in _FLAGS:
        what = "needs an amount, such as {spend: 0.5}" if name == _SPEND else "is no approval point"
        close = suggestion(name, (*_FLAGS, _SPEND)) or f"; there are {', '.join((*_FLAGS, _SPEND))}"
        raise at.refuse(f"{name!r} {what}{'' if name == _SPEND else close}")
    is_wanted = Flag().read(wanted, at.below(name))
    match name:
        case "plan":
            return evolve(found, plan=is_wanted)
        case "tasks":
            return evolve(found, tasks=is_wanted)
    return evolve(found, ceiling=is_wanted)


APPROVE: Final = ApprovalPoints()
