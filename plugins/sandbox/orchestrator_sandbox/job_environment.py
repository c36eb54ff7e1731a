"""What a job in a sandbox sees of the machine: its variables, and the folders and files that it may read."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final


def environment(home: str) -> dict[str, str]:
    """The whole environment of a job; nothing of the program's own."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "USER": "sandbox",
        "LOGNAME": "sandbox",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "openin_any": "p",
        "openout_any": "p",
    }


_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_DETAILS: Final = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/texmf",
    "/var/lib/texmf",
    "/etc/fonts",
)


def system_paths() -> list[str]:
    """The folders of the operating system that a job may read, as they are there."""
    return [path for path in _SYSTEM if Path(path).exists()]


def detail_paths() -> list[str]:
    """The few configuration files and folders that tools need."""
    return [path for path in _DETAILS if Path(path).exists()]


_SECRET: Final = frozenset({"pip.conf", "pip.ini", ".pypirc", ".netrc", ".condarc", ".env"})
"""Files of an environment that may hold the password of a package index, and that no job reads."""


def tool_paths(executable: str) -> list[str]:
    """The Python installation and the job's own program, as far as they lie outside the system's folders.

    Of an environment that holds the settings of a package index, what lies in it is named one by one.
    """
    real = os.path.realpath(sys.executable)
    wanted = [sys.prefix, sys.base_prefix, str(Path(real).parent.parent)]
    if Path(executable).is_absolute():
        wanted += [executable, os.path.realpath(executable)]
    outermost = _outermost(path for path in wanted if Path(path).exists() and path != "/")
    return [part for path in outermost for part in _readable_parts(path)]


def _readable_parts(path: str) -> list[str]:
    if not any(Path(path, name).exists() for name in _SECRET):
        return [path]
    return sorted(str(each) for each in Path(path).iterdir() if each.name not in _SECRET and each.exists())


def _outermost(paths: Iterator[str]) -> Iterator[str]:
    """The paths that lie neither in a system folder nor in one of the paths before them."""
    covered = [Path(path) for path in _SYSTEM]
    for text in sorted(set(paths), key=len):
        path = Path(text)
        if not any(path.is_relative_to(folder) for folder in covered):
            covered.append(path)
            yield text


def is_closed(path: str) -> bool:
    """Whether other users cannot get to a path, for a folder above it is closed to them."""
    for spelling in (Path(path), Path(os.path.realpath(path))):
        for part in (spelling, *spelling.parents):
            try:
                mode = part.stat().st_mode
            except OSError:
                return True
            if part.is_dir() and not mode & 0o001:
                return True
    return False
