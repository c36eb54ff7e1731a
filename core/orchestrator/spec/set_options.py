"""``--set KEY.KEY=VALUE``: keys of a spec changed before it is read."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.documents import Address, read_value
from orchestrator.errors import SpecError, UsageError


def apply_sets(value: Any, sets: Sequence[str]) -> Any:
    """A copy of a document's data in which each ``a.b=VALUE`` is set, in order.

    A step is a key, or a number where a list stands; missing mappings are made. The value is a YAML scalar, a quoted
    text, a ``[list]`` or a ``{mapping}``.

    Raises:
        UsageError: it is not of this form, or leads through something that is no mapping and no list.
    """
    for text in sets:
        address, equals, written = text.partition("=")
        steps = address.strip().split(".")
        if not equals or not all(steps):
            raise UsageError(f"--set {text}: write it as KEY.KEY=VALUE")
        try:
            item = read_value(written, "--set")
        except SpecError as error:
            raise UsageError(f"--set {address}: {error.problems[0].partition(': ')[2]}") from error
        value = _with({} if value is None else value, steps, item, f"--set {address}")
    return value


def _with(value: Any, steps: Sequence[str], item: Any, flag: str) -> Any:
    """``value`` with ``item`` at ``steps``; what is not on the way is shared, not copied."""
    if not steps:
        return item
    step, rest = steps[0], steps[1:]
    if isinstance(value, Mapping):
        below = value.get(step)
        return {**value, step: _with({} if below is None else below, rest, item, flag)}
    if not isinstance(value, list):
        raise UsageError(f"{flag}: {step!r} would stand in something that is neither a mapping nor a list")
    if not step.isdecimal() or len(step) > 6 or int(step) >= len(value):
        raise UsageError(f"{flag}: {step!r} is no place in a list of {len(value)}; the first is 0")
    place = int(step)
    return [*value[:place], _with(value[place], rest, item, flag), *value[place + 1 :]]


def addresses_of(value: Any, sets: Sequence[str], option: str) -> dict[Address, str]:
    """Where in the data that ``apply_sets`` has changed each of ``sets`` stands, with the option that gave it."""
    found: dict[Address, str] = {}
    for text in sets:
        address: Address = ()
        below = value
        for step in text.partition("=")[0].strip().split("."):
            if isinstance(below, list) and step.isdecimal():
                address, below = (*address, int(step)), below[int(step)] if int(step) < len(below) else None
            else:
                address, below = (*address, step), below.get(step) if isinstance(below, Mapping) else None
        found[address] = option
    return found
