"""How a command takes an event: by its position in the log, ``275``, or by its version in the run, ``v24``."""

from typing import Final

import click

from orchestrator.log.event_ids import EventId, read_event_id

EVENT_HELP: Final = "275, its position in the log, or v24, its version in the run"
"""What the help of an option or argument that takes an event says of it."""


class EventIdType(click.ParamType[EventId]):
    """A parameter that takes an event."""

    name = "event"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> EventId:
        """Read it, or fail with a usage error."""
        if isinstance(value, EventId):
            return value
        try:
            return read_event_id(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


EVENT: Final = EventIdType()

__all__ = ["EVENT", "EVENT_HELP", "EventIdType"]
