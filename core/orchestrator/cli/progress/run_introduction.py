"""What a run says at its beginning: what may be spent, which models are used, and that calls wait in batches."""

from collections.abc import Callable, Iterable
from typing import Final

from orchestrator import events as e
from orchestrator.cli.terminal.terminal_output import line, money, seconds
from orchestrator.cli.wording.code_words import UNADVISED, UNMEASURED
from orchestrator.cli.wording.progress_wording import Note, Tone, forbidden
from orchestrator.decide.batch_lanes import uses_batches
from orchestrator.decide.compliance import violated
from orchestrator.decide.ranking import backend_name
from orchestrator.decide.routing import slots_of
from orchestrator.engine.answers.architecture_advice import shown, with_texts
from orchestrator.models import ModelInfo
from orchestrator.state.run import RunState

_MOST_MODELS: Final = 8
"""Models that are introduced one by one, at most."""


def introduction(state: RunState) -> Iterable[Note]:
    """What may be spent, and on which models."""
    settings, spent = state.settings, state.spend.total
    already = f", {money(spent)} of it spent" if spent else ""
    yield Note(
        f"ceiling {money(state.cap)}{already}; time limit {seconds(state.time_limit)};"
        f" at most {settings.concurrency} calls at once"
    )
    if settings.backend_named and not any(record.by_type for record in state.records.values()):
        yield Note(f"backend {backend_name(state)}: {UNMEASURED}")
    yield from _models(state)
    sold = any(model.batch_price is not None for model in state.models.values())
    if uses_batches(state) and not sold:
        yield Note(
            "lane batch changes nothing: no model here is sold in batches, so each is called at once", Tone.WARNING
        )


def _models(state: RunState) -> Iterable[Note]:
    """The models one by one; many of them only by vendor, with what keeps some from being used."""
    models = state.models.values()
    notes = [_introduced_model(state, model) for model in models]
    if len(notes) <= _MOST_MODELS:
        yield from (Note(f"model {name}{about}", tone) for name, about, tone in notes)
        return
    vendors = dict.fromkeys(model.vendor for model in models)
    yield Note(f"{len(notes)} models of {len(vendors)} vendors: {', '.join(vendors)}")
    unused: dict[str, list[str]] = {}
    for name, about, tone in notes:
        if tone is Tone.WARNING:
            unused.setdefault(about.removeprefix(" is not used: "), []).append(name)
    for why, names in unused.items():
        more = f" and {len(names) - _MOST_MODELS} more" if len(names) > _MOST_MODELS else ""
        yield Note(f"not used: {', '.join(names[:_MOST_MODELS])}{more}: {why}", Tone.WARNING)


def _introduced_model(state: RunState, model: ModelInfo) -> tuple[str, str, Tone]:
    """A model, and what it is used for, or why it is not."""
    slots = slots_of(state, model.id)
    policy = violated(state.settings.policies, model, slots, None)
    if policy is not None:
        why = forbidden(state, e.PLAN, policy, (model.id,))
        return model.id, f" is not used: {why}", Tone.WARNING
    if model.price is None:
        return model.id, " is not used: its price is not known; declare it with --models", Tone.WARNING
    return model.id, f" (slots: {', '.join(slots)})" if slots else "", Tone.PLAIN


def batch_note(state: RunState, version: int, event: e.BatchSubmitted) -> Iterable[Note]:
    """That calls wait in a batch at their vendor, and for how long at most."""
    batch = state.batches.get(version)
    if batch is None or event.vendor_id is None:
        return  # each of its calls says why
    count, most = len(batch.started.calls), seconds(state.settings.limits.batch_wait)
    calls = "1 call" if count == 1 else f"{count} calls"
    where = f"{line(batch.started.provider)} ({line(batch.started.model)})"
    yield Note(
        f"a batch of {calls} waits at {where}, {most} at most: "
        "Ctrl-C stops the waiting, and resume collects the answers"
    )


def enhanced_note(event: e.SpecEnhanced) -> Note:
    """What became of suggestions for the description."""
    if event.problem is not None:
        why = UNADVISED[event.problem]
        return Note(f"no suggestions: {why}; the description is unchanged", Tone.WARNING)
    offered = len(event.taken) + len(event.refused)
    return Note(f"suggestions: {len(event.taken)} of {offered} taken")


def architecture_notes(event: e.ArchitectureDecided, text_of: Callable[[str], str]) -> Iterable[Note]:
    """The architecture that was advised; ``text_of`` gives the texts of digests."""
    if event.problem is not None:
        why = UNADVISED[event.problem]
        yield Note(f"no advice on the architecture: {why}; the defaults are used", Tone.WARNING)
    for text in shown(with_texts(event.profile, text_of), event.model or "defaults"):
        yield Note(text, Tone.DETAIL)
