"""The tests that a source defines, read without running it.

A test is *certain* where pytest collects it whatever the code under test does: not below a condition, not bound again,
not marked as skipped. What is not certain may still be collected; then pytest's own report is all there is.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from orchestrator.suites.python_source import statements

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_SKIPS: Final = frozenset({"skip", "skipTest", "importorskip", "xfail", "SkipTest"})
_SKIPPERS: Final = frozenset({"pytest", "unittest", "self"})
_EXCUSES: Final = ("skip", "xfail", "fixture", "expectedFailure")
_MARKED: Final = (*_FUNCTIONS, ast.ClassDef)


def is_test_file(name: str) -> bool:
    """Whether pytest would look for tests in a file of this name."""
    stem = PurePosixPath(name).name.removesuffix(".py")
    return stem.startswith("test_") or stem.endswith("_test")


def defined_tests(source: str) -> set[str]:
    """The certain tests of a module, inherited ones included, as ``test_a`` or ``TestB::test_c``."""
    body = statements(source)
    if _is_marked_whole(body):
        return set()
    fixtures = _skipping_fixtures(body)
    return {name for name, node in _tests(_bound(body), "", {}) if not _is_excused(node, fixtures)}


def skipping_tests(source: str) -> set[str]:
    """The bare names of functions, wherever they are, that may skip themselves or are marked as skipped."""
    body = statements(source)
    fixtures = _skipping_fixtures(body)
    found = [inner for each in body for inner in ast.walk(each) if isinstance(inner, _FUNCTIONS)]
    names = {node.name for node in found if _may_skip(node) or not fixtures.isdisjoint(_arguments(node))}
    marked = [inner for each in body for inner in ast.walk(each) if isinstance(inner, _MARKED) and _is_marked(inner)]
    return names | {inner.name for each in marked for inner in ast.walk(each) if isinstance(inner, _FUNCTIONS)}


def skips_itself(source: str) -> bool:
    """Whether the module may skip itself as a whole while it is imported."""
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(_may_skip(each) for each in statements(source) if not isinstance(each, inner))


def _bound(body: Sequence[ast.stmt]) -> dict[str, ast.stmt]:
    """The functions and classes that a body surely has at its end, by name."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            found[node.name] = node
        elif not isinstance(node, ast.Expr):
            for name in _rebound(node):
                found.pop(name, None)
    return found


def _rebound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement may bind or delete."""
    for inner in ast.walk(node):
        if isinstance(inner, (*_FUNCTIONS, ast.ClassDef)):
            yield inner.name
        elif isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
            yield inner.id
        elif isinstance(inner, ast.alias):
            yield (inner.asname or inner.name).partition(".")[0]
        elif isinstance(inner, ast.Attribute) and inner.attr == "__test__" and isinstance(inner.value, ast.Name):
            yield inner.value.id


def _tests(
    bound: Mapping[str, ast.stmt], prefix: str, outer: Mapping[str, ast.stmt]
) -> Iterator[tuple[str, _Function]]:
    known = {**outer, **bound}
    for name, node in bound.items():
        if isinstance(node, _FUNCTIONS) and name.startswith("test"):
            yield prefix + name, node
        elif isinstance(node, ast.ClassDef):
            family = list(_family(node, known, ()))
            if _holds_tests(node, family):
                yield from _tests(_inherited(family), f"{prefix}{name}::", known)


def _family(
    node: ast.ClassDef, known: Mapping[str, ast.stmt], seen: tuple[ast.ClassDef, ...]
) -> Iterator[ast.ClassDef]:
    """The bases of a class that the module defines, the most basic first, and the class."""
    for base in reversed(node.bases):
        found = known.get(base.id) if isinstance(base, ast.Name) else None
        if isinstance(found, ast.ClassDef) and found is not node and found not in seen:
            yield from _family(found, known, (*seen, node))
    yield node


def _inherited(family: Sequence[ast.ClassDef]) -> dict[str, ast.stmt]:
    """What the class at the end of a family has; what one binds otherwise, no other gives it."""
    found: dict[str, ast.stmt] = {}
    for each in family:
        for name in (name for node in each.body for name in _rebound(node)):
            found.pop(name, None)
        found |= _bound(each.body)
    return found


def _holds_tests(node: ast.ClassDef, family: Sequence[ast.ClassDef]) -> bool:
    """Whether pytest surely looks for tests in a class."""
    if any(_is_skipped(each) or _is_marked_whole(each.body) for each in family):
        return False
    if any("TestCase" in ast.unparse(base) for each in family for base in each.bases):
        return True
    made = any(name in ("__init__", "__new__") for each in family for name in _bound(each.body))
    return node.name.startswith("Test") and not made


def _is_excused(node: _Function, fixtures: set[str]) -> bool:
    marks = [ast.unparse(each) for each in node.decorator_list]
    return (
        any(word in mark for mark in marks for word in _EXCUSES)
        or any(_has_no_cases(each) for each in node.decorator_list)
        or not fixtures.isdisjoint(_arguments(node))
        or _may_skip(node)
    )


def _is_marked(node: _Function | ast.ClassDef) -> bool:
    """Whether a decorator says that it is skipped, or fails as expected."""
    marks = [ast.unparse(each) for each in node.decorator_list]
    return any(word in mark for mark in marks for word in _EXCUSES if word != "fixture")


def _is_skipped(node: ast.ClassDef) -> bool:
    return any("skip" in ast.unparse(each) for each in node.decorator_list)


def _is_marked_whole(body: Sequence[ast.stmt]) -> bool:
    """Whether a module or class marks all its tests as skipped, or says that it holds none."""
    for node in body:
        names = {target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)}
        if "pytestmark" in names and any(word in ast.unparse(node) for word in _EXCUSES[:2]):
            return True
        if "__test__" in names and not ast.unparse(node).endswith("True"):
            return True
    return False


def _has_no_cases(mark: ast.expr) -> bool:
    """Whether a mark is a parametrization with an empty list."""
    if not isinstance(mark, ast.Call) or not ast.unparse(mark.func).endswith("parametrize"):
        return False
    values = [*mark.args[1:2], *(each.value for each in mark.keywords if each.arg == "argvalues")]
    return any(isinstance(value, ast.List | ast.Tuple) and not value.elts for value in values)


def _may_skip(node: ast.AST) -> bool:
    """Whether a skip of pytest or unittest is somewhere in it; decorators aside, which pytest reports as marks."""
    body: list[ast.AST] = [*node.body] if isinstance(node, _FUNCTIONS) else [node]
    return any(_is_skip(inner) for each in body for inner in ast.walk(each))


def _is_skip(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _SKIPS and isinstance(node.value, ast.Name) and node.value.id in _SKIPPERS
    return isinstance(node, ast.Name) and node.id in ("importorskip", "SkipTest")


def _skipping_fixtures(body: Sequence[ast.stmt]) -> set[str]:
    found = [inner for each in body for inner in ast.walk(each) if isinstance(inner, _FUNCTIONS)]
    return {
        node.name
        for node in found
        if any("fixture" in ast.unparse(each) for each in node.decorator_list) and _may_skip(node)
    }


def _arguments(node: _Function) -> set[str]:
    return {each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
