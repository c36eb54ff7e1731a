"""Paths as users write them: ``~`` and ``~name`` at the beginning are home folders, as in a shell."""

from pathlib import Path

from orchestrator.errors import UsageError


def expanded(path: str | Path) -> Path:
    """The path with the home folder in the place of a ``~`` at its beginning.

    A file that is really called so, such as ``~backup.yaml`` in the working folder, is that file.

    Raises:
        UsageError: there is no such user, or this user has no home folder.
    """
    path = Path(path)
    try:
        return path.expanduser()
    except RuntimeError:
        first = path.parts[0]
        if path.exists():
            return path
    if first == "~":
        raise UsageError(f"{path}: this user has no home folder; write the path in full, or set HOME")
    raise UsageError(f"{path}: there is no user {first[1:]!r}; write ./{path} where it is meant as it stands")
