"""Laws of pace: in no window of time starts more than the run's limits and its policies say."""

from collections.abc import Iterator
from typing import Final

from attrs import define, evolve

from orchestrator import events as e
from orchestrator.decide.compliance import binding
from orchestrator.models import Lane
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode, RateLimit
from orchestrator.settings import SECOND
from orchestrator_audit.laws.shadow_state import Call, PacedStart, ShadowState

_MINUTE: Final = 60 * SECOND
_HOUR: Final = 3600 * SECOND
_DAY: Final = 86_400 * SECOND


@define
class Pacing(ShadowState):
    """The attempts of the last day."""

    def pace(self, event: e.CallStarted) -> None:
        """In no window of time is more started than the limits of the run and of its HARD policies say."""
        settings, limits = self.state.settings, self.state.settings.limits
        hidden = self.models[event.model].hidden_tokens if event.model in self.models else 0
        tokens = event.body_bytes + hidden + event.max_tokens
        for name, most, size in (
            ("requests", limits.requests_per_minute, 1),
            ("tokens", limits.tokens_per_minute, tokens),
        ):
            limit = most.get(event.provider, most.get("*"))
            if limit is None or event.lane is Lane.BATCH:
                continue
            same = [start for _, start in self._since(_MINUTE) if start.provider == event.provider]
            taken = len(same) if name == "requests" else sum(start.tokens for start in same)
            fits = taken + size <= limit or not same
            self.require("limits", fits, f"more {name} start in a minute than {event.provider} is asked for")
        of_the_run = len(settings.policies)
        for number, policy in enumerate(binding(settings, event.node)):
            if policy.rate_limit is not None and policy.enforcement_mode is EnforcementMode.HARD:
                node = None if number < of_the_run else event.node
                self._rate(policy.rate_limit, node, event.hold, tokens)
        paced = event.provider if event.lane is Lane.INTERACTIVE else ""  # a batch takes up nothing of these limits
        self.starts[self.version] = PacedStart(self.at, event.node, paced, tokens)
        while self.starts[oldest := next(iter(self.starts))].at <= self.at - _DAY:
            del self.starts[oldest]

    def keeps_its_reservation(self, event: e.CallStarted, call: Call) -> None:
        """A call with a reservation does not start before it; without one, or long after it, it has no ticket."""
        reservation, ticket = call.reservation, event.ticket
        if reservation is None:
            self.require("limits", ticket is None, "a call has a ticket, and no reservation")
            return
        version, until, lapses = reservation
        self.require("limits", self.at >= until, "a call starts before its reservation")
        own = version if self.at <= lapses else None
        self.require("limits", ticket == own, "a call has another ticket than its reservation's")

    def _rate(self, limit: RateLimit, node: str | None, hold: Usd, tokens: int) -> None:
        def within(length: int) -> list[tuple[int, PacedStart]]:
            return [(version, start) for version, start in self._since(length) if node in (None, start.node)]

        if limit.calls_per_minute is not None:
            calls = within(_MINUTE)
            fits = len(calls) < limit.calls_per_minute or not calls
            self.require("policies", fits, "a policy's calls per minute are exceeded")
        if limit.cost_usd_per_hour is not None:
            hour = within(_HOUR)
            spent = sum((self._cost(version) for version, _ in hour), hold)
            self.require(
                "policies", spent <= limit.cost_usd_per_hour or not hour, "a policy's cost per hour is exceeded"
            )
        if limit.tokens_per_day is not None:
            day = within(_DAY)
            fits = sum(start.tokens for _, start in day) + tokens <= limit.tokens_per_day or not day
            self.require("policies", fits, "a policy's tokens per day are exceeded")

    def _cost(self, version: int) -> Usd:
        opened = self.open_effects.get(version)
        return opened.hold if isinstance(opened, e.CallStarted) else self.costs.get(version, Usd.ZERO)

    def _since(self, length: int) -> Iterator[tuple[int, PacedStart]]:
        """The attempts of the last so many microseconds, latest first."""
        for version in reversed(self.starts):
            if self.starts[version].at <= self.at - length:
                return
            yield version, self.starts[version]

    def used(self, event: e.CallSucceeded) -> None:
        """An attempt that has ended counts with the tokens it used."""
        start = self.starts.get(event.call)
        if start is not None and event.usage is not None:
            tokens = event.usage.input_tokens + event.usage.output_tokens
            self.starts[event.call] = evolve(start, tokens=tokens)
