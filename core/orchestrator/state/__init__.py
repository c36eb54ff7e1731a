"""What a history amounts to: plain values, and the fold that makes them.

Nothing here knows a rule. The fold records what an event says, counts of it, and which effects are open, so that
a change of rules never changes what an old log amounts to.
"""
