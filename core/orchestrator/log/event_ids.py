"""How an event is named for people: its position in the log and its version in the run, both."""

import re
from typing import Final

from attrs import frozen

_PATTERN: Final = re.compile(r"(v?)([0-9]{1,18})", re.ASCII)


def event_name(position: int | None, version: int | None) -> str:
    """``275 (v24)``; one alone where only that is known. Every command takes either, ``275`` or ``v24``."""
    if not version:
        return str(position or 0)
    return f"{position} (v{version})" if position else f"v{version}"


@frozen
class EventId:
    """An event of a run; one of both is known."""

    position: int | None = None
    version: int | None = None

    def __str__(self) -> str:
        return f"v{self.version}" if self.position is None else str(self.position)

    def reached_by(self, position: int, version: int) -> bool:
        """Whether an event with this position and version is the one, or comes after it."""
        return version >= self.version if self.version is not None else position >= (self.position or 0)

    def passed_by(self, position: int, version: int) -> bool:
        """Whether an event with this position and version comes after it."""
        return version > self.version if self.version is not None else position > (self.position or 0)

    def is_of(self, position: int, version: int) -> bool:
        """Whether it names the event with this position and version."""
        return self in (EventId(position=position), EventId(version=version))


def read_event_id(text: str) -> EventId:
    """The event that a text names.

    Raises:
        ValueError: it is neither a position nor a version, in one line.
    """
    found = _PATTERN.fullmatch(text.strip())
    number = 0 if found is None else int(found[2])
    if found is None or number < 1:
        raise ValueError(f"{text!r} is neither a position such as 275 nor a version such as v24")
    return EventId(version=number) if found[1] else EventId(position=number)
