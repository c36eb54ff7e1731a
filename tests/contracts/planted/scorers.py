"""Scorers with one bug each; beside them a sound one."""

import itertools
import random
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.spi import Candidate, Score, Scorer, ScorerContext
from orchestrator.testing import ScorerContract


def sound(candidate: Candidate, context: ScorerContext) -> Score:
    """Short is good."""
    words = len(candidate.content.split())
    return Score(1.0) if words <= 2 else Score(2 / words, "too long")


class SoundScorer(ScorerContract):
    """The suite of the sound scorer."""

    better = "two words"
    worse = "there are four words"

    def make(self) -> Scorer:
        """The sound one."""
        return sound


def _always(value: Any) -> Callable[[], Scorer]:
    return lambda: lambda candidate, context: value


def _touching(candidate: Candidate, context: ScorerContext) -> Score:
    Path("scores.txt").write_text("1")
    return sound(candidate, context)


def _printing(candidate: Candidate, context: ScorerContext) -> Score:
    print("scored")  # noqa: T201
    return sound(candidate, context)


def _changing(candidate: Candidate, context: ScorerContext) -> Score:
    candidate.files["more"] = "x"  # type: ignore[index]
    return sound(candidate, context)


def _threading(candidate: Candidate, context: ScorerContext) -> Score:
    threading.Thread(target=threading.Event().wait, args=(5,), daemon=True, name="left").start()
    return sound(candidate, context)


def _quitting(candidate: Candidate, context: ScorerContext) -> Score:
    sys.exit(1)


def _counting() -> Scorer:
    calls = itertools.count(1)
    return lambda candidate, context: Score(1 / next(calls), "fewer each time")


_DRAWS: Final = itertools.count()
_GOOD: Final = "test_hostile_outputs_get_a_score_or_an_error"
_SAME: Final = "test_equal_outputs_get_equal_scores"
_QUIET: Final = "test_it_leaves_things_as_they_are"
_BETTER: Final = "test_a_better_output_has_a_higher_score"
SCORERS: Final[Mapping[str, tuple[Callable[[], Scorer], str]]] = {
    "of ten": (_always(Score(7.5)), _GOOD),
    "below nothing": (_always(Score(-0.1)), _GOOD),
    "no number": (_always(Score(float("nan"))), _GOOD),
    "a text": (_always(Score("0.5")), _GOOD),  # type: ignore[arg-type]
    "a bare number": (_always(0.5), _GOOD),
    "a verdict": (_always(Score(True)), _GOOD),
    "reasons as a list": (_always(Score(0.5, ["why"])), _GOOD),  # type: ignore[arg-type]
    "quits": (lambda: _quitting, _GOOD),
    "draws": (lambda: lambda candidate, context: Score(random.random(), "drawn"), _SAME),
    "remembers": (_counting, _SAME),
    "differs when built anew": (lambda: partial_of(next(_DRAWS)), _SAME),
    "the same for everything": (_always(Score(0.5, "so so")), _BETTER),
    "no reasons": (lambda: lambda candidate, context: Score(1 / (1 + len(candidate.text))), _BETTER),
    "writes a file": (lambda: _touching, _QUIET),
    "prints": (lambda: _printing, _QUIET),
    "changes the candidate": (lambda: _changing, _QUIET),
    "leaves a thread": (lambda: _threading, _QUIET),
}


def partial_of(number: int) -> Scorer:
    """A scorer that depends on which one it is."""
    return lambda candidate, context: Score(1 / (2 + number), "it depends")
