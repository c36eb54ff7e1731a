"""The known word that a misspelt one most likely means."""

from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 80
"""Characters beyond which a word is no misspelt name, and comparing it would only cost time."""


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known word most like this one, however its letters are written; None where none is near."""
    from difflib import get_close_matches

    if not isinstance(word, str) or not 1 < len(word) <= _LONGEST:
        return None
    folded = {each.casefold(): each for each in known}
    close = get_close_matches(word.casefold(), folded, 1)
    return folded[close[0]] if close else None
