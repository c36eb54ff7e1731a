"""How a task's results are made and chosen: the switches of a strategy of the review loop."""

from enum import StrEnum
from typing import Final

from attrs import frozen


class DraftMode(StrEnum):
    """What a draft is made of."""

    FRESH = "fresh"
    """The task alone: no earlier result is shown."""
    REPAIR = "repair"
    """The best result so far and the report of its checks."""
    IMPROVE = "improve"
    """The best result so far, which passed its checks, and what was said of its score."""


class ScoredBy(StrEnum):
    """What a score rests on."""

    TESTS = "tests"
    """The share of the given tests that passed."""
    JUDGE = "judge"
    """Evaluations by a model."""
    SCORER = "scorer"
    """A scorer plugin."""
    GATE = "gate"
    """A check that did not pass."""
    CHECKS = "checks"
    """Checks that passed; no model was called for a score."""


class CritiqueUse(StrEnum):
    """Which drafts are criticised."""

    PASSED = "passed"
    """Those that passed their checks, or have none."""
    NEVER = "never"
    """None."""


class RepairUse(StrEnum):
    """When a draft that failed its checks is repaired instead of being written anew."""

    NEVER = "never"
    """Every try is written anew."""
    LAST = "last"
    """In the last of three tries and more, by a model that did not write it."""
    ALWAYS = "always"
    """In every further try, by its author too."""


class JudgeUse(StrEnum):
    """Which outputs a model evaluates."""

    ALWAYS = "always"
    """Those whose given tests all passed, too: their score is the tests', the judge's is recorded beside it."""
    UNTESTED = "untested"
    """Those that no given tests decide."""


class JudgeMethod(StrEnum):
    """How a model evaluates outputs that no given tests decide."""

    SCORES = "scores"
    """Each gets a score of its own; the first that is good enough ends the task."""
    PAIRS = "pairs"
    """All samples are made and compared in pairs; only the one that is chosen gets a score."""


class PairChoice(StrEnum):
    """Which of two results is the better one, by the letters under which they are shown."""

    A = "A"
    """The first."""
    B = "B"
    """The second."""
    TIE = "tie"
    """Neither."""


class ModelOrder(StrEnum):
    """Which model writes the next draft."""

    ROUTED = "routed"
    """The next of the type's row."""
    CHEAPEST = "cheapest"
    """The cheapest first, then each time a dearer one of another tier."""


@frozen
class Strategy:
    """One strategy. The loop is the same for all of them; these are its switches."""

    name: str = "reviewed"
    samples: int = 3
    """Drafts in all, as long as none passes its checks."""
    iterations: int | None = None
    """Iterations in all; None: those of the task's type, or ``samples`` where nothing is improved."""
    critique: CritiqueUse = CritiqueUse.PASSED
    runs: int | None = None
    """Evaluations of an output; None: as ``evaluate`` says; 0: no model is called for a score."""
    judge: JudgeUse = JudgeUse.ALWAYS
    repair: RepairUse = RepairUse.LAST
    improves: bool = True
    """Whether a draft that follows a low score is shown the best result so far."""
    order: ModelOrder = ModelOrder.ROUTED
    temperature: float | None = None
    """Of every draft; None: 0.3, and 0.8 for one that is made anew after another."""
    method: JudgeMethod | None = None
    """How outputs are evaluated; None: as ``evaluate`` says."""


_FIRST_COMPARISON: Final = 101
"""Beyond the samples of scores, of which there are 20 at most."""


def comparison_sample(earlier: int, *, swapped: bool) -> int:
    """The sample number of a comparison with an earlier iteration.

    Args:
        earlier: the earlier of the two iterations; the later one is that of the call.
        swapped: whether the later result is shown as A.
    """
    return _FIRST_COMPARISON + 2 * (earlier - 1) + swapped


def is_comparison(sample: int) -> bool:
    """Whether an evaluation with this sample number compares two results."""
    return sample >= _FIRST_COMPARISON


def sample_words(sample: int) -> str:
    """Which of several calls of a role and iteration it is, to follow them; empty for the first."""
    if not is_comparison(sample):
        return f", sample {sample}" if sample > 1 else ""
    before, swapped = divmod(sample - _FIRST_COMPARISON, 2)
    return f", compared with iteration {before + 1}{' in the other order' if swapped else ''}"
