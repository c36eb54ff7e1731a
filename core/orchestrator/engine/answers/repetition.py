"""Whether an answer ends in a loop: models that lose their way write the same lines until they are cut off."""

from typing import Final

_LOOKED_AT: Final = 8192
"""Characters of the end."""
_LEAST: Final = 400
"""Characters that have to repeat."""
_TIMES: Final = 3
"""How often the same block has to follow itself."""


def ends_in_loop(text: str) -> bool:
    """Whether the text ends with one block at least three times in a row, over at least 400 characters.

    It may end within the block. The time is in proportion to the text.
    """
    end = text[-_LOOKED_AT:][::-1]
    borders = [0] * len(end)
    border = 0
    for i in range(1, len(end)):
        while border and end[i] != end[border]:
            border = borders[border - 1]
        border += end[i] == end[border]
        borders[i] = border
        length = i + 1
        if length >= max(_LEAST, _TIMES * (length - border)):
            return True
    return False
