"""The messages of a run's channels."""

from attrs import frozen

from orchestrator.events.kinds import Outcome


@frozen
class ChannelPut(Outcome):
    """A message was put into a channel of the run."""

    channel: str
    message: str
    """Digest of the message as JSON. It is numbered within its channel, from 1."""


@frozen
class ChannelTaken(Outcome):
    """A message was taken out of a channel."""

    channel: str
    number: int
