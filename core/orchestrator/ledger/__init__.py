"""The log as this program keeps it: with accounts of money, paces, lineage, mailbox, cache and retention; over ``log``.

``event_log.EventLog`` writes and reads it; what belongs to one subject is in the module of that name.
"""
