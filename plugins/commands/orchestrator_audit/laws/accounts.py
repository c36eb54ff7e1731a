"""Laws of accounts: their totals follow from their events, and agree with the runs that draw on them."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.ledger.accounts import is_advanced, stream_of
from orchestrator.ledger.advances import CLOSING
from orchestrator.money import Usd
from orchestrator_audit.laws.advances import AdvanceLaws, Granted, GrantedCall, GrantedClose, GrantedEnd

History = Sequence[tuple[int, e.Event]]

_Call = tuple[str, int]
"""A run, and the version of a CallStarted."""


@define
class _Side:
    """What the runs say of one account."""

    settled: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO
    in_flight: Usd = Usd.ZERO
    entries: dict[_Call, tuple[Usd, e.AccountEntry]] = Factory(dict)
    """The hold of every call, and where it stands in the account."""
    granted: dict[str, list[Granted]] = Factory(dict)
    """By run the calls that its advance granted, their ends, and those of its sessions."""
    archived: dict[str, Usd] = Factory(dict)
    """By archived run what its calls settled."""


@define
class AccountUse:
    """What runs have drawn on accounts, by the accounts' streams."""

    sides: dict[str, _Side] = Factory(dict)
    missing: list[tuple[str, int, str]] = Factory(list)
    """Run, version and account of every call that is in none of its entries."""
    _open: dict[_Call, tuple[Usd, dict[str, bool]]] = Factory(dict)
    """By call its hold, and by account whether the run's advance granted it."""
    _names: dict[str, tuple[str, ...]] = Factory(dict)
    _simulated: dict[str, bool] = Factory(dict)

    def take(self, run: str, version: int, event: e.Event) -> None:
        """Count an event of the run's own stream."""
        match event:
            case e.RunStarted(settings=settings) | e.RunForked(settings=settings):
                self._names[run] = tuple(stream_of(name, settings.simulated) for name in settings.accounts)
                self._simulated[run] = settings.simulated
            case e.CallStarted():
                self._started(run, version, event)
            case e.CallSucceeded() | e.CallFailed():
                self._ended((run, event.call), version, event.settled, event.unreconciled)
            case e.SessionOpened() | e.SessionLost():
                for attempt in event.ended:
                    self._ended((run, attempt.call), version, Usd.ZERO, attempt.amount)
            case e.SpendReconciled():
                _, names = self._open.pop((run, event.call), (Usd.ZERO, {}))
                for name, is_granted in names.items():
                    side = self.sides[name]
                    if is_granted:
                        side.granted[run].append(GrantedEnd(version, event.call, event.settled, Usd.ZERO))
                    side.settled, side.unreconciled = (
                        side.settled + event.settled,
                        side.unreconciled - event.unreconciled,
                    )

        if isinstance(event, CLOSING):
            for side in self.sides.values():
                if run in side.granted:
                    side.granted[run].append(GrantedClose(version))

    def take_archived(self, run: str, archived: e.RunArchived) -> set[str]:
        """Count a run of which one event is left; the streams of its accounts."""
        streams = {stream_of(name, archived.simulated): settled for name, settled in archived.accounts.items()}
        for stream, settled in streams.items():
            side = self.sides.setdefault(stream, _Side())
            side.settled += settled
            side.archived[run] = settled
        return set(streams)

    def _started(self, run: str, version: int, event: e.CallStarted) -> None:
        simulated = self._simulated.get(run, False)
        entries = {stream_of(entry.name, simulated): entry for entry in event.accounts}
        names = {name: entry.advance is not None for name, entry in entries.items()}
        wanted = self._names.get(run, ())
        self.missing.extend((run, version, name) for name in wanted if name not in names)
        for name, entry in entries.items():
            side = self.sides.setdefault(name, _Side())
            if entry.advance is None:
                side.entries[run, version] = (event.hold, entry)
            else:
                granted = GrantedCall(
                    version, event.hold, entry.version, entry.balance, entry.advance, is_advanced(event)
                )
                side.granted.setdefault(run, []).append(granted)
            side.in_flight += event.hold
        if names:
            self._open[run, version] = (event.hold, names)

    def _ended(self, call: _Call, version: int, settled: Usd, unreconciled: Usd) -> None:
        hold, names = self._open.get(call, (Usd.ZERO, {}))
        for name, is_granted in names.items():
            side = self.sides[name]
            if is_granted:
                side.granted[call[0]].append(GrantedEnd(version, call[1], settled, unreconciled))
            side.settled, side.unreconciled = side.settled + settled, side.unreconciled + unreconciled
            side.in_flight -= hold
        if not unreconciled:
            self._open.pop(call, None)


