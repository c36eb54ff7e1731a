"""The brain: pure functions from a state to the next decision.

``decide(state, now, rank, memo)`` answers with one decision, or with a Wait. Equal arguments give equal answers: no
clock, no randomness, no text is in reach. The memo only saves time. Read ``schedule`` first, then ``review``,
``calling``, ``routing`` and ``spending``.
"""

from orchestrator.decide.roster import Memo
from orchestrator.decide.round_context import BackendError, Rank, Wait
from orchestrator.decide.schedule import RULES, decide

__all__ = ["RULES", "BackendError", "Memo", "Rank", "Wait", "decide"]
