"""What the manifests that a task wrote declare: ``pyproject.toml`` in its dialects, and the lists of requirements."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from attrs import frozen

_EGG: Final = re.compile(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_NESTED: Final = re.compile(r"(?:-r|--requirement)[ =]?\s*(\S+)")
_USUAL: Final = "requirements.txt"


class ManifestError(ValueError):
    """A manifest cannot be read; its text says why, on one line."""


@frozen
class Declared:
    """What a manifest declares.

    Attributes:
        names: the distributions, normalised.
        is_whole: whether these are all; False where the rest is computed by a program when the package is built.
        problems: one line per list of requirements that is named and not there.
    """

    names: frozenset[str]
    is_whole: bool = True
    problems: tuple[str, ...] = ()


def normal(requirement: str) -> str:
    """The name of a requirement as package indexes compare it: lower case, with dashes; without extras or versions."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ;@(]", requirement.strip(), maxsplit=1)[0]).lower()


def declared(files: Mapping[str, str]) -> Declared:
    """What ``pyproject.toml`` among files (content by path) declares: the standard's keys, Poetry's, and their groups.

    Dynamic dependencies are read from the lists of requirements that setuptools or Hatch are configured with, else from
    ``requirements.txt``; so are those of a file that describes no package and only configures tools.

    Raises:
        ManifestError: it cannot be read.
    """
    try:
        document = tomllib.loads(files["pyproject.toml"])
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ManifestError(" ".join(str(error).split())) from error
    project, tool = _table(document, "project"), _table(document, "tool")
    of_poetry = {*_of_poetry(_table(tool, "poetry"))}
    names = {*_of_project(project), *of_poetry}
    for group in _table(document, "dependency-groups").values():
        names.update(_texts(group))
    found = {normal(name) for name in names}
    if "dependencies" not in _texts(project.get("dynamic", [])) and (project or "poetry" in tool):
        return Declared(frozenset(found))
    lists = [*_reported_of(tool)] or ([_USUAL] if _USUAL in files else [])
    missing: list[str] = []
    for path in lists:
        found.update(_required(files, path, missing, set()))
    problems = tuple(f"pyproject.toml: its dependencies are in {path}, which no file is" for path in missing)
    is_computed = bool(project) or "setup.py" in files or "setup.cfg" in files
    return Declared(frozenset(found), bool(lists or of_poetry) or not is_computed, problems)


def _of_project(project: Mapping[str, Any]) -> Iterator[str]:
    yield from _texts(project.get("dependencies", []))
    for extra in _table(project, "optional-dependencies").values():
        yield from _texts(extra)


def _of_poetry(poetry: Mapping[str, Any]) -> Iterator[str]:
    groups = [each for each in _table(poetry, "group").values() if isinstance(each, dict)]
    for table in (poetry, *groups):
        yield from (name for name in _table(table, "dependencies") if name.lower() != "python")
    yield from _table(poetry, "dev-dependencies")


def _reported_of(tool: Mapping[str, Any]) -> Iterator[str]:
    """The lists of requirements that a build backend is configured with."""
    dynamic = _table(_table(tool, "setuptools"), "dynamic")
    extras = _table(dynamic, "optional-dependencies").values()
    for each in (dynamic.get("dependencies"), *extras):
        if isinstance(each, dict):
            yield from _texts(each.get("file", []))
    hooks = _table(_table(_table(tool, "hatch"), "metadata"), "hooks")
    hook = _table(hooks, "requirements_txt")
    for each in (hook.get("files", []), hook.get("filename", []), *_table(hook, "optional-dependencies").values()):
        yield from _texts(each)


def _required(files: Mapping[str, str], path: str, missing: list[str], seen: set[str]) -> Iterator[str]:
    """The distributions a list of requirements names, and those of the lists it includes."""
    path = PurePosixPath(path).as_posix()
    if path in seen:
        return
    seen.add(path)
    if path not in files:
        missing.append(path)
        return
    for line in files[path].replace("\\\n", " ").splitlines():
        text = _COMMENT.sub("", line).strip()
        nested, egg = _NESTED.fullmatch(text), _EGG.search(text)
        if nested is not None:
            yield from _required(files, str(PurePosixPath(path).parent / nested[1]), missing, seen)
        elif egg is not None:
            yield normal(egg[1])
        elif _NAME.match(text) and "://" not in text.partition("@")[0]:
            yield normal(text)


def _table(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table; an empty one where there is none.

    Raises:
        ManifestError: it is something else.
    """
    found = of.get(name, {})
    if not isinstance(found, dict):
        raise ManifestError(f"{name} is not a table")
    return found


def _texts(of: Any) -> list[str]:
    """The texts of a list, or the one text it is; what else a list holds, such as an included group, is left out.

    Raises:
        ManifestError: it is something else.
    """
    if isinstance(of, str):
        return [of]
    if not isinstance(of, list):
        raise ManifestError("a list of dependencies is not a list")
    return [each for each in of if isinstance(each, str)]
