"""How a run is named: by its id, a unique beginning of it, ``last``, or ``last~1``."""

import re
from collections.abc import Sequence
from typing import Final

from orchestrator.errors import UsageError

_LAST: Final = re.compile(r"last(?:~([0-9]{1,6}))?")
GIVEN: Final = "run-"
"""What the ids begin with that the program gives; it may be left out."""
_MOST_NAMED: Final = 4


def found_run(runs: Sequence[str], word: str) -> str:
    """The id that a word means among ``runs``, oldest first; the word itself where it means none.

    Raises:
        UsageError: several ids begin so, or there are not as many runs.
    """
    if word in runs or not word:
        return word
    counted = _LAST.fullmatch(word)
    if counted is not None:
        back = int(counted[1] or 0)
        if back < len(runs):
            return runs[-1 - back]
        have = "there are no runs" if not runs else f"there {'is 1 run' if len(runs) == 1 else f'are {len(runs)} runs'}"
        raise UsageError(f"{word}: {have}; see: orchestrate runs list")
    begun = beginning_with(runs, word)
    if len(begun) > 1:
        more = f" and {len(begun) - _MOST_NAMED} more" if len(begun) > _MOST_NAMED else ""
        raise UsageError(f"{word!r} is not unique: {', '.join(begun[-_MOST_NAMED:][::-1])}{more}; say more of the id")
    return begun[0] if begun else word


def beginning_with(runs: Sequence[str], word: str) -> list[str]:
    """The runs whose ids begin so, with or without what the program begins its ids with."""
    return [run for run in runs if run.startswith((word, GIVEN + word))]
