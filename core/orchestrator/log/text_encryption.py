"""Texts encrypted at rest: the key of a run is a file in the data folder, and without it nothing of them can be read.

So that deleting the key deletes the texts wherever a copy of the database is: in its WAL, in copies, in backups. What
is encrypted are the texts and the salt of their digests, without which a short text cannot be guessed either. Needs
the extra ``sign``.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import DamagedLogError, LogError, UsageError

FOLDER: Final = "keys"
"""The folder of the keys, in the data folder."""

SALT: Final = ""
"""What stands in place of a digest where the salt is encrypted."""

_MARK: Final = b"\1sealed\n"
"""How what is encrypted begins; nothing that is compressed begins so."""
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_SUFFIX: Final = ".key"


class NoKeyError(LogError):
    """The key of an encrypted run is not here."""


class Keys:
    """The keys of the runs of a data folder, one file each.

    Args:
        folder: the data folder; None: there are none.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._known: dict[str, bytes] = {}

    def of(self, run: str) -> bytes | None:
        """The key of a run, or None where it has none.

        Raises:
            LogError: it cannot be read.
        """
        if run not in self._known and self._folder is not None:
            path = self._path(self._folder, run)
            try:
                content = path.read_bytes() if path is not None and path.is_file() else None
            except OSError as error:
                raise LogError(f"{path}: {error.strerror}; make it readable") from error
            if content is None:
                return None
            if len(content) != _KEY_BYTES:
                raise LogError(f"{path} is no key of {_KEY_BYTES} bytes; restore it from a backup")
            self._known[run] = content
        return self._known.get(run)

    def lacking(self, run: str) -> str:
        """That the key of a run is not here, and where it is looked for."""
        path = None if self._folder is None else self._path(self._folder, run)
        return f"the key of {run} is not here" + (f": {path}" if path is not None else "")

    def make(self, run: str) -> None:
        """Make a key for a run, durably, before anything of it is stored; one that is there already is kept.

        Raises:
            UsageError: the package that encrypts is not installed.
            LogError: it cannot be written.
        """
        _library()
        path = None if self._folder is None else self._path(self._folder, run)
        if self._folder is None or path is None:
            raise LogError(f"there is no folder for the key of {run}")
        if self.of(run) is not None:
            return
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            _sync(self._folder)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}; make the data folder writable") from error

    def delete(self, run: str) -> bool:
        """Overwrite and remove the key of a run; whether there was one.

        Raises:
            LogError: it cannot be removed.
        """
        self._known.pop(run, None)
        path = None if self._folder is None else self._path(self._folder, run)
        if self._folder is None or path is None or not path.is_file():
            return False
        try:
            with path.open("r+b", buffering=0) as file:
                file.write(os.urandom(_KEY_BYTES))
                os.fsync(file.fileno())
            path.unlink()
            _sync(self._folder)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}; remove it, and the texts of {run} are gone") from error
        return True

    def seal(self, run: str, name: str, content: bytes) -> bytes:
        """What is stored of a run's content: encrypted where the run has a key.

        Args:
            run: its id.
            name: the digest of a text, or ``SALT``; the content is bound to both.
            content: what is to be stored.
        """
        key = self.of(run)
        if key is None:
            return content
        nonce = os.urandom(_NONCE_BYTES)
        return _MARK + nonce + bytes(_library()(key).encrypt(nonce, content, _bound(run, name)))

    def open(self, run: str, name: str, stored: bytes) -> bytes:
        """The content of what is stored; see ``seal``.

        Raises:
            NoKeyError: it is encrypted, and the run has no key here.
            DamagedLogError: it was not encrypted with the run's key, or as this text of this run.
        """
        if not stored.startswith(_MARK):
            return stored
        key = self.of(run)
        if key is None:
            raise NoKeyError(f"the texts of {run} are encrypted, and {self.lacking(run)}")
        start = len(_MARK) + _NONCE_BYTES
        cipher = _library()(key)
        try:
            return bytes(cipher.decrypt(stored[len(_MARK) : start], stored[start:], _bound(run, name)))
        except Exception as error:  # the library's own InvalidTag, and ValueError for what is too short
            what = f"the text {name[:12]}" if name else "the salt of its texts"
            raise DamagedLogError(0, f"{what} was not encrypted with the key of {run}") from error

    @staticmethod
    def _path(folder: Path, run: str) -> Path | None:
        """The file of a run's key; None for a name that no run has."""
        return None if not run or run.startswith(".") or "/" in run or "\0" in run else folder / f"{run}{_SUFFIX}"


def is_sealed(stored: bytes) -> bool:
    """Whether what is stored is encrypted."""
    return stored.startswith(_MARK)


def copy_key(source: Path, target: Path, run: str) -> None:
    """Copy the key of a run, where it has one, into another data folder.

    Raises:
        LogError: it cannot be read or written.
    """
    key = Keys(source).of(run)
    if key is None or source.absolute() == target.absolute():
        return
    try:
        (target / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(target / FOLDER / f"{run}{_SUFFIX}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
    except OSError as error:
        raise LogError(f"{target / FOLDER}: {error.strerror}; choose another place") from error


def _bound(run: str, name: str) -> bytes:
    """What an encrypted text is bound to, so that one cannot stand in another's place."""
    return f"multi-llm-orchestrator text 1\n{run}\n{name}".encode()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _library() -> Any:
    """AES-256 in GCM."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise UsageError(
            "encrypted texts need the package cryptography: pip install 'multi-llm-orchestrator[sign]'"
        ) from error
    return AESGCM
