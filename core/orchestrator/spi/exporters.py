"""Exporters: the metrics and events they are given."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import Factory, frozen

from orchestrator.money import Usd


@frozen
class RunEvent:
    """A committed event of a run. No text is in it, only digests."""

    run: str
    """The run's id."""
    version: int
    """Its place in the run's history, from 1."""
    at: int
    """Microseconds UTC."""
    type: str
    """The stored name, such as ``call.started``; ``docs/events.md`` has them all."""
    data: Mapping[str, Any]
    """Its fields as plain data: amounts in nano-dollars, durations in microseconds."""


@frozen
class ModelMetrics:
    """What was measured of one model, under the names of the specification. None: never measured."""

    model: str
    """Its id."""
    provider: str
    """Its provider."""
    vendor: str
    """The company that sells it."""
    calls_total: int = 0
    """Calls the vendor has ended, with or without an answer; an answer out of the cache is none."""
    success_rate: float | None = None
    """Part of the last ten calls that were answered, 0 to 1."""
    latency_avg_ms: float | None = None
    """Exponential average (α = 0.1) over answered calls."""
    latency_p95_ms: float | None = None
    """Nearest rank over the last 50 answered calls."""
    quality_score: float | None = None
    """Exponential average of the scores of what it wrote, 0 to 1."""
    trust_factor: float = 1.0
    """0 to 1; falls with every outage, rises slowly with every answer."""
    cost_avg_usd: float | None = None
    """Exponential average over calls that cost something."""
    validator_failures_total: int = 0
    """Checks that failed on what it wrote."""
    failures_total: int = 0
    """Calls that ended without an answer."""
    input_tokens_total: int = 0
    """Tokens read."""
    output_tokens_total: int = 0
    """Tokens generated, thinking included."""
    cost_usd_total: Usd = Usd.ZERO
    """Settled and unreconciled."""


@frozen
class RunMetrics:
    """What one run amounts to. A fork counts only its own calls and money."""

    run: str
    """Its id."""
    status: str
    """``open``, ``interrupted``, or how it has ended, such as ``SUCCESS``."""
    simulated: bool
    """Whether no vendor is called."""
    started_at: int
    """Microseconds UTC."""
    active_seconds: float
    """Seconds in sessions, waiting for people aside."""
    sessions_total: int
    """Sessions so far."""
    tasks: Mapping[str, int]
    """How many tasks stand how, for every status such as ``pending`` or ``completed``."""
    calls_total: int
    """Attempts that have ended, however they did."""
    calls_failed_total: int
    """Those of them that failed."""
    calls_in_flight: int
    """Attempts without an end."""
    answers_reused_total: int
    """Answers that came out of the cache."""
    input_tokens_total: int
    """Tokens read."""
    output_tokens_total: int
    """Tokens generated, thinking included."""
    cap_usd: Usd
    """The ceiling."""
    settled_usd: Usd
    """What calls have cost."""
    unreconciled_usd: Usd
    """Counted at its worst case, because what was billed is unknown."""
    in_flight_usd: Usd
    """Held for calls in flight."""
    budget_warnings_total: int
    """Warnings of phases that use more than their part."""


@frozen
class Metrics:
    """Metrics of one run or of several."""

    at: int
    """Of the latest event counted; microseconds UTC, 0 where there is none."""
    runs: tuple[RunMetrics, ...] = ()
    """One entry a run."""
    models: tuple[ModelMetrics, ...] = ()
    """Over all of these runs, in alphabetical order."""
    run: str | None = None
    """The run, where these are the metrics of one run."""


def no_history(run: str, after: int) -> Iterable[RunEvent]:
    """No event: there is no log."""
    return ()


def to_stdout(text: str) -> None:
    """Write lines to standard output."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


@frozen
class ExporterConfig:
    """What the user set for an exporter.

    ``secret`` returns a key's value from the environment and makes sure that it never reaches the log;
    ``variable`` returns any other variable. Both are None where it is unset or empty.
    """

    name: str
    """The name of the exporter in the spec."""
    options: Mapping[str, Any] = Factory(dict)
    """The mapping under the exporter's name in a spec, without what the program itself reads of it."""
    secret: Callable[[str], str | None] = lambda name: None
    """Looks up the value of a key by its variable."""
    variable: Callable[[str], str | None] = lambda name: None
    """Looks up any other variable."""
    write: Callable[[str], None] = to_stdout
    """Prints text for the user; for an exporter without a file."""
    history: Callable[[str, int], Iterable[RunEvent]] = no_history
    """Reads a run's committed events after a version, in their order, from any thread.

    An exporter that must lose none reads on here from where it was, because ``observe`` brings none of an earlier
    session, nor those that came while it was too slow.
    """
    folder: Path | None = None
    """Where it may keep files of its own between sessions, such as how far it is; it is made by who writes into it."""


class Exporter(Protocol):
    """Publishes metrics. Only ``export`` is required; inherit the rest.

    All methods are called in one thread of the exporter's own, after the events are durable. An exception becomes a
    warning; a method that does not return in time is abandoned. Neither harms the run.
    """

    def export(self, metrics: Metrics) -> None:
        """Publish the current metrics; they replace those of the call before."""

    def observe(self, event: RunEvent) -> None:
        """Take a committed event of this session. Each comes once, and not again when the run is resumed."""
        return  # an exporter without options need not override it

    def close(self) -> None:
        """Send what is left and release all resources. Called at the end of the session, after the last export."""
        return
