"""The page of money: spend by day, model, phase and team, accounts with their caps, calls of unknown cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from orchestrator.cli.kit import Reader, account_names, timestamp
from orchestrator.models import PHASE_OF, Role
from orchestrator.money import Usd
from orchestrator.reading import events as e
from orchestrator_insight.page_values import exact

_MOST_BARS: Final = 14
_TEAM: Final = "team/"
_MOST_UNKNOWN: Final = 200
_BY: Final = ("day", "model", "phase", "team")


@frozen
class SpendTotal:
    """A sum of calls."""

    calls: int
    settled: Usd = field(converter=Usd)
    held: Usd = field(converter=Usd)
    """In flight + unreconciled."""


def _is_of(began: Mapping[str, e.RunStarted | e.RunForked], call: Mapping[str, Any], simulated: bool) -> bool:
    run = began.get(call["run_id"])
    return run is not None and run.settings.simulated == simulated


def _team(began: e.RunStarted | e.RunForked) -> str | None:
    names = (name.removeprefix(_TEAM) for name in began.settings.accounts if name.startswith(_TEAM))
    return next(names, None)


def _archived(log: Reader, simulated: bool) -> Iterable[tuple[Any, ...]]:
    """What archived runs spent, on the day on which each began."""
    for _, run in log.archived_runs().values():
        if run.simulated == simulated:
            team = next((name.removeprefix(_TEAM) for name in run.accounts if name.startswith(_TEAM)), None)
            for each in run.spend:
                day = timestamp(run.began)[:10]
                yield (
                    day,
                    each.model,
                    PHASE_OF[each.role].value.replace("_", " "),
                    team,
                    each.calls,
                    each.settled.nano,
                    0,
                )


def _version(log: Reader | None, position: int) -> int:
    found = None if log is None else log.at_position(position)
    return 0 if found is None else found.version


def money_values(log: Reader | None, simulated: bool) -> dict[str, Any]:
    """What the page shows."""
    began = {} if log is None else log.beginnings()
    found = [] if log is None else [each for each in log.view("calls") if _is_of(began, each, simulated)]
    rows: list[tuple[Any, ...]] = [
        (
            each["started_at"][:10],
            each["model"],
            PHASE_OF[Role(each["role"])].value.replace("_", " "),
            _team(began[each["run_id"]]),
            1,
            each["settled_nano"],
            each["held_nano"],
        )
        for each in found
    ]
    rows += [] if log is None else list(_archived(log, simulated))
    unknown = [each for each in found if (each["held_nano"] or 0) > 0 and each["outcome"] != "in_flight"]
    total = SpendTotal(*(sum(each[at] or 0 for each in rows) for at in (4, 5, 6)))
    return {
        "simulated": simulated,
        "other": not (simulated or total.calls) and bool(began),
        "total": total,
        "charts": [bars(f"By {name}", _summed(rows, at), by_time=name == "day") for at, name in enumerate(_BY)],
        "accounts": [] if log is None else list(_accounts(log, simulated)),
        "unreconciled": [
            {
                "run": each["run_id"],
                "version": _version(log, each["position"]),
                "call": each["call_id"],
                "model": each["model"],
                "started": each["started_at"],
                "amount": Usd(each["held_nano"]),
            }
            for each in unknown[: -_MOST_UNKNOWN - 1 : -1]
        ],
    }


def _summed(rows: Iterable[Sequence[Any]], at: int) -> dict[str, Usd]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row[at]] = sums.get(row[at], 0) + (row[5] or 0) + (row[6] or 0)
    return {str(name or "(no team)"): Usd(nano) for name, nano in sums.items()}


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
