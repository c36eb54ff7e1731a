"""Decisions as JSON has them, for programs."""

from collections.abc import Callable

from attrs import fields

from orchestrator.cli.kit import line, timestamp
from orchestrator.reading import events
from orchestrator.spi import ModelTelemetry
from orchestrator_insight.decisions_in_words import removal, why
from orchestrator_insight.explained_choices import (
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
)


def plain(each: Explained, position_of: Callable[[int], int | None]) -> dict[str, object]:
    """One of them; ``position_of`` knows the position of an event by its version."""
    position = position_of(each.version)
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
            {"position": position_of(attempt.version), **_plain_attempt(attempt)} for attempt in each.attempts
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
