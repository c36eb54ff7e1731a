"""Show why each model was chosen."""

from collections.abc import Mapping, Sequence
from typing import Final

import click
from attrs import fields

from orchestrator.cli.kit import (
    DOING,
    REMOVED,
    RUN,
    SELECTED,
    TASK,
    UNMEASURED,
    Reader,
    Shown,
    Trust,
    command,
    exact_option,
    exchanges,
    existing_run,
    forbidden,
    home_option,
    json_option,
    line,
    lines_of,
    money,
    notice,
    open_log,
    paged,
    print_table,
    resolved_task,
    restricted,
    result,
    result_json,
    seconds,
    texts_of,
    timestamp,
    trust_in,
    verification,
    with_texts,
)
from orchestrator.models import Lane, RejectionReason, Role, SpendLimit, Verdict, Waiver, is_comparison, sample_words
from orchestrator.money import Price, Usd
from orchestrator.policy import EnforcementMode, Policy
from orchestrator.reading import EventLog, RunState, event_name, events
from orchestrator.spi import ModelTelemetry, hookimpl
from orchestrator_insight import explanation
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

WAIVED: Final[Mapping[Waiver, str]] = {
    Waiver.SAME_VENDOR: "waived: it is of the author's vendor (another tier); no model of another vendor is left",
    Waiver.SAME_TIER: "waived: it is of the author's vendor and tier; none of another vendor or a higher tier is left",
    Waiver.SAME_MODEL: "waived: it is the author itself; no other model of its tier or above is left",
    Waiver.LOWER_TIER: "waived: it is of the author's vendor and a lower tier; no other model is left",
}
LIMITS: Final[Mapping[SpendLimit, str]] = {
    SpendLimit.RUN: "the run's ceiling",
    SpendLimit.ENHANCE: "the ceiling of suggestions",
    SpendLimit.ACCOUNT: "the account {name}",
    SpendLimit.POLICY: "the task's cap of policy {name!r}",
}
"""Which limit the hold did not fit, in words."""
_BACKEND: Final = {"dominated": "another model is better in quality, trust and cost at once"}
"""What a backend says of a candidate, in words."""

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
    return [_plain(each, positions) for each in about(explained, task)]


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
    plain = _plain(each, positions)
    return {**plain, "exchange": shown[each.version].plain()} if each.version in shown else plain


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


def refused(each: SpendRefusal) -> str:
    """Which limit had too little for a call, in words."""
    limit = LIMITS[each.limit].format(name=each.name)
    end = "refused" if each.final else "not now"
    return f"{end}: a call needs {money(each.need)} at worst, {limit} has {money(each.free)} free"


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


def sentence(choice: ModelChoice) -> str:
    """Why the model was chosen, and what ordered the candidates, in one sentence."""
    return f"{_reason(choice)}; {_ordered_by(choice)}{_preferred(choice)}"


def _reason(choice: ModelChoice) -> str:
    if choice.policy is not None:
        return f"the model before it did not fit the task's cap of policy {choice.policy!r}"
    return SELECTED[choice.reason]


def _ordered_by(choice: ModelChoice) -> str:
    backend = choice.backend
    if choice.chain:
        return f"ordered by the chain {' → '.join(choice.chain)}, then by price"
    if backend is None:
        return "ordered by price" if choice.type is None else "ordered by the routing table, then by price"
    given = ", ".join(f"{name}={value}" for name, value in backend.parameters.items())
    origin = ", an object passed from Python"
    if backend.distribution:
        origin = f" {backend.version} of {backend.distribution}"
    unmeasured = "" if any(each.telemetry.calls for each in choice.considered) else f"; {UNMEASURED}"
    return f"ordered by {backend.name}{origin}" + (f" with {given}" if given else "") + unmeasured


def _preferred(choice: ModelChoice) -> str:
    """What comes before that order, for those who work on what another model wrote."""
    if choice.author is None:
        return ""
    if choice.role is Role.REVISER:
        return f"; first the author ({choice.author})"
    last = "; those that wrote one of the two come last" if is_comparison(choice.sample) else ""
    return f"; first the models of other vendors than the author's ({choice.author}){last}"


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


def why(choice: ModelChoice, candidate: ConsideredModel) -> str:
    """What removed a candidate, or that it was chosen, in words; and the milder policies it violates."""
    if candidate.rejection is None:
        words = "chosen" if candidate.model == choice.model else ""
    elif candidate.rejection is RejectionReason.RANKED:
        words = REMOVED[candidate.rejection]
        if _is_of_author(choice, candidate):
            words += " (same vendor as the author)"
        said = _BACKEND.get(candidate.reason, candidate.reason)
        words += f": {said}" if said else ""
    else:
        words = removal(candidate)
    return "; ".join(each for each in (words, *(_violated(policy) for policy in candidate.violates)) if each)


def removal(candidate: ConsideredModel) -> str:
    """What removed a candidate, in words."""
    if candidate.policy_name is not None:
        return forbidden(candidate.policy_name, candidate.policy, candidate.undeclared)
    words = "" if candidate.rejection is None else REMOVED[candidate.rejection]
    if candidate.trouble:
        words += f" ({', '.join(candidate.trouble)})"
    return words if candidate.until is None else f"{words} until {timestamp(candidate.until)}"


