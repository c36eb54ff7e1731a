"""Names of files that must not lie beside tests, for they would take the place of what runs the tests."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

_RUNNERS: Final = frozenset({"pytest", "_pytest", "pluggy", "iniconfig", "py", "sitecustomize", "usercustomize"})
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


def takes_place_of_runner(names: Iterable[str]) -> tuple[str, ...]:
    """Those of some files that ``python -m pytest``, run in their folder, would import in the place of pytest's own."""
    return tuple(name for name in names if name.partition("/")[0].removesuffix(".py") in _RUNNERS)


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