@define
class AccountLaws:
    """Takes the events of one account and tells every law they break.

    Args:
        drawn: what the runs say of it, where they were looked at.
        runs: the runs that were; None: all there are.
    """

    used: _Side | None = None
    runs: frozenset[str] | None = None
    version: int = 0
    totals: e.Totals = e.Totals()
    _holds: dict[_Call, Usd] = Factory(dict)
    _unreconciled: dict[_Call, Usd] = Factory(dict)
    _advances: dict[str, AdvanceLaws] = Factory(dict)
    """By run what it has of the account."""
    _settled: dict[str, Usd] = Factory(dict)
    """By run what the account says of its calls."""

    def take(self, event: e.Event) -> Iterable[str]:
        """Check the next event; yields what is wrong with it."""
        self.version += 1
        totals = getattr(event, "totals", None)
        if not isinstance(totals, e.Totals):
            yield f"{type(event).__name__} is no event of an account"
            return
        if totals.settled + totals.held > totals.cap + totals.excess:
            yield "settled + held is beyond cap + excess"
        if not Usd.ZERO <= totals.unreconciled <= totals.held:
            yield "the unreconciled amount is not within the held one"
        if totals != self._after(event, totals):
            yield f"{type(event).__name__} does not lead to its totals"
        if isinstance(event, e.Held):
            yield from self._entry(event, totals)
        elif isinstance(event, e.Advanced):
            yield from self._advanced(event, totals)
        elif isinstance(event, e.Settled | e.Reconciled):
            self._settled[event.run] = self._settled.get(event.run, Usd.ZERO) + event.amount
        self.totals = totals

    def _after(self, event: e.Event, totals: e.Totals) -> e.Totals | None:
        """The totals that must follow; None where the event ends something that is not there."""
        was = self.totals
        cap, settled, held, unreconciled = was.cap, was.settled, was.held, was.unreconciled
        excess, advance = was.excess, was.advance
        match event:
            case e.AccountOpened() | e.CapSet():
                return e.Totals(totals.cap, settled, held, unreconciled, excess, totals.advance)
            case e.Held():
                self._holds[event.run, event.call] = event.amount
                return e.Totals(cap, settled, held + event.amount, unreconciled, excess, advance)
            case e.Advanced():
                lost = sum((each.amount for each in event.unreconciled), Usd.ZERO)
                moved = event.taken - event.returned - (event.settled - event.excess)
                return e.Totals(
                    cap, settled + event.settled, held + moved, unreconciled + lost, excess + event.excess, advance
                )
            case e.Reconciled():
                if self._unreconciled.pop((event.run, event.call), None) != event.unreconciled:
                    return None
                beyond = max(Usd.ZERO, event.amount - event.unreconciled)
                return e.Totals(
                    cap,
                    settled + event.amount,
                    held - event.unreconciled,
                    unreconciled - event.unreconciled,
                    excess + beyond,
                    advance,
                )
            case e.Settled() | e.Released() | e.Unreconciled():
                if self._holds.pop((event.run, event.call), None) != event.hold:
                    return None
        match event:
            case e.Unreconciled():
                self._unreconciled[event.run, event.call] = event.hold
                return e.Totals(cap, settled, held, unreconciled + event.hold, excess, advance)
            case e.Released():
                return e.Totals(cap, settled, held - event.hold, unreconciled, excess, advance)
            case e.Settled():
                beyond = max(Usd.ZERO, event.amount - event.hold)
                return e.Totals(cap, settled + event.amount, held - event.hold, unreconciled, excess + beyond, advance)
        return None

    def _entry(self, event: e.Held, totals: e.Totals) -> Iterable[str]:
        """The run's CallStarted says the same of the hold."""
        if self.used is None or (self.runs is not None and event.run not in self.runs):
            return
        if event.run in self.used.archived:  # its calls are in its bundle
            return
        found = self.used.entries.pop((event.run, event.call), None)
        balance = totals.settled + totals.held
        if found is None or (found[0], found[1].version) != (event.amount, self.version):
            yield f"{event.run}, version {event.call}: the CallStarted and its Held do not agree"
        elif found[1].balance != balance:
            yield f"{event.run}, version {event.call}: the balance is not the account's"

    def _advanced(self, event: e.Advanced, totals: e.Totals) -> Iterable[str]:
        """The run's calls came to what the account says of its advance."""
        run = event.run
        self._settled[run] = self._settled.get(run, Usd.ZERO) + event.settled
        self._unreconciled.update({(run, each.call): each.amount for each in event.unreconciled})
        laws = self._advances.get(run)
        if laws is None:
            is_known = self.used is not None and (self.runs is None or run in self.runs)
            is_known = is_known and self.used is not None and run not in self.used.archived
            calls = self.used.granted.pop(run, []) if is_known and self.used is not None else None
            laws = self._advances[run] = AdvanceLaws(run, calls)
        yield from laws.take(event, self.version, self.totals)

    def finish(self) -> Iterable[str]:
        """Check the end against the runs; yields what is wrong with it."""
        if self.used is None:
            return
        for laws in self._advances.values():
            yield from laws.finish()
        for run in self.used.granted:
            if self.runs is None or run in self.runs:
                yield f"{run}: its calls are granted by an advance that the account never gave"
        for run, call in self.used.entries:
            yield f"{run}, version {call}: the CallStarted and its Held do not agree"
        for run, settled in self.used.archived.items():
            own = self._settled.get(run, Usd.ZERO)
            if own != settled:
                yield f"{run} is archived with {settled} settled, and the account has settled {own} for it"
            advance = self._advances.get(run)
            is_open = advance is not None and advance.open > Usd.ZERO
            if is_open or any(call[0] == run for call in (*self._holds, *self._unreconciled)):
                yield f"{run} is archived, and the account still holds money for it"
        if self.runs is not None:
            return
        used, totals, advances = self.used, self.totals, self._advances.values()
        settled = used.settled - sum((each.settled for each in advances), Usd.ZERO)
        unreconciled = used.unreconciled - sum((each.unreconciled for each in advances), Usd.ZERO)
        if (settled, unreconciled) != (totals.settled, totals.unreconciled):
            yield (
                f"settled and unreconciled are {totals.settled} and {totals.unreconciled},"
                f" of the runs {settled} and {unreconciled}"
            )
        granted = sum((each.open - each.in_flight for each in advances), Usd.ZERO)
        if totals.held != unreconciled + used.in_flight + granted:
            yield f"{totals.held} is held, of the runs {unreconciled + used.in_flight + granted}"


def side_of(used: AccountUse, stream: str) -> _Side:
    """What the runs say of an account; nothing where none names it."""
    return used.sides.get(stream, _Side())


def broken_accounts(accounts: Mapping[str, History], histories: Mapping[str, History]) -> list[str]:
    """Every law that accounts (histories by name) break, by themselves and against the runs, none of which is a fork.

    The runs are all simulated, or none is.
    """
    used = AccountUse()
    for run, history in histories.items():
        for version, (_, event) in enumerate(history, 1):
            used.take(run, version, event)
    problems = [f"{name}: {run}, version {version}: held nowhere" for run, version, name in used.missing]
    for name, history in accounts.items():
        laws = AccountLaws(used.sides.get(stream_of(name, True)) or side_of(used, stream_of(name)))
        for _, event in history:
            problems += [f"{name}: version {laws.version}: {problem}" for problem in laws.take(event)]
        if history:
            problems += [f"{name}: {problem}" for problem in laws.finish()]
    return problems
