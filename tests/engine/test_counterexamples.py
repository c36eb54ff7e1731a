"""Counterexamples: which calls an input may mean, and what a claim is worth beside what the draft gave."""

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.counterexamples import calls_of, draft_of, judged, together
from orchestrator.models import ProbeResult
from orchestrator.suites import CallResult, laid_out

SOURCE = """
import os
LIMIT = 3
def f(text, times=1):
    return text * times
class Stack:
    size = 0
    def __init__(self, *items): ...
    def push(self, item): return self
"""
DRAFT = draft_of(laid_out(SOURCE, {"app/text.py": SOURCE}, {}))


def _calls(given: object, where: str = "") -> list[str]:
    return [call.expression for call in calls_of(given, where, DRAFT)]


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        ('f("x")', ['f("x")']),
        ("`f('x', times=2)`", ["f('x', times=2)"]),
        ("Stack().push(-1).push([1, {'a': (2, None)}])", ["Stack().push(-1).push([1, {'a': (2, None)}])"]),
        ("Stack(1).size", ["Stack(1).size"]),
        ("Stack.push(Stack(), 1)", ["Stack.push(Stack(), 1)"]),
        ("f(Stack(1, 2))", ["f(Stack(1, 2))"]),
        ('"x"', ["f('x')"]),
        ('"x", 3', ["f('x', 3)"]),
        ("text='x'", ["f(text='x')"]),
        (["x", 3], ["f(['x', 3])", "f('x', 3)"]),
        ({"text": "x"}, ["f({'text': 'x'})", "f(text='x')"]),
        (7, ["f(7)"]),
    ],
)
def test_what_an_input_means(given: object, calls: list[str]) -> None:
    """A call as it is; arguments, as text or JSON, are those of the draft's one function, in each sensible reading."""
    assert _calls(given) == calls
    assert {call.module for call in calls_of(given, "", DRAFT)} == {"app.text"}


@pytest.mark.parametrize(
    "given",
    [
        "__import__('os').system('true')",
        "os.system('true')",
        "f(__import__('os'))",
        "f(open('/etc/passwd').read())",
        "f(LIMIT)",
        "f(x for x in ())",
        "f(lambda: 1)",
        "f('x' * 10**9)",
        "f(*'ab')",
        "f(**{'text': 1})",
        "f(f'{1}')",
        "f('x').__class__",
        "f('x').upper()",
        "Stack().__class__.__mro__",
        "Stack()._hidden()",
        "Stack.__init__.__globals__",
        "Stack()[0]",
        "f('x')('y')",
        "(f)('x'); 1",
        "f('x') + 1",
        "g('x')",
        "eval('1')",
        "f(" * 500 + ")" * 500,
        "f('" + "x" * 3000 + "')",
        "an empty string",
        "f('x'",
        "",
        None,
    ],
)
def test_what_is_not_run(given: object) -> None:
    """Anything but a plain call of what the draft defines, anything too long, prose, nothing."""
    assert _calls(given) == []


def test_a_function_is_named_by_the_defect_or_is_the_only_one() -> None:
    """Where several could be meant, arguments alone mean nothing."""
    source = "def one(x): ...\ndef two(x): ...\ndef _help(x): ..."
    draft = draft_of(laid_out(source, {"two.py": source}, {}))
    assert calls_of("1", "", draft) == ()
    assert [call.expression for call in calls_of("1", "line 2, in two()", draft)] == ["two(1)"]
    assert calls_of("1", "one and two", draft) == ()
    assert calls_of("one(1)", "", draft)
    assert draft_of(laid_out("def (", {}, {})).defined == {}


LITERALS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(max_size=60) | LITERALS, st.text(max_size=20))
def test_reading_an_input_never_raises_and_lets_only_plain_calls_through(given: object, where: str) -> None:
    """Every name in what is run is one of the draft's; there is no attribute that begins with an underscore."""
    for call in _calls(given, where):
        for node in ast.walk(ast.parse(call, mode="eval")):
            assert not isinstance(node, ast.Name) or node.id in DRAFT.defined
            assert not isinstance(node, ast.Attribute) or not node.attr.startswith("_")


