"""Show why each model was chosen."""

from collections.abc import Mapping, Sequence
from typing import Final

import click

from orchestrator.cli.kit import (
    DOING,
    RUN,
    TASK,
    Reader,
    Shown,
    Trust,
    command,
    exact_option,
    exchanges,
    existing_run,
    home_option,
    json_option,
    lines_of,
    money,
    notice,
    open_log,
    paged,
    print_table,
    resolved_task,
    result,
    result_json,
    seconds,
    texts_of,
    timestamp,
    trust_in,
    verification,
    with_texts,
)
from orchestrator.models import Lane, Verdict, sample_words
from orchestrator.money import Price, Usd
from orchestrator.reading import EventLog, RunState, event_name, events
from orchestrator.spi import hookimpl
from orchestrator_insight import explanation
from orchestrator_insight.commands.explain_json import plain
from orchestrator_insight.commands.explain_reasons import WAIVED, refused, removal, sentence, why
from orchestrator_insight.commands.explain_summary import print_summary
from orchestrator_insight.explanation import (
    AttemptSeen,
    BackendFallback,
    ConsideredModel,
    Explained,
    ModelChoice,
    NoCandidateLeft,
    PlanRemarks,
    ResultsCompared,
    ScoreGiven,
    SpendRefusal,
    VerifiedResult,
    about,
)

_NONE: Final = "–"


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
    explained, state, positions = trust.read(lambda: _explained(log, run_id))
    if task is not None:
        task = resolved_task(run_id, [events.ENHANCE, events.ADVISE, events.PLAN, *state.tasks, events.VERIFY], task)
    found = about(explained, task)
    shown = trust.read(lambda: _exchanges(log, run_id, trust)) if prompts else {}
    if as_json:
        result_json([_with_exchange(each, positions, shown) for each in found])
    elif not found:
        notice(f"no model was chosen yet in {run_id}")
    elif task is None and not (everything or prompts):
        print_summary(found, state, texts_of(log, run_id, trust).get)
        notice(
            f"every candidate of a task: {command(f'explain {run_id} TASK')}\n"
            f"of all of them: {command(f'explain {run_id} --all')}"
        )
    else:
        with paged():
            _print_all(found, positions, shown)
    if trust.damage and not as_json:
        result("")
        result(f"{run_id}: {trust.mark}")
    return trust.code


def for_programs(log: EventLog, run: str, task: str | None) -> list[dict[str, object]]:
    """What ``--json`` gives, for programs.

    Raises:
        UsageError: there is no such task.
    """
    explained, state, positions = _explained(log, run)
    if task is not None:
        task = resolved_task(run, [events.ENHANCE, events.ADVISE, events.PLAN, *state.tasks, events.VERIFY], task)
    return [plain(each, positions) for each in about(explained, task)]


def _print_all(found: Sequence[Explained], positions: Mapping[int, int], shown: Mapping[int, Shown]) -> None:
    for number, each in enumerate(found):
        if number:
            result("")
        _print(each, event_name(positions.get(each.version), each.version))
        if each.version in shown:
            for text in lines_of(shown[each.version]):
                result(text)


def _explained(log: EventLog, run: str) -> tuple[list[Explained], RunState, Mapping[int, int]]:
    """What there is to explain, the state of the run, and the position of each event by its version."""
    explainer, positions = explanation.Explainer(), {}
    for record in log.read(run):
        explainer.take(record.at, record.event)
        positions[record.version] = record.position
    if explainer.state.start is None:
        raise LookupError(run)
    return explainer.explained, explainer.state, positions


def _exchanges(log: Reader, run: str, trust: Trust) -> dict[int, Shown]:
    """What was said in each call, by the version of its choice."""
    get = texts_of(log, run, trust).get
    found = exchanges((record.version, record.event) for record in log.read(run))
    return {each.version: with_texts(each, get) for each in found}


def _with_exchange(each: Explained, positions: Mapping[int, int], shown: Mapping[int, Shown]) -> dict[str, object]:
    found = plain(each, positions)
    return {**found, "exchange": shown[each.version].plain()} if each.version in shown else found


