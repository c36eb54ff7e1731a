"""A run as answers for the scripted provider, so that it can be played again without network, key or money."""

import json
from typing import Any, Final

from attrs import evolve, fields, frozen

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.models import Finish, ModelInfo
from orchestrator.money import Usage, Usd
from orchestrator.spec import Spec, parse_spec

SCRIPTED: Final = "scripted"
"""The provider that plays it."""


@frozen
class Reproduction:
    """What plays a run again."""

    answers: dict[str, Any]
    """The content of the answers file."""
    spec: dict[str, Any]
    """The content of the spec file; its answers file belongs beside it."""
    lossy: tuple[str, ...]
    """What the script cannot repeat exactly, a line each."""


def reproduce(log: EventLog, run: str, stored: str, texts: Texts, answers: str) -> Reproduction:
    """Turn a run into a script.

    Args:
        log: it has the run.
        run: the run's id.
        stored: the spec the run follows, in canonical JSON.
        texts: the run's.
        answers: the name of the answers file.

    Raises:
        KeyError: a text of the run is deleted.
    """
    models: dict[str, ModelInfo] = {}
    selected: dict[int, e.ModelSelected] = {}
    started: dict[int, e.CallStarted] = {}
    found: list[dict[str, Any]] = []
    lossy: list[str] = []
    cap = Usd.ZERO
    for record in log.read(run):
        match event := record.event:
            case e.RunStarted(settings=settings) | e.RunForked(settings=settings):
                cap = settings.cap
            case e.BudgetRaised():
                cap = event.cap
            case e.SessionOpened():
                models = {**models, **{model.id: model for model in event.models}}
            case e.ModelSelected():
                selected[record.version] = event
            case e.CallPrepared(reused=reused) if reused is not None:
                answer = {"text": texts.get(reused.answer), "finish": reused.finish.value}
                found.append({**_keys(selected[event.selected], 1), **answer})
            case e.CallStarted():
                started[record.version] = event
            case e.CallSucceeded():
                found.append(_answered(started[event.call], event, texts))
            case e.CallFailed(by_vendor=True):
                if event.settled:
                    lossy.append(
                        f"version {record.version}: a failed call was settled; in the script its hold is unreconciled"
                    )
                found.append(_failed(started[event.call], event, texts))
    spec = _spec(stored, list(models.values()), answers, cap)
    return Reproduction({"delay_ms": 0, "models": [], "answers": found}, spec, tuple(lossy))


def _keys(call: e.ModelSelected | e.CallStarted, try_: int) -> dict[str, Any]:
    return {
        "task": call.node,
        "role": call.role.value,
        "iteration": call.iteration,
        "sample": call.sample,
        "try": try_,
        "model": call.model,
    }


def _answered(started: e.CallStarted, event: e.CallSucceeded, texts: Texts) -> dict[str, Any]:
    finish = event.finish if event.finish is not Finish.OTHER else Finish.STOP
    return {
        **_keys(started, started.try_),
        "text": texts.get(event.answer),
        "finish": finish.value,
        "usage": "none" if event.usage is None else _token_classes(event.usage),
    }


def _token_classes(usage: Usage) -> dict[str, int]:
    token_classes = {each.name: getattr(usage, each.name) for each in fields(Usage)}
    return {name: count for name, count in token_classes.items() if isinstance(count, int) and count}


def _failed(started: e.CallStarted, event: e.CallFailed, texts: Texts) -> dict[str, Any]:
    optional = {
        "message": texts.get(event.error) if event.error is not None else None,
        "status": event.status,
        "retry_after": None if event.retry_after is None else event.retry_after / 1_000_000,
    }
    return {
        **_keys(started, started.try_),
        "error": event.kind.value,
        "retryable": event.retryable,
        "billed": "unknown" if event.unreconciled or event.settled else "no",
        **{name: value for name, value in optional.items() if value is not None},
    }


def _spec(stored: str, models: list[ModelInfo], answers: str, cap: Usd) -> dict[str, Any]:
    """The spec with the script in the place of the providers, and every model declared as the run had it."""
    spec: Spec = parse_spec(json.loads(stored), "the spec of the run")
    plain = evolve(
        spec,
        budget_usd=cap,
        providers={SCRIPTED: {"answers": answers}},
        models=tuple(evolve(model, provider=SCRIPTED) for model in models),
        project_id=None,
        team=None,
        job_id=None,
        output_dir=None,
        policy_files=(),
    )
    value: dict[str, Any] = json.loads(plain.canonical())
    for name in ("cache", "exporters"):
        value.pop(name, None)
    limits = value.get("limits", {})
    for name in ("requests_per_minute", "tokens_per_minute"):  # they name the providers of then
        limits.pop(name, None)
    return value
