"""What was sent in a call and what was answered, with tokens, cache and cost."""

import json
from typing import Any

from orchestrator.cli.kit import DOING, money
from orchestrator.models import sample_words
from orchestrator.past_runs.exchanges import Exchange, SentRequest, Shown, with_texts
from orchestrator_insight.page_values import duration
from orchestrator_view.kept_run import RunReading


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
