"""The files a user gives to a run: named one by one, as folders or as patterns, read within bounds, once."""

import os
import re
import stat
from collections.abc import Callable, Container, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import Factory, define, frozen

from orchestrator.documents import expanded
from orchestrator.errors import OrchestrateError, SpecError
from orchestrator.models import (
    LEFT_OUT_FILES,
    MOST_CONTEXT_BYTES,
    MOST_CONTEXT_BYTES_IN_SUM,
    MOST_CONTEXT_FILES,
    CapabilityKind,
    LeftOutReason,
)
from orchestrator.trust.wanted_capabilities import reading

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

    from orchestrator.spec import Spec

_MOST_LOOKED_AT: Final = 100_000
"""Files and folders that are looked at for one entry."""

STDIN: Final = "-"
"""The entry that stands for stdin."""
STDIN_NAME: Final = "stdin.txt"
"""What its text is called."""

Rules = Callable[[Path], "GitIgnoreSpec | None"]
"""The rules of a folder's own ``.gitignore``."""

_ABSENT: Final = "there is no such file or folder"
_UNLIKE: Final = "no file is like that"
_PATTERN: Final = re.compile(r"[*?\[]")
_SECRETS: Final = (".env", ".env.*", ".netrc", ".pypirc", ".npmrc", "id_rsa*", "id_ed25519*", "*.pem", "*.key", "*.p12")
"""Names of files that usually hold keys: they are taken only where they are named themselves."""
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0)
_NOT_PRINTED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@frozen
class GatheredFile:
    """One file, as it was when it was read."""

    name: str
    """Relative to the folder it was named from, with ``/``; below a folder elsewhere from that folder's own name."""
    text: str


@frozen
class LeftOutFile:
    """One file that was named, or lies in what was named, and was not taken."""

    name: str
    reason: LeftOutReason


@define
class Gathered:
    """What the entries of a spec name."""

    files: list[GatheredFile] = Factory(list)
    left_out: list[LeftOutFile] = Factory(list)
    members: dict[str, list[int]] = Factory(dict)
    """By entry the numbers of its files, from 1."""


def gather(entries: Sequence[str], folder: Path, stdin: str | None = None) -> Gathered:
    """Read the files that entries name.

    A folder is read with all that lies below it, less what a ``.gitignore`` excludes; links are not followed there.

    Args:
        entries: paths and patterns, relative to ``folder``; ``-`` is ``stdin``.
        folder: where they are named from.
        stdin: what was read from there; None: nothing was.

    Raises:
        SpecError: an entry names nothing, a file is named itself and is binary, or nothing can be taken.
    """
    taking = _Taking(folder)
    problems = []
    for entry in dict.fromkeys(entries):
        try:
            taking.take(entry, stdin)
        except (SpecError, OSError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"context: {entry}: {said}")
    found = taking.gathered
    if not problems and entries and not found.files:
        left_out = "; ".join(f"{each.name}: {LEFT_OUT_FILES[each.reason]}" for each in found.left_out[:3])
        problems.append(f"context: no file can be taken{f' ({left_out})' if left_out else ''}")
    if problems:
        raise SpecError(problems)
    return found


@define
class _Taking:
    folder: Path
    gathered: Gathered = Factory(Gathered)
    _numbers: dict[str, int] = Factory(dict)
    """By the resolved path."""
    _names: set[str] = Factory(set)
    _bytes: int = 0
    _rules: "Rules" = Factory(lambda: cache(_rules_of))

    def take(self, entry: str, stdin: str | None) -> None:
        """Take what an entry names."""
        members = self.gathered.members.setdefault(entry, [])
        if entry == STDIN:
            if stdin is None:
                raise SpecError(["there is no stdin here; it is read by the command line alone"])
            self._add(STDIN_NAME, STDIN, stdin.encode(errors="surrogatepass"), members, named=True)
            return
        path = self.folder / expanded(entry)
        if path.is_dir():
            for each in _below(path, self._rules):
                self._read(each, path.name, path, members)
        elif path.exists():
            self._read(path, path.name, None, members)
        elif _PATTERN.search(entry):
            self._take_matching(path, members)
        else:
            raise SpecError([_ABSENT])

    def _take_matching(self, pattern: Path, members: list[int]) -> None:
        root = _fixed(pattern)
        found = list(_matching(pattern, root, self._rules))
        if not found:
            raise SpecError([_UNLIKE])
        for each in found:
            self._read(each, root.name, root, members)

    def _read(self, path: Path, label: str, root: Path | None, members: list[int]) -> None:
        """Read one file; ``root`` is the folder it was found in, None where it was named itself."""
        name = self._name(path, label, root)
        resolved = os.path.realpath(path)
        if resolved in self._numbers:
            members += [self._numbers[resolved]] if self._numbers[resolved] not in members else []
            return
        if root is not None and path.is_symlink():
            self._leave_out(name, LeftOutReason.LINK)
        elif root is not None and any(fnmatchcase(path.name.lower(), each) for each in _SECRETS):
            self._leave_out(name, LeftOutReason.SECRET)
        else:
            self._add(name, resolved, _content(path), members, named=root is None)

    def _name(self, path: Path, label: str, root: Path | None) -> str:
        for base in (self.folder, Path.cwd()):
            relative = os.path.relpath(path, base)
            if not relative.startswith(".."):
                return Path(relative).as_posix()
        return label if root is None else f"{label}/{path.relative_to(root).as_posix()}"

    def _add(
        self, name: str, resolved: str, content: "bytes | LeftOutReason", members: list[int], *, named: bool
    ) -> None:
        text = content if isinstance(content, LeftOutReason) else _text(content)
        if text is LeftOutReason.BINARY and named:
            raise SpecError([f"{LEFT_OUT_FILES[text]}; only texts can be given"])
        if isinstance(text, LeftOutReason):
            self._leave_out(name, text)
        elif _NOT_PRINTED.search(name) or name in self._names:
            self._leave_out(name, LeftOutReason.NAME)
        elif len(self.gathered.files) >= MOST_CONTEXT_FILES:
            self._leave_out(name, LeftOutReason.TOO_MANY)
        elif self._bytes + len(content) > MOST_CONTEXT_BYTES_IN_SUM:
            self._leave_out(name, LeftOutReason.BEYOND_SUM)
        else:
            self.gathered.files.append(GatheredFile(name, text))
            self._names.add(name)
            self._bytes += len(content)
            self._numbers[resolved] = len(self.gathered.files)
            members.append(len(self.gathered.files))

    def _leave_out(self, name: str, reason: LeftOutReason) -> None:
        self.gathered.left_out.append(LeftOutFile(_NOT_PRINTED.sub("?", name), reason))


