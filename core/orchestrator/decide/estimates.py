"""What one call is expected to cost and to take: what was measured of its model, else prices and typical lengths."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.models import ModelInfo, Role, TaskType
from orchestrator.money import NANO, Usage, Usd
from orchestrator.settings import SECOND
from orchestrator.state.health import Measured
from orchestrator.state.run import RunState

TYPICAL_INPUT: Final = 600
"""Tokens of a prompt whose parts are not known."""
TYPICAL_LATENCY: Final = 2 * SECOND
"""Of a call, in microseconds, where nothing was measured and the server is another machine."""

_LENGTHS: Final[Mapping[Role, int]] = MappingProxyType({Role.CRITIC: 60, Role.EVALUATOR: 60})
_CODE, _TEXT = 250, 400
_READ, _WRITTEN = 90, 20
"""Tokens a second of a small model on a processor."""
_MEASURED: Final = 10


def typical_output(role: Role, kind: TaskType | None) -> int:
    """Tokens of a typical answer."""
    return _LENGTHS.get(role, _CODE if kind is TaskType.CODE_GEN else _TEXT)


def expected_call(
    state: RunState, model: ModelInfo, role: Role, kind: TaskType | None, read: int = TYPICAL_INPUT
) -> tuple[Usd, int]:
    """What one call is expected to cost, and to take in microseconds: the measured averages, else an estimate.

    Args:
        state: the run, with its session.
        model: the model that is called.
        role: what the call is for.
        kind: the type of the task; None for the plan.
        read: tokens of the prompt.
    """
    written = min(typical_output(role, kind), state.settings.output_limit(role, kind))
    measured = _measured(state, model, TaskType.EVALUATION if role is Role.EVALUATOR else kind)
    if measured.cost is not None:
        cost = Usd(round(measured.cost * NANO))
    else:
        cost = Usd.ZERO if model.price is None else model.price.cost(Usage(input=read, output=written))
    if measured.latency_ms is not None:
        return cost, round(measured.latency_ms * 1000)
    return cost, _usual_latency(state, model, read, written)


def _measured(state: RunState, model: ModelInfo, kind: TaskType | None) -> Measured:
    """The averages of a model, empty where it was called too rarely."""
    record = state.records.get(model.id)
    seen = None if record is None else record.by_type.get(kind)
    return seen if seen is not None and seen.calls >= _MEASURED else Measured()


def _usual_latency(state: RunState, model: ModelInfo, read: int, written: int) -> int:
    """A server on this machine reads and writes at a pace; another one answers in a typical time."""
    if state.session is None or model.provider not in state.session.local:
        return TYPICAL_LATENCY
    return read * SECOND // _READ + written * SECOND // _WRITTEN
