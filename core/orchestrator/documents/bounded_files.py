"""Untrusted files: regular ones, small ones, in UTF-8."""

import codecs
import json
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.documents.document import MAX_BYTES, Document, refusal
from orchestrator.errors import SpecError

_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
)  # O_NONBLOCK: opening a FIFO without a writer would wait for ever


def read_document(path: Path) -> Document:
    """The document in a file: JSON where the name ends in ``.json``, else YAML.

    Raises:
        SpecError: it cannot be read.
    """
    from orchestrator.documents import load_json, load_yaml

    text = read_text(path)
    return load_json(text, str(path)) if path.suffix.lower() == ".json" else load_yaml(text, str(path))


def read_stream(stream: BinaryIO, source: str) -> Document:
    """The document that a stream has to its end: JSON where it is some, else YAML.

    Raises:
        SpecError: it cannot be read.
    """
    from orchestrator.documents import load_json, load_yaml

    try:
        data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(Path(source), error) from error
    if len(data) > MAX_BYTES:
        raise refusal(source, 1, f"this is larger than {MAX_BYTES} bytes; shorten it")
    text = _decoded(data, source)
    return load_json(text, source) if _is_json(text) else load_yaml(text, source)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def read_text(path: Path) -> str:
    """The text of a regular file of at most 1 MB of UTF-8, without its byte-order mark.

    Raises:
        SpecError: it is something else, or cannot be read; a problem of the whole file stands at its line 1.
    """
    return _decoded(read_bytes(path), str(path))


def _decoded(data: bytes, source: str) -> str:
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refusal(source, line, "the file is not valid UTF-8 here; save it as UTF-8") from error


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of at most 1 MB.

    Raises:
        SpecError: it is something else, or cannot be read.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise refusal(str(path), 1, "this is a folder; name a file")
        if not stat.S_ISREG(mode):
            raise refusal(str(path), 1, "this is a device or a pipe; name a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise refusal(str(path), 1, f"the file is larger than {MAX_BYTES} bytes; shorten it")
    return data


def _unreadable(path: Path, error: OSError | ValueError) -> SpecError:
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return refusal(str(path).replace("\0", "\\0"), 1, f"the file cannot be read: {reason}")
