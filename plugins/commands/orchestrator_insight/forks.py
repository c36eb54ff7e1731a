"""Forks: a new run that shares the past of another up to the end of a step, and goes on under settings of its own."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from orchestrator import events as e
from orchestrator.decide.outcome import reopened_by
from orchestrator.engine.first_event import recorded_grants, settings_after
from orchestrator.engine.vendors.environment import called_by
from orchestrator.errors import UsageError, present
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.transaction import Recorded
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.spec import Spec, apply_sets, parse_spec, with_models
from orchestrator.spec.canonical import portable
from orchestrator.state.run import RunState
from orchestrator_insight.changed_settings import settings_changed

if TYPE_CHECKING:
    from orchestrator.engine.runs import Engine

_OF_THE_PAST: Final = ("project", "criteria", "tasks", "task_paths", "team", "job_id", "project_id", "output_dir")
"""Keys of the spec that a fork cannot change: what is shared was done by them."""

Bind = Callable[[Spec], Spec]
"""Puts the policies of a spec's policy files into it."""


@frozen
class Cut:
    """Where a fork leaves its parent."""

    parent: str
    """The run in whose stream the event stands: an ancestor, where the cut lies in what a fork shares."""
    version: int
    position: int
    hash: str
    at: int
    moved: bool
    """Whether the place asked for was inside a step, and the end of the step before it was taken."""


@frozen
class Forked:
    """A new run, not yet played."""

    run: str
    cut: Cut
    changes: tuple[str, ...]
    """What its settings have otherwise than its parent's, a line each."""


def cut_of(log: EventLog, run: str, position: int | None = None, version: int | None = None) -> Cut:
    """The end of a step at a position of the log or a version of a run's history, else the nearest before it.

    With neither it is the end of the history.

    Raises:
        UsageError: no step of the run ends there or before.
    """
    last: Recorded | None = None
    retained: Recorded | None = None  # the end of the last whole step
    beyond = False
    for record in log.read(run, upto=None if version is None else version + 1):
        beyond = (version is not None and record.version > version) or (
            position is not None and record.position > position
        )
        if last is not None and record.at != last.at:
            retained = last
        if beyond:
            break
        last = record
    if not beyond:
        retained = last
    if retained is None or last is None:
        raise UsageError(f"no step of {run} ends there; see the positions with: orchestrate log show {run}")
    return Cut(
        retained.stream, retained.version, retained.position, retained.hash, retained.at, moved=retained is not last
    )


async def fork(
    workspace: "Engine",
    run: str,
    cut: Cut,
    sets: Sequence[str] = (),
    *,
    name: str | None = None,
    models: Path | None = None,
    bind: Bind = lambda spec: spec,
) -> Forked:
    """Make a run that shares the history of ``run`` up to ``cut``; ``resume`` goes on with it.

    Args:
        workspace: the data folder.
        run: the run whose past is shared.
        cut: see ``cut_of``.
        sets: changes to the spec's keys, as ``--set`` has them.
        name: the id of the new run; None: one made from the parent's.
        models: a file with models to add, or with facts to override.
        bind: applied to the changed spec.

    Raises:
        UsageError: a key cannot be changed, the id is taken, or the parent's texts are deleted.
        DamagedLogError: the parent's history is damaged.
    """
    log, texts = workspace.log, workspace.texts(cut.parent)
    workspace.check(run)
    state = workspace.load(cut.parent, cut.version)
    start = present(state.start, "first event")
    name = _name(log, run, name)
    place = workspace.place(cut.parent)
    old = workspace.recorded(cut.parent, place)
    new = with_models(_changed(old, sets, bind), models)
    canonical, paths = portable(new.canonical())
    settings = settings_after(state, old, new)
    before = state.forked
    forked = e.RunForked(
        parent=cut.parent,
        version=cut.version,
        hash=cut.hash,
        inherited_settled=state.spend.settled + (before.inherited_settled if before is not None else Usd.ZERO),
        inherited_unreconciled=state.spend.unreconciled
        + (before.inherited_unreconciled if before is not None else Usd.ZERO),
        settings=settings,
        spec=texts.put(canonical),
        project=start.project,
        reopened=_reopened(state),
        place=texts.put(evolve(place, output=None, paths=paths).text()),
        grants=recorded_grants(new, texts),
        by=called_by(os.environ),
    )
    lock = log.locks.acquire(name)
    try:
        if settings.encrypt:
            log.keys.make(name)
        now = max(workspace.ports.clock(), state.at + 1)
        await log.append(name, cut.version, now, [forked], texts.take(), salt=texts.salt)
    finally:
        lock.release()
    return Forked(name, cut, tuple(settings_changed(state.settings, settings)))


def _name(log: EventLog, run: str, name: str | None) -> str:
    if name is not None:
        read_name = {"project": "-", "criteria": "-", "project_id": name}  # as a spec file would have it
        name = str(parse_spec(read_name, "--project-id").project_id)
        if log.last(name) is not None:
            raise UsageError(f"there is a run {name!r} already: choose another --project-id")
        return name
    base = found = f"{run}-fork"
    number = 1
    while log.last(found) is not None:
        number += 1
        found = f"{base}-{number}"
    return found


def _changed(old: Spec, sets: Sequence[str], bind: Bind) -> Spec:
    """The spec with keys set; keys that the past was made by stay."""
    if not sets:
        return bind(old)
    value = apply_sets(json.loads(old.canonical()), sets)
    changed = parse_spec(value, "--set")
    new = bind(evolve(changed, folder=old.folder, source=old.source, grants=old.grants, as_read=old))
    for key in _OF_THE_PAST:
        if getattr(new, key) != getattr(old, key):
            raise UsageError(f"--set {key}: a fork shares what was done by it; start a new run to change it")
    return new


def _reopened(state: RunState) -> tuple[str, ...]:
    """The tasks that had failed for money or time, which the fork has of its own, or for want of a model."""
    remedies = ["budget", "time"]
    if state.finished is not None and state.finished.status is ProjectStatus.SYSTEM_FAILURE:
        remedies.append("model")
    found = {name for remedy in remedies for name in reopened_by(state, remedy)}
    order = (e.PLAN, *state.execution_order)
    return tuple(name for name in order if name in found)
