"""What an ended call has cost: exactly what its usage comes to, or its hold where the usage is missing or absurd."""

from collections.abc import Callable

from orchestrator.events import CallStarted
from orchestrator.models import ModelInfo
from orchestrator.money import Usd
from orchestrator.spi import Billed, ProviderError, Reply, Usage


def believable_usage(reply: Reply) -> Usage | None:
    """The usage, or None where it is missing or absurd: no tokens for a text, or no input at all."""
    usage = reply.usage
    if not isinstance(usage, Usage) or not usage.is_sane or usage.input_tokens == 0:
        return None
    return None if reply.text and usage.output_tokens == 0 else usage


def cost_of_call(
    model: ModelInfo, started: CallStarted, usage: Usage | None, clock: Callable[[], int]
) -> tuple[Usd, Usd]:
    """(settled, unreconciled): the exact cost, or the hold where it is unknown.

    Args:
        model: that was called, with its price.
        started: the call's start, with its hold and its lane.
        usage: what the vendor reported; None: nothing that can be believed.
        clock: microseconds UTC, for prices of hours of the day.
    """
    price = model.price_in(started.lane)
    if usage is None or price is None:
        return Usd.ZERO, started.hold
    return price.cost(usage, clock()), Usd.ZERO


def cost_of_failure(
    model: ModelInfo, started: CallStarted, error: ProviderError, clock: Callable[[], int]
) -> tuple[Usd, Usd]:
    """(settled, unreconciled) of a call that failed: nothing where the vendor certainly bills nothing."""
    if error.billed is Billed.NO:
        return Usd.ZERO, Usd.ZERO
    usage = error.usage if error.usage is not None and error.usage.is_sane else None
    return cost_of_call(model, started, usage, clock)
