"""Runs over HTTP: start, list, follow as server-sent events, cancel, go on with more money.

    uvicorn app:app

The data folder is that of the command line: ``$ORCHESTRATE_HOME``, else the platform's. What clients send is not the
service's own word: your ceiling and what you agreed to hold for it, as for a spec file from elsewhere.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike
from typing import Any

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from orchestrator import Workspace
from orchestrator.errors import NotAllowedError, OrchestrateError, RunLockedError, SpecError, UsageError


class NewRun(BaseModel):
    """What a client wants run."""

    spec: dict[str, Any]
    """The keys of a spec, with ``budget_usd`` as the ceiling in US dollars."""


class MoreMoney(BaseModel):
    """What a run gets to go on with."""

    add_budget: float | None = None
    """US dollars."""
    add_time: float | None = None
    """Seconds."""


def create_app(home: str | PathLike[str] | None = None) -> FastAPI:
    """The service on a data folder."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Workspace.open(home) as ws:  # leaving it interrupts what goes on; it can be resumed
            app.state.ws = ws
            yield

    app = FastAPI(title="Runs", lifespan=lifespan)

    def workspace() -> Workspace:
        found: Workspace = app.state.ws
        return found

    @app.exception_handler(OrchestrateError)
    async def refuse(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, _status(error))

    @app.post("/runs", status_code=201)
    async def start(wanted: NewRun) -> dict[str, Any]:
        run = await workspace().start(wanted.spec, source="a request")
        return run.summary().to_dict()

    @app.get("/runs")
    async def list_runs(status: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        return [each.to_dict() for each in workspace().runs(status=status, limit=limit)]

    @app.get("/runs/{run}")
    async def show(run: str) -> dict[str, Any]:
        handle = workspace().run(run)
        state = await handle.state()
        outputs = {name: result.output for name, result in state.results.items()}
        return {**handle.summary().to_dict(), "outputs": outputs}

    @app.get("/runs/{run}/events")
    async def events(run: str, after: int = 0, last_event_id: int | None = Header(None)) -> StreamingResponse:
        handle = workspace().run(run)

        async def stream() -> AsyncIterator[str]:
            async for event in handle.events(after=last_event_id or after):
                yield f"id: {event.version}\nevent: {event.name}\ndata: {json.dumps(event.to_dict())}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.post("/runs/{run}/cancel")
    async def cancel(run: str) -> dict[str, Any]:
        handle = workspace().run(run)
        await handle.cancel()
        return handle.summary().to_dict()

    @app.post("/runs/{run}/resume")
    async def resume(run: str, more: MoreMoney) -> dict[str, Any]:
        handle = workspace().run(run)
        await handle.resume(add_budget=more.add_budget, add_time=more.add_time)
        return handle.summary().to_dict()

    return app


def _status(error: Exception) -> int:
    """The HTTP status of a refusal."""
    match error:
        case NotAllowedError():
            return 403
        case SpecError():
            return 422
        case RunLockedError():
            return 409
        case UsageError():
            return 404 if "there is no run" in str(error) else 409
    return 500


app = create_app()
