"""What one call is expected to cost and to take: what was measured of its model, else prices and typical lengths."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from orchestrator.models import Lane, ModelInfo, Role, TaskType
from orchestrator.money import NANO, Usage, Usd
from orchestrator.settings import SECOND
from orchestrator.state.model_health import Measured, measured_as
from orchestrator.state.run import RunState

TYPICAL_INPUT: Final = 600
"""Tokens of a prompt whose parts are not known."""
TYPICAL_LATENCY: Final = 2 * SECOND
"""Of a call, in microseconds, where nothing was measured and the server is another machine."""

_LENGTHS: Final[Mapping[Role, int]] = MappingProxyType({Role.CRITIC: 60, Role.EVALUATOR: 60})
_BY_TYPE: Final[Mapping[TaskType | None, int]] = MappingProxyType({TaskType.CODE_GEN: 250, TaskType.SUMMARIZATION: 150})
_TEXT: Final = 400
_READ, _WRITTEN = 90, 20
"""Tokens a second of a small model on a processor."""
_THOUGHT: Final = 2
"""Typical thinking is the room for it divided by this."""
_MEASURED: Final = 10


@frozen
class ExpectedCall:
    """What is expected of one call."""

    cost: Usd
    latency: int
    """Microseconds."""
    read: int
    """Tokens of the prompt."""
    written: int
    """Tokens of the answer, thinking aside."""
    thought: int
    """Tokens of thinking."""


def typical_output(role: Role, kind: TaskType | None) -> int:
    """Tokens of a typical answer."""
    return _LENGTHS.get(role) or _BY_TYPE.get(kind, _TEXT)


def expected_call(
    state: RunState,
    model: ModelInfo,
    role: Role,
    kind: TaskType | None,
    read: int = TYPICAL_INPUT,
    lane: Lane = Lane.INTERACTIVE,
) -> ExpectedCall:
    """What is expected of one call: the measured averages, else an estimate from the price and typical lengths.

    Args:
        state: the run, with its session.
        model: the model that is called.
        role: what the call is for.
        kind: the type of the task; None for the plan.
        read: tokens of the prompt.
        lane: how it is sent; what was measured of single calls says nothing of the cost of others.
    """
    measured = _measured(state, model, measured_as(role, kind))
    length = measured.length(role)
    usual = typical_output(role, kind) if length is None else length.mean
    written, thought = min(usual, state.settings.output_limit(role, kind)), model.thinking // _THOUGHT
    if measured.cost is not None and lane is Lane.INTERACTIVE:
        cost = Usd(round(measured.cost * NANO))
    else:
        usage = Usage(input=read, output=written, reasoning=thought)
        price = model.price_in(lane)
        cost = Usd.ZERO if price is None else price.cost(usage)
    latency = usual_latency(state, model, read, written + thought)
    if measured.latency_ms is not None:
        latency = round(measured.latency_ms * 1000)
    return ExpectedCall(cost, latency, read, written, thought)


def _measured(state: RunState, model: ModelInfo, kind: TaskType | None) -> Measured:
    """The averages of a model, empty where it was called too rarely."""
    record = state.records.get(model.id)
    seen = None if record is None else record.by_type.get(kind)
    return seen if seen is not None and seen.calls >= _MEASURED else Measured()


def usual_latency(state: RunState, model: ModelInfo, read: int, written: int) -> int:
    """The microseconds of a call that nothing was measured of.

    A server on this machine reads and writes at a pace; another one answers in a typical
    time.
    """
    if state.session is None or model.provider not in state.session.local:
        return TYPICAL_LATENCY
    return read * SECOND // _READ + written * SECOND // _WRITTEN
