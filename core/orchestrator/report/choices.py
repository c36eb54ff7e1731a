"""Every choice of a model as plain values for the page: who was considered, who lost why, what came of it."""

from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.explanation import Choice, Considered, Explained, Fallen, Judged, Refusal, Unasked


def choices_of(told: Iterable[Explained]) -> Iterator[dict[str, Any]]:
    """What a run's history explains, in order; ``node`` says whom each concerns."""
    return map(_plain, told)


def _plain(each: Explained) -> dict[str, Any]:
    match each:
        case Choice():
            return {
                "kind": "choice",
                "version": each.version,
                "node": each.node,
                "what": f"{each.role.value}, turn {each.turn}" + (f", sample {each.sample}" if each.sample > 1 else ""),
                "model": each.model,
                "reason": each.reason,
                "waiver": each.waiver,
                "backend": None if each.backend is None else f"{each.backend.name} {each.backend.version}".strip(),
                "reused": each.reused is not None,
                "candidates": [_candidate(candidate) for candidate in each.considered],
                "attempts": [
                    {
                        "attempt": attempt.attempt,
                        "hold": str(attempt.hold),
                        "cost": str(attempt.cost),
                        "end": attempt.end,
                        "error": None if attempt.error is None else attempt.error.value,
                    }
                    for attempt in each.attempts
                ],
            }
        case Refusal():
            return {
                "kind": "refusal",
                "version": each.version,
                "node": each.node,
                "what": f"{each.role.value}, turn {each.turn}",
                "need": str(each.need),
                "free": str(each.free),
                "limit": each.limit,
                "final": each.final,
            }
        case Unasked():
            return {
                "kind": "unasked",
                "version": each.version,
                "node": each.node,
                "what": each.role.value,
                "candidates": [_candidate(candidate) for candidate in each.considered],
            }
        case Judged():
            return {
                "kind": "judged",
                "version": each.version,
                "node": each.node,
                "what": "the result as a whole",
                "verdict": each.event.verdict.value,
                "problem": each.event.problem,
            }
        case Fallen():
            return {
                "kind": "fallen",
                "version": each.version,
                "node": None,
                "what": f"backend {each.backend}",
                "problem": each.problem,
            }


def _candidate(candidate: Considered) -> dict[str, Any]:
    price = candidate.price
    return {
        "model": candidate.model,
        "vendor": candidate.vendor,
        "score": candidate.score,
        "lost": candidate.lost,
        "reason": "; ".join(filter(None, (candidate.reason, *(f"violates {p.name}" for p in candidate.violates))))
        or None,
        "price": None if price is None else f"{price.input} / {price.output}",
        "calls": candidate.telemetry.calls,
        "quality": candidate.telemetry.quality,
    }
