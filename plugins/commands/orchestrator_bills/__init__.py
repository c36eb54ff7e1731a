"""A vendor's own bill against the log: ``costs reconcile``.

Read ``vendor_bills`` first: what a bill says of calls, and where it differs from the log. ``known_bills`` has the
columns of vendors' bills, ``billed_calls`` the calls of a log, ``reconcile`` is the command.
"""
