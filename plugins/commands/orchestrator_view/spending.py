"""The page of money: spend by day, model, phase and team, accounts with their caps, calls of unknown cost."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import define

from orchestrator.cli.kit import Reader, account_names
from orchestrator.money import Usd
from orchestrator.reading import own
from orchestrator_insight.shown import exact

_MOST_BARS: Final = 14
_SIMULATED: Final = "json_extract(r.data, '$.settings.simulated')"
_TEAM: Final = "(SELECT substr(value, 6) FROM json_each(r.data, '$.settings.accounts') WHERE value LIKE 'team/%')"
_CALLS: Final = f"""
{own("calls")}, begun AS (
    SELECT stream, data FROM events WHERE type IN ('run.started', 'run.forked')
)
SELECT substr(c.started_at, 1, 10), c.model, c.role, {_TEAM}, count(*), sum(c.settled_nano), sum(c.held_nano)
FROM calls AS c JOIN begun AS r ON r.stream = c.run_id WHERE {_SIMULATED} = ? GROUP BY 1, 2, 3, 4
"""
_UNKNOWN: Final = f"""
{own("calls")}
SELECT c.run_id, e.version, c.call_id, c.model, c.started_at, c.held_nano
FROM calls AS c JOIN events AS e ON e.position = c.position
JOIN events AS r ON r.stream = c.run_id AND r.type IN ('run.started', 'run.forked')
WHERE c.held_nano > 0 AND c.outcome != 'in_flight' AND {_SIMULATED} = ? ORDER BY c.position DESC LIMIT 200
"""
_BY: Final = ("day", "model", "role", "team")


@define
class SpendTotal:
    """A sum of calls."""

    calls: int = 0
    settled: Usd = Usd.ZERO
    held: Usd = Usd.ZERO
    """In flight + unreconciled."""


def money_values(log: Reader | None, simulated: bool) -> dict[str, Any]:
    """What the page shows."""
    rows = [] if log is None else log.query(_CALLS, [int(simulated)])
    unknown = [] if log is None else log.query(_UNKNOWN, [int(simulated)])
    total = SpendTotal()
    for *_, calls, settled, held in rows:
        total.calls += calls
        total.settled += Usd(settled or 0)
        total.held += Usd(held or 0)
    return {
        "simulated": simulated,
        "total": total,
        "charts": [bars(f"By {name}", _summed(rows, at), by_time=name == "day") for at, name in enumerate(_BY)],
        "accounts": [] if log is None else list(_accounts(log, simulated)),
        "unreconciled": [
            {"run": run, "version": version, "call": call, "model": model, "started": started, "amount": Usd(held)}
            for run, version, call, model, started, held in unknown
        ],
    }


def _summed(rows: Iterable[Sequence[Any]], at: int) -> dict[str, Usd]:
    sums: dict[str, Usd] = {}
    for row in rows:
        name = str(row[at] or "(no team)")
        sums[name] = sums.get(name, Usd.ZERO) + Usd((row[5] or 0) + (row[6] or 0))
    return sums


def bars(title: str, sums: dict[str, Usd], *, by_time: bool = False) -> dict[str, Any]:
    """A chart: the dearest first, or the latest day; what is beyond is one bar."""
    ordered = sorted(sums.items(), key=lambda each: each[0], reverse=True)
    if not by_time:
        ordered.sort(key=lambda each: -each[1].nano)
    rest = sum((amount for _, amount in ordered[_MOST_BARS:]), Usd.ZERO)
    more = [(f"{len(ordered) - _MOST_BARS} more", rest)] if len(ordered) > _MOST_BARS else []
    shown = [*ordered[:_MOST_BARS], *more]
    largest = max((amount.nano for _, amount in shown), default=0) or 1
    rows = [
        {"name": name, "amount": amount, "width": round(100 * amount.nano / largest, 2), "exact": exact(amount)}
        for name, amount in shown
    ]
    return {"title": title, "bars": rows}


def _accounts(log: Reader, simulated: bool) -> Iterable[dict[str, Any]]:
    for name, pretended in account_names(log):
        if pretended is simulated:
            totals = log.account(name, simulated)
            used = totals.settled + totals.held
            share = min(100.0, 100 * used.nano / totals.cap.nano) if totals.cap else 100.0
            yield {"name": name, "totals": totals, "share": round(share, 1)}
