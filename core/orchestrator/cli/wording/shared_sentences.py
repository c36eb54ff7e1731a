"""Sentences about plans, comparisons and policies that several commands write."""

from collections.abc import Iterable
from typing import Final

from attrs import fields

from orchestrator import events as e
from orchestrator.cli.terminal.terminal_output import money
from orchestrator.models import size_remark
from orchestrator.money import Usd
from orchestrator.policy import Policy, RateLimit

_RESTRICTIONS: Final = tuple(field.name for field in fields(Policy) if field.name not in ("name", "enforcement_mode"))


def remarks_on_choice(event: e.Compared) -> tuple[str, ...]:
    """How one of several results was chosen, a line each: who won which pair, and with how many wins it was chosen."""
    pairs = [
        f"iterations {pair.earlier} and {pair.later}: "
        + ("a tie" if pair.winner is None else f"{pair.winner} is better")
        + f" (in this order {pair.verdicts[0] or 'unreadable'}, in the other {pair.verdicts[1] or 'unreadable'})"
        for pair in event.pairs
    ]
    wins = sum(pair.winner == event.iteration for pair in event.pairs)
    how = "nothing is left to compare" if len(event.candidates) == 1 else f"it won {wins} of {len(event.pairs)} pairs"
    why = "" if event.stopped is None else f"; not all were made or compared ({event.stopped})"
    return (*pairs, f"iteration {event.iteration} is chosen: {how}{why}")


def remarks_on(plan: e.PlanMade) -> tuple[str, ...]:
    """What there is to say of a model's plan, a line each: its size, and what was left out or repaired."""
    size = size_remark(len(plan.tasks)) if plan.call is not None else None
    absent = (
        f"the plan names a validator {name!r} that is not installed; it is left out" for name in plan.dropped_validators
    )
    return (*filter(None, [size]), *absent, *(repair.words for repair in plan.repairs))


def forbidden(name: str, policy: Policy | None, unknown: Iterable[str] = ()) -> str:
    """A policy that rules a model out, with what it restricts, and the facts that are not known of the model."""
    if policy is None:
        return f"policy {name!r} rules it out"
    facts = "".join(f"; {fact} is not declared" for fact in unknown)
    return f"policy {name!r} rules it out ({restricted(policy)}{facts})"


def restricted(policy: Policy) -> str:
    """What a policy restricts, field by field."""
    restrictions = []
    for name in _RESTRICTIONS:
        value = getattr(policy, name)
        if value is not None:
            restrictions.append(f"{name}: {_shown(value)}")
    return "; ".join(restrictions)


def _shown(value: object) -> str:
    match value:
        case tuple():
            return ", ".join(value) or "none"
        case Usd():
            return money(value)
        case RateLimit():
            given = {field.name: getattr(value, field.name) for field in fields(RateLimit)}
            return ", ".join(f"{name} {_shown(each)}" for name, each in given.items() if each is not None)
    return str(value).lower()
