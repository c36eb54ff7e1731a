"""The shadow state an audit keeps of one run: its own, so that it trusts neither the fold nor ``decide``."""

from collections import Counter
from typing import Final

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.models import PHASE_OF, ModelInfo, PairChoice, Phase, PlannedTask, Role, Verdict
from orchestrator.money import Usd
from orchestrator.state.calls import CallKey
from orchestrator.state.run import RunState

OF_A_HISTORY: Final = (
    "sessions",
    "intents",
    "holds",
    "spend",
    "policies",
    "reviewers",
    "gates",
    "statuses",
    "limits",
)
"""The names of the checks that are made over a run's events."""

_OF_THE_RULES: Final = frozenset({"limits"})
"""Checks of what other rules may do otherwise."""

_MOST: Final = 1000


@define
class Call:
    """One logical call, as an audit sees it."""

    attempts: int = 0
    ended: int = 0
    ended_before: int = 0
    took: int = 0
    """Microseconds, of the attempts that a vendor ended since the latest reopening."""
    tries: Counter[str] = Factory(Counter)
    selected: list[str] = Factory(list)
    """Models since the latest reopening."""
    selections: int = 0
    selection: e.ModelSelected | None = None
    prepared: e.CallPrepared | None = None
    in_flight: bool = False
    answered: bool = False
    refused: bool = False
    ready: int = 0
    """Not to be asked again before."""
    smallest: int | None = None
    refusals: list[tuple[int, e.AccountRefused]] = Factory(list)
    reservation: tuple[int, int, int] | None = None
    """Its reservation: version of the PaceRefused, when it begins, and when it lapses."""
    paced: int = 0
    """How often it was made to wait for other runs, since it last started."""
    cut: list[int] = Factory(list)
    """The limits at which answers of the selection were cut off."""
    largest: dict[str, int] = Factory(dict)
    """The most that each model was asked for since the latest reopening."""
    grown: set[str] = Factory(set)
    """The models that were asked with more room since."""
    first_cut: dict[str, int] = Factory(dict)
    """By model, the limit at which its first answer since was cut off that was."""
    full: int = 0
    """The most its latest attempt could have been asked for."""
    unusable: list[str] = Factory(list)
    """The models of the answers that could not be used, oldest first."""
    unusable_before: int = 0
    """How many there were before the latest reopening."""
    latest_unusable: int | None = None
    """Version of the call of the latest."""
    shrunk: bool = False
    """Whether its latest answer was cut off at less than that."""
    cut_off: bool = False
    """Whether its latest answer was cut off, and not read as a plan or a score."""

    def forget_reservation(self) -> None:
        """It has used its reservation, or has none any more."""
        self.reservation, self.paced = None, 0

    def reopen(self) -> None:
        """Begin anew; what was answered stays answered."""
        self.ended_before = self.ended
        self.unusable_before = len(self.unusable)
        self.took = 0
        self.tries.clear()
        self.selected.clear()
        self.largest.clear()
        self.grown.clear()
        self.first_cut.clear()
        self.selection = None
        self.refused = False
        self.ready = 0
        self.cut_off = False


@frozen
class Written:
    """A draft or a revision, as an audit sees it."""

    iteration: int
    role: Role
    model: str
    equivalence: str | None


@define
class Breaker:
    """An open breaker."""

    until: int | None
    """None: for the rest of the session."""
    probe: int | None = None
    """Version of the CallStarted."""


@frozen
class PacedStart:
    """An attempt, as far as pacing is concerned."""

    at: int
    node: str
    provider: str
    tokens: int


@define
class Breach:
    """A law that was broken at a version of the history."""

    check: str
    version: int
    message: str