def _print(each: Explained, event: str) -> None:
    match each:
        case ModelChoice():
            _print_choice(each, event)
        case SpendRefusal():
            result(f"{_where(each, event)}: {refused(each)}")
        case NoCandidateLeft():
            result(f"event {event}, {timestamp(each.at)}: {each.node}, {DOING[each.role]}: no model is left")
            rows = [(seen.model, seen.vendor or _NONE, _priced(seen.price), removal(seen)) for seen in each.considered]
            print_table(("  model", "vendor", "price in/out", "why"), [(f"  {row[0]}", *row[1:]) for row in rows])
        case VerifiedResult():
            result(f"event {event}, {timestamp(each.at)}: verification {verification(each.event)}")
            if each.event.verdict is not Verdict.PASSED:
                result("  so the run ends as PARTIAL_SUCCESS at best")
        case PlanRemarks():
            result(f"event {event}, {timestamp(each.at)}: the plan is made")
            for remark in each.remarks:
                result(f"  {remark}")
        case ResultsCompared():
            result(f"event {event}, {timestamp(each.at)}: {each.node}: a result is chosen")
            for remark in each.remarks:
                result(f"  {remark}")
        case ScoreGiven():
            result(f"event {event}, {timestamp(each.at)}: {each.node}: {each.remarks[0]}")
        case BackendFallback():
            result(
                f"event {event}, {timestamp(each.at)}: the backend {each.backend} failed ({each.problem});"
                " the routing table's order is used for the rest of the session"
            )


def _where(each: ModelChoice | SpendRefusal, event: str) -> str:
    what = f"{each.node}, {DOING[each.role]}"
    iteration = f" in iteration {each.iteration}" if each.iteration > 1 else ""
    return f"event {event}, {timestamp(each.at)}: {what}{iteration}{sample_words(each.sample)}"


def _print_choice(choice: ModelChoice, event: str) -> None:
    kind = f" ({choice.type.value})" if choice.type is not None else ""
    result(f"{_where(choice, event)}{kind}: {choice.model}")
    result(f"  {sentence(choice)}")
    if choice.waiver is not None:
        result(f"  {WAIVED[choice.waiver]}")
    print_table(
        ("", "model", "vendor", "price in/out", "calls", "quality", "trust", "cost", "latency", "score", "why"),
        [_row(choice, candidate) for candidate in choice.considered],
        right=("calls", "quality", "trust", "cost", "latency", "score"),
        spare=("latency", "trust", "cost", "calls", "score", "quality", "vendor"),
    )
    for attempt in choice.attempts:
        result(f"  {_attempt(attempt)}")
    if choice.too_long is not None and not choice.attempts:
        tokens, window = choice.too_long
        result(f"  not called: its prompt of about {tokens} tokens does not fit its context window of {window}")
    if choice.reused is not None:
        found = choice.reused
        result(
            f"  answered from the cache, no model was called and nothing was paid: {found.answer_bytes} bytes of event"
            f" v{found.call} of {found.run}"
        )


def _row(choice: ModelChoice, candidate: ConsideredModel) -> tuple[str, ...]:
    seen = candidate.telemetry
    return (
        "*" if candidate.model == choice.model else "",
        candidate.model,
        candidate.vendor or _NONE,
        _priced(candidate.price),
        str(seen.calls),
        _number(seen.quality, ".3f"),
        _number(seen.trust if seen.calls else None, ".3f"),
        _NONE if seen.cost is None else money(Usd.rounded(seen.cost)),
        _NONE if seen.latency_ms is None else _duration(round(seen.latency_ms * 1000)),
        _number(candidate.score, ".6g"),
        why(choice, candidate),
    )


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else f"{value:{form}}"


def _priced(price: Price | None) -> str:
    return _NONE if price is None else f"{price.input.trimmed}/{price.output.trimmed}"


def _attempt(seen: AttemptSeen) -> str:
    """The result of a call and of its hold."""
    size = f"at most {seen.max_tokens} tokens" + (", once more after a cut" if seen.larger else "")
    lane = "" if seen.lane is Lane.INTERACTIVE else ", in a batch"
    text = f"attempt {seen.attempt}: held {money(seen.hold)} for {size}{lane}; "
    match seen.end:
        case "in flight":
            return text + "still in flight"
        case "settled":
            text += f"cost {money(seen.cost)}"
        case "unreconciled":
            text += f"{money(seen.cost)} unreconciled, because its cost is unknown"
        case _:
            text += "released, nothing was billed"
    if seen.usage is not None:
        text += f", {seen.usage.input_tokens} tokens read and {seen.usage.output_tokens} written"
    if seen.violates:
        text += f", beyond what policy {', '.join(map(repr, seen.violates))} allows"
    if seen.cut_off:
        text += ", cut off at its limit"
    if seen.error is not None:
        text += f"; failed: {seen.error.value}"
    return text + ("" if seen.latency is None else f", {_duration(seen.latency)}")


def _duration(microseconds: int) -> str:
    return seconds(microseconds) if microseconds >= 1_000_000 else f"{microseconds / 1000:.0f} ms"


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return explain
