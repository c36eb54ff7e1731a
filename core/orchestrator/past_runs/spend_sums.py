"""The sums that spend is shown in: by model, phase, task, provider, lane, run or team, over the view ``spend``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from orchestrator.events import RunArchived
from orchestrator.models import PHASE_OF
from orchestrator.money import Usd
from orchestrator.settings import RunSettings

if TYPE_CHECKING:
    from orchestrator.ledger.event_log import EventLog

COLUMNS: Final = {
    "model": "model",
    "phase": "phase",
    "task": "task_id",
    "provider": "provider",
    "lane": "lane",
    "run": "run_id",
    "team": None,
}
"""What spend can be summed by, and the column of the view ``spend`` that has it; the team is the run's."""

_NO_TEAM: Final = "(no team)"
_TEAM: Final = "team/"

Row = tuple[str, str | None, int, int, int, int]
"""Run, name, calls, and settled, held and unreconciled in nano-dollars."""


@define
class Sum:
    """What was spent under one name."""

    name: str
    calls: int = 0
    settled: Usd = Usd.ZERO
    held: Usd = Usd.ZERO
    """In flight + unreconciled."""
    unreconciled: Usd = Usd.ZERO

    @property
    def total(self) -> Usd:
        """Settled + held."""
        return self.settled + self.held

    def add(self, calls: int, settled: Usd, held: Usd, unreconciled: Usd) -> None:
        """Count some calls."""
        self.calls += calls
        self.settled += settled
        self.held += held
        self.unreconciled += unreconciled

    def plain(self, by: str) -> dict[str, Any]:
        """The sum as JSON has it; ``by`` is what its name is a name of."""
        return {
            by: self.name,
            "calls": self.calls,
            "settled_usd": str(self.settled),
            "held_usd": str(self.held),
            "unreconciled_usd": str(self.unreconciled),
            "total_usd": str(self.total),
        }


def team_of(accounts: Iterable[str]) -> str | None:
    """The team of a run with these accounts, or None."""
    return next((name.removeprefix(_TEAM) for name in accounts if name.startswith(_TEAM)), None)


def spend_of(log: "EventLog", run: str, settings: RunSettings, by: str) -> Iterator[Row]:
    """What a run spent, by model, phase, task, provider, run or team."""
    return _rows(log.view("spend", {"run_id": run}), {run: settings}, by)


def spend_of_all(log: "EventLog", runs: Mapping[str, RunSettings], by: str) -> Iterator[Row]:
    """What several runs spent, whose settings are given."""
    return _rows(log.view("spend"), runs, by)


def of_archived(run: str, archived: RunArchived, by: str) -> Iterator[Row]:
    """What an archived run spent, by model, phase, task, provider, lane, run or team."""
    for each in archived.spend:
        names = {
            "model": each.model,
            "phase": PHASE_OF[each.role].value,
            "task": each.node,
            "provider": each.provider,
            "lane": each.lane.value,
            "run": run,
            "team": team_of(archived.accounts),
        }
        yield run, names[by], each.calls, each.settled.nano, 0, 0


def _rows(spend: Iterable[Mapping[str, Any]], runs: Mapping[str, RunSettings], by: str) -> Iterator[Row]:
    column = COLUMNS[by]
    for row in spend:
        run = str(row["run_id"])
        if run in runs:
            name = team_of(runs[run].accounts) if column is None else row[column]
            yield run, name, row["calls"], row["settled_nano"], row["held_nano"], row["unreconciled_nano"]


def sums_of(rows: Iterable[Sequence[Any]], by: str, everything: bool) -> list[Sum]:
    """One sum per name, dearest first; a task's name is that of its run, too, where runs are mixed."""
    found: dict[str, Sum] = {}
    for run, key, calls, settled, held, unreconciled in rows:
        name = _NO_TEAM if key is None else f"{run}/{key}" if by == "task" and everything else key
        found.setdefault(name, Sum(name)).add(calls, Usd(settled or 0), Usd(held or 0), Usd(unreconciled or 0))
    return sorted(found.values(), key=lambda each: (-each.total.nano, each.name))