@given(LITERALS, LITERALS, LITERALS)
def test_a_claim_of_literals_is_decided_by_equality(value: Any, expected: Any, actual: Any) -> None:
    """As expected: refuted. As claimed and not as expected: confirmed. Neither: never confirmed."""
    seen = CallResult(repr(value))
    assert judged(seen, repr(value), repr(actual)) is ProbeResult.REFUTED
    if expected != value and value not in (repr(expected), repr(value)):
        assert judged(seen, repr(expected), repr(value)) is ProbeResult.CONFIRMED
    if value not in (expected, actual, repr(expected), repr(actual)):
        assert judged(seen, repr(expected), repr(actual)) is not ProbeResult.CONFIRMED


@given(st.none() | st.builds(CallResult, st.text(max_size=20), st.just(())), st.text(max_size=40), st.text(max_size=40))
def test_judging_never_raises(seen: CallResult | None, expected: str, actual: str) -> None:
    """Whatever is claimed of whatever was seen, there is a result, and without a sight none but unverified."""
    result = judged(seen, expected, actual)
    assert result in ProbeResult
    assert seen is not None or result is ProbeResult.UNVERIFIED


@pytest.mark.parametrize(
    ("seen", "expected", "actual", "result"),
    [
        (CallResult("2"), "3", "2", "confirmed"),
        (CallResult("3"), "3", "2", "refuted"),
        (CallResult("4"), "3", "2", "refuted"),
        (CallResult("2"), 3, 2, "confirmed"),
        (CallResult("None"), [], None, "confirmed"),
        (CallResult("'ba'"), "ab", "ba", "confirmed"),
        (CallResult("'ab'"), "ab", "ba", "refuted"),
        (CallResult("'12'"), "21", "12", "confirmed"),
        (CallResult("'3'"), "3", "'3'", "confirmed"),
        (CallResult(raised=("KeyError", "LookupError", "Exception")), "None", "KeyError", "confirmed"),
        (CallResult(raised=("KeyError", "LookupError", "Exception")), "None", "raises KeyError: 'x'", "confirmed"),
        (CallResult(raised=("KeyError", "LookupError", "Exception")), "KeyError('x')", "None", "refuted"),
        (CallResult(raised=("OwnError", "Exception")), "3", "OwnError", "confirmed"),
        (CallResult("3"), "ValueError", "3", "confirmed"),
        (CallResult("3"), "ValueError", "None", "refuted"),
        (CallResult("3"), "the smallest one", "3", "unverified"),
        (CallResult("3"), "4", "something else", "unverified"),
        (CallResult("0.3333333333333333"), "0.5", "0.333", "unverified"),
        (CallResult("0.30000000000000004"), "0.3", "0.30000000000000004", "confirmed"),
        (CallResult("nan"), "0", "nan", "confirmed"),
        (CallResult("<generator object f at 0x7f>"), "[1]", "[2]", "unverified"),
        (CallResult("Point(x=1)"), "Point(x=2)", "Point(x=1)", "unverified"),
        (None, "3", "2", "unverified"),
    ],
)
def test_what_a_claim_is_worth(seen: CallResult | None, expected: object, actual: object, result: str) -> None:
    """Values, exceptions, texts without quotes, prose, rounded numbers, objects that cannot be compared."""
    assert judged(seen, expected, actual) == result


def test_readings_are_judged_together() -> None:
    """One that confirms is enough; all must refute."""
    confirmed, refuted, unverified = ProbeResult.CONFIRMED, ProbeResult.REFUTED, ProbeResult.UNVERIFIED
    assert together([refuted, confirmed]) is confirmed
    assert together([refuted, refuted]) is refuted
    assert together([refuted, unverified]) is unverified
    assert together([]) is unverified
