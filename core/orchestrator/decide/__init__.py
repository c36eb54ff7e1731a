"""The brain: pure functions from a state to the next decision.

``decide(state, now, rank)`` answers with one decision, or with a Wait. Equal arguments give equal answers: no clock,
no randomness, no text is in reach. Read ``schedule`` first, then ``review``, ``asking``, ``routing`` and ``spending``.
"""

from orchestrator.decide.context import BackendError, Rank, Wait
from orchestrator.decide.schedule import RULES, decide

__all__ = ["RULES", "BackendError", "Rank", "Wait", "decide"]
