"""Deleting the content of a run: because somebody asks for it, or because it is older than a policy keeps it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import Factory, define, frozen

from orchestrator.engine.live_text import forget_live
from orchestrator.engine.session import RunLog, append_remedies
from orchestrator.errors import DamagedLogError, LogError, RunLockedError, SpecError, UsageError
from orchestrator.ledger import removal, stored_calls
from orchestrator.ledger.accounts import is_run
from orchestrator.log import append_head
from orchestrator.log.text_encryption import NoKeyError
from orchestrator.policy import Retention
from orchestrator.spec import parse_spec

if TYPE_CHECKING:
    from orchestrator.engine.runs import Engine


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
    remains: str
    """Where its bytes still are if they are not overwritten: a line for people."""


async def delete_content(workspace: "Engine", run: str) -> Deleted:
    """Delete a run's texts, for good: its events, its money and its decisions remain, and remain verifiable.

    Files in its output folder are not touched. Calls that a dead process left open are ended, their hold unreconciled.

    Raises:
        RunLockedError: the run is live.
        UsageError: its content is deleted already.
        DamagedLogError: its history is damaged: it is evidence, and stays as it is.
        NoKeyError: a fork shares its encrypted texts, and the key of one of them is not here.
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
        forget_live(workspace.folder, run)
        last = log.last(run)
        if last is not None:
            with suppress(LogError):  # the texts are gone all the same; the next head will do
                append_head(workspace.folder, run, last.hash, last.version)
        stored_calls.keep(log.store, run)
    finally:
        lock.release()
    return Deleted(run, event.texts, event.size, overwritten, tuple(log.forks(run)), log.store.remains)


@define
class Expired:
    """What a policy of retention had deleted, and what it had to leave."""

    deleted: list[Deleted] = Factory(list)
    held: list[str] = Factory(list)
    """Runs that are old enough and are held."""
    live: list[str] = Factory(list)
    damaged: list[str] = Factory(list)
    """Runs whose log is evidence now."""
    without_key: list[str] = Factory(list)
    """Encrypted runs whose texts forks share, while the key of one of them is not here."""


async def expire(workspace: "Engine", policy: Retention, *, dry_run: bool = False) -> Expired:
    """Delete the content of every run whose last event is older than the policy, or its own spec, keeps it.

    The shorter time counts; a run that the policy or any spec holds is kept, and so is a live one. With ``dry_run``
    nothing is deleted, and the answer is what would be.
    """
    own = dict(_own(workspace))
    held = _held(policy, own)
    found, now = Expired(), workspace.ports.clock()
    for run, retention in own.items():
        keep, last = retention.merged(policy).keep, workspace.log.last(run)
        if keep is None or last is None or now - last.at <= keep:
            continue
        if run in held:
            found.held.append(run)
            continue
        try:
            found.deleted.append(_deletable(workspace, run) if dry_run else await delete_content(workspace, run))
        except RunLockedError:
            found.live.append(run)
        except DamagedLogError:
            found.damaged.append(run)
        except NoKeyError:
            found.without_key.append(run)
    return found


def held_runs(workspace: "Engine", policy: Retention) -> set[str]:
    """The runs that the policy, or the spec of any run, holds."""
    return _held(policy, dict(_own(workspace)))


def _held(policy: Retention, own: Mapping[str, Retention]) -> set[str]:
    return {*policy.hold, *(run for each in own.values() for run in each.hold)}


def _deletable(workspace: "Engine", run: str) -> Deleted:
    """What ``delete_content`` would delete of a run; see there for what it raises."""
    log = workspace.log
    if log.locks.is_held(run):
        raise RunLockedError(f"{run} is live")
    workspace.check(run)
    removal.check_keys(log.store, run, log.keys)
    texts = log.store.texts(run)
    return Deleted(run, len(texts), sum(each.size for each in texts), False, tuple(log.forks(run)), log.store.remains)


def _own(workspace: "Engine") -> Iterator[tuple[str, Retention]]:
    """Every run that has content, with what its spec says of it."""
    log = workspace.log
    for run in log.streams():
        if not is_run(run):
            continue
        if log.store.salt(run) is None or log.archived(run) is not None:
            continue
        retention = Retention()
        with suppress(SpecError, UsageError, LogError, ValueError):
            retention = parse_spec(json.loads(workspace.spec(run)), run).retention
        yield run, retention
