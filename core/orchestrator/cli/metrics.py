"""Show or export what was measured of models and runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from orchestrator.cli.kit import (
    UNREADABLE,
    existing_run,
    home,
    home_option,
    notice,
    open_log,
    open_log_if_any,
    result,
    shown_status,
    trust_in,
)
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from orchestrator.reading import EventLog
    from orchestrator.spi import Exporter, Metrics

_SIMULATED = "json_extract(data, '$.settings.simulated')"
_RUNS = f"""
SELECT stream, {_SIMULATED} FROM events
WHERE type = 'run.started' OR type = 'run.forked' ORDER BY position
"""


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--all", "everything", is_flag=True, help="Over all runs, without simulated ones.")
@click.option("--simulated", is_flag=True, help="With --all: over simulated runs instead.")
@click.option("--format", "form", metavar="NAME", default="console", show_default=True, help="The exporter.")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="An option of the exporter, such as path=metrics.json."
)
@home_option
def metrics(run_id: str | None, everything: bool, simulated: bool, form: str, sets: tuple[str, ...]) -> int:
    """Show or export what was measured of models and runs.

    console, json and prometheus print to stdout where no path is set; see docs/exporters.md.
    """
    if (run_id is None) != everything:
        raise click.UsageError("name one RUN, or say --all")
    if simulated and not everything:
        raise click.UsageError("--simulated belongs to --all")
    exporter = _exporter(form, sets)
    if run_id is not None:
        log = open_log(run_id)
        trust = trust_in(log, existing_run(log, run_id))
        found = trust.read(lambda: _measured(log, [run_id], run_id))
        return _export(form, exporter, found) or trust.code
    some = open_log_if_any()
    if some is None:
        from orchestrator.metrics import Metrics

        notice(f"there are no runs in {home()}")
        return _export(form, exporter, Metrics(0))
    runs = _all(some, simulated)
    try:
        return _export(form, exporter, _measured(some, runs, None))
    except UNREADABLE:  # only now it is worth the time to look which
        trust = trust_in(some, *runs)
        if not trust.damage:
            raise
        found = trust.read(lambda: _measured(some, runs, None))
        return _export(form, exporter, found) or trust.code


def _exporter(name: str, sets: Sequence[str]) -> "Exporter":
    """The plugin, built from the options given."""
    import os

    from orchestrator.cli.kit import Catalogue, apply_sets
    from orchestrator.spi import ExporterConfig

    variable = os.environ.get
    config = ExporterConfig(name, apply_sets({}, sets), variable, variable, lambda text: result(text.rstrip("\n")))
    return Catalogue.discover().exporter(name, config)


def _all(log: "EventLog", simulated: bool) -> list[str]:
    found = log.query(_RUNS)
    others = sum(bool(pretended) != simulated for _, pretended in found)
    if others:
        kind, way = ("real", "") if simulated else ("simulated", "; see them with --simulated")
        notice(f"{others} {kind} run{'' if others == 1 else 's'} left out{way}")
    return [run for run, pretended in found if bool(pretended) == simulated]


def _measured(log: "EventLog", runs: Sequence[str], only: str | None) -> "Metrics":
    """The metrics; a run is only running while a process has it."""
    from attrs import evolve

    from orchestrator.metrics import measure

    if only is not None and next(iter(log.read(only)), None) is None:
        raise LookupError(only)
    found = measure(log, runs)
    shown = [
        evolve(each, status=shown_status(log, each.run, "open")) if each.status == "running" else each
        for each in found.runs
    ]
    return evolve(found, runs=tuple(shown), run=only)


def _export(name: str, exporter: "Exporter", found: "Metrics") -> int:
    from orchestrator.cli.kit import OutputClosedError

    try:
        exporter.export(found)
        close = getattr(exporter, "close", None)
        if close is not None:
            close()
    except OutputClosedError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        notice(f"orchestrate: the exporter {name!r} failed: {text or type(error).__name__}")
        return 3
    return 0


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return metrics
