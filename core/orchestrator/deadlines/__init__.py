"""Calling code of plugins, which may hang, raise or quit: in ``threads``, and ``awaiting`` it on an event loop.

Whatever is raised reaches the caller as an ``Exception``: nothing that a plugin does ends more than the call.
"""

from orchestrator.deadlines.threads import EscapedError, OutOfTimeError, harmless, outcome_of, run_in_thread

__all__ = ["EscapedError", "OutOfTimeError", "harmless", "outcome_of", "run_in_thread"]
