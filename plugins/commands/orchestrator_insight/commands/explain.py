"""Show why each model was chosen."""

from collections.abc import Mapping, Sequence

import click

from orchestrator.cli.kit import (
    RUN,
    TASK,
    Shown,
    command,
    exact_option,
    existing_run,
    home_option,
    json_option,
    lines_of,
    notice,
    open_log,
    paged,
    print_table,
    resolved_task,
    result,
    result_json,
    texts_of,
    timestamp,
    trust_in,
    with_texts,
)
from orchestrator.reading import EventLog, events
from orchestrator.spi import hookimpl
from orchestrator_insight.commands.explain_json import plain
from orchestrator_insight.commands.explain_summary import print_summary
from orchestrator_insight.decisions_in_words import CandidateShown, DecisionShown, shown
from orchestrator_insight.explained_choices import Explained
from orchestrator_insight.explaining_history import about
from orchestrator_insight.run_history import RunHistory


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.argument("task", metavar="[TASK]", required=False, type=TASK)
@click.option("--all", "everything", is_flag=True, help="Show the details of every task.")
@click.option("--prompts", is_flag=True, help="Show what was sent to each model, and what it answered.")
@json_option
@exact_option
@home_option
def explain(run_id: str, task: str | None, everything: bool, prompts: bool, as_json: bool) -> int:
    """Show why each model was chosen: a line per task; with TASK or --all every candidate and its rejection reason.

    TASK is the id of a task or the beginning of one, "plan", "enhance", "advise" or "verify". Everything is read from
    the log; no model is called.
    """
    log = open_log(run_id)
    trust = trust_in(log, existing_run(log, run_id))
    history = trust.read(lambda: _history(log, run_id))
    state, node = history.state, _node(history, run_id, task)
    found = about(history.explainer.explained, node)
    said = {}
    if prompts:
        get = texts_of(log, run_id, trust).get
        said = {version: with_texts(each, get) for version, each in history.exchanges.by_selection.items()}
    if as_json:
        result_json([_with_exchange(each, history, said) for each in found])
    elif not found:
        when, what = "yet " if state.finished is None else "", f"for {node} " if node else ""
        notice(f"no model was chosen {when}{what}in {run_id}")
    elif node is None and not (everything or prompts):
        print_summary(found, state, texts_of(log, run_id, trust).get)
        notice(
            f"every candidate of a task: {command(f'explain {run_id} TASK')}\n"
            f"of all of them: {command(f'explain {run_id} --all')}"
        )
    else:
        with paged():
            _print_all(found, history, said)
    if trust.damage and not as_json:
        result("")
        result(f"{run_id}: {trust.mark}")
    return trust.code


def for_programs(log: EventLog, run: str, task: str | None) -> list[dict[str, object]]:
    """What ``--json`` gives, for programs.

    Raises:
        UsageError: there is no such task.
    """
    history = _history(log, run)
    node = _node(history, run, task)
    return [plain(each, history.position_of) for each in about(history.explainer.explained, node)]


def _history(log: EventLog, run: str) -> RunHistory:
    history = RunHistory()
    for record in log.read(run):
        history.take(record)
    if history.state.start is None:
        raise LookupError(run)
    return history


def _node(history: RunHistory, run: str, task: str | None) -> str | None:
    """The whole id of a task, or of what comes before and after the tasks; None: everything."""
    if task is None:
        return None
    return resolved_task(run, [events.ENHANCE, events.ADVISE, events.PLAN, *history.state.tasks, events.VERIFY], task)


def _with_exchange(each: Explained, history: RunHistory, said: Mapping[int, Shown]) -> dict[str, object]:
    values = plain(each, history.position_of)
    return {**values, "exchange": said[each.version].plain()} if each.version in said else values


def _print_all(found: Sequence[Explained], history: RunHistory, said: Mapping[int, Shown]) -> None:
    for number, each in enumerate(found):
        if number:
            result("")
        _print(shown(each), history.event(each.version))
        for text in lines_of(said[each.version]) if each.version in said else ():
            result(text)


def _print(each: DecisionShown, event: str) -> None:
    where = ", ".join(part for part in (each.node, each.what) if part)
    kind = f" ({each.type})" if each.type else ""
    model = "" if each.model is None else f": {each.model}"
    head = f"event {event}, {timestamp(each.at)}: {where}{kind}{model}"
    if len(each.remarks) == 1 and not each.candidates:
        result(f"{head}: {each.remarks[0]}")
    else:
        result(head)
        for remark in each.remarks:
            result(f"  {remark}")
    if each.candidates:
        print_table(
            ("", "model", "vendor", "price in/out", "calls", "quality", "trust", "cost", "latency", "score", "why"),
            [_row(candidate) for candidate in each.candidates],
            right=("calls", "quality", "trust", "cost", "latency", "score"),
            spare=("latency", "trust", "cost", "calls", "score", "quality", "vendor"),
        )
    for attempt in each.attempts:
        result(f"  {attempt}")


def _row(seen: CandidateShown) -> tuple[str, ...]:
    facts = (seen.vendor, seen.price, seen.calls, seen.quality, seen.trust, seen.cost, seen.latency, seen.score)
    return ("*" if seen.is_chosen else "", seen.model, *facts, seen.why)


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return explain
