"""Answers without end or beyond any size, through the command in its own process: it ends, and stays small."""

import json
import zlib
from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.command import rows
from tests.faults.weighed import weighed
from tests.plugins.providers.vendor_server import VendorServer
from tests.plugins.providers.vendors import built
from tests.servers.local import Fault

MOST_MEGABYTES: Final = 400
_STREAM: Final = {"content-type": "text/event-stream"}
_BLOCK: Final = 64 * 1024


def bomb() -> bytes:
    """Half a gigabyte of zeros, compressed."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    head = squeeze.compress(bytes(1 << 20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    more = squeeze.compress(bytes(1 << 20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return head + more * 511  # after a full flush equal input gives equal output


def event(text: str) -> bytes:
    """One piece of a chat stream."""
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": None}]}).encode() + b"\n\n"


def lists_inside_text() -> dict[str, Any]:
    """An answer whose text is fifteen megabytes of what a plan or a score may be looked for in."""
    choice = {"message": {"content": '[{"score":' * 1_500_000}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}}


def endless(first: bytes, *pieces: bytes) -> Iterable[bytes]:
    """A beginning, and then the same for ever."""
    return chain([first], repeat(b"".join(pieces)))


FAULTS: Final = {
    "a gzip bomb": lambda: Fault(200, bomb(), {"content-encoding": "gzip"}),
    "a body without end": lambda: Fault(200, pieces=endless(b'{"a": "', b"x" * _BLOCK)),
    "an error page without end": lambda: Fault(500, pieces=endless(b"<html>", b"x" * _BLOCK)),
    "a header without end": lambda: Fault(raw=b"HTTP/1.1 200 OK\r\nx-a: " + b"x" * 64_000_000),
    "comments without end": lambda: Fault(200, b"", _STREAM, pieces=endless(b"", b": on\n\n" * 10_000)),
    "a line without end": lambda: Fault(200, b"", _STREAM, pieces=endless(b"data: ", b"x" * _BLOCK)),
    "a text without end": lambda: Fault(200, b"", _STREAM, pieces=endless(b"", event("word ") * 500)),
    "a body of empty lists": lambda: Fault(200, b"[" + b"[]," * 5_000_000 + b"0]"),
    "a body of empty objects": lambda: Fault(200, b'{"choices": [' + b"{}," * 5_000_000 + b"0]}"),
    "a deep body": lambda: Fault(200, b"[" * 15_000_000),
    "an answer of fifteen megabytes": lambda: Fault(200, lists_inside_text()),
}
DEFAULT: Final = {"a gzip bomb", "a text without end", "a body of empty lists"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in DEFAULT else pytest.mark.heavy) for name in FAULTS]
)
def test_an_answer_without_measure_is_an_error_of_bounded_size(name: str, tmp_path: Path) -> None:
    """No traceback, no hang, less than 400 MB; the run halts, and what may have been billed is unreconciled."""
    stream = name in ("comments without end", "a line without end", "a text without end")
    fields = {
        "project": "Build a small library",
        "criteria": "its tests pass",
        "providers": {"minimax": {"stream": stream}},
        "limits": {"tries": 1, "attempts": 2},
    }
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(fields))
    fault = FAULTS[name]()
    with VendorServer(
        "minimax", {model.id: model for model in built("minimax").models()}, lambda asked, answer: fault
    ) as server:
        environ = {"MINIMAX_API_KEY": "sk-0123456789", "MINIMAX_BASE_URL": server.base_url}
        found = weighed(tmp_path / "home", "run", str(spec), environ=environ)

    assert found.ended.code == 3, found.ended.err
    assert "Traceback" not in found.ended.err + found.ended.out
    assert found.megabytes < MOST_MEGABYTES
    ends = rows(
        tmp_path / "home",
        "SELECT json_extract(data, '$.unreconciled'), json_extract(data, '$.settled') FROM events "
        "WHERE type IN ('call.failed', 'call.succeeded')",
    )
    assert 0 < len(ends) == server.requests <= 2
    assert all(unreconciled or settled for unreconciled, settled in ends) or name == "an error page without end"
