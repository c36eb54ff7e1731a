"""Decisions in the words of ``explain``: every candidate, why it was rejected, and what came of the choice."""

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.cli.kit import DOING, money, verification
from orchestrator.exchanges import Exchange, SentRequest, Shown, with_texts
from orchestrator.models import sample_words
from orchestrator_insight.commands.explain_reasons import WAIVED, refused, removal, sentence, why
from orchestrator_insight.explanation import (
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
from orchestrator_insight.report.shown import duration, exact
from orchestrator_view.reading import RunReading


def decisions(reading: RunReading, node: str | None, first: int = 0, most: int = 2**31) -> tuple[list[Any], int]:
    """Some of the decisions about a task, or about all, as plain values for the page; and how many there are."""
    found = about(reading.explainer.explained, node)
    shown = [
        {"event": reading.event(each.version), "version": each.version, "at": each.at, **_described(each)}
        for each in found[first : first + most]
    ]
    return shown, len(found)


def _described(each: Explained) -> dict[str, Any]:
    match each:
        case ModelChoice():
            iteration = f", iteration {each.iteration}" if each.iteration > 1 else ""
            remarks = [sentence(each)]
            if each.waiver is not None:
                remarks.append(WAIVED[each.waiver])
            if each.too_long is not None and not each.attempts:
                remarks.append(f"not called: its prompt of about {each.too_long[0]} tokens does not fit its window")
            if each.reused is not None:
                remarks.append(f"answered from the cache: an answer of {each.reused.run}; nothing was paid")
            return {
                "node": each.node,
                "what": f"{DOING[each.role]}{iteration}{sample_words(each.sample)}",
                "model": each.model,
                "remarks": remarks,
                "candidates": [_candidate(seen, seen.model == each.model, why(each, seen)) for seen in each.considered],
            }
        case SpendRefusal():
            return _plain(each.node, DOING[each.role], [refused(each)])
        case NoCandidateLeft():
            rows = [_candidate(seen, False, removal(seen)) for seen in each.considered]
            return {**_plain(each.node, DOING[each.role], ["no model is left"]), "candidates": rows}
        case VerifiedResult():
            return _plain(each.node, "the result as a whole", [f"verification {verification(each.event)}"])
        case PlanRemarks():
            return _plain(each.node, "the plan is made", each.remarks)
        case ResultsCompared():
            return _plain(each.node, "a result is chosen", each.remarks)
        case ScoreGiven():
            return _plain(each.node, "a scorer scores the result", each.remarks)
        case BackendFallback():
            text = f"the backend {each.backend} failed ({each.problem}); the table's order is used from here on"
            return _plain("", "the backend", [text])


def _plain(node: str, what: str, remarks: Sequence[str]) -> dict[str, Any]:
    return {"node": node, "what": what, "model": None, "remarks": list(remarks), "candidates": []}


def _candidate(seen: ConsideredModel, chosen: bool, words: str) -> dict[str, Any]:
    price, telemetry = seen.price, seen.telemetry
    return {
        "model": seen.model,
        "chosen": chosen,
        "vendor": seen.vendor or "–",
        "price": "–" if price is None else f"{exact(price.input)} / {exact(price.output)}",
        "calls": telemetry.calls,
        "quality": "–" if telemetry.quality is None else f"{telemetry.quality:.3f}",
        "latency": "–" if telemetry.latency_ms is None else duration(round(telemetry.latency_ms * 1000)),
        "score": "–" if seen.score is None else f"{seen.score:.6g}",
        "why": words,
    }


def exchange_values(reading: RunReading, exchange: Exchange) -> dict[str, Any]:
    """What was sent in a call and what was answered, with tokens, cache and cost."""
    shown = with_texts(exchange, reading.texts.get)
    iteration = f", iteration {exchange.iteration}" if exchange.iteration > 1 else ""
    return {
        "version": exchange.version,
        "event": reading.event(exchange.version),
        "what": f"{DOING[exchange.role]}{iteration}{sample_words(exchange.sample)}",
        "model": exchange.model,
        "messages": _messages(shown),
        "missing": shown.missing,
        "attempts": [_attempt(shown, sent) for sent in exchange.attempts],
        "reused": None if exchange.reused is None else {"run": exchange.reused.run, "text": shown.reused},
        "refused": exchange.refused,
    }


def _messages(shown: Shown) -> list[dict[str, str]]:
    if shown.prompt is None:
        return []
    found = [{"author": each.author, "text": each.text} for each in shown.prompt.messages]
    if shown.prompt.json_schema is not None:
        schema = json.dumps(shown.prompt.json_schema, ensure_ascii=False, indent=2)
        found.append({"author": "JSON Schema of the answer", "text": schema})
    return found


def _attempt(shown: Shown, sent: SentRequest) -> dict[str, Any]:
    usage = sent.usage
    facts = [f"at most {sent.max_tokens:,} tokens"]
    if usage is not None:
        facts.append(f"{usage.input_tokens:,} tokens read, {usage.output_tokens:,} written")
        if usage.cached_input:
            facts.append(f"{usage.cached_input:,} of them from the vendor's cache")
        if usage.reasoning:
            facts.append(f"{usage.reasoning:,} for thinking")
    if sent.latency is not None:
        facts.append(duration(sent.latency))
    facts.append(
        f"{money(sent.settled)} settled" if not sent.unreconciled else f"{money(sent.unreconciled)} unreconciled"
    )
    return {
        "number": sent.attempt,
        "end": sent.end,
        "facts": facts,
        "problem": sent.problem or sent.error,
        "answer": shown.answer(sent),
        "digest": sent.answer,
        "said": shown.said(sent),
    }
