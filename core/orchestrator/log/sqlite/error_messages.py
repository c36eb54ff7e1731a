"""Errors of SQLite, as people can act on them."""

import sqlite3
from typing import Final

from orchestrator.log.protocol import StoreError

UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What ``sqlite3`` raises where a file is damaged; the second where its message quotes damaged bytes."""


def explained(error: BaseException) -> str:
    """Why the database cannot be used, and what to do, on one line."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return "the file is damaged: restore it, or choose another folder with --home"
    if isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorname == "SQLITE_CONSTRAINT_TRIGGER":
        return text  # a closed log says itself what to do
    if "full" in text:
        return "the disk is full: free some space, then resume"
    if "readonly" in text or "unable to open" in text:
        return f"the data folder cannot be written ({text}): make it writable, or choose another with --home"
    if "not a database" in text or "malformed" in text:
        return f"the file is damaged or no event log ({text}): restore it, or choose another folder with --home"
    if "locked" in text:
        return f"another program keeps the event log locked ({text}): close it, then resume"
    return f"{text or type(error).__name__}: remove the cause, then resume"


def unreadable(error: BaseException) -> StoreError:
    """The error of a database that cannot be read."""
    return StoreError(f"the event log cannot be read: {explained(error)}", str(error))
