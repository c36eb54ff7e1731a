"""The templates of the prompts: plain files in the folder ``templates``, each of which a run may replace.

A template's name is that of its file without ``.txt``. ``$name`` stands for a value that the program fills in; a dollar
sign is written ``$$``.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from attrs import Factory, frozen

from orchestrator.documents.nearest import nearest
from orchestrator.errors import SpecError

SUFFIX: Final = ".txt"
_FOLDER: Final = "templates"
_LONGEST: Final = 20_000  # bytes


@cache
def built_in() -> Mapping[str, str]:
    """The program's own templates, by name."""
    folder = files(__package__).joinpath(_FOLDER)
    return {
        each.name.removesuffix(SUFFIX): each.read_text(encoding="utf-8").strip()
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(SUFFIX)
    }


@frozen
class Wording:
    """The templates of one run.

    Args:
        replaced: digests of the templates that replace ours, by name.
        get: the text of a digest.
    """

    replaced: Mapping[str, str] = Factory(dict)
    get: Callable[[str], str] = str

    def say(self, name: str, **values: object) -> str:
        """A template with its values filled in."""
        digest = self.replaced.get(name)
        text = built_in()[name] if digest is None else self.get(digest)
        return Template(text).substitute({key: str(value) for key, value in values.items()})


def read_templates(folder: Path) -> dict[str, str]:
    """The templates in a folder, by name; each replaces ours of that name.

    Raises:
        SpecError: the folder cannot be read, or a file in it is no template of a prompt.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        found = {path: _read(path) for path in paths if path.suffix == SUFFIX}
    except OSError as error:
        raise SpecError([f"prompts: {error.filename or folder}: {error.strerror}"]) from error
    problems = [f"prompts: {path}: {problem}" for path, text in found.items() if (problem := _problem(path.stem, text))]
    others = [path.name for path in paths if path.suffix != SUFFIX and not path.is_dir()]
    problems += [f"prompts: {folder / name}: a template's name ends in {SUFFIX}" for name in others]
    if not found and not problems:
        problems = [f"prompts: {folder} holds no template; there are {_known()}"]
    if problems:
        raise SpecError(problems)
    return {path.stem: str(text).strip() for path, text in found.items()}


def _read(path: Path) -> str | None:
    """The text of a file; None where it is no text, or too long to be a template."""
    with path.open("rb") as file:
        content = file.read(_LONGEST + 1)
    try:
        return None if len(content) > _LONGEST else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _problem(name: str, text: str | None) -> str | None:
    """What keeps a text from being the template of this name."""
    if name not in built_in():
        close = nearest(name, built_in())
        hint = f"did you mean {close!r}?" if close else f"there are {_known()}"
        return f"there is no template {name!r}; {hint}"
    if text is None:
        return f"it is no UTF-8 text of at most {_LONGEST:,} bytes"
    if not text.strip():
        return "it is empty"
    template = Template(text)
    if not template.is_valid():
        return "a $ is followed by no name; write $$ for a dollar sign"
    allowed = set(Template(built_in()[name]).get_identifiers())
    unknown = sorted(set(template.get_identifiers()) - allowed)
    if unknown:
        known = ", ".join(f"${each}" for each in sorted(allowed)) or "nothing"
        return f"nothing is known to fill in for ${unknown[0]}; {known} can be filled in"
    return None


def _known() -> str:
    return ", ".join(f"{name}{SUFFIX}" for name in built_in())
