"""Every choice of a model as plain values for the page: the candidates, why they were rejected, what came of it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from orchestrator.cli.kit import money
from orchestrator.engine.answers.requests import read_prompt
from orchestrator.exchanges import Exchange
from orchestrator.log.naming import event_name
from orchestrator.models import sample_words
from orchestrator_insight.commands.explain_reasons import LIMITS, WAIVED, removal, sentence, why
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
)
from orchestrator_insight.report.work import PageTexts


def choices_of(
    reported: Iterable[Explained], positions: Mapping[int, int], calls: Mapping[int, Exchange], texts: PageTexts
) -> Iterator[dict[str, Any]]:
    """What a run's history explains, in order; ``node`` says what each concerns, ``event`` where it stands.

    Args:
        reported: the choices, refusals and failures.
        positions: of the events, by their versions.
        calls: what was said in each call, by the version of its choice.
        texts: the texts of the run, as many as the page can carry.
    """
    for each in reported:
        said = calls.get(each.version)
        plain = {**_plain(each), "event": event_name(positions.get(each.version), each.version)}
        yield plain if said is None else {**plain, "said": list(_said(said, texts))}


def _said(exchange: Exchange, texts: PageTexts) -> Iterator[list[str]]:
    """(title, text) of each part of an exchange."""
    prompt = texts.read(exchange.prompt)
    if prompt is not None:
        yield from _request(prompt)
    for sent in exchange.attempts:
        answer = texts.read(sent.answer)
        if answer is not None:
            yield [f"answer of attempt {sent.attempt}" + (f" ({sent.problem})" if sent.problem else ""), answer]
        said = texts.read(sent.said)
        if said is not None:
            yield [f"failure of attempt {sent.attempt}", said]
    if exchange.reused is not None:
        yield [f"answer of {exchange.reused.run}, reused", texts.read(exchange.reused.answer) or ""]
    if exchange.refused is not None:
        yield ["the plan was refused", exchange.refused]


def _request(stored: str) -> Iterator[list[str]]:
    try:
        prompt = read_prompt(stored)
    except (ValueError, KeyError, TypeError):  # deleted, damaged or left out: the note says so
        yield ["request", stored]
        return
    for message in prompt.messages:
        yield [f"request: {message.author}", message.text]
    if prompt.json_schema is not None:
        yield ["request: JSON Schema of the answer", json.dumps(prompt.json_schema, ensure_ascii=False)]


_REMARKED: Final[dict[type[Explained], str]] = {
    PlanRemarks: "the plan is made",
    ResultsCompared: "a result is chosen",
    ScoreGiven: "an output is scored",
}


def _plain(each: Explained) -> dict[str, Any]:
    match each:
        case ModelChoice():
            return {
                "kind": "choice",
                "node": each.node,
                "what": f"{each.role.value}, iteration {each.iteration}{sample_words(each.sample)}",
                "model": each.model,
                "reason": each.reason,
                "sentence": sentence(each),
                "waiver": None if each.waiver is None else WAIVED[each.waiver],
                "backend": None if each.backend is None else f"{each.backend.name} {each.backend.version}".strip(),
                "reused": each.reused is not None,
                "candidates": [_candidate(candidate, why(each, candidate)) for candidate in each.considered],
                "attempts": [
                    {
                        "attempt": attempt.attempt,
                        "hold": money(attempt.hold),
                        "cost": money(attempt.cost),
                        "end": attempt.end,
                        "error": None if attempt.error is None else attempt.error.value,
                    }
                    for attempt in each.attempts
                ],
            }
        case SpendRefusal():
            return {
                "kind": "refusal",
                "node": each.node,
                "what": f"{each.role.value}, iteration {each.iteration}",
                "need": money(each.need),
                "free": money(each.free),
                "limit": LIMITS[each.limit].format(name=each.name),
                "name": each.name,
                "final": each.final,
            }
        case NoCandidateLeft():
            return {
                "kind": "no_candidate",
                "node": each.node,
                "what": each.role.value,
                "candidates": [_candidate(candidate, removal(candidate)) for candidate in each.considered],
            }
        case VerifiedResult():
            return {
                "kind": "verification",
                "node": each.node,
                "what": "the result as a whole",
                "verdict": each.event.verdict.value,
                "problem": each.event.problem,
            }
        case PlanRemarks() | ResultsCompared() | ScoreGiven():
            return {
                "kind": "plan",
                "node": each.node,
                "what": _REMARKED[type(each)],
                "remarks": each.remarks,
            }
        case BackendFallback():
            return {
                "kind": "backend_failed",
                "node": None,
                "what": f"backend {each.backend}",
                "problem": each.problem,
            }


def _candidate(candidate: ConsideredModel, words: str) -> dict[str, Any]:
    price = candidate.price
    return {
        "model": candidate.model,
        "vendor": candidate.vendor,
        "score": candidate.score,
        "rejection": candidate.rejection,
        "policy": candidate.policy_name,
        "reason": words or None,
        "price": None if price is None else f"{price.input.trimmed} / {price.output.trimmed}",
        "calls": candidate.telemetry.calls,
        "quality": candidate.telemetry.quality,
    }
