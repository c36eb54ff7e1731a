"""What is shown of an archived run: when and where its events went, what proves them, and what it spent."""

from typing import Any

from attrs import frozen

from orchestrator.cli.logs.damaged_runs import Reader, Trust, trust_in
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_facts
from orchestrator.cli.terminal.terminal_output import line, money, timestamp
from orchestrator.errors import present
from orchestrator.events import ADVISE, ENHANCE, PLAN, RunArchived
from orchestrator.money import Usd
from orchestrator.past_runs.run_list import ARCHIVED


@frozen
class ArchivedRun:
    """An archived run, read from the log."""

    run: str
    at: int
    """When it was archived, in microseconds UTC."""
    event: RunArchived
    place: str
    """The path of its bundle, as it was then; empty where that is gone."""
    head: str
    """The hash of the stream's last event, which is the one that is left."""
    trust: Trust

    def plain(self) -> dict[str, Any]:
        """What JSON has of it: what a run has that is in the log, as far as it is known, and where the rest is."""
        event = self.event
        return {
            "run_id": self.run,
            "status": ARCHIVED,
            "simulated": event.simulated,
            "head": self.head,
            "cap_usd": str(event.cap),
            "settled_usd": str(event.settled),
            "held_usd": str(Usd.ZERO),
            "spent_usd": str(event.settled),
            "active_seconds": round(event.active / 1_000_000, 3),
            "execution_order": [],
            "input_stage_cost_usd": str(_spent(event, ENHANCE, ADVISE)),
            "plan_cost_usd": str(_spent(event, PLAN)),
            "reason": None,
            "verification": None,
            "tasks": [],
            "archived": {
                "at": timestamp(self.at),
                "path": self.place or None,
                "bundle_sha256": event.bundle,
                "signed_by": event.key,
                "status": event.status.value,
                "version": event.version,
                "head": event.head,
                "tasks": event.tasks,
            },
            **self.trust.plain(),
        }

    def print(self) -> None:
        """Write it for people."""
        event = self.event
        beside = f" ({self.trust.mark})" if self.trust.mark else ""
        simulated = ", simulated" if event.simulated else ""
        print_facts(
            [
                ("run", self.run),
                ("status", f"{ARCHIVED}{beside}; it ended with {event.status.value}"),
                ("spend", f"{money(event.settled)} of at most {money(event.cap)}{simulated}{beside}"),
                ("archived", f"{timestamp(self.at)}, {event.version} events"),
                ("bundle", line(self.place) or "(deleted)"),
                ("sha256", event.bundle),
                ("signed by", event.key),
                ("head", f"{event.head} in the bundle; {self.head} here"),
            ]
        )


def archived_run(log: Reader, run: str) -> ArchivedRun | None:
    """An archived run; None where the events of the run are in the log."""
    found = log.archived(run)
    if found is None:
        return None
    trust = trust_in(log, run)
    trust.warn()
    last = present(log.last(run), "last event")
    return ArchivedRun(run, last.at, found, log.bundle_of(run, found), last.hash, trust)


def show(found: ArchivedRun, *, as_json: bool) -> int:
    """Write an archived run; the exit code."""
    if as_json:
        result_json(found.plain())
    else:
        found.print()
    return found.trust.code


def _spent(event: RunArchived, *nodes: str) -> Usd:
    return sum((each.settled for each in event.spend if each.node in nodes), Usd.ZERO)
