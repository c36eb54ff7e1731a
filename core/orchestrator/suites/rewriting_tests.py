"""Adds to a file of tests what the witness wants to know: notes at ends and assertions, and a look at each comparison.

It is handed in as a file and imports nothing of the program.
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_INNER = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
_OPERATORS = dict(
    zip(
        (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In),
        ("==", "!=", "<", "<=", ">", ">=", "in"),
        strict=True,
    )
)
_SWALLOWS = re.compile(r"(raises|assertRaises\w*|assertWarns\w*|suppress|subTest|subtests?\.test)\b")
_ASSERTS = re.compile(r"assert[A-Z]\w*")
GATE = ("hide", "end", "began", "passed", "compared", "pair", "less")
"""What the tests call, in the order of the tuple in which they find it."""


def mark(tree: ast.Module, name: str, module: str) -> set[str]:
    """Add the notes to a file of tests; returns the names of its tests.

    Args:
        tree: the file.
        name: its path below the sources.
        module: where the tests find the witness.
    """
    known = set()
    for function in _tests_in(tree.body):
        key = f"{name}::{function.name}"
        known.add(key)
        if not _is_generator(function):
            function.body = _with_ends(function.body, key)
            function.body.append(_note("end", key, function.body[-1]))
        if all(ast.unparse(each).startswith("pytest.mark.") for each in function.decorator_list):
            _mark_assertions(function.body, name)
    first = _place(tree.body)
    wanted = ast.Import(names=[ast.alias(name=module, asname="@gate")])
    done = ast.Expr(_call("hide", [], wanted))
    both = [_at(each, tree.body[first : first + 1]) for each in (wanted, done)]
    tree.body[first:first] = both
    return known


def lines_of_lone_comparisons(tree: ast.AST) -> set[int]:
    """The lines of assertions that are one comparison; to be asked before pytest has rewritten them."""
    return {each.lineno for each in ast.walk(tree) if isinstance(each, ast.Assert) and _is_alone(each.test)}


def look(tree: ast.Module, alone: set[int]) -> None:
    """Have each comparison in a file of tests look at what is compared; ``alone`` are the lines of lone comparisons."""
    _Looks(alone).visit(tree)


class _Looks(ast.NodeTransformer):
    """Has each comparison, difference and assertion of unittest look at what is compared."""

    def __init__(self, alone: set[int]) -> None:
        self._alone = alone

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        sign = _OPERATORS.get(type(node.ops[0]))
        if len(node.ops) > 1 or sign is None:
            return node
        words = [ast.Constant(sign), node.left, node.comparators[0], ast.Constant(node.lineno in self._alone)]
        return _call("compared", words, node)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        self.generic_visit(node)
        return _call("less", [node.left, node.right], node) if isinstance(node.op, ast.Sub) else node

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        plain = len(node.args) > 1 and not any(isinstance(each, ast.Starred) for each in node.args[:2])
        if plain and isinstance(node.func, ast.Attribute) and _ASSERTS.fullmatch(node.func.attr):
            looked = ast.Starred(_call("pair", node.args[:2], node), ast.Load())
            node.args = [ast.fix_missing_locations(ast.copy_location(looked, node)), *node.args[2:]]
        return node


def _is_alone(test: ast.expr) -> bool:
    """Whether an assertion is one comparison, and its sides hold no other."""
    return isinstance(test, ast.Compare) and sum(isinstance(each, ast.Compare) for each in ast.walk(test)) == 1


def _call(name: str, words: list[Any], at: ast.AST) -> ast.Call:
    """A call of the witness."""
    function = ast.Subscript(ast.Name("@gate", ast.Load()), ast.Constant(GATE.index(name)), ast.Load())
    return ast.fix_missing_locations(ast.copy_location(ast.Call(function, words, []), at))


def _note(name: str, key: str, at: ast.AST) -> ast.stmt:
    return ast.copy_location(ast.Expr(_call(name, [ast.Constant(key)], at)), at)


def _at(node: Any, beside: list[ast.stmt]) -> Any:
    line = beside[0].lineno if beside else 1
    for each in ast.walk(node):
        if isinstance(each, ast.stmt | ast.expr | ast.alias):
            each.lineno = each.end_lineno = line
            each.col_offset = each.end_col_offset = 0
    return node


def _place(body: list[ast.stmt]) -> int:
    """Where an import may stand: behind the docstring and what comes from the future."""
    place = 0
    for node in body:
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and place == 0
        if not text and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        place += 1
    return place


def _tests_in(body: list[ast.stmt]) -> Iterator[Any]:
    """The functions that may be tests, wherever a condition or a class has them."""
    for node in body:
        if isinstance(node, _FUNCTIONS):
            if node.name.startswith("test"):
                yield node
        elif not isinstance(node, ast.Lambda):
            for block in _blocks(node):
                yield from _tests_in(block)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
    for name in ("handlers", "cases"):
        for each in getattr(node, name, ()):
            yield each.body


def _is_generator(function: ast.AST) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(function))


def _with_ends(body: list[ast.stmt], key: str) -> list[ast.stmt]:
    """A body with a note before each return."""
    done: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.Return):
            done.append(_note("end", key, node))
        elif not isinstance(node, _INNER):
            for block in _blocks(node):
                block[:] = _with_ends(block, key)
        done.append(node)
    return done


def _mark_assertions(body: list[ast.stmt], name: str) -> None:
    """Put notes around each assertion, and around blocks whose context could swallow what goes wrong there."""
    done: list[ast.stmt] = []
    for node in body:
        place = f"{name}:{getattr(node, 'lineno', 0)}"
        if _is_assertion(node):
            done += [_note("began", place, node), node, _note("passed", place, node)]
            continue
        if isinstance(node, ast.With | ast.AsyncWith):
            if _SWALLOWS.search(" ".join(ast.unparse(each.context_expr) for each in node.items)):
                done.append(node)
                continue
            _mark_assertions(node.body, name)
            last = max((at for at, each in enumerate(node.body) if any(map(_is_assertion, ast.walk(each)))), default=-1)
            if last >= 0 and not _leaves(node.body):
                place += " with"
                node.body.insert(last + 1, _note("passed", place, node.body[last]))
                node.body.insert(0, _note("began", place, node.body[0]))
        elif not isinstance(node, (*_INNER, ast.Try)):
            for block in _blocks(node):
                _mark_assertions(block, name)
        done.append(node)
    body[:] = done


def _is_assertion(node: ast.AST) -> bool:
    """Whether it is an assertion; one of a constant only says that a place is not reached."""
    return isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant)


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether a block may be left before its end."""
    leaving = ast.Return | ast.Break | ast.Continue | ast.Raise
    return any(isinstance(each, leaving) for node in body for each in ast.walk(node))
