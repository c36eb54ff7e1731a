"""One name a thing: public classes are defined once, and words that are not of the field stand nowhere."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from orchestrator.errors import MissingError
from orchestrator.state.run import RunState

ROOT: Final = Path(__file__).parents[1]
CORE: Final = ROOT / "core" / "orchestrator"
CODE: Final = ("core", "plugins", "examples", "benchmarks", "docs")
"""The folders whose Python is the product; tests may speak as they like."""
TEXTS: Final = ("*.md", "*.html", "*.j2", "*.js", "*.css", "*.yaml", "*.toml", "*.json")

NAMES: Final = frozenset(
    {
        "nobody",
        "told",
        "whoever",
        "whom",
        "stranger",
        "strangers",
        "room",
        "rooms",
        "rung",
        "rungs",
        "ladder",
        "ladders",
        "turn",
        "turns",
        "playing",
        "resuming",
        "books",
        "moment",
        "story",
        "evolve",
        "resting",
    }
)
"""Words that no name may hold: class, function, argument, variable, module, key, column, code, heading."""
THEIRS: Final = frozenset({"end_turn"})
"""Names that vendors gave: Anthropic's finish reason."""
PROSE: Final = re.compile(
    r"\b(?:nobody|whoever|whom|strangers|rungs?|ladders?|stands?\s+behind|asked\s+for\s+a\s+while)\b", re.IGNORECASE
)
"""What no text for people holds."""

LEGAL: Final = "permit persons to whom the Software is"
"""What the MIT licence says, word for word."""

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[._-][A-Za-z0-9]+)*")
_SQL: Final = re.compile(r"\b(?:SELECT|CREATE|INSERT|UPDATE|DELETE)\b")


def words_of(name: str) -> list[str]:
    """The words of an identifier, in lower case: ``takesOver_now`` has three."""
    return [word.lower() for word in _WORD.findall(name)]


def banned(name: str) -> list[str]:
    """The words of an identifier that no name may hold."""
    return [word for word in words_of(name) if word in NAMES]


def defined(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module defines, with its line: classes, functions, arguments, variables, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.keyword(arg=str(name)):
                yield node.value.lineno, name
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("orchestrator"):
                yield from ((node.lineno, part) for alias in names for part in (module, alias.asname or alias.name))


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text constant of a module, with its line; docstrings and parts of f-strings, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def keys(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Text constants that are names themselves: keys, codes, and the identifiers of SQL."""
    for line, text in strings(tree):
        if _SQL.search(text):
            without = re.sub(r"'[^']*'", "", text)
            yield from ((line, name) for name in re.findall(r"[A-Za-z_]+", without))
        elif _CODE.fullmatch(text):
            yield line, text


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Every comment of a module, with its line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def modules() -> list[Path]:
    """Every Python file of the product."""
    return sorted(path for name in CODE for path in (ROOT / name).rglob("*.py"))


def pages() -> list[Path]:
    """Every other text of the product."""
    found = {path for name in CODE for pattern in TEXTS for path in (ROOT / name).rglob(pattern)}
    return sorted({*found, *ROOT.glob("*.md")})


def in_names(path: Path, source: str) -> Iterator[str]:
    """Every name of a module that holds a banned word."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "attrs"]
    theirs = {alias.name for node in imports for alias in node.names}
    for line, name in (*((0, part) for part in path.with_suffix("").parts), *defined(tree), *keys(tree)):
        for word in banned(name):
            if name not in THEIRS and not (name == word and word in theirs):
                yield f"{path}:{line}: {name}"


def in_prose(path: Path, texts: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Every banned word in texts for people."""
    for line, text in texts:
        for found in PROSE.finditer(text.replace(LEGAL, LEGAL.replace("whom", "…"))):
            yield f"{path}:{line + text.count(chr(10), 0, found.start())}: {found[0]}"


def of_module(source: str) -> list[tuple[int, str]]:
    """The texts of a module: docstrings, messages, comments."""
    return [*strings(ast.parse(source)), *comments(source)]


def numbered(text: str) -> list[tuple[int, str]]:
    """A page as one text from line 1."""
    return [(1, text)]


def listed(found: Iterable[str]) -> str:
    """The findings for a message, each once."""
    lines = sorted(set(found))
    return f"{len(lines)} names or texts to change:\n" + "\n".join(lines[:200])


# ── the walk itself ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_walk_sees_names_of_every_kind() -> None:
    """Each kind of name is found, and what only looks like one is not."""
    source = """
from attrs import evolve, frozen
from orchestrator.moment import Nothing
class TurnTaker: ...
def tell_story(rooms, *, moment=1): self.books = evolve(nobody_there=2)
x = {"resting": 1, "return": 2, "mushroom": 3, "a room of its own": 4}
sql = "SELECT turn FROM runs WHERE kind = 'moment'"
"""
    found = {each.rpartition(": ")[2] for each in in_names(Path("core/ladder/x.py"), source)}
    assert found == {
        "ladder",
        "orchestrator.moment",
        "TurnTaker",
        "tell_story",
        "rooms",
        "moment",
        "books",
        "nobody_there",
        "resting",
        "turn",
    }


def test_the_walk_sees_prose_of_every_kind() -> None:
    """Docstrings, messages and comments; words inside other words are none of them."""
    source = '"""Whoever."""\nsay(f"nobody {x}\\nStands\\nbehind")  # strangers\ntrunk = "bladder wrung the homebody"\n'
    found = [each.rpartition(": ")[2] for each in in_prose(Path("x.py"), of_module(source))]
    assert sorted(found) == ["Stands\nbehind", "Whoever", "nobody", "strangers"]


# ── the product ────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_public_class_is_defined_once() -> None:
    """One name, one class, in the whole of core."""
    where: dict[str, list[str]] = defaultdict(list)
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(str(path.relative_to(CORE)))
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_no_name_holds_a_word_that_is_not_of_the_field() -> None:
    """Classes, functions, arguments, variables, modules, keys, columns and codes."""
    found = [each for path in modules() for each in in_names(path.relative_to(ROOT), path.read_text(encoding="utf-8"))]
    assert not found, listed(found)


def test_no_heading_holds_a_word_that_is_not_of_the_field() -> None:
    """Headings of the documentation, and its file names."""
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in pages()
        if path.suffix == ".md"
        for line in (path.stem, *re.findall(r"^#+ .*$", path.read_text(encoding="utf-8"), re.MULTILINE))
        if any(word in NAMES for word in words_of(line))
    ]
    assert not found, listed(found)


def test_no_text_for_people_holds_a_word_that_is_not_of_the_field() -> None:
    """Docstrings, comments, messages, documentation, README and the report's page."""
    found: list[str] = []
    for path in modules():
        found += in_prose(path.relative_to(ROOT), of_module(path.read_text(encoding="utf-8")))
    for path in pages():
        found += in_prose(path.relative_to(ROOT), numbered(path.read_text(encoding="utf-8")))
    assert not found, listed(found)


def test_no_assertion_stands_for_an_error() -> None:
    """The program never depends on ``assert``, which ``python -O`` takes away; what must be there is ``present``."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in (CORE, ROOT / "plugins")
        for path in sorted(folder.rglob("*.py"))
        if "testing" not in path.parts and path.name != "control_tests.py"  # the assertions that suites are tried with
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []
    with pytest.raises(MissingError, match="there is no session"):
        _ = RunState().opened
