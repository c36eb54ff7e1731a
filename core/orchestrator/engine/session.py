"""One session: a process that has taken a run, from SessionOpened to its end."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define

from orchestrator import events as e
from orchestrator.decide import RULES, Rank
from orchestrator.decide.outcome import reopened_by
from orchestrator.engine.answers.reuse import ResponseCache
from orchestrator.engine.effects import Effects
from orchestrator.engine.loop import Loop, Observer
from orchestrator.engine.ports import Ports
from orchestrator.engine.resources import Resources
from orchestrator.engine.shared_pace import SharedPace
from orchestrator.engine.vendors.accounts import located
from orchestrator.engine.vendors.connect import Connected
from orchestrator.engine.vendors.environment import called_by
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
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
    _drawn: bytes | None = None
    """The data folder's secret, where it is not stored yet."""

    def secret(self, ports: Ports) -> bytes:
        """The data folder's secret; where it has none yet, it is drawn, and stored with the next append.

        A simulated run needs none, and draws none: its draws are its scenario's.
        """
        if self.simulated:
            return b""
        from orchestrator.ledger.cache import SECRET_BYTES

        stored = self.log.cache_secret()
        if stored is None:
            stored = self._drawn = ports.random_bytes(SECRET_BYTES)
        return stored

    def _only_secret(self) -> "Entries | None":
        """The secret that was drawn, to be stored once."""
        from orchestrator.ledger.cache import Entries

        drawn, self._drawn = self._drawn, None
        return None if drawn is None else Entries(drawn)

    async def append(self, expected: int, at: int, events: Sequence[e.Event]) -> "Committed":
        """Write events and staged texts in one transaction; see ``EventLog.append``."""
        reusable = self.reusable(events) or self._only_secret()
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

    def opening(self, caps: Mapping[str, Usd] | None = None, priors: Sequence[e.Prior] = ()) -> e.SessionOpened:
        """The event that takes the run: ends what a dead session left, reopens what lacked a model.

        ``priors`` are what earlier runs measured; a run has them from its first session on.
        """
        state = self.state
        known = {model.id for model in self.connected.models}
        return e.SessionOpened(
            number=1 if state.session is None else state.session.number + 1,
            rules=RULES,
            program=VERSION,
            plugins=self.connected.plugins,
            models=located(self.connected.models, self.connected.providers, self.stream.secret(self.ports)),
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


def left_open(state: RunState) -> tuple[e.EndedAttempt, ...]:
    """The attempts without an end; who takes the run keeps their holds."""
    return tuple(
        e.EndedAttempt(version, opened.hold)
        for version, opened in state.pending.items()
        if isinstance(opened, e.CallStarted)
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
