"""Deleting the content of a run."""

from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen

from orchestrator.engine.session import RunLog, append_remedies
from orchestrator.errors import LogError, UsageError
from orchestrator.log import append_head

if TYPE_CHECKING:
    from orchestrator.engine.runs import Workspace


@frozen
class Deleted:
    """What is gone of a run."""

    run: str
    texts: int
    size: int
    """Bytes, as stored."""
    overwritten: bool
    """Whether the bytes are gone from the database's files; if not, ``log gc`` takes them once no process reads."""
    forks: tuple[str, ...]
    """The runs that share its past, and keep the texts they need."""


async def delete_content(workspace: "Workspace", run: str) -> Deleted:
    """Delete a run's texts, for good: its events, its money and its decisions remain, and remain verifiable.

    Files in its output folder are not touched. Calls that a dead process left open are ended, their hold unreconciled.

    Raises:
        RunLockedError: the run is live.
        UsageError: its content is deleted already.
        DamagedLogError: its history is damaged: it is evidence, and stays as it is.
    """
    log = workspace.log
    lock = log.locks.acquire(run)
    try:
        state = workspace.load(run)
        if state.content_deleted:
            raise UsageError(f"the content of {run} is deleted already")
        workspace.check(run)
        names, simulated = state.settings.accounts, state.settings.simulated
        stream = RunLog(log, run, workspace.texts(run), names, simulated)
        await append_remedies(stream, state, workspace.ports, [])
        event, overwritten = await log.delete_content(run, state.version, workspace.ports.clock())
        last = log.last(run)
        if last is not None:
            with suppress(LogError):  # the texts are gone all the same; the next head will do
                append_head(workspace.folder, run, last.hash, last.version)
    finally:
        lock.release()
    return Deleted(run, event.texts, event.size, overwritten, tuple(log.forks(run)))
