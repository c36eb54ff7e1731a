"""What every event is one of, and the names of the nodes that are no task."""

from typing import Final

from attrs import frozen

PLAN: Final = "plan"
"""The node whose calls make the plan."""

ENHANCE: Final = "enhance"
"""The node whose calls suggest improvements of the project's description and criteria."""

ADVISE: Final = "advise"
"""The node whose calls advise on the architecture."""

VERIFY: Final = "verify"
"""The node that judges the result as a whole."""

FORECAST: Final = "forecast"
"""Whose question it is whether the tasks may start although the forecast's risk is high."""

DECLINED: Final = "declined"
"""Why a run was interrupted before its first task: that question was not answered with yes."""


@frozen
class Event:
    """Something that happened in one stream."""


@frozen
class Decision(Event):
    """Computed by ``decide``; ``replay --verify`` computes it again."""


@frozen
class Outcome(Event):
    """Brought in from outside."""


@frozen
class AccountEvent(Event):
    """A movement of an account, with the totals after it."""


@frozen
class EvalEvent(Event):
    """A step of an evaluation, in a stream of its own, ``eval/NAME``."""


@frozen
class ArchiveEvent(Event):
    """What is left of a run whose events were moved out of the log."""


@frozen
class WorkerEvent(Event):
    """What a worker says of itself, in a stream of its own, ``worker/NAME``."""
