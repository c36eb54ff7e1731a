"""Whether an answer ends in a loop: models that lose their way write the same lines until they are cut off."""

from typing import Final

_LOOKED_AT: Final = 8192
"""Characters of the end."""
_LEAST: Final = 400
"""Characters that have to repeat."""
_TIMES: Final = 3
"""How often the same block has to follow itself."""
_BEFORE: Final = 200
"""Characters that come before the loop; an answer that is one block from its beginning is long on purpose."""


def ends_in_loop(text: str) -> bool:
    """Whether the text, after a beginning of its own, ends with one block at least three times in a row.

    The loop has at least 400 characters, and may end within the block. The time is in proportion to the text.
    """
    end = text[-_LOOKED_AT:][::-1]
    period = _period(end)
    if period is None:
        return False
    length = next((i for i in range(period, len(text)) if text[-1 - i] != text[-1 - i + period]), len(text))
    return len(text) - length >= _BEFORE


def _period(end: str) -> int | None:
    """The length of a block that the text begins with at least three times, over at least 400 characters."""
    borders = [0] * len(end)
    border = 0
    for i in range(1, len(end)):
        while border and end[i] != end[border]:
            border = borders[border - 1]
        border += end[i] == end[border]
        borders[i] = border
        length = i + 1
        if length >= max(_LEAST, _TIMES * (length - border)):
            return length - border
    return None
