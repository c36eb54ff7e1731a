"""Counterexamples of a critique: which calls they mean, and what they are worth after those were made. Pure functions.

A counterexample comes from a model. Of its input only a call of a function or class of the draft with literal
arguments is taken, chains that begin with a class such as ``Stack().push(1)`` included; everything else is not run.
"""

import ast
import builtins
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import Factory, frozen

from orchestrator.models import ProbeResult
from orchestrator.suites import UNREADABLE, CallResult, Layout, SandboxedCall, parse, statements

LONGEST: Final = 2_000
"""Characters of an input, an expected and an actual result."""
_RAISES: Final = re.compile(r"(?:raises?\s+)?(?:an?\s+)?(?:\w+\.)*([A-Za-z_]\w*)(?:\(.*\)|:.*)?", re.DOTALL)
_NEAR: Final = 1e-3

Defined = ast.FunctionDef | ast.ClassDef


@frozen
class Draft:
    """The functions and classes of a draft that may be called, each with its module.

    Attributes:
        defined: their definitions by name; of two with one name the one in the main file.
        modules: the module of each, as it is imported.
    """

    defined: Mapping[str, Defined]
    modules: Mapping[str, str]


def draft_of(layout: Layout) -> Draft:
    """The draft that lies in a layout."""
    defined: dict[str, Defined] = {}
    modules: dict[str, str] = {}
    for name in layout.code:
        for node in statements(layout.own[name]):
            if isinstance(node, Defined) and node.name not in defined:
                defined[node.name] = node
                modules[node.name] = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Draft(defined, modules)


def calls_of(given: object, where: str, draft: Draft) -> tuple[SandboxedCall, ...]:
    """The calls that an input may mean; empty where it is none that may be made.

    Args:
        given: a call as text, or the arguments of one: as text or as JSON values.
        where: what the defect says about its place; it may name the function.
        draft: what may be called.
    """
    text = given.strip().strip("`").strip() if isinstance(given, str) else "" if given is None else repr(given)
    if not text or len(text) > LONGEST:
        return ()
    node = _expression(text)
    if isinstance(given, str) and isinstance(node, ast.Call | ast.Attribute):
        name = _called(node, draft)
        return () if name is None else (SandboxedCall(draft.modules[name], text),)
    target = _target(where, draft)
    if target is None:
        return ()
    return tuple(
        SandboxedCall(draft.modules[target.name], each) for each in dict.fromkeys(_filled(text, target, draft))
    )


def _expression(text: str) -> ast.expr | None:
    try:
        body = parse(text).body
    except UNREADABLE:
        return None
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None


def _called(node: ast.expr, draft: Draft) -> str | None:
    """The function or class that a permitted call begins with; None where the call is not permitted."""
    name: str | None = None
    while name is None:
        if isinstance(node, ast.Call):
            if not all(_is_plain(each, draft) for each in (*node.args, *(word.value for word in node.keywords))):
                return None
            if any(word.arg is None for word in node.keywords):
                return None
            node = node.func
            if isinstance(node, ast.Name):
                name = node.id
                continue
        if not isinstance(node, ast.Attribute) or node.attr.startswith("_"):
            return None
        node = node.value
        if not _begins_with_a_class(node, draft):
            return None
        if isinstance(node, ast.Name):
            name = node.id
    return name if name in draft.defined and not name.startswith("__") else None


def _begins_with_a_class(node: ast.expr, draft: Draft) -> bool:
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and isinstance(draft.defined.get(node.id), ast.ClassDef)


def _is_plain(node: ast.expr, draft: Draft) -> bool:
    """Whether an argument is a literal, or a permitted call."""
    match node:
        case ast.Constant():
            return True
        case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Set(elts=inner):
            return all(_is_plain(each, draft) for each in inner)
        case ast.Dict(keys=keys, values=values):
            return all(each is not None and _is_plain(each, draft) for each in (*keys, *values))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float() | complex())):
            return True
        case ast.Call():
            return _called(node, draft) is not None
        case _:
            return False


def _target(where: str, draft: Draft) -> ast.FunctionDef | None:
    """The function that arguments are meant for: the one that the defect names, or the only one."""
    functions = [node for node in draft.defined.values() if isinstance(node, ast.FunctionDef)]
    words = set(re.findall(r"\w+", where[:LONGEST]))
    named = [node for node in functions if node.name in words]
    public = [node for node in functions if not node.name.startswith("_")]
    for found in (named, public):
        if len(found) == 1:
            return found[0]
    return None


def _filled(text: str, target: ast.FunctionDef, draft: Draft) -> Iterator[str]:
    """The calls of a function that a list of arguments may mean: as they are, or taken out of a list or mapping."""
    for arguments in (text, _spread(text)):
        call = None if arguments is None else _expression(f"{target.name}({arguments})")
        if isinstance(call, ast.Call) and _called(call, draft) == target.name and _fits(call, target):
            yield ast.unparse(call)


