"""How an event is named for people: its position in the log and its version in the run, both; and what streams are."""

from typing import Final

EVAL: Final = "eval/"
"""What the names of the streams of evaluations begin with, and those of the accounts that bind their runs."""


def is_evaluation(stream: str) -> bool:
    """Whether a stream is that of an evaluation."""
    return stream.startswith(EVAL)


def event_name(position: int | None, version: int | None) -> str:
    """``275 (v24)``; one alone where only that is known. Every command takes either, ``275`` or ``v24``."""
    if not version:
        return str(position or 0)
    return f"{position} (v{version})" if position else f"v{version}"