def _violated(policy: Policy) -> str:
    means = "so it ranks last" if policy.enforcement_mode is EnforcementMode.SOFT else "recorded only"
    return f"violates policy {policy.name!r} ({restricted(policy)}), {means}"


def _is_of_author(choice: ModelChoice, candidate: ConsideredModel) -> bool:
    """Whether a reviewer ranks lower because it is of the author's vendor, and the chosen one is not."""
    if choice.role not in (Role.CRITIC, Role.EVALUATOR) or choice.waiver is not None:
        return False
    vendors = {each.model: each.vendor for each in choice.considered}
    return candidate.vendor == vendors.get(choice.author or "") != vendors[choice.model]


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


def _plain(each: Explained, positions: Mapping[int, int]) -> dict[str, object]:
    position = positions.get(each.version)
    head: dict[str, object] = {"position": position, "version": each.version, "at": timestamp(each.at)}
    if isinstance(each, BackendFallback):
        return {"kind": "backend_failed", **head, "backend": each.backend, "problem": each.problem}
    if isinstance(each, PlanRemarks):
        repairs = [{"code": repair.code, "task": repair.task, "detail": repair.detail} for repair in each.repairs]
        return {"kind": "plan", **head, "remarks": list(each.remarks), "repairs": repairs}
    if isinstance(each, ResultsCompared):
        return {"kind": "comparison", **head, "task": each.node, **_plain_comparison(each.event)}
    if isinstance(each, ScoreGiven):
        given = each.scoring
        facts = {"scorer": given.scorer, "score": given.score, "problem": given.problem}
        return {"kind": "score", **head, "task": each.node, **facts}
    if isinstance(each, VerifiedResult):
        event = each.event
        facts = {"exit_code": event.code, "problem": event.problem, "sandbox": event.sandbox}
        return {"kind": "verification", **head, "verdict": event.verdict.value, **facts}
    head |= {"task": each.node, "role": each.role.value}
    if isinstance(each, NoCandidateLeft):
        removed = [
            {"model": seen.model, "rejection": seen.rejection, "policy": seen.policy_name, "why": line(removal(seen))}
            for seen in each.considered
        ]
        return {"kind": "no_candidate", **head, "candidates": removed}
    head |= {"iteration": each.iteration, "sample": each.sample}
    if isinstance(each, SpendRefusal):
        return {
            "kind": "refusal",
            **head,
            "need_usd": str(each.need),
            "free_usd": str(each.free),
            "limit": each.limit,
            "name": each.name,
            "final": each.final,
        }
    backend = each.backend
    return {
        "kind": "choice",
        **head,
        "type": each.type,
        "selection": each.selection,
        "reason": each.reason,
        "policy": each.policy,
        "model": each.model,
        "waiver": each.waiver,
        "author": each.author,
        "backend": backend
        and {
            "name": backend.name,
            "distribution": backend.distribution,
            "version": backend.version,
            "parameters": {name: _jsonable(value) for name, value in backend.parameters.items()},
        },
        "candidates": [_plain_candidate(each, candidate) for candidate in each.considered],
        "attempts": [
            {"position": positions.get(attempt.version), **_plain_attempt(attempt)} for attempt in each.attempts
        ],
        "too_long": each.too_long and {"prompt_tokens": each.too_long[0], "context": each.too_long[1]},
        "reused": each.reused and {"run": each.reused.run, "version": each.reused.call},
    }


def _plain_comparison(event: events.Compared) -> dict[str, object]:
    pairs = [
        {"earlier": pair.earlier, "later": pair.later, "verdicts": list(pair.verdicts), "winner": pair.winner}
        for pair in event.pairs
    ]
    chosen = {"iteration": event.iteration, "stopped": event.stopped}
    return {"candidates": list(event.candidates), "pairs": pairs, **chosen}


def _jsonable(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def _plain_candidate(choice: ModelChoice, candidate: ConsideredModel) -> dict[str, object]:
    price = candidate.price
    return {
        "model": candidate.model,
        "vendor": candidate.vendor,
        "slots": list(candidate.slots),
        "price_usd_per_million": price and {"input": str(price.input), "output": str(price.output)},
        "telemetry": _plain_telemetry(candidate.telemetry),
        "score": candidate.score,
        "rejection": candidate.rejection,
        "policy": candidate.policy_name,
        "backend_reason": candidate.reason or None,
        "violates": [policy.name for policy in candidate.violates],
        "why": line(why(choice, candidate)),
    }


def _plain_telemetry(seen: ModelTelemetry) -> dict[str, object]:
    return {field.name: getattr(seen, field.name) for field in fields(ModelTelemetry)}


def _plain_attempt(seen: AttemptSeen) -> dict[str, object]:
    return {
        "version": seen.version,
        "attempt": seen.attempt,
        "max_tokens": seen.max_tokens,
        "cut_off": seen.cut_off,
        "larger": seen.larger,
        "lane": seen.lane.value,
        "batch": seen.batch,
        "violates": list(seen.violates),
        "body_bytes": seen.body_bytes,
        "hold_usd": str(seen.hold),
        "end": seen.end,
        "cost_usd": str(seen.cost),
        "input_tokens": seen.usage and seen.usage.input_tokens,
        "output_tokens": seen.usage and seen.usage.output_tokens,
        "error": seen.error,
        "latency_ms": None if seen.latency is None else seen.latency / 1000,
    }


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return explain
