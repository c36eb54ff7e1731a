"""Where the files of an output, and those that it depends on, lie when code is run."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from attrs import frozen

from orchestrator.suites.shadowing_files import shadowing
from orchestrator.suites.tests_in_source import is_test_file

_SOURCES = "src"


@frozen
class Layout:
    """The files in the sandbox.

    Attributes:
        own: the output's Python files, by name.
        beside: the other files of the output, and those of its dependencies.
        hidden: Python files that are not there under their names, which Python or pytest needs.
        left_out: files of dependencies that are not there, for a file or a folder has that name already.
        roots: folders whose modules can be imported by their bare names, beside the folder that holds all.
    """

    own: Mapping[str, str]
    beside: Mapping[str, str]
    hidden: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, str]:
        """Every file."""
        return {**self.beside, **self.own}

    @property
    def code(self) -> list[str]:
        """The output's Python files that are no tests."""
        return [name for name in self.own if not is_test_file(name)]

    @property
    def main(self) -> str:
        """The file that is imported first: code before tests; empty where there is no Python."""
        return next(iter([*self.code, *self.own]), "")


def laid_out(content: str, files: Mapping[str, str], dependencies: Mapping[str, str]) -> Layout:
    """The layout of an output: every file lies where it is delivered.

    Args:
        content: the output's one content; it counts where no more than one file is named.
        files: the output's files by name.
        dependencies: the delivered files of what it depends on, by name.
    """
    own = {name: text for name, text in files.items() if name.endswith(".py")}
    rest = {name: text for name, text in files.items() if name not in own}
    if len(files) < 2:
        own, rest = {next(iter(own), "output.py"): content}, {}
    taken = _Names([*own, *rest])
    beside = {name: text for name, text in dependencies.items() if taken.take(name)}
    left_out = tuple(name for name in dependencies if name not in beside)
    sources = [_SOURCES] if any(name.startswith(f"{_SOURCES}/") for name in (*own, *beside)) else []
    roots = tuple(dict.fromkeys([*sources, *_roots(own)]))
    hidden = _hidden([*own, *beside], roots)
    shown = {name: text for name, text in own.items() if name not in hidden}
    if own and not shown:
        shown = {"solution.py": next(iter(own.values()))}
    others = {name: text for name, text in {**beside, **rest}.items() if name not in hidden and name not in shown}
    return Layout(shown, others, hidden, left_out, roots)


def _hidden(names: Iterable[str], roots: Iterable[str]) -> tuple[str, ...]:
    """The files that would take the place of a module which Python or pytest needs, below any folder of modules."""
    found: dict[str, None] = {}
    for start in ("", *(f"{root}/" for root in roots)):
        below = {name.removeprefix(start): name for name in names if name.startswith(start)}
        found |= dict.fromkeys(below[each] for each in shadowing(below))
    return tuple(found)


def _roots(names: Iterable[str]) -> list[str]:
    """The folder that all files lie in, and those above it, the outermost first."""
    folders = [PurePosixPath(name).parent for name in names]
    shared = set.intersection(*({each, *each.parents} for each in folders)) if folders else set()
    return [str(each) for each in sorted(shared, key=lambda each: len(each.parts)) if str(each) not in (".", "/")]


class _Names:
    """The names that are taken, those of folders included, whatever their case."""

    def __init__(self, names: Iterable[str]) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        for name in names:
            self._add(name.casefold())

    def take(self, name: str) -> bool:
        """Take a name, if a file of that name can lie beside the others."""
        folded = name.casefold()
        if folded in self._files or folded in self._folders or not self._files.isdisjoint(_above(folded)):
            return False
        self._add(folded)
        return True

    def _add(self, folded: str) -> None:
        self._files.add(folded)
        self._folders.update(_above(folded))


def _above(name: str) -> set[str]:
    return {str(parent) for parent in PurePosixPath(name).parents}
