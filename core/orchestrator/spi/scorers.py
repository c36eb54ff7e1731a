"""Scorers: graded scores of outputs, beside or in place of a model that judges."""

from collections.abc import Callable

from attrs import frozen

from orchestrator.spi.validators import Candidate, Run, find_tool, no_sandbox


@frozen
class Score:
    """How good an output is, with the reasons."""

    value: float
    """From 0 to 1; it is rounded to six decimal places."""
    reasons: str = ""
    """Why it is not better: for people, and for the model that improves the output. A few lines; longer is cut."""


@frozen
class ScorerContext:
    """What a scorer is lent for one output."""

    prompt: str = ""
    """The task, as the plan has it."""
    criteria: str = ""
    """The success criteria of the project."""
    timeout: float = 30.0
    """Seconds after which its score no longer counts."""
    run: Run = no_sandbox
    """Runs a command in the sandbox."""
    tool: Callable[[str], str | None] = find_tool
    """The absolute path of an installed program, or None."""


Scorer = Callable[[Candidate, ScorerContext], Score]
"""Scores an output that has passed its checks. Called in a thread; it may block. Where it raises there is no score."""
