"""What a run tells afterwards, and what other rules would have made of it.

Why this model (``explaining_history``), the run as one page (``report``), plays of plans and of recorded runs under the
real rules (``rehearsal``), forks and the difference of two runs (``forks``, ``run_difference``), several runs side by
side (``agents``); ``commands`` shows each at the command line.
"""
