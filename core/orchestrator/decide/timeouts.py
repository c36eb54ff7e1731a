"""How long one attempt may take: what is asked for, at the pace at which the model was seen to write."""

from typing import Final

from orchestrator.settings import SECOND
from orchestrator.state.model_health import ModelRecord

_START: Final = 120 * SECOND
"""For the connection, a queue, and a model that has to be loaded."""

_READING: Final = 2_500
"""Microseconds per byte of the request: about 100 tokens a second, as a model without an accelerator reads."""

_WRITING: Final = SECOND // 10
"""Microseconds per token of the answer, where the model was not measured yet."""

_MARGIN: Final = 4
"""How much slower than it was seen a model may write."""


def call_timeout(record: ModelRecord | None, body_bytes: int, max_tokens: int) -> int:
    """The microseconds after which an attempt is ended, where no limit is set.

    Args:
        record: what was seen of the model; None before its first call.
        body_bytes: of the request.
        max_tokens: the most it is asked for.
    """
    pace = None if record is None else record.pace
    writing = _WRITING if pace is None else _MARGIN * round(pace)
    return _START + body_bytes * _READING + max_tokens * writing
