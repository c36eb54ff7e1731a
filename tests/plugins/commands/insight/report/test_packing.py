"""JSON that waits to be written: the same as at once, harmless in a page, and small."""

import json
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_insight.report.packing import Packed, inert

TEXTS = st.text(st.sampled_from("<>&\"'/\\aé✓\u2028!-[]"), max_size=30)
VALUES = st.recursive(st.none() | st.booleans() | st.integers(0, 10**6) | TEXTS, st.lists, max_leaves=8)


def joined(packed: Packed) -> bytes:
    """What is written of it."""
    return b"".join(packed)


@given(st.lists(VALUES))
def test_members_are_those_of_the_whole(values: list[Any]) -> None:
    """An array packed member by member is the array at once, byte for byte."""
    packed = Packed()
    for value in values:
        packed.add(value)
    assert b"[" + joined(packed) + b"]" == inert(values)


@given(st.dictionaries(TEXTS, VALUES))
def test_keys_are_those_of_the_whole(values: dict[str, Any]) -> None:
    """So is an object; nothing in it can end an element or begin one, and it reads as what it was."""
    packed = Packed()
    for key, value in values.items():
        packed.add(value, key)
    whole = b"{" + joined(packed) + b"}"
    assert whole == inert(values)
    assert not set(whole) & set(b"<>&")
    assert json.loads(whole) == values


def test_what_waits_and_what_is_written_is_small() -> None:
    """Of twenty million characters that wait and are written in turn, no tenth is in memory at any time."""
    packed, length = Packed(), 0
    row = ["call.succeeded", "x" * 400]
    tracemalloc.start()
    try:
        for number in range(50_000):
            packed.add([number, *row])
        for part in packed:
            length += len(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length > 20_000_000
    assert peak < length / 10
