"""Going through a history again: to rebuild a state, and to compute every decision anew.

Nothing here touches a network, a clock or a random source, and no provider is loaded.
"""

from collections.abc import Callable, Iterable, Sequence

from attrs import evolve as changed
from attrs import fields, frozen

from orchestrator import events as e
from orchestrator.decide import RULES, BackendError, Memo, Rank, Wait, decide
from orchestrator.spi import Ranked, RoutingCandidate
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState

RankOf = Callable[[e.SessionOpened], Rank | None]
"""The ranking of a session's backend; ``unavailable`` where it is absent or of another version."""


@frozen
class Difference:
    """A recorded decision that is not what ``decide`` answers."""

    version: int
    recorded: str
    """The event's class; empty where decide wants a decision that the log lacks."""
    expected: str
    """What decide answers: a class, or ``Wait``."""
    fields: tuple[str, ...] = ()
    """The fields that differ, where the classes agree."""

    @property
    def what(self) -> str:
        """The difference alone, without the event it is at."""
        if self.fields:
            return f"{self.recorded} differs in {', '.join(self.fields)}"
        return f"recorded {self.recorded or 'nothing'}, decide answers {self.expected}"

    def __str__(self) -> str:
        return f"v{self.version}: {self.what}"


@frozen
class Verification:
    """What recomputing a history showed."""

    decisions: int
    """Decisions that were computed again."""
    differences: tuple[Difference, ...]
    """Under the rules of this program: errors."""
    foreign: tuple[Difference, ...]
    """In sessions under other rules: information."""
    not_recomputable: tuple[int, ...]
    """Versions of decisions whose backend is absent or of another version."""


class UnavailableBackendError(Exception):
    """The backend that ranked in this session is not here."""


def unavailable(candidates: Sequence[RoutingCandidate], telemetry: object, draw: float) -> Sequence[Ranked]:
    """The ranking of a backend that is absent."""
    raise UnavailableBackendError


def no_backend(session: e.SessionOpened) -> Rank | None:
    """Treat every session's backend as absent."""
    return unavailable


def verify(history: Iterable[tuple[int, e.Event]], rank_of: RankOf) -> Verification:
    """Compute every decision of a run's history (pairs of at and event, from the beginning) again."""
    check = _Check(rank_of)
    for at, event in history:
        if not check.take(at, event):
            break
    else:
        check.end_step()
    return Verification(check.decisions, tuple(check.differences), tuple(check.foreign), tuple(check.not_recomputable))


class _Check:
    def __init__(self, rank_of: RankOf) -> None:
        self.memo = Memo()
        self.state = RunState()
        self.rank_of = rank_of
        self.rank: Rank | None = None
        self.decisions = 0
        self.differences: list[Difference] = []
        self.foreign: list[Difference] = []
        self.not_recomputable: list[int] = []
        self._last: e.Event | None = None

    def take(self, at: int, event: e.Event) -> bool:
        """Fold one event; a decision is computed first. Returns False where it does not fit the events before it."""
        if at != self.state.at:
            self.end_step()
        recorded = _as_decided(event)
        if recorded is not None:
            self._compare(at, recorded)
        try:
            apply(self.state, at, event)
        except Exception as error:  # a history that was tampered with: nothing after this can be judged
            self._report(Difference(self.state.version, type(event).__name__, f"nothing it could follow ({error})"))
            return False
        if isinstance(event, e.SessionOpened):
            self.rank = self.rank_of(event)
        self._last = event
        return True

    def end_step(self) -> None:
        """At the end of a step decide waits, unless the store was asked: then the next step follows."""
        last, self._last = self._last, None
        asked = isinstance(last, (e.CallStarted, e.AccountRefused, e.PaceRefused))
        if last is None or (asked and self.state.settings.asks_store):
            return
        expected = self._decide(self.state.at, self.state.version)
        if expected is not None and not isinstance(expected, Wait):
            self._report(Difference(self.state.version, "", type(expected).__name__))

    def _compare(self, at: int, recorded: e.Decision) -> None:
        version = self.state.version + 1
        expected = self._decide(at, version)
        if expected is None:
            return
        self.decisions += 1
        if type(expected) is not type(recorded):
            self._report(Difference(version, type(recorded).__name__, type(expected).__name__))
        elif expected != recorded:
            self._report(
                Difference(version, type(recorded).__name__, type(expected).__name__, _differing(expected, recorded))
            )

    def _decide(self, at: int, version: int) -> e.Decision | Wait | None:
        """What decide answers; None where it cannot be computed."""
        try:
            return decide(self.state, at, self.rank, self.memo)
        except UnavailableBackendError:
            self.not_recomputable.append(version)
        except BackendError as error:
            self._report(Difference(version, "", f"BackendFailed ({error.problem})"))
        except Exception as error:
            self._report(Difference(version, "", f"{type(error).__name__}: {error}"))
        return None

    def _report(self, difference: Difference) -> None:
        session = self.state.session
        same_rules = session is None or session.rules == RULES
        (self.differences if same_rules else self.foreign).append(difference)


def _as_decided(event: e.Event) -> e.Decision | None:
    """The decision an event records: itself, without what append filled in, or the one that was refused."""
    if isinstance(event, (e.AccountRefused, e.PaceRefused)):
        return event.call
    if isinstance(event, e.CallStarted):
        return changed(event, accounts=())
    return event if isinstance(event, e.Decision) else None


def _differing(one: e.Decision, other: e.Decision) -> tuple[str, ...]:
    return tuple(field.name for field in fields(type(one)) if getattr(one, field.name) != getattr(other, field.name))
