"""One session: a process that has taken a run, from SessionOpened to its end."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define

from orchestrator import events as e
from orchestrator.decide import RULES, Rank
from orchestrator.decide.outcome import reopened_by
from orchestrator.engine.answers.cached_answers import ResponseCache
from orchestrator.engine.effects import Effects
from orchestrator.engine.loop import Loop, Observer
from orchestrator.engine.ports import Ports
from orchestrator.engine.resources import Resources
from orchestrator.engine.session_pace import SharedPace
from orchestrator.engine.vendors.environment import called_by
from orchestrator.engine.vendors.model_accounts import located
from orchestrator.engine.vendors.session_providers import Connected
from orchestrator.errors import UsageError
from orchestrator.models import Lane, ProjectStatus
from orchestrator.money import Usd
from orchestrator.spi import BatchProvider
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState

if TYPE_CHECKING:
    from orchestrator.ledger.append import Committed
    from orchestrator.ledger.cache import Entries
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.log import Texts

VERSION: Final = "0.1.0"


@define
class RunLog:
    """The stream of one run: appends events together with the texts they refer to."""

    log: "EventLog"
    run: str
    texts: "Texts"
    accounts: tuple[str, ...] = ()
    simulated: bool = False
    on_refused: Callable[[e.AccountRefused], Awaitable[None]] | None = None
    """Called when an account had too little free, before the loop goes on."""
    reusable: "Callable[[Sequence[e.Event]], Entries | None]" = lambda events: None
    """What events leave to the response cache."""
    pace: SharedPace | None = None
    """What the session's calls take of the paces of all runs."""
    head: str = ""
    """The hash of the last event appended here."""

    async def append(self, expected: int, at: int, events: Sequence[e.Event]) -> "Committed":
        """Write events and staged texts in one transaction; see ``EventLog.append``."""
        reusable = self.reusable(events)
        pace = None if self.pace is None else self.pace.changes(at, events)
        committed = await self.log.append(
            self.run,
            expected,
            at,
            events,
            self.texts.take(),
            salt=self.texts.salt if expected == 0 else None,
            accounts=self.accounts,
            simulated=self.simulated,
            reusable=reusable,
            pace=pace,
        )
        self.head = committed.hash
        if self.pace is not None:
            self.pace.committed(expected + 1, committed.events)
        last = committed.events[-1]
        if self.on_refused is not None and isinstance(last, e.AccountRefused):
            await self.on_refused(last)
        return committed


@define
class Session:
    """Everything one session works with."""

    stream: RunLog
    state: RunState
    ports: Ports
    rank: Rank | None
    resources: Resources
    observers: Sequence[Observer] = ()

    @property
    def connected(self) -> Connected:
        """The providers, models, slots and plugins of the session."""
        return self.resources.connected

    def loop(self) -> Loop:
        """The loop that will run it."""
        stream = self.stream
        cache = ResponseCache(stream.log, self.ports.random_bytes, stream.simulated)
        effects = Effects.of(stream.run, self.state, stream.texts, self.ports, self.resources, cache)
        stream.reusable, stream.pace = effects.calls.reusable, effects.calls.pace
        return Loop(self.state, stream, effects, self.ports, self.rank, self.observers)

    def opening(
        self, caps: Mapping[str, Usd] | None = None, priors: Sequence[e.Prior] = (), secret: bytes = b""
    ) -> e.SessionOpened:
        """The event that takes the run: ends what a dead session left, reopens what lacked a model.

        Args:
            caps: of the accounts above the run.
            priors: what earlier runs measured; a run has them from its first session on.
            secret: the data folder's, under which vendors' accounts are named; simulated runs have no such accounts.
        """
        state = self.state
        known = {model.id for model in self.connected.models}
        models = located(self.connected.models, self.connected.providers, secret)
        self._check_batches()
        return e.SessionOpened(
            number=1 if state.session is None else state.session.number + 1,
            rules=RULES,
            program=VERSION,
            plugins=self.connected.plugins,
            models=models,
            slots=self.connected.slots,
            files=self.resources.writer is not None,
            caps=dict(caps or {}),
            ended=left_open(state),
            reopened=reopened_by(state, "model") if _is(state, ProjectStatus.SYSTEM_FAILURE) else (),
            priors=tuple(prior for prior in priors if prior.model in known) if state.session is None else (),
            can_ask=self.resources.asker is not None,
            local=self.connected.local,
            by=called_by(os.environ),
        )

    def _check_batches(self) -> None:
        """Refuse to go on without the provider that a batch waits at.

        Raises:
            UsageError: its results could not be collected.
        """
        for batched in self.state.batched.values():
            provider, run = batched.model.provider, self.stream.run
            if not isinstance(self.connected.providers.get(provider), BatchProvider):
                raise UsageError(
                    f"run {run} waits for a batch, and the provider {provider} cannot be used: make it as it was and "
                    f"resume, or go on without the batch in a fork: orchestrate fork {run}"
                )


def left_open(state: RunState) -> tuple[e.EndedAttempt, ...]:
    """The attempts that no process can go on with; who takes the run keeps their holds.

    Those of the lane ``batch`` are not among them: their results are still to be had.
    """
    return tuple(
        e.EndedAttempt(version, opened.hold)
        for version, opened in state.pending.items()
        if isinstance(opened, e.CallStarted) and opened.lane is Lane.INTERACTIVE
    )


def _is(state: RunState, status: ProjectStatus) -> bool:
    return state.finished is not None and state.finished.status is status


async def append_remedies(stream: RunLog, state: RunState, ports: Ports, remedies: Sequence[e.Outcome]) -> None:
    """Append what a command brings in before a session opens; first SessionLost, where a dead one is still open."""
    events: list[e.Outcome] = list(remedies)
    if state.is_open and state.session is not None:
        events.insert(0, e.SessionLost(state.session.number, left_open(state)))
    if not events:
        return
    expected, now = state.version, max(ports.clock(), state.at + 1)
    await stream.append(expected, now, events)
    for event in events:
        apply(state, now, event)


def raised_budget(state: RunState, extra: Usd) -> e.BudgetRaised:
    """The run's cap, higher by ``extra``, and the tasks that can go on."""
    return e.BudgetRaised(state.cap + extra, reopened_by(state, "budget"))


def raised_time(state: RunState, extra: int) -> e.TimeRaised:
    """The run's time limit, longer by ``extra`` microseconds, and the tasks that can go on."""
    return e.TimeRaised(state.time_limit + extra, reopened_by(state, "time"))
