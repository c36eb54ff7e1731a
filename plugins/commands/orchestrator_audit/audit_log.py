"""What policies did: a record for every model that was considered for a call, read from the log.

    from orchestrator.audit import AuditLog

    AuditLog().flush_jsonl("audit.jsonl")           # the newest run of the data folder
    AuditLog(run="nightly").flush_jsonl("nightly.jsonl")

Nothing is collected in memory while a run goes on: the log holds it all, and these are readers of it.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from attrs import asdict, frozen

from orchestrator import events as e
from orchestrator.documents import expanded
from orchestrator.engine.vendors.environment import data_folder
from orchestrator.errors import LogError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.transaction import Recorded
from orchestrator.plugins.store_of_folder import open_log_to_read
from orchestrator.policy import Policy

__all__ = ["AuditLog", "AuditRecord", "records_of"]


@frozen
class AuditRecord:
    """What the policies said of one model for one call."""

    timestamp: str
    """When it was considered: ISO 8601, UTC, with microseconds."""
    task_id: str
    """The task, or ``plan``."""
    model: str
    passed: bool
    """Whether policies let it be asked."""
    raw_passed: bool
    """Whether it violates none, whatever their mode."""
    violations: tuple[str, ...]
    """The names of the policies it violates."""
    enforcement_mode: str
    """The strictest mode among those it violates, or else among those applied; ``none`` where there are none."""
    policies_applied: tuple[str, ...]
    """The names of the policies in force."""

    def plain(self) -> dict[str, Any]:
        """The record as a line of JSON has it."""
        return asdict(self)


class AuditLog:
    """The audit records of one run, read from the event log when they are asked for.

    Args:
        run: the run's id; None: the newest run of the data folder.
        home: the data folder; None: ``$ORCHESTRATE_HOME``, else the platform's user data folder.
    """

    def __init__(self, run: str | None = None, *, home: str | os.PathLike[str] | None = None) -> None:
        self.run = run
        self._home = data_folder(None if home is None else Path(home), os.environ)

    def __iter__(self) -> Iterator[AuditRecord]:
        """Every record, in the order of the log.

        Raises:
            UsageError: there is no such run, or no run at all.
            LogError: the log cannot be read, or the run's history is damaged.
        """
        log = open_log_to_read(self._home, EventLog)
        try:
            run = self.run if self.run is not None else _newest(log)
            if run is None or log.last(run) is None:
                what = "no run" if run is None else f"no run {run!r}"
                raise UsageError(f"there is {what} in {self._home}; see: orchestrate runs list")
            log.check(run)
            yield from records_of(log.read(run))
        finally:
            log.close()

    def records(self) -> list[AuditRecord]:
        """Every record, in the order of the log."""
        return list(self)

    def flush_jsonl(self, path: str | os.PathLike[str]) -> int:
        """Write every record as a line of JSON to a file, in the place of what was there; returns how many.

        Raises:
            LogError: the file cannot be written; see also iterating.
        """
        target, count = expanded(Path(path)), 0
        lines = [orjson.dumps(record.plain(), option=orjson.OPT_APPEND_NEWLINE) for record in self]
        try:
            with target.open("wb") as file:
                for line in lines:
                    file.write(line)
                    count += 1
        except OSError as error:
            raise LogError(f"{target}: {error.strerror}; choose another file for the audit records") from error
        return count


def records_of(history: Iterable[Recorded]) -> Iterator[AuditRecord]:
    """The audit records of a run's events, in their order."""
    everywhere: tuple[Policy, ...] = ()
    by_node: dict[str, tuple[Policy, ...]] = {}
    for record in history:
        event = record.event
        if isinstance(event, e.RunStarted | e.RunForked):
            everywhere, by_node = event.settings.policies, event.settings.node_policies
        elif isinstance(event, e.ModelSelected):
            policies = (*everywhere, *by_node.get(event.node, ()))
            for candidate in event.candidates:
                yield _record(record.at, event.node, candidate, policies)


def _record(at: int, node: str, candidate: e.ModelCandidate, policies: tuple[Policy, ...]) -> AuditRecord:
    forbidden = () if candidate.policy is None else (candidate.policy,)
    violations = tuple(dict.fromkeys((*forbidden, *candidate.violates)))
    modes = [policy.enforcement_mode for policy in policies if not violations or policy.name in violations]
    return AuditRecord(
        timestamp=_timestamp(at),
        task_id=node,
        model=candidate.model,
        passed=not forbidden,
        raw_passed=not violations,
        violations=violations,
        enforcement_mode=max(modes, key=lambda mode: mode.strictness).value if modes else "none",
        policies_applied=tuple(policy.name for policy in policies),
    )


def _timestamp(at: int) -> str:
    from datetime import UTC, datetime, timedelta

    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond:06d}Z"


def _newest(log: EventLog) -> str | None:
    newest = log.newest(1, types=(e.RunStarted, e.RunForked))
    return newest[0].stream if newest else None