def _content(path: Path) -> bytes | LeftOutReason:
    """The bytes of a regular file of bounded size; of nothing else: a pipe would be waited for."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return LeftOutReason.UNREADABLE
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return LeftOutReason.UNREADABLE
        try:
            content = file.read(MOST_CONTEXT_BYTES + 1)
        except OSError:
            return LeftOutReason.UNREADABLE
    return content if len(content) <= MOST_CONTEXT_BYTES else _too_large(content)


def _too_large(content: bytes) -> LeftOutReason:
    return LeftOutReason.BINARY if b"\0" in content else LeftOutReason.TOO_LARGE


def _text(content: bytes) -> str | LeftOutReason:
    if b"\0" in content:
        return LeftOutReason.BINARY
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return LeftOutReason.BINARY


def _fixed(pattern: Path) -> Path:
    """The folder below which all files of a pattern lie."""
    place = next(place for place, part in enumerate(pattern.parts) if _PATTERN.search(part))
    return Path(*pattern.parts[:place])


def _matching(pattern: Path, root: Path, rules: "Rules") -> Iterator[Path]:
    """The files below a folder that are of a pattern."""
    wanted = pattern.parts[len(root.parts) :]
    below = _below(root, rules) if root.is_dir() else ()
    return (each for each in below if _matches(each.relative_to(root).parts, wanted))


def why_nothing(entry: str, folder: Path) -> str:
    """Why an entry, named from a folder, names nothing that can be read; empty where it does, or is stdin.

    Nothing is read but the names of files.
    """
    if entry == STDIN:
        return ""
    try:
        path = folder / expanded(entry)
        if path.exists():
            return "" if os.access(path, os.R_OK) else "it may not be read"
        if not _PATTERN.search(entry):
            return _ABSENT
        return "" if next(_matching(path, _fixed(path), cache(_rules_of)), None) is not None else _UNLIKE
    except OSError as error:
        return str(error.strerror)
    except OrchestrateError as error:
        return str(error)


def check_given_files(spec: "Spec", names: Container[str] | None = None) -> None:
    """Refuse a spec that names a file or folder to be read that is not there, or may not be read.

    What lies outside the spec's folder is looked for only where its user has agreed to that.

    Args:
        spec: the spec, with what its user has agreed to.
        names: the files to look for; None: all that it names.

    Raises:
        SpecError: it does; all of them together.
    """
    found = [use for use in spec.files if (names is None or use.path in names) and _may_read(use.path, spec)]
    found.sort(key=lambda use: use.line)
    said = [(use, why_nothing(use.path, Path(spec.folder))) for use in found]
    problems = [f"{use.place}: {use.path}: {why}" for use, why in said if why]
    if problems:
        raise SpecError(problems)


def _may_read(name: str, spec: "Spec") -> bool:
    granted = {each.value for each in spec.grants or () if each.kind is CapabilityKind.READ}
    wanted = reading(name, spec, lambda path: Path(os.path.realpath(path)))
    return spec.source is None or all(each.value in granted for each in wanted)


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a path is of a pattern; ``**`` stands for any folders."""
    if not wanted or not parts:
        return not parts and all(each == "**" for each in wanted)
    if wanted[0] == "**":
        return _matches(parts, wanted[1:]) or _matches(parts[1:], wanted)
    return fnmatchcase(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])


def _below(root: Path, rules: "Rules") -> Iterator[Path]:
    """The files below a folder in the order of their names, less what is ignored."""
    looked_at = 0
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as found:
            inside = sorted(found, key=lambda each: each.name)
        looked_at += len(inside)
        if looked_at > _MOST_LOOKED_AT:
            raise SpecError([f"it holds more than {_MOST_LOOKED_AT:,} files; name less"])
        folders = []
        for each in inside:
            is_folder = each.is_dir(follow_symlinks=False)
            if each.name == ".git" or _is_ignored(Path(each.path), is_folder, rules):
                continue
            if is_folder:
                folders.append(Path(each.path))
            else:
                yield Path(each.path)
        waiting += reversed(folders)


def _is_ignored(path: Path, is_folder: bool, rules_of: "Rules") -> bool:
    """Whether the nearest ``.gitignore`` that speaks of a path excludes it, up to the root of its repository."""
    absolute = Path(os.path.normpath(path.absolute()))
    for folder in absolute.parents:
        rules = rules_of(folder)
        if rules is not None:
            said = rules.check_file(absolute.relative_to(folder).as_posix() + "/" * is_folder).include
            if said is not None:
                return said
        if (folder / ".git").exists():
            return False
    return False


def _rules_of(folder: Path) -> "GitIgnoreSpec | None":
    """The rules of a folder's own ``.gitignore``; None where it has none."""
    try:
        lines = (folder / ".gitignore").read_text(errors="replace").splitlines()
    except OSError:
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)
