"""Laws of what is beside the tasks: the verification of the whole result, and the channels."""

from collections import Counter

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.models import Verdict
from orchestrator_audit.laws.batches import BatchLaws


@define
class Endings(BatchLaws):
    """The verification and the messages."""

    verdict: Verdict | None = None
    """Of the whole result."""
    messages: Counter[str] = Factory(Counter)
    """How many were put, by channel."""
    taken: set[tuple[str, int]] = Factory(set)

    def forget_verification(self) -> None:
        """A fork's result is another than its parent's."""
        self.verdict = None

    def verification_started(self, event: e.VerificationStarted) -> None:
        """Only where the run wants it, once, when every task has ended and some have an output, within the time."""
        settings = self.state.settings
        self.require("intents", settings.verify, "a verification that the settings do not ask for")
        self.require("intents", self.verdict is None, "a second verification")
        self.require("intents", not self.open_effects, "a verification beside open effects")
        over = self.ended.keys() == self.planned.keys()
        self.require("intents", over, "a verification before every task has ended")
        self.require("intents", bool(self.chosen), "a verification of nothing")
        in_time = self.state.active(self.at) < self.state.time_limit
        self.require("limits", in_time, "a verification after the deadline")
        bounded = 0 < event.timeout <= settings.limits.verify_timeout
        self.require("limits", bounded, "a verification's time is out of bounds")
        self.open_effects[self.version] = event

    def result_verified(self, event: e.ResultVerified) -> None:
        """It ends the open verification."""
        opened = self.open_effects.pop(event.verification, None)
        self.require("intents", isinstance(opened, e.VerificationStarted), "ResultVerified ends no verification")
        self.verdict = event.verdict

    def channel_put(self, event: e.ChannelPut) -> None:
        """Only while a session is open."""
        self.require("sessions", self.is_open, "a message without an open session")
        self.messages[event.channel] += 1

    def channel_taken(self, event: e.ChannelTaken) -> None:
        """A message that was put, once."""
        self.require("sessions", self.is_open, "a message is taken without an open session")
        put = 0 < event.number <= self.messages[event.channel]
        self.require("intents", put, "a message is taken that was never put")
        self.require("intents", (event.channel, event.number) not in self.taken, "a message is taken twice")
        self.taken.add((event.channel, event.number))
