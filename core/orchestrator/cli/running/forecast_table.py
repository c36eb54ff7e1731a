"""How a forecast and the plays of a plan are shown, to a person or to a program."""

from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import money, notice, result, seconds
from orchestrator.events import ForecastMade

if TYPE_CHECKING:
    from orchestrator.engine.play_percentiles import Simulated

_PERCENTS: Final = (5, 50, 95)
_UNFORESEEN: Final = "waits for a person"


def plain_forecast(event: ForecastMade) -> dict[str, Any]:
    """A forecast as JSON."""
    return {
        "expected_usd": str(event.expected),
        "phases_usd": {phase.value: str(amount) for phase, amount in event.phases.items()},
        "tokens": event.tokens,
        "seconds": event.duration / 1_000_000,
        "risk": event.risk.value,
        "models": {kind.value: model for kind, model in event.models.items()},
    }


def print_plays(played: "Simulated") -> None:
    """How the plays of a plan have ended, as tables."""
    count = len(played.costs)
    print_table(
        ("share of plays, at most", *(f"{percent} %" for percent in _PERCENTS)),
        [
            ("cost", *(money(played.cost(percent)) for percent in _PERCENTS)),
            ("time", *(seconds(played.time(percent)) for percent in _PERCENTS)),
        ],
        right=tuple(f"{percent} %" for percent in _PERCENTS),
    )
    result("")
    for status, times in sorted(played.statuses.items(), key=lambda each: -each[1]):
        result(f"{100 * times / count:5.1f} %  {_UNFORESEEN if status is None else status.value}")
    basis = "what earlier runs measured" if played.measured else "typical values: nothing was measured here yet"
    notice(f"{count} plays with outcomes drawn from {basis}")


def plain_plays(played: "Simulated") -> dict[str, Any]:
    """The same as JSON."""
    return {
        "plays": len(played.costs),
        "cost_usd": {f"p{percent}": str(played.cost(percent)) for percent in _PERCENTS},
        "seconds": {f"p{percent}": played.time(percent) / 1_000_000 for percent in _PERCENTS},
        "statuses": {_UNFORESEEN if s is None else s.value: times for s, times in played.statuses.items()},
        "measured": played.measured,
    }
