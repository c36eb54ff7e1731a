"""The fenced blocks of an answer: which one is the result, and which files an answer names."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from attrs import frozen

from orchestrator.engine.outputs.confinement import UnsafeNameError, checked_name
from orchestrator.models import TaskType

FENCE: Final = re.compile(
    r"^[ \t]*(?P<marks>`{3,}|~{3,})(?P<info>[^\n`]*)\n(?P<content>.*?)(?:^[ \t]*(?P=marks)[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_LANGUAGES: Final[dict[TaskType, frozenset[str]]] = {
    TaskType.CODE_GEN: frozenset({"python", "py", "python3"}),
    TaskType.DATA_EXTRACTION: frozenset({"json", "jsonc", "json5"}),
}
_SUFFIXES: Final = {
    "bash": ".sh", "c": ".c", "cpp": ".cpp", "css": ".css", "csv": ".csv", "dockerfile": ".dockerfile", "go": ".go",
    "html": ".html", "ini": ".ini", "java": ".java", "javascript": ".js", "js": ".js", "json": ".json",
    "jsx": ".jsx", "latex": ".tex", "makefile": ".mk", "markdown": ".md", "md": ".md", "py": ".py", "python": ".py",
    "python3": ".py", "rs": ".rs", "rust": ".rs", "sh": ".sh", "shell": ".sh", "sql": ".sql", "tex": ".tex",
    "toml": ".toml", "ts": ".ts", "tsx": ".tsx", "typescript": ".ts", "xml": ".xml", "yaml": ".yaml", "yml": ".yaml",
}  # fmt: skip
_LONGEST_LINE: Final = 200
_NAME: Final = r"[^\s`*\"'<>|:()\[\]]{1,300}"
_IN_INFO: Final = re.compile(rf"(?:title|file|filename|name|path)\s*=\s*[\"']?({_NAME})", re.IGNORECASE)
_ABOVE: Final = re.compile(
    rf"[#\s*_>-]*(?:file(?:name)?|path)?\s*:?\s*[`*\"']*({_NAME})[`*\"']*\s*:?\**\s*", re.IGNORECASE
)
_FIRST: Final = re.compile(
    rf"(?:#|//|--|;|<!--|/\*)\s*(?:file(?:name)?\s*:\s*)?({_NAME})\s*(?:-->|\*/)?\s*", re.IGNORECASE
)
_FILE_LIKE: Final = re.compile(r".*\.[A-Za-z0-9_]{1,12}|(?:.*/)?(?:Dockerfile|Makefile|LICENSE|Procfile)")


@frozen
class Block:
    """One fenced block."""

    language: str
    """The first word of its info line in lower case; empty where there is none."""
    name: str | None
    """The file name that the answer gives it, as written there: not checked."""
    content: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of an answer in their order; the last one may lack its end."""
    found = []
    for match in FENCE.finditer(text):
        info = match["info"].strip()
        word, _, rest = info.partition(" ")
        language, _, path = word.partition(":")
        name = path if is_file_name(path) else _named(info, rest, _line_above(text, match.start()), match["content"])
        if name is None and is_file_name(language):
            name, language = language, PurePosixPath(language).suffix.lstrip(".")
        found.append(Block(language.lower().strip("{}."), name, match["content"]))
    return found


def _line_above(text: str, start: int) -> str:
    """The last line before a place that is not blank; empty where it is long."""
    before = text[max(0, start - 2 * _LONGEST_LINE) : start].rstrip()
    line = before.rpartition("\n")[2].strip()
    return line if len(line) <= _LONGEST_LINE else ""


def _named(info: str, rest: str, above: str, content: str) -> str | None:
    given = _IN_INFO.search(info[:_LONGEST_LINE])
    first = _FIRST.fullmatch(content[: _LONGEST_LINE + 1].partition("\n")[0].strip()[:_LONGEST_LINE])
    heading = _ABOVE.fullmatch(above)
    for candidate in (given and given[1], rest.strip(), heading and heading[1], first and first[1]):
        if candidate and is_file_name(candidate):
            return candidate
    return None


def is_file_name(word: str) -> bool:
    """Whether a word looks like a file's name: with an ending, or one of the few that go without."""
    return bool(word) and len(word) <= 300 and not re.search(r"\s", word) and bool(_FILE_LIKE.fullmatch(word))


def content_of(text: str, kind: TaskType | None = None) -> str:
    """The longest block in a language that suits the type, else the longest block, else the text."""
    chosen = chosen_block(blocks(text), kind)
    return text if chosen is None else chosen.content


def chosen_block(found: Sequence[Block], kind: TaskType | None) -> Block | None:
    """The block that is the result of a task of this type, or None where there is no block."""
    suitable = [block for block in found if block.language in _LANGUAGES.get(kind, ())] if kind is not None else []
    return max(suitable or found, key=lambda block: len(block.content), default=None)


def suffix_of(block: Block | None) -> str:
    """The file name's ending for a block of code; Python where nothing else is said."""
    return ".py" if block is None else _SUFFIXES.get(block.language, ".py")


def named_files(text: str) -> dict[str, str]:
    """The files of an answer that names at least two; else nothing.

    A name said twice is the later block. A name that must not be used is replaced by ``unnamed_N``; so is one that
    differs from an earlier one by upper and lower case alone, or is a folder of another.
    """
    named = [(number, block, _name_of(block)) for number, block in enumerate(blocks(text), 1) if block.name is not None]
    folders = {str(parent).casefold() for _, _, name in named if name for parent in PurePosixPath(name).parents}
    files: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for number, block, name in named:
        if name is None or name.casefold() in folders or spelled.setdefault(name.casefold(), name) != name:
            name = f"unnamed_{number}{suffix_of(block)}"
            spelled[name.casefold()] = name
        files[name] = block.content
    return files if len(files) > 1 else {}


def _name_of(block: Block) -> str | None:
    """The name a block may be written under."""
    try:
        return checked_name((block.name or "").removeprefix("./"))
    except UnsafeNameError:
        return None
