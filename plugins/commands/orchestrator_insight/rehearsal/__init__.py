"""Simulated plays of a run: the rules themselves, on outcomes that are drawn or that were recorded.

Read ``play`` first: it is ``decide`` and ``apply`` in virtual time. ``monte_carlo`` draws outcomes from telemetry, for
a forecast; ``recorded`` brings those of a run that has been, for the question what other rules would have done.
"""
