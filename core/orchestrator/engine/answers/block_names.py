"""The file names that an answer gives its blocks: in the info line, on the line above, in the first comment."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from orchestrator.engine.answers.languages import ENDINGS, suffix_of

LONGEST_LINE: Final = 200
_LONGEST_NAME: Final = 300

_PART: Final = r"[^\s`*\"'<>|:()\[\]{},;]"
_INFO: Final = re.compile(
    r"(?:title|file|filename|name|path)\s*=\s*(?:\"(?P<double>[^\"]+)\"|'(?P<single>[^']+)'|(?P<bare>[^\s\"'{},]+))",
    re.IGNORECASE,
)
_MARKERS: Final = re.compile(r"(?:[\s>#]++|[-*+]\s++|\(?[0-9]{1,9}[.):]\s*+)*+")
_LABEL: Final = re.compile(
    r"(?:new |updated? )?(?:file|path)(?: ?(?:name|path))?(?: [0-9]{1,3})?[`*_\"']{0,4}\s*:\s*", re.IGNORECASE
)
_MARKED: Final = re.compile(r"``([^`]+)``|`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|__([^_]+)__(?![\w/]|\.\w)|\"([^\"]+)\"")
_AFTER: Final = re.compile(r"\s*(?:[:.,]?|[:,]?\s*\(.*\)\s*:?|\s*(?:[-–—:]+|as follows|contains|contents?)\s.*)\s*\Z")
_BARE: Final = re.compile(rf"(?P<name>{_PART}{{1,300}}+)(?P<after>.*)", re.DOTALL)
_COMMENT: Final = re.compile(
    r"\s*(?:\#|//|--|;|%|<!--|/\*+|\(\*|\"{3}|'|rem\s)\s*(?P<text>.*?)\s*(?:-->|\*/|\*\)|\"{3})?\s*\Z", re.IGNORECASE
)
_WITHOUT_ENDING: Final = frozenset(
    {"dockerfile", "makefile", "license", "procfile", "gemfile", "rakefile", "jenkinsfile", "vagrantfile", "caddyfile"}
)
_ABBREVIATIONS: Final = frozenset({"e.g", "i.e", "a.k.a"})
_ENDING: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9_+]{0,11}\Z")
_COMMANDS: Final = frozenset({
    "apt", "bash", "brew", "bundle", "cargo", "cat", "cd", "chmod", "cp", "curl", "deno", "docker", "dotnet", "echo",
    "gcc", "git", "go", "gradle", "java", "javac", "kubectl", "ls", "make", "mkdir", "mv", "mvn", "nano", "node",
    "npm", "npx", "php", "pip", "pip3", "pnpm", "poetry", "powershell", "pytest", "python", "python3", "rm", "ruby",
    "rustc", "sh", "source", "sudo", "touch", "ts-node", "uv", "uvicorn", "vim", "wget", "yarn",
})  # fmt: skip
_LEADS: Final = frozenset({
    "a", "add", "an", "and", "change", "code", "complete", "content", "contents", "create", "created", "edit",
    "example", "file", "final", "for", "full", "here", "in", "is", "main", "make", "modified", "modify", "module",
    "name", "named", "new", "next", "now", "of", "path", "put", "save", "script", "source", "step", "test", "tests",
    "the", "then", "this", "to", "update", "updated", "with", "write", "your",
})  # fmt: skip
_NO_NAMES: Final = frozenset({
    "against", "call", "called", "calling", "calls", "compare", "depends", "execute", "executes", "from", "import",
    "importing", "imports", "instead", "invoke", "like", "needs", "output", "outputs", "prints", "read", "reads",
    "requires", "result", "results", "run", "running", "runs", "see", "than", "use", "used", "uses", "using", "via",
})  # fmt: skip
_COMMAND_LANGUAGES: Final = frozenset({
    "bash", "bat", "cmd", "console", "output", "powershell", "sh", "shell", "terminal", "zsh",
})  # fmt: skip
_WORDS: Final = re.compile(r"[a-z]+")


def is_file_name(word: str) -> bool:
    """Whether a text looks like a file's name: with an ending, or one of the few that go without."""
    if not word or len(word) > _LONGEST_NAME or word != word.strip() or re.search(r"[\t\r\n]| {2}", word):
        return False
    last = word.rpartition("/")[2]
    return (bool(_ENDING.search(last)) and last not in _ABBREVIATIONS) or last.casefold() in _WITHOUT_ENDING


def labelled(info: str, above: str, content: str) -> tuple[str, str | None]:
    """(the language of a block in lower case, the file name that the answer gives it).

    Args:
        info: the info line.
        above: the last line before the block that is not blank.
        content: the block.
    """
    info = info[:LONGEST_LINE].strip()
    word, _, rest = info.partition(" ")
    language, _, path = ("", "", "") if info.startswith("{") else word.partition(":")  # attributes, as in Pandoc
    spaced = f"{path} {rest}".strip() if path else rest.strip() if language else ""
    language = _language(word) if info.startswith("{") else language
    is_name = is_file_name(language) and not info.startswith("{")
    spoken = "" if is_name else _language(language)
    for name in (path, _in_info(info), spaced, _above_block(spoken, above), _in_comment(content)):
        if name and is_file_name(name):
            return spoken, name
    if is_name:
        return PurePosixPath(language).suffix.lstrip(".").lower(), language
    return spoken, None


