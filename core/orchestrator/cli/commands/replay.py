"""``orchestrate replay``: rebuild a run from its log, and check that its decisions follow from it."""

from collections.abc import Iterable, Mapping, Sequence

import click

from orchestrator.cli.logs.damaged_runs import Trust, whole_run
from orchestrator.cli.logs.loaded_runs import Loaded, texts_of
from orchestrator.cli.logs.opening_logs import open_log
from orchestrator.cli.logs.run_ids import RUN
from orchestrator.cli.options.event_ids import EVENT, EVENT_HELP
from orchestrator.cli.options.shared_options import exact_option, home_option, json_option, plugin_option
from orchestrator.cli.progress.run_table import print_run
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.terminal_output import result
from orchestrator.errors import UsageError
from orchestrator.log.event_ids import EventId, event_name
from orchestrator.log.transaction import Recorded
from orchestrator.past_runs.recorded_rankings import rank_of, whole_steps
from orchestrator.past_runs.run_list import shown_status
from orchestrator.plugins import Catalogue
from orchestrator.replay import Difference, Verification
from orchestrator.replay import verify as verify_history
from orchestrator.state.fold import fold

_FAILED = 6


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--verify", is_flag=True, help="Recompute every decision and compare.")
@click.option("--strict", is_flag=True, help="With --verify: fail also where a decision cannot be recomputed.")
@click.option("--to", "to", type=EVENT, metavar="EVENT", help=f"Stop after this event: {EVENT_HELP}.")
@plugin_option
@json_option
@exact_option
@home_option
def replay(run_id: str, verify: bool, strict: bool, to: EventId | None, as_json: bool) -> int:
    """Rebuild a run from its log, up to an event if given. No model is called, nothing is paid."""
    if strict and not verify:
        raise click.UsageError("--strict belongs to --verify")
    log = open_log(run_id)
    records = _until(log.read(whole_run(log, run_id)), to)
    if not records:
        raise UsageError(f"run {run_id} begins after event {to}")
    if verify:
        whole = records if to is None else whole_steps(records, next(iter(log.read(run_id, records[-1].version)), None))
        found = verify_history(((each.at, each.event) for each in whole), rank_of(Catalogue.discover()))
        return _report(found, whole, strict, as_json)
    state = fold((each.at, each.event) for each in records)
    status = "open" if state.finished is None else state.finished.status.value
    if status == "open":
        status = shown_status(log, run_id, status) if to is None else "open"
    texts = texts_of(log, run_id, Trust(log, ()))
    loaded = Loaded(state, texts, records[-1].hash, status, Trust(log, ()))
    if as_json:
        from orchestrator.engine.outputs.run_results import summary

        result_json({**summary(state, run_id, loaded.head, loaded.get), "status": status})
    else:
        print_run(state, run_id, loaded.head, status, text_of=loaded.get)
    return 0


def _until(records: Iterable[Recorded], to: EventId | None) -> list[Recorded]:
    found = []
    for record in records:
        if to is not None and to.passed_by(record.position, record.version):
            break
        found.append(record)
    return found


def _difference(each: Difference, positions: Mapping[int, int]) -> dict[str, object]:
    return {"position": positions.get(each.version), "version": each.version, "what": each.what}


def _report(found: Verification, records: Sequence[Recorded], strict: bool, as_json: bool) -> int:
    positions = {record.version: record.position for record in records}
    failed = bool(found.differences) or (strict and bool(found.not_recomputable))
    if as_json:
        result_json(
            {
                "ok": not failed,
                "decisions": found.decisions,
                "differences": [_difference(each, positions) for each in found.differences],
                "under_other_rules": [_difference(each, positions) for each in found.foreign],
                "not_recomputable": [
                    {"position": positions.get(version), "version": version} for version in found.not_recomputable
                ],
            }
        )
        return _FAILED if failed else 0
    for each in found.differences:
        result(f"event {event_name(positions.get(each.version), each.version)}: {each.what}")
    for each in found.foreign:
        name = event_name(positions.get(each.version), each.version)
        result(f"under other rules: event {name}: {each.what}")
    for version in found.not_recomputable:
        name = event_name(positions.get(version), version)
        result(f"not recomputable: event {name}: its backend is absent or of another version")
    if failed:
        result(f"failed: {len(found.differences)} of {found.decisions} decisions differ from the recomputed ones")
    else:
        result(f"ok: {found.decisions} decisions recomputed, all as recorded")
    return _FAILED if failed else 0
