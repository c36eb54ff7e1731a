"""What is left of an archived run: computed when it is archived, and again from its bundle when the log is audited."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from attrs import evolve, fields

from orchestrator.errors import present
from orchestrator.events import ArchivedSpend, RunArchived, RunFinished
from orchestrator.ledger.accounts import stream_of
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.sqlite import SqliteStore
from orchestrator.models import Lane, ProjectStatus, Role
from orchestrator.money import Usd
from orchestrator.state.fold import fold
from orchestrator_audit.laws.accounts import AccountUse, side_of

_OF_THE_FILE: Final = ("bundle", "place", "key")


def remains(log: EventLog, run: str, row: Mapping[str, Any]) -> RunArchived:
    """What is to be left of a run, but for the bundle, its place and its key.

    Args:
        log: it has the run, closed.
        run: the run's id.
        row: of the view ``runs``.
    """
    state, last = fold((each.at, each.event) for each in log.read(run)), present(log.last(run), "last event")
    return RunArchived(
        version=last.version,
        head=last.hash,
        bundle="",
        place="",
        key="",
        began=next(log.read_own(run)).at,
        ended=max(record.at for record in log.read_own(run, types=[RunFinished])),
        status=ProjectStatus(row["status"]),
        simulated=state.settings.simulated,
        tasks=row["tasks"],
        cap=Usd(row["cap_nano"]),
        active=state.active(state.at),
        spend=tuple(_spend(log, run)),
        accounts=_accounts(log, run, state.settings.accounts, state.settings.simulated),
    )


def differences(event: RunArchived, run: str, path: Path) -> list[str]:
    """What the event of an archived run says otherwise than its bundle, which is verified once more.

    Args:
        event: the run's only one in the log.
        run: the run's id.
        path: its bundle, of which the digest is the event's.
    """
    from orchestrator_audit.bundles.checking import signer_of, verify  # which audits a log, as what calls this does

    found: list[RunArchived] = []

    def take(database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection:
            log = EventLog(SqliteStore(connection), offload=asyncio.to_thread, is_writable=False)
            for row in log.view("runs", {"run_id": run}):
                found.append(remains(log, run, row))

    report = verify(path, head=event.head, take=take)
    if report.first_problem is not None:
        return [f"{path} does not verify: {report.first_problem.message}"]
    if not found:
        return [f"{path} holds another run"]
    same = {name: getattr(event, name) for name in _OF_THE_FILE if name != "key"}
    expected = evolve(found[0], key=signer_of(path) or event.key, **same)
    names = [each.name for each in fields(RunArchived) if getattr(expected, each.name) != getattr(event, each.name)]
    return [f"the run is archived with other fields than its bundle gives: {', '.join(names)}"] if names else []


def _spend(log: EventLog, run: str) -> Iterator[ArchivedSpend]:
    for row in log.view("spend", {"run_id": run}):
        settled, role = Usd(row["settled_nano"]), Role(row["role"])
        lane = Lane(row["lane"])
        yield ArchivedSpend(row["task_id"], role, row["provider"], row["model"], row["calls"], settled, lane)


def _accounts(log: EventLog, run: str, names: Sequence[str], simulated: bool) -> dict[str, Usd]:
    """What a run has settled of each account."""
    used = AccountUse()
    for record in log.read_own(run):
        used.take(run, record.version, record.event)
    return {name: side_of(used, stream_of(name, simulated)).settled for name in names}