def _language(word: str) -> str:
    return re.split(r"[,{]", word.strip("{}. "))[0].strip("{}.").lower()


def _in_info(info: str) -> str | None:
    found = _INFO.search(info)
    return None if found is None else next(each.strip() for each in found.groups() if each is not None)


def _above_block(language: str, line: str) -> str | None:
    """The file name in the line above a block; of commands and their output only one of their own kind."""
    name = _above(line)
    if name is None or language not in _COMMAND_LANGUAGES:
        return name
    return name if PurePosixPath(name).suffix in (suffix_of(language), f".{language}") else None


def _above(line: str) -> str | None:
    """The file name in the line above a block."""
    if len(line) > LONGEST_LINE:
        return None
    text = line[_MARKERS.match(line).end() :]  # type: ignore[union-attr]
    text = text.lstrip("*_") if _LABEL.match(text.lstrip("*_")) else text
    label = _LABEL.match(text)
    if label is not None:
        return _after_label(text[label.end() :])
    marked = [name for name in map(_spoken, _phrases(text)) if name is not None]
    if marked:
        return marked[0] if len(set(marked)) == 1 and _introduces(text, marked[0]) else None
    bare = _BARE.match(text)
    name = None if bare is None else bare["name"].rstrip(".,:")
    if bare is not None and name and is_file_name(name) and _AFTER.match(bare["after"] or ":"):
        return name if not bare["after"].strip(" :") or _has_known_ending(name) else None
    return _last_word(text)


def _after_label(text: str) -> str | None:
    """The name behind ``File:``; it may have spaces."""
    marked = _MARKED.match(text)
    if marked is not None:
        return next(each.strip() for each in marked.groups() if each)
    return re.sub(r"\s+[-–—(].*\Z", "", text).strip().strip("`*\"'").rstrip(":").strip()


def _phrases(text: str) -> Iterator[str]:
    """What a line puts in backticks, bold or quotes."""
    for found in _MARKED.finditer(text):
        yield next(each for each in found.groups() if each).strip().strip("`*\"' ").rstrip(":")


def _spoken(phrase: str) -> str | None:
    """The file name that a phrase is, words that lead to it left out; None for a command."""
    label = _LABEL.match(phrase)
    words = (phrase[label.end() :] if label else phrase).strip("`*\"' ").split(" ")
    words = words[1:] if len(words) > 1 and re.fullmatch(r"[0-9]{1,9}[.):]", words[0]) else words
    while len(words) > 1 and words[0].lower().rstrip(":") in _LEADS:
        words = words[1:]
    name = " ".join(words)
    aside = re.fullmatch(r"(\S+)\s*\(.*\)", name)
    name = aside[1] if aside else name
    if not is_file_name(name) or not _has_known_ending(name):
        return None
    return None if " " in name and (words[0] in _COMMANDS or " -" in name or "(" in name) else name


def _introduces(text: str, name: str) -> bool:
    """Whether a line that has one name in it says that the block is that file."""
    plain = re.sub(r"[`*\"]", "", text).strip()
    if plain.startswith(name):
        return bool(_AFTER.match(plain[len(name) :]))
    before, _, after = plain.partition(name)
    if not _NO_NAMES.isdisjoint(_WORDS.findall(f"{before} {after.partition('(')[0]}".lower())):
        return False
    is_end = not after.strip(" :.,") or bool(re.fullmatch(r"\s*\(.*\)\s*:?", after))
    return plain.endswith(":") or is_end


def _last_word(text: str) -> str | None:
    """The name at the end of a short line without marks, such as ``Create src/app.py:``."""
    found = re.fullmatch(rf"(?P<before>[\w ,'-]{{0,60}}) (?P<name>{_PART}{{1,200}})\s*:", text)
    if found is None or not _NO_NAMES.isdisjoint(_WORDS.findall(found["before"].lower())):
        return None
    return found["name"] if is_file_name(found["name"]) and _has_known_ending(found["name"]) else None


def _in_comment(content: str) -> str | None:
    """The file name that the first comment of a block consists of."""
    first, _, rest = content[: 2 * LONGEST_LINE].partition("\n")
    line = rest.partition("\n")[0] if first.startswith("#!") else first
    found = _COMMENT.match(line[: LONGEST_LINE + 1].strip())
    if found is None:
        return None
    text = found["text"]
    label = _LABEL.match(text)
    if label is not None:
        return _after_label(text[label.end() :])
    name, _, after = text.partition(" ")
    is_alone = not after or bool(re.fullmatch(r"(?:\(.*\)|[-–—:].*)", after.strip()))
    return name if is_alone and (not after or _has_known_ending(name)) else None


def _has_known_ending(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return "." + last.rpartition(".")[2] in ENDINGS or last in _WITHOUT_ENDING
