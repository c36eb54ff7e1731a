"""The grants that are remembered: a file in the data folder, by spec and exact value."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from orchestrator.errors import LogError

FILE: Final = "trust.json"
_LARGEST: Final = 4 * 1024 * 1024

Remembered = Mapping[str, Sequence[str]]
"""By spec, the capabilities agreed to, each as ``KIND=VALUE``."""


@frozen
class GrantStore:
    """The remembered grants of a data folder."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / FILE

    def read(self) -> Remembered:
        """Every remembered grant; empty where there is no file.

        Raises:
            LogError: the file cannot be read, or holds something else.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise LogError(f"{self.path}: {error.strerror}") from error
        found = _parsed(data)
        if found is None:
            raise LogError(f"{self.path} is no list of grants; remove it, and agree anew where you are asked")
        return found

    def remember(self, spec: str, capabilities: Sequence[str]) -> None:
        """Add capabilities to those of a spec.

        Raises:
            LogError: the file cannot be read or written.
        """
        known = self.read()
        self._write({**known, spec: sorted({*known.get(spec, ()), *capabilities})})

    def revoke(self, spec: str | None = None, capability: str | None = None) -> int:
        """Forget grants: of one spec or of all, one capability or all; the number forgotten.

        Raises:
            LogError: the file cannot be read or written.
        """
        known = self.read()
        left = {
            name: [each for each in own if not _is_meant(name, each, spec, capability)] for name, own in known.items()
        }
        gone = sum(map(len, known.values())) - sum(map(len, left.values()))
        if gone:
            self._write({name: own for name, own in left.items() if own})
        return gone

    def _write(self, grants: Remembered) -> None:
        text = json.dumps({"grants": grants}, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        temporary = self.folder / f".{FILE}.{os.getpid()}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            raise LogError(f"{self.path}: {error.strerror}; the grant is not remembered") from error


def _is_meant(name: str, granted: str, spec: str | None, capability: str | None) -> bool:
    return spec in (None, name) and capability in (None, granted)


def _parsed(data: bytes) -> Remembered | None:
    try:
        found = json.loads(data)["grants"] if len(data) <= _LARGEST else None
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    if not isinstance(found, dict):
        return None
    is_list = all(isinstance(own, list) and all(isinstance(each, str) for each in own) for own in found.values())
    return found if is_list else None
