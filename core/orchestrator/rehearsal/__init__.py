"""Plays of a run that nobody pays for: the rules themselves, on outcomes that are drawn or that were recorded.

Read ``play`` first: it is ``decide`` and ``evolve`` in virtual time. ``drawn`` brings outcomes from telemetry, for a
forecast; ``recorded`` brings those of a run that has been, for the question what other rules would have done.
"""
