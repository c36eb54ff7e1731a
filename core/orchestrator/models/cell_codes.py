"""The codes of cells: what became of a case in an arm of an evaluation."""

from enum import StrEnum


class CellOutcome(StrEnum):
    """What became of a cell of an evaluation."""

    SOLVED = "solved"
    """Its answer passes every grader."""
    FAILED = "failed"
    """It does not, or there is no answer."""
    ERROR = "error"
    """Nothing is known: it proves nothing, and counts nowhere."""


class CellProblem(StrEnum):
    """Whose error it is that a cell has no grade."""

    VENDOR = "vendor"
    """No model gave an answer: every call failed, or none could be made."""
    GRADER = "grader"
    """A grader raised, could not run, or gave no verdict."""
    INFRASTRUCTURE = "infrastructure"
    """The run itself did not come to its end."""
    BUDGET = "budget"
    """The ceiling of the evaluation refused a call."""
