"""What runs spent, summed by model, phase, task, provider, lane, run or team, over the view ``spend``."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import define

from orchestrator.log.views import own
from orchestrator.money import Usd

COLUMNS: Final = {
    "model": "s.model",
    "phase": "s.phase",
    "task": "s.task_id",
    "provider": "s.provider",
    "lane": "s.lane",
    "run": "s.run_id",
    "team": """(SELECT substr(value, 6) FROM json_each(r.data, '$.settings.accounts') WHERE value LIKE 'team/%')""",
}
"""What spend can be summed by, as the table ``spend`` (s) and the first event of its run (r) have it."""

SUMS: Final = f"""
{own("spend")}
SELECT s.run_id, {{key}}, sum(s.calls), sum(s.settled_nano), sum(s.held_nano), sum(s.unreconciled_nano)
FROM spend AS s JOIN events AS r ON r.stream = s.run_id AND r.type IN ('run.started', 'run.forked')
WHERE {{where}} GROUP BY s.run_id, 2 ORDER BY min(r.position)
"""
IS_SIMULATED: Final = "json_extract(r.data, '$.settings.simulated')"
_NO_TEAM: Final = "(no team)"


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


def sums_of(rows: Iterable[Sequence[Any]], by: str, everything: bool) -> list[Sum]:
    """One sum per name, dearest first; a task's name is that of its run, too, where runs are mixed."""
    found: dict[str, Sum] = {}
    for run, key, calls, settled, held, unreconciled in rows:
        name = _NO_TEAM if key is None else f"{run}/{key}" if by == "task" and everything else key
        found.setdefault(name, Sum(name)).add(calls, Usd(settled or 0), Usd(held or 0), Usd(unreconciled or 0))
    return sorted(found.values(), key=lambda each: (-each.total.nano, each.name))
