"""Every choice of a model as plain values for the page: the candidates, why they were rejected, what came of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.explanation import (
    BackendFallback,
    ConsideredModel,
    Explained,
    ModelChoice,
    NoCandidateLeft,
    SpendRefusal,
    VerifiedResult,
)
from orchestrator.log.naming import event_name


def choices_of(reported: Iterable[Explained], positions: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    """What a run's history explains, in order; ``node`` says what each concerns, ``event`` where it stands.

    ``positions`` has the position of each event by its version.
    """
    for each in reported:
        yield {**_plain(each), "event": event_name(positions.get(each.version), each.version)}


def _plain(each: Explained) -> dict[str, Any]:
    match each:
        case ModelChoice():
            return {
                "kind": "choice",
                "node": each.node,
                "what": f"{each.role.value}, iteration {each.iteration}"
                + (f", sample {each.sample}" if each.sample > 1 else ""),
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
        case SpendRefusal():
            return {
                "kind": "refusal",
                "node": each.node,
                "what": f"{each.role.value}, iteration {each.iteration}",
                "need": str(each.need),
                "free": str(each.free),
                "limit": each.limit,
                "name": each.name,
                "final": each.final,
            }
        case NoCandidateLeft():
            return {
                "kind": "no_candidate",
                "node": each.node,
                "what": each.role.value,
                "candidates": [_candidate(candidate) for candidate in each.considered],
            }
        case VerifiedResult():
            return {
                "kind": "verification",
                "node": each.node,
                "what": "the result as a whole",
                "verdict": each.event.verdict.value,
                "problem": each.event.problem,
            }
        case BackendFallback():
            return {
                "kind": "backend_failed",
                "node": None,
                "what": f"backend {each.backend}",
                "problem": each.problem,
            }


def _candidate(candidate: ConsideredModel) -> dict[str, Any]:
    price = candidate.price
    return {
        "model": candidate.model,
        "vendor": candidate.vendor,
        "score": candidate.score,
        "rejection": candidate.rejection,
        "policy": candidate.policy_name,
        "reason": "; ".join(filter(None, (candidate.reason, *(f"violates {p.name}" for p in candidate.violates))))
        or None,
        "price": None if price is None else f"{price.input} / {price.output}",
        "calls": candidate.telemetry.calls,
        "quality": candidate.telemetry.quality,
    }
