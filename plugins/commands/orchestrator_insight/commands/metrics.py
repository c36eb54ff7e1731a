"""Show or export what was measured of models and runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from orchestrator.cli.kit import (
    EXPORTER,
    RUN,
    UNREADABLE,
    clean,
    exact_option,
    existing_run,
    home,
    home_option,
    json_option,
    latest,
    money,
    notice,
    open_log,
    open_log_if_any,
    print_table,
    result,
    shown_status,
    stdout,
    trust_in,
    wants_exact,
    width_of,
)
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from orchestrator.reading import EventLog
    from orchestrator.spi import Exporter, Metrics

_DEFAULT = "console"
_JSON = "json"
_HEADS = ("model", "calls", "success", "latency", "p95", "quality", "trust", "cost", "failed checks")


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False, type=RUN)
@click.option("--all", "everything", is_flag=True, help="Over all runs, without simulated ones.")
@click.option("--simulated", is_flag=True, help="With --all: over simulated runs instead.")
@click.option(
    "--format", "form", metavar="NAME", type=EXPORTER, help="The exporter. [default: console; on a terminal a table]"
)
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="An option of the exporter, such as path=metrics.json."
)
@json_option
@exact_option
@home_option
def metrics(
    run_id: str | None, everything: bool, simulated: bool, form: str | None, sets: tuple[str, ...], as_json: bool
) -> int:
    """Show or export what was measured of models and runs: of one run (without RUN the last one), or of all.

    console, json and prometheus print to stdout where no path is set; see docs/exporters.md.
    """
    if run_id is not None and everything:
        raise click.UsageError("name one RUN, or say --all")
    if simulated and not everything:
        raise click.UsageError("--simulated belongs to --all")
    if as_json and form not in (None, _JSON):
        raise click.UsageError("--json stands for --format json; give one of them")
    form = _JSON if as_json else form
    on_screen = form is None and not sets and (width_of(stdout()) is not None or wants_exact())
    form = form or _DEFAULT
    exporter = _Screen() if on_screen else _exporter(form, sets)
    run_id = run_id or latest(everything)
    if run_id is not None:
        log = open_log(run_id)
        trust = trust_in(log, existing_run(log, run_id))
        found = trust.read(lambda: _measured(log, [run_id], run_id))
        trust.read(lambda: _observed(log, run_id, exporter))
        return _export(form, exporter, found) or trust.code
    some = open_log_if_any()
    if some is None:
        from orchestrator.spi import Metrics

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


class _Screen:
    """Shows metrics as a table that fits the screen."""

    def export(self, metrics: "Metrics") -> None:
        """Write the models, then the runs."""
        rows = [
            (
                each.model,
                str(each.calls_total),
                _shown(each.success_rate),
                _shown(each.latency_avg_ms, ".0f", " ms"),
                _shown(each.latency_p95_ms, ".0f", " ms"),
                _shown(each.quality_score),
                _shown(each.trust_factor),
                money(each.cost_usd_total),
                str(each.validator_failures_total),
            )
            for each in metrics.models
        ]
        print_table(_HEADS, rows, right=_HEADS[1:], spare=("failed checks", "p95", "trust", "success", "latency"))
        for run in metrics.runs:
            simulated = " (simulated)" if run.simulated else ""
            spent = f"{money(run.settled_usd + run.unreconciled_usd)} of {money(run.cap_usd)}{simulated}"
            result(f"{run.run}: {run.status}, {run.calls_total} calls, {spent}")


def _shown(value: float | None, form: str = ".3f", unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _exporter(name: str, sets: Sequence[str]) -> "Exporter":
    """The plugin, built from the options given."""
    import os

    from orchestrator.cli.kit import Catalogue, apply_sets
    from orchestrator.spi import ExporterConfig

    variable = os.environ.get
    config = ExporterConfig(
        name, apply_sets({}, sets), variable, variable, lambda text: result(clean(text.rstrip("\n")), as_is=True)
    )
    return Catalogue.discover().exporter(name, config)


def _all(log: "EventLog", simulated: bool) -> list[str]:
    found = [(run, event.settings.simulated) for run, event in log.beginnings().items()]
    others = sum(bool(pretended) != simulated for _, pretended in found)
    if others:
        kind, way = ("real", "") if simulated else ("simulated", "; see them with --simulated")
        notice(f"{others} {kind} run{'' if others == 1 else 's'} left out{way}")
    return [run for run, pretended in found if bool(pretended) == simulated]


def _measured(log: "EventLog", runs: Sequence[str], only: str | None) -> "Metrics":
    """The metrics; a run is only running while a process has it."""
    from attrs import evolve

    from orchestrator.cli.kit import measure

    if only is not None and next(iter(log.read(only)), None) is None:
        raise LookupError(only)
    found = measure(log, runs)
    shown = [
        evolve(each, status=shown_status(log, each.run, "open")) if each.status == "running" else each
        for each in found.runs
    ]
    return evolve(found, runs=tuple(shown), run=only)


def _observed(log: "EventLog", run: str, exporter: "Exporter | _Screen") -> None:
    """Bring an exporter that follows events, such as one that sends traces, those of an ended run."""
    import orjson

    from orchestrator.reading import encode
    from orchestrator.spi import Exporter, RunEvent

    observe = getattr(exporter, "observe", None)
    if observe is None or getattr(type(exporter), "observe", None) is Exporter.observe:
        return
    for record in log.read_own(run):
        name, _, data = encode(record.event)
        observe(RunEvent(run, record.version, record.at, name, orjson.loads(data)))


def _export(name: str, exporter: "Exporter | _Screen", found: "Metrics") -> int:
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