def _spread(text: str) -> str | None:
    """The arguments in a list, a tuple or a mapping of names."""
    match _expression(text):
        case ast.List(elts=inner) | ast.Tuple(elts=inner):
            return ", ".join(ast.unparse(each) for each in inner)
        case ast.Dict(keys=keys, values=values):
            names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            if len(names) == len(values) and all(name.isidentifier() for name in names):
                return ", ".join(f"{name}={ast.unparse(value)}" for name, value in zip(names, values, strict=True))
    return None


def _fits(call: ast.Call, target: ast.FunctionDef) -> bool:
    """Whether the function takes that many arguments of these names."""
    given = target.args
    positional = [each.arg for each in (*given.posonlyargs, *given.args)]
    names = {each.arg for each in (*given.args, *given.kwonlyargs)}
    words = [word.arg for word in call.keywords]
    if not all(word in names or given.kwarg for word in words):
        return False
    needed = positional[: len(positional) - len(given.defaults)]
    most = math.inf if given.vararg else len(positional)
    return all(name in words for name in needed[len(call.args) :]) and len(call.args) <= most


@frozen
class _Claim:
    """An expected or actual result, as the critique has it.

    Attributes:
        text: as it stands there.
        values: its value, where it is a literal.
        raises: the name of an exception, where it is one.
    """

    text: str
    values: tuple[Any, ...] = Factory(tuple)
    raises: str = ""

    @property
    def is_readable(self) -> bool:
        return bool(self.values or self.raises)


def _claim(given: object) -> _Claim:
    if not isinstance(given, str):
        return _Claim(repr(given), (given,))
    text = given.strip().strip("`").strip()[: LONGEST + 1]
    values = _literal(text)
    if values or len(text) > LONGEST:
        return _Claim(text, values)
    found = _RAISES.fullmatch(text)
    return _Claim(text, raises=found[1] if found and _is_exception(found[1]) else "")


def _literal(text: str) -> tuple[Any, ...]:
    """The value of a literal; empty where it is none."""
    node = _expression(text)
    try:
        return () if node is None else (ast.literal_eval(node),)
    except (TypeError, *UNREADABLE):
        return ()


def _is_exception(name: str) -> bool:
    known = getattr(builtins, name, None)
    return name.endswith(("Error", "Exception")) or (isinstance(known, type) and issubclass(known, BaseException))


def judged(seen: CallResult | None, expected: object, actual: object) -> ProbeResult:
    """What a counterexample is worth.

    Confirmed: the draft gives ``actual``, which is not ``expected``. Refuted: it gives ``expected``, or something else
    that can be compared. Unverified: everything else.

    Args:
        seen: what the draft gave; None where that is unknown.
        expected: a Python literal or the name of an exception, as text, or a JSON value.
        actual: the same.
    """
    if seen is None:
        return ProbeResult.UNVERIFIED
    wanted, claimed = _claim(expected), _claim(actual)
    if _is_same(seen, wanted):
        return ProbeResult.REFUTED
    if _is_same(seen, claimed):
        return ProbeResult.CONFIRMED if wanted.is_readable else ProbeResult.UNVERIFIED
    values = () if seen.raised else _literal(seen.text)
    unquoted = [each.text in values for each in (wanted, claimed)]  # a text that the critique has without its quotes
    if any(unquoted):
        return _OF_UNQUOTED[unquoted[0], unquoted[1]]
    if not (seen.raised or values) or not claimed.is_readable or _is_near(values, claimed.values):
        return ProbeResult.UNVERIFIED
    return ProbeResult.REFUTED


_OF_UNQUOTED: Final = {
    (True, False): ProbeResult.REFUTED,
    (False, True): ProbeResult.CONFIRMED,
    (True, True): ProbeResult.UNVERIFIED,
}


def _is_same(seen: CallResult, claim: _Claim) -> bool:
    if seen.raised:
        return claim.raises in seen.raised
    if seen.text == claim.text:
        return True
    values = _literal(seen.text)
    return bool(values and claim.values) and bool(values[0] == claim.values[0])


def _is_near(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two numbers differ by no more than a critique would round away."""
    numbers = [value for value in (*one, *other) if isinstance(value, int | float)]
    floats = any(isinstance(value, float) for value in numbers)
    return len(numbers) == 2 and floats and math.isclose(numbers[0], numbers[1], rel_tol=_NEAR, abs_tol=_NEAR)


def together(results: Sequence[ProbeResult]) -> ProbeResult:
    """The result of a counterexample whose input may mean several calls."""
    if ProbeResult.CONFIRMED in results:
        return ProbeResult.CONFIRMED
    return ProbeResult.REFUTED if results and set(results) == {ProbeResult.REFUTED} else ProbeResult.UNVERIFIED
