"""Folds the messages of channels."""

from typing import Final

from orchestrator import events as e
from orchestrator.state.channels import Channel
from orchestrator.state.fold.open_effects import Handlers
from orchestrator.state.run import RunState


def _channel_put(state: RunState, at: int, event: e.ChannelPut) -> None:
    channel = state.channels.get(event.channel)
    if channel is None:
        channel = state.channels[event.channel] = Channel()
    channel.messages.append(event.message)
    channel.waiting[len(channel.messages)] = event.message


def _channel_taken(state: RunState, at: int, event: e.ChannelTaken) -> None:
    del state.channels[event.channel].waiting[event.number]


HANDLERS: Final[Handlers] = {
    e.ChannelPut: _channel_put,
    e.ChannelTaken: _channel_taken,
}
