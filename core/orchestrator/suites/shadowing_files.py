"""Names of files that must not lie beside tests, for they would take the place of what runs the tests."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

_RUNNERS: Final = frozenset({"pytest", "_pytest", "pluggy", "iniconfig", "py", "sitecustomize", "usercustomize"})
_TOOLS: Final = frozenset(
    {"mypy", "ruff", "flake8", "pylint", "pyright", "black", "coverage", "tox", "nox", "behave", "nose2", "bandit"}
)
_STARTED: Final = re.compile(r"(?<!\S)-[A-Za-z]*m\s*([A-Za-z_]\w*)")
_CONFIGURATIONS: Final = frozenset(
    {"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg"}
)
_ADDED: Final = re.compile(r"^[ \t]*\"?addopts\"?[ \t]*=(?:\s*\[[^\]]*\]|[^\n]*(?:\n[ \t]+[^\n]*)*)", re.MULTILINE)
_IDLE: Final = re.compile(
    r"--(?:co|collect-?only|setup-?plan|setup-?only|fixtures|markers|help|version)\b|(?<![\w-])-[hV]\b"
)
_OF_MODULES: Final = frozenset({"", ".py", ".pyc", ".so", ".pyd"})
_CONFIGURATION: Final = "conftest"
_SOURCES: Final = "src"


def shadowing(names: Iterable[str]) -> tuple[str, ...]:
    """Those of some Python files that hide a module of the standard library or of pytest, or configure pytest.

    Args:
        names: the files' paths below the folder that tests are run in, or below ``src`` in it.
    """
    paths = [PurePosixPath(name) for name in names if name.endswith(".py")]
    packages = {_parts(path)[0] for path in paths if path.name == "__init__.py" and len(_parts(path)) > 1}
    return tuple(str(path) for path in paths if _hides(path, packages))


def takes_place_of_runner(names: Iterable[str], command: str = "") -> tuple[str, ...]:
    """Those of some files that Python, run in their folder, would import in the place of what judges them.

    That is pytest with what it needs and, where a command says ``python -m NAME``, the standard library's module or the
    tool of that name, whatever kind of file it is in.
    """
    started = {name for name in _STARTED.findall(command) if name in sys.stdlib_module_names or name in _TOOLS}
    firsts = ((name, PurePosixPath(name).parts[0]) for name in names)
    return tuple(
        name
        for name, first in firsts
        if first.partition(".")[0] in _RUNNERS | started and PurePosixPath(first).suffix in _OF_MODULES
    )


def keeps_from_running(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Those of some files that configure pytest to run no test at all, and to say that all is well."""
    return tuple(
        name
        for name, content in files.items()
        if name in _CONFIGURATIONS
        and any(_IDLE.search(each) for each in _ADDED.findall(content.decode(errors="replace")))
    )


def _hides(path: PurePosixPath, packages: set[str]) -> bool:
    first, *rest = _parts(path)
    module = first.removesuffix(".py")
    is_reserved = module in sys.stdlib_module_names or module in _RUNNERS
    return path.stem == _CONFIGURATION or (is_reserved and (not rest or first in packages))


def _parts(path: PurePosixPath) -> tuple[str, ...]:
    parts = path.parts
    return parts[1:] if parts[0] == _SOURCES and len(parts) > 1 else parts


def within(files: Mapping[str, str]) -> dict[str, str]:
    """Files by their names below the folder that all of them lie in, if there is one."""
    folders = {name.partition("/")[0] for name in files}
    if len(folders) != 1 or not all("/" in name and not name.endswith("/") for name in files):
        return dict(files)
    return {name.partition("/")[2]: text for name, text in files.items()}