@define
class ShadowState:
    """What was taken of a run's history so far, and every breach found."""

    breaches: list[Breach] = Factory(list)
    version: int = 0
    at: int = 0
    state: RunState = Factory(RunState)
    """The fold of what was taken; used for measurements only."""
    foreign: bool = False
    """Whether a session was under other rules, so that what depends on them was not judged."""

    cap: Usd = Usd.ZERO
    settled: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO
    excess: Usd = Usd.ZERO
    in_flight: Usd = Usd.ZERO
    inherited: tuple[Usd, Usd] = (Usd.ZERO, Usd.ZERO)
    """Settled and unreconciled, by the runs whose past it shares."""
    by_node: dict[str, Usd] = Factory(dict)
    by_phase: dict[Phase, Usd] = Factory(dict)
    by_call: dict[CallKey, Usd] = Factory(dict)

    unreconciled_calls: dict[int, e.CallStarted] = Factory(dict)
    """The ended attempts of unknown cost, by version."""
    calls: dict[CallKey, Call] = Factory(dict)
    open_effects: dict[int, e.Event] = Factory(dict)
    models: dict[str, ModelInfo] = Factory(dict)
    authors: dict[tuple[str, int, Role], str] = Factory(dict)
    """Who wrote the usable draft or revision of an iteration."""
    written: dict[str, dict[int, Written]] = Factory(dict)
    """By task, the drafts and revisions that can be used, by the version of their call."""
    verdicts: dict[tuple[str, int], dict[str, e.Validated]] = Factory(dict)
    """By task and call whose answer was judged: the verdicts by validator."""
    checked: set[tuple[str, int]] = Factory(set)
    """The task and the call of every answer of which a check has begun."""
    probed: set[tuple[str, int]] = Factory(set)
    scorings: dict[tuple[str, int], float | None] = Factory(dict)
    """The task and the critique of every probe."""
    starts: dict[int, PacedStart] = Factory(dict)
    """The attempts of the last day, by version."""
    costs: dict[int, Usd] = Factory(dict)
    """What each attempt that has ended cost, unreconciled money included."""
    breakers: dict[str, Breaker] = Factory(dict)
    host_breakers: dict[str, Breaker] = Factory(dict)
    """The same by host; of the session."""
    answered_hosts: set[str] = Factory(set)
    """Those that have answered in the session."""
    unreachable_since: dict[str, int] = Factory(dict)
    """By host, when the first of the attempts began that have not reached it since it was last reached."""
    dead_models: set[str] = Factory(set)
    """Not to be asked in this session."""
    exceeded: set[str] = Factory(set)
    session: e.SessionOpened | None = None
    session_version: int = 0
    is_open: bool = False
    planned: dict[str, PlannedTask] = Factory(dict)
    answered_by: dict[int, str] = Factory(dict)
    """The models by version of the calls that they answered."""
    fallback_plan: bool = False
    forecast: bool = False
    asked: int = 0
    """How often a person was asked whether the tasks may start at a high risk."""
    agreed: bool = False
    questions: int = 0
    """How many approvals a person was asked for."""
    plan_agreed: bool = False
    patches: int = 0
    replaced: set[str] = Factory(set)
    """The tasks in whose place others stand."""
    tasks_agreed: set[str] = Factory(set)
    spend_agreed: Usd = Usd.ZERO
    forecast_agreed: bool = False
    begun: bool = False
    """Whether a task has ever started."""
    started: set[str] = Factory(set)
    ended: dict[str, e.TaskFinished] = Factory(dict)
    scored: dict[tuple[str, int], e.Evaluated] = Factory(dict)
    choices: dict[str, e.Compared] = Factory(dict)
    """By task."""
    preferred: dict[tuple[str, int, int], PairChoice | None] = Factory(dict)
    """By task and the calls whose answers were shown as A and B: the latest answer of a judge that could be used."""
    skipped: set[tuple[str, Role, int]] = Factory(set)
    chosen: dict[str, e.OutputChosen] = Factory(dict)
    finished: e.RunFinished | None = None
    batched: dict[int, ModelInfo] = Factory(dict)
    """The models of the calls of the lane ``batch``, as they were when each began, by its version."""
    in_batch: dict[int, int] = Factory(dict)
    """The version of the BatchStarted by that of the call."""
    submitted: set[int] = Factory(set)
    """Versions of the batches that were taken or refused."""

    @property
    def problems(self) -> list[str]:
        """Every breach, one line each."""
        return [f"version {breach.version}: {breach.message}" for breach in self.breaches]

    def require(self, check: str, holds: bool, message: str) -> None:
        """Note a breach where something does not hold."""
        if holds or len(self.breaches) >= _MOST:
            return
        if check in _OF_THE_RULES and self.session is not None and self.session.rules != RULES:
            self.foreign = True
            return
        self.breaches.append(Breach(check, self.version, message))

    @property
    def calls_in_flight(self) -> list[e.CallStarted]:
        """The attempts without an end."""
        return [effect for effect in self.open_effects.values() if isinstance(effect, e.CallStarted)]

    @property
    def held(self) -> Usd:
        """In flight + unreconciled."""
        return self.in_flight + self.unreconciled

    @property
    def needs_consent(self) -> bool:
        """Whether the risk is high, and no person who can be asked, or has been, has agreed to it."""
        made, can_ask = self.state.forecast, self.session is not None and self.session.can_ask
        if made is None or self.agreed or not (can_ask or self.asked):
            return False
        return 5 * (self.settled + self.unreconciled + made.expected).nano >= 4 * self.cap.nano

    def verdicts_of(self, task: str, call: int) -> dict[str, e.Validated]:
        """The verdicts that hold for an answer: its own, those of an equal one, and those that cannot change."""
        made = self.written.get(task, {})
        form = made[call].equivalence if call in made else None
        equal = [call] if form is None else [version for version, each in made.items() if each.equivalence == form]
        found: dict[str, e.Validated] = {}
        for (name, _), verdicts in self.verdicts.items():
            if name == task:
                found |= {validator: each for validator, each in verdicts.items() if each.permanent}
        for version in equal:
            found |= self.verdicts.get((task, version), {})
        return found

    def output_of(self, task: str, iteration: int) -> Written | None:
        """What an iteration has to show: of draft and revision the better one by their checks, else the revision.

        A revision that changes nothing is no other result: then it is the draft.
        """
        better = self.output_version(task, iteration)
        return None if better is None else self.written[task][better]

    def output_version(self, task: str, iteration: int) -> int | None:
        """The version of the call that an iteration's output answers."""
        written = self.written.get(task, {})
        made = {each.role: version for version, each in written.items() if each.iteration == iteration}
        draft, revision = made.get(Role.GENERATOR), made.get(Role.REVISER)
        if draft is None or revision is None:
            return draft if revision is None else revision
        form = written[draft].equivalence
        if form is not None and form == written[revision].equivalence:
            return draft
        return draft if self._standing(task, draft) > self._standing(task, revision) else revision

    def _standing(self, task: str, call: int) -> tuple[bool, bool, float]:
        found, names = self.verdicts_of(task, call), self.planned[task].validators
        counted = [
            found[name].verdict if name in found else None
            for name in names
            if name not in found or not found[name].vote
        ]
        tests = found.get("pytest")
        share = 0.0
        if tests is not None and not tests.vote and tests.total_tests:
            share = (tests.passed_tests or 0) / tests.total_tests
        clean = all(verdict in (Verdict.PASSED, Verdict.SKIPPED) for verdict in counted)
        return clean, all(verdict is Verdict.PASSED for verdict in counted), share

    def balance(self) -> None:
        """The law of money after every event; the fold counts the same."""
        state = self.state
        self.require(
            "holds", self.settled + self.held <= self.cap + self.excess, "settled + held is beyond cap + excess"
        )
        counted = (state.spend.settled, state.held, state.excess)
        self.require("spend", counted == (self.settled, self.held, self.excess), "the fold counts other money")

    def add_up(self) -> None:
        """Tasks, phases and calls add up to what the run spent."""
        spent = self.settled + self.unreconciled
        for name, parts in (("nodes", self.by_node), ("phases", self.by_phase), ("calls", self.by_call)):
            total = Usd(sum(amount.nano for amount in parts.values()))
            self.require("spend", total == spent, f"the {name} sum to {total}, the run spent {spent}")
        state = self.state
        folded = sum(node.spend.total.nano for node in (*state.before_tasks.values(), *state.tasks.values()))
        self.require("spend", folded == spent.nano, f"the fold's tasks sum to {Usd(folded)}, the run spent {spent}")

    def end(self, version: int, settled: Usd, unreconciled: Usd) -> tuple[e.CallStarted, Call] | None:
        """Close an attempt; None where none of this version is open."""
        started = self.open_effects.pop(version, None)
        if not isinstance(started, e.CallStarted):
            self.require("intents", False, f"an end of call {version}, which is not open")
            return None
        self.require(
            "holds", not unreconciled or unreconciled == started.hold, "the unreconciled amount is not the hold"
        )
        self.require("holds", not (unreconciled and settled), "an attempt is both settled and unreconciled")
        self.in_flight -= started.hold
        self.costs[version] = settled + unreconciled
        self.excess += max(Usd.ZERO, settled - started.hold)
        if unreconciled:
            self.unreconciled_calls[version] = started
        self.enter(started, settled, unreconciled)
        return started, self.let_go(version, started)

    def enter(self, started: e.CallStarted, settled: Usd, unreconciled: Usd) -> None:
        """Count money of a call everywhere it counts."""
        key, phase, spent = key_of(started), PHASE_OF[started.role], settled + unreconciled
        self.settled += settled
        self.unreconciled += unreconciled
        self.by_node[started.node] = self.by_node.get(started.node, Usd.ZERO) + spent
        self.by_phase[phase] = self.by_phase.get(phase, Usd.ZERO) + spent
        self.by_call[key] = self.by_call.get(key, Usd.ZERO) + spent

    def let_go(self, version: int, started: e.CallStarted) -> Call:
        """An attempt is no longer in flight; its probe, if it was one, has ended."""
        call = self.calls[key_of(started)]
        call.in_flight = False
        for breaker in self.breakers_of(started.model):
            if breaker.probe == version:
                breaker.probe = None
        return call

    def host_of(self, model: str) -> str | None:
        """The host of a model of the session."""
        known = self.models.get(model)
        return None if known is None else known.host

    def breakers_of(self, model: str) -> list[Breaker]:
        """The open breakers in the way of a model: its own, and that of its host."""
        own, host = self.breakers.get(model), self.host_breakers.get(self.host_of(model) or "")
        return [breaker for breaker in (own, host) if breaker is not None]

    def forget_verification(self) -> None:
        """The result will be another."""

    def reopen(self, names: tuple[str, ...]) -> None:
        """Tasks that had failed, or the plan, are tried again."""
        for name in names:
            end = self.ended.pop(name, None)
            failed = name == e.PLAN or (end is not None and end.status.value == "failed")
            self.require("statuses", failed, f"{name} reopened")
            for key, call in self.calls.items():
                if key.node == name:
                    call.reopen()


def key_of(event: e.ModelSelected | e.CallStarted | e.SpendRefused) -> CallKey:
    """The logical call an event is about."""
    return CallKey(event.node, event.role, event.iteration, event.sample)
