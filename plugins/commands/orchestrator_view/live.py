"""Server-sent events: what is committed to the log, by whatever process; a reader that comes back goes on."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import islice
from typing import Final

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from orchestrator.errors import OrchestrateError
from orchestrator.reading import Recorded
from orchestrator_view.log_source import Source

_PAUSE: Final = 0.25
"""Seconds between two looks at the log."""
_BEAT: Final = 15.0
"""Seconds after which an idle stream says that it is there."""
_MOST: Final = 2_000
"""Events sent at once."""


def stream(source: Source, request: Request, run: str | None) -> StreamingResponse:
    """The events of a run, or of all, after those that the reader has: by Last-Event-ID, else by ``after``.

    Without either it begins with the next event.
    """
    given = request.headers.get("last-event-id") or request.query_params.get("after") or ""
    after = int(given) if given.isdigit() else None
    return StreamingResponse(
        _events(source, request, run, after), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _events(source: Source, request: Request, run: str | None, after: int | None) -> AsyncIterator[bytes]:
    position = await run_in_threadpool(latest, source) if after is None else after
    yield b"retry: 1000\n\n: open\n\n"
    idle = 0.0
    while not await request.is_disconnected():
        records = await run_in_threadpool(_after, source, position, run)
        if records:
            position, idle = records[-1].position, 0.0
            yield b"".join(map(_message, records))
            continue
        if idle >= _BEAT:
            idle = 0.0
            yield b": beat\n\n"
        await anyio.sleep(_PAUSE)
        idle += _PAUSE


def latest(source: Source) -> int:
    """The position of the last event of the log; 0 where there is none."""
    with source.here():
        if not source.has_log:
            return 0
        return source.log.high_water()


def _after(source: Source, position: int, run: str | None) -> list[Recorded]:
    """The next events; none while the log is only being made, or cannot be read now."""
    with source.here(), suppress(OrchestrateError):
        return list(islice(source.log.tail(position, run), _MOST))
    return []


def _message(record: Recorded) -> bytes:
    """One event: its position is the id, so that a reader can go on after it."""
    fields = {"run": record.stream, "position": record.position, "version": record.version, "type": record.type}
    return f"id: {record.position}\ndata: {json.dumps({**fields, 'at': record.at})}\n\n".encode()
