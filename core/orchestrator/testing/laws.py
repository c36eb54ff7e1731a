"""The laws of one run, checked event by event over its history.

``Laws`` keeps its own books: it trusts neither the fold nor ``decide``, except where a law speaks of what was measured
(a policy on latency) or of active time. ``broken_laws(history)`` gives every violation, one line each.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.decide.compliance import violated
from orchestrator.decide.retry import is_off
from orchestrator.errors import ErrorKind
from orchestrator.models import PHASE_OF, ModelInfo, Phase, PlannedTask, Role, TaskStatus
from orchestrator.money import Usd
from orchestrator.settings import SECOND
from orchestrator.state.calls import CallKey
from orchestrator.state.fold import evolve
from orchestrator.state.run import RunState

_FATAL: Final = (ErrorKind.AUTHENTICATION, ErrorKind.QUOTA, ErrorKind.UNKNOWN_MODEL)
_LONGEST_WAIT: Final = 60 * SECOND
_AFTER_THE_END: Final = (e.BudgetRaised, e.TimeRaised)


@define
class _Call:
    """One logical call, as the laws see it."""

    attempts: int = 0
    ended: int = 0
    ended_before: int = 0
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

    def reopen(self) -> None:
        """Begin anew; what was answered stays answered."""
        self.ended_before = self.ended
        self.tries.clear()
        self.selected.clear()
        self.selection = None
        self.refused = False
        self.ready = 0


@define
class _Breaker:
    until: int | None
    """None: for the rest of the session."""
    probe: int | None = None
    """Version of the CallStarted."""


@define
class Laws:
    """Takes a run's events one by one and notes every law they break."""

    problems: list[str] = Factory(list)
    version: int = 0
    at: int = 0
    state: RunState = Factory(RunState)
    """The fold of what was taken; used for measurements only."""
    cap: Usd = Usd.ZERO
    settled: Usd = Usd.ZERO
    kept: Usd = Usd.ZERO
    excess: Usd = Usd.ZERO
    by_node: dict[str, Usd] = Factory(dict)
    by_phase: dict[Phase, Usd] = Factory(dict)
    by_call: dict[CallKey, Usd] = Factory(dict)
    calls: dict[CallKey, _Call] = Factory(dict)
    open_effects: dict[int, e.Event] = Factory(dict)
    models: dict[str, ModelInfo] = Factory(dict)
    breakers: dict[str, _Breaker] = Factory(dict)
    dead_models: set[str] = Factory(set)
    """Not to be asked in this session."""
    exceeded: set[str] = Factory(set)
    session: e.SessionOpened | None = None
    is_open: bool = False
    planned: dict[str, PlannedTask] = Factory(dict)
    started: set[str] = Factory(set)
    ended: dict[str, e.TaskFinished] = Factory(dict)
    scored: set[tuple[str, int]] = Factory(set)
    skipped: set[tuple[str, Role, int]] = Factory(set)
    chosen: dict[str, e.OutputChosen] = Factory(dict)
    finished: e.RunFinished | None = None

    def take(self, at: int, event: e.Event) -> None:
        """Check one event against everything before it, and remember it."""
        self.version += 1
        self._require(at >= self.at, "time goes backwards")
        if isinstance(event, e.Decision | e.AccountRefused):
            self._require(self.is_open, f"{type(event).__name__} without an open session")
        if self.finished is not None:
            reopens = isinstance(event, e.SessionOpened) and not self.finished.status.is_closed
            self._require(reopens or isinstance(event, _AFTER_THE_END), f"{type(event).__name__} after RunFinished")
        self.at = at
        check = _CHECKS.get(type(event))
        if check is not None:
            check(self, event)
        evolve(self.state, at, event)
        self._money()

    def finish(self) -> list[str]:
        """Check the end of the history, and return every problem found."""
        self._require(self.finished is not None, "the run has no end")
        self._require(not self.open_effects, f"effects are open at the end: {sorted(self.open_effects)}")
        return self.problems

    def _require(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(f"version {self.version}: {problem}")

    @property
    def _in_flight(self) -> list[e.CallStarted]:
        return [effect for effect in self.open_effects.values() if isinstance(effect, e.CallStarted)]

    def _held(self) -> Usd:
        return Usd(sum(call.hold.nano for call in self._in_flight)) + self.kept

    # ── money ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _money(self) -> None:
        state = self.state
        held, spent = self._held(), self.settled + self.kept
        self._require(self.settled + held <= self.cap + self.excess, "settled + held is beyond cap + excess")
        self._require((state.spend.settled, state.held) == (self.settled, held), "the fold counts other money")
        self._require(state.excess == self.excess, "the fold counts another excess")
        for name, parts in (("nodes", self.by_node), ("phases", self.by_phase), ("calls", self.by_call)):
            total = Usd(sum(amount.nano for amount in parts.values()))
            self._require(total == spent, f"the {name} sum to {total}, the run spent {spent}")

    def _end(self, version: int, settled: Usd, kept: Usd) -> tuple[e.CallStarted, _Call] | None:
        started = self.open_effects.pop(version, None)
        if not isinstance(started, e.CallStarted):
            self._require(False, f"an end of call {version}, which is not open")
            return None
        self._require(not kept or kept == started.hold, "what is kept is not the hold")
        self._require(not (kept and settled), "an attempt is both settled and kept")
        key, spent = _key(started), settled + kept
        self.settled += settled
        self.kept += kept
        self.excess += max(Usd.ZERO, settled - started.hold)
        self.by_node[started.node] = self.by_node.get(started.node, Usd.ZERO) + spent
        self.by_phase[PHASE_OF[started.role]] = self.by_phase.get(PHASE_OF[started.role], Usd.ZERO) + spent
        self.by_call[key] = self.by_call.get(key, Usd.ZERO) + spent
        call = self.calls[key]
        call.in_flight = False
        breaker = self.breakers.get(started.model)
        if breaker is not None and breaker.probe == version:
            breaker.probe = None
        return started, call

    # ── the run and its sessions ─────────────────────────────────────────────────────────────────────────────────

    def run_started(self, event: e.RunStarted) -> None:
        """It is the first event."""
        self._require(self.version == 1, "RunStarted is not the first event")
        self.cap = event.settings.cap

    def session_opened(self, event: e.SessionOpened) -> None:
        """Sessions are numbered; what the dead one left is ended, with its holds."""
        self._require(event.number == (self.session.number if self.session else 0) + 1, "a session's number is wrong")
        self._end_lost(event.ended)
        self.session, self.is_open, self.finished = event, True, None
        self.models = {model.id: model for model in event.models}
        self.dead_models.clear()
        self.breakers = {name: each for name, each in self.breakers.items() if each.until is not None}
        self._reopen(event.reopened)

    def session_lost(self, event: e.SessionLost) -> None:
        """Only an open session is lost."""
        self._require(self.is_open, "SessionLost without an open session")
        self._end_lost(event.ended)
        self.is_open = False

    def session_ended(self, event: e.SessionFailed | e.RunInterrupted) -> None:
        """Only an open session ends; an interrupted one has nothing in flight."""
        self._require(self.is_open, f"{type(event).__name__} without an open session")
        if isinstance(event, e.RunInterrupted):
            self._require(not self._in_flight, "RunInterrupted with calls in flight")
        self.is_open = False

    def _end_lost(self, ended: Iterable[e.EndedAttempt]) -> None:
        lost = {attempt.call: attempt.amount for attempt in ended}
        open_ = {version: each.hold for version, each in self.open_effects.items() if isinstance(each, e.CallStarted)}
        self._require(lost == open_, f"the attempts ended are {lost}, open are {open_}")
        for version, amount in lost.items():
            self._end(version, Usd.ZERO, amount)

    def raised(self, event: e.BudgetRaised | e.TimeRaised) -> None:
        """No session is open while a command raises."""
        self._require(not self.is_open, f"{type(event).__name__} in an open session")
        if isinstance(event, e.BudgetRaised):
            self._require(event.cap > self.cap, "the cap is not raised")
            self.cap = event.cap
        self.finished = None
        self._reopen(event.reopened)

    def _reopen(self, names: tuple[str, ...]) -> None:
        for name in names:
            end = self.ended.pop(name, None)
            self._require(name == e.PLAN or (end is not None and end.status is TaskStatus.FAILED), f"{name} reopened")
            for key, call in self.calls.items():
                if key.node == name:
                    call.reopen()

    def run_finished(self, event: e.RunFinished) -> None:
        """Everything has ended, and the sums are right."""
        self._require(not self.open_effects, "RunFinished with open effects")
        self._require((event.settled, event.kept) == (self.settled, self.kept), "RunFinished tells other sums")
        self._require(self.ended.keys() == self.planned.keys(), "RunFinished before every task has ended")
        self.finished, self.is_open = event, False

    # ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def plan_made(self, event: e.PlanMade) -> None:
        """Made once; in its order every task stands behind its dependencies."""
        self._require(not self.planned, "a second PlanMade")
        self.planned = {task.id: task for task in event.tasks}
        self._require(sorted(event.execution_order) == sorted(self.planned), "the order is not of the plan's tasks")
        seen: set[str] = set()
        for name in event.execution_order:
            self._require(seen >= set(self.planned[name].dependencies), f"{name} is ordered before a dependency")
            seen.add(name)

    def task_started(self, event: e.TaskStarted) -> None:
        """Its dependencies have ended with an output, and there is a place."""
        self._require(event.task not in self.started and event.task not in self.ended, f"{event.task} started twice")
        for name in self.planned[event.task].dependencies:
            end = self.ended.get(name)
            self._require(end is not None, f"{event.task} started before {name} ended")
            self._require(end is None or end.status is not TaskStatus.FAILED, f"{event.task} started, {name} failed")
        self.started.add(event.task)
        self._require(len(self.started) <= self.state.settings.concurrency, "more tasks started than may be")

    def task_finished(self, event: e.TaskFinished) -> None:
        """Once; with nothing open; with a status its output earns, and the cost of its calls."""
        self._require(event.task not in self.ended, f"{event.task} finished twice")
        busy = [v for v, each in self.open_effects.items() if _node_of(each) == event.task]
        self._require(not busy, f"{event.task} finished with open effects {busy}")
        self._require(event.cost == self.by_node.get(event.task, Usd.ZERO), f"the cost of {event.task} is wrong")
        has_output = event.task in self.chosen
        self._require(has_output is (event.status is not TaskStatus.FAILED), f"{event.task} is {event.status}")
        threshold = self.state.settings.thresholds[self.planned[event.task].type]
        good = event.gate and event.score is not None and event.score >= threshold
        self._require(good is (event.status is TaskStatus.COMPLETED), f"{event.task} is {event.status}")
        self._require((event.reason is None) is good, f"the reason of {event.task} is {event.reason}")
        if event.reason == "dependency":
            blocker = self.ended.get(event.blocked_by or "")
            self._require(blocker is not None and blocker.status is TaskStatus.FAILED, f"{event.task} is not blocked")
        self.started.discard(event.task)
        self.ended[event.task] = event

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def model_selected(self, event: e.ModelSelected) -> None:
        """A model that may be asked, for the first time since a reopening; every candidate is told once."""
        call = self.calls.setdefault(_key(event), _Call())
        self._may_be_wanted(event, call)
        self._may_be_asked(event.model, event.role)
        self._require(event.model not in call.selected, f"{event.model} is selected twice")
        self._require(event.selection == call.selections + 1, "a selection's number is wrong")
        if not call.selected:
            told = [candidate.model for candidate in event.candidates]
            self._require(sorted(told) == sorted(self.models), f"the candidates are {told}")
        winner = next((c for c in event.candidates if c.model == event.model), None)
        self._require(winner is None or winner.lost is None, "the winner has a reason to lose")
        call.selections += 1
        call.selected.append(event.model)
        call.selection, call.prepared, call.smallest, call.ready = event, None, None, 0
        call.refusals.clear()
        self.open_effects[self.version] = event

    def call_prepared(self, event: e.CallPrepared) -> None:
        """It ends an open prepare."""
        selected = self.open_effects.pop(event.selected, None)
        self._require(isinstance(selected, e.ModelSelected), "CallPrepared ends no open prepare")
        if isinstance(selected, e.ModelSelected):
            self.calls[_key(selected)].prepared = event

    def call_started(self, event: e.CallStarted) -> None:
        """Everything that must be true before a byte leaves."""
        call = self.calls.setdefault(_key(event), _Call())
        self._may_start(event, call)
        call.attempts += 1
        call.in_flight = True
        call.smallest = event.max_tokens
        breaker = self.breakers.get(event.model)
        if breaker is not None:
            breaker.probe = self.version
        self.open_effects[self.version] = event
        self._require(len(self._in_flight) <= self.state.settings.concurrency, "more calls in flight than may be")
        if event.role in (Role.GENERATOR, Role.CRITIC, Role.REVISER):
            self._leaves_an_evaluation(event)

    def account_refused(self, event: e.AccountRefused) -> None:
        """The call could have started; the account really lacks room; the ladder is climbed step by step."""
        call = self.calls.setdefault(_key(event.call), _Call())
        self._may_start(event.call, call)
        self._require(event.need == event.call.hold and event.need > event.free, "an account refused without need")
        call.smallest = event.call.max_tokens
        call.refusals.append((self.at, event))

    def _may_start(self, event: e.CallStarted, call: _Call) -> None:
        limits = self.state.settings.limits
        self._may_be_wanted(event, call)
        self._may_be_asked(event.model, event.role)
        selection, prepared = call.selection, call.prepared
        self._require(selection is not None and selection.model == event.model, "another model was selected")
        self._require(prepared is not None and prepared.problem is None, "nothing was prepared")
        if prepared is not None and selection is not None:
            self._require(event.body_bytes == prepared.body_bytes, "the body held for is not the one prepared")
            self._require(event.selected == prepared.selected, "the prepare is of another selection")
            self._sizes(event, call, selection)
        self._require(event.attempt == call.attempts + 1, f"attempt {event.attempt} follows {call.attempts}")
        self._require(event.try_ == call.ended + 1, f"try {event.try_} after {call.ended} ends")
        self._require(call.tries[event.model] < limits.tries, f"{event.model} is tried too often")
        self._require(call.ended - call.ended_before < limits.attempts, "the call is tried too often")
        self._require(self.at >= call.ready, "asked again too soon")
        self._require(0 < event.timeout <= limits.call_timeout, "a time-out is out of bounds")
        self._require(self.state.active(self.at) < self.state.time_limit, "a call starts after the deadline")
        breaker = self.breakers.get(event.model)
        self._require(event.probe is (breaker is not None), "a probe, and no breaker is open, or the reverse")
        if breaker is not None:
            self._require(breaker.until is not None and self.at >= breaker.until, "asked behind an open breaker")
            self._require(breaker.probe is None, "a second probe")
        self._ladder(event, call)

    def _may_be_wanted(self, event: e.ModelSelected | e.CallStarted, call: _Call) -> None:
        self._require(not call.in_flight, "the logical call is in flight already")
        self._require(not call.answered, "the answer is on disk already")
        self._require(not call.refused, "the call was refused its money")
        if event.node == e.PLAN:
            self._require(not self.planned, "a plan is asked for although there is one")
        else:
            self._require(event.node in self.started, f"a call for {event.node}, which is not started")

    def _may_be_asked(self, name: str, role: Role) -> None:
        model = self.models.get(name)
        if model is None:
            self._require(False, f"{name} is not a model of the session")
            return
        assert self.session is not None
        slots = [slot for slot, filled_by in self.session.slots.items() if filled_by == name]
        policy = violated(self.state.settings.policies, model, slots, self.state.records.get(name))
        self._require(policy is None, f"{name} is asked although policy {policy} forbids it")
        self._require(model.price is not None, f"{name} has no price")
        bounded = model.output_bound(1) is not None or self.state.settings.allow_unbounded
        self._require(bounded, f"nothing bounds the output of {name}")
        self._require(name not in self.dead_models, f"{name} is off for the session")
        self._require(name not in self.exceeded, f"{name} billed beyond a hold")

    def _sizes(self, event: e.CallStarted, call: _Call, selection: e.ModelSelected) -> None:
        model, full = self.models.get(event.model), selection.max_tokens
        if model is not None and model.max_output is not None:
            full = min(full, model.max_output)
            self._require(event.max_tokens <= model.max_output, f"asked for more than {model.id} can write")
        self._require(
            event.max_tokens <= (full if call.smallest is None else call.smallest), "asked larger than before"
        )
        self._require(event.max_tokens >= min(full, max(-(-full // 4), 256)), "shrunk below the floor")
        if model is None or model.price is None:
            return
        bound = model.output_bound(event.max_tokens)
        tokens_in, tokens_out = event.body_bytes + model.hidden_tokens, event.max_tokens if bound is None else bound
        price = model.price
        dearest_in = max(price.input, price.cached_input, price.cache_write)
        nano = tokens_in * dearest_in.nano + tokens_out * max(price.output, price.reasoning).nano
        self._require(event.hold == Usd(-(-nano // 1_000_000)), "the hold is not the bound")

    def _ladder(self, event: e.CallStarted, call: _Call) -> None:
        """After a refusal: the same amount only after a growing pause, for a minute; smaller at once, and only once."""
        if not call.refusals:
            return
        amounts = [refusal.need for _, refusal in call.refusals]
        last_at, last = call.refusals[-1]
        if event.hold >= last.need:
            same = [at for at, refusal in call.refusals if refusal.need == last.need]
            pause = min((SECOND // 2) << (len(same) - 1), same[0] + _LONGEST_WAIT - last_at)
            self._require(self.at >= last_at + pause, "an account is asked again too soon")
            self._require(last_at < same[0] + _LONGEST_WAIT, "an account is asked for longer than a minute")
        elif event.hold <= last.free and event.hold < amounts[0]:
            self._require(len(set(amounts)) == 1 or event.hold < amounts[-1], "shrunk twice for an account")

    def _leaves_an_evaluation(self, event: e.CallStarted) -> None:
        """Beside the hold there is room for the cheapest evaluation that could be asked for."""
        settings = self.state.settings
        limit = settings.role_max_tokens[Role.EVALUATOR]
        estimates = []
        for model in self.models.values():
            slots = [slot for slot, filled_by in self.session.slots.items() if filled_by == model.id]  # type: ignore[union-attr]
            record = self.state.records.get(model.id)
            bound = model.output_bound(min(limit, model.max_output or limit))
            if bound is None and settings.allow_unbounded:
                bound = min(limit, model.max_output or limit)
            if model.price is None or bound is None or is_off(record):
                continue
            if violated(settings.policies, model, slots, record) is None:
                estimates.append(model.price.bound(4 * event.max_tokens + 4096 + model.hidden_tokens, bound))
        free = self.cap - self.settled - self._held()
        self._require(not estimates or free >= min(estimates), "no money is left for an evaluation")

    def call_succeeded(self, event: e.CallSucceeded) -> None:
        """It ends an open attempt; an answer that can be used ends the logical call."""
        found = self._end(event.call, event.settled, event.kept)
        if found is None:
            return
        started, call = found
        price = self.models[started.model].price
        cost = price.cost(event.usage) if price and event.usage else Usd.ZERO
        self._require(event.settled == cost, "settled is not the cost of the usage")
        self._require(event.usage is not None or event.kept == started.hold, "an unknown cost is not kept")
        call.ended += 1
        call.tries[started.model] += 1
        call.ready = 0
        structured = started.role in (Role.DECOMPOSER, Role.EVALUATOR)
        call.answered = structured or event.reading.problem is None

    def call_failed(self, event: e.CallFailed) -> None:
        """It ends an open attempt; a vendor's end counts as a try and sets the time of the next."""
        found = self._end(event.call, event.settled, event.kept)
        if found is None:
            return
        started, call = found
        if not event.by_vendor:
            return
        call.ended += 1
        call.tries[started.model] += 1
        pause = min(SECOND << min(call.ended - 1, 6), _LONGEST_WAIT) // 2
        call.ready = self.at + max(pause, min(event.retry_after or 0, _LONGEST_WAIT))
        if event.kind in _FATAL:
            self.dead_models.add(started.model)

    def spend_refused(self, event: e.SpendRefused) -> None:
        """Once per call and raise, and only where there really is no room."""
        call = self.calls.setdefault(_key(event), _Call())
        self._require(not call.refused, "SpendRefused twice")
        self._require(not call.in_flight and not call.answered, "SpendRefused for a call in flight or answered")
        self._require(event.need > event.free, "SpendRefused although there is room")
        if event.limit == "run":
            self._require(event.free == self.cap - self.settled - self._held(), "SpendRefused tells another rest")
        call.refused = True

    def spend_exceeded(self, event: e.SpendExceeded) -> None:
        """A vendor did bill beyond its hold."""
        self._require(event.settled > event.hold, "SpendExceeded without an excess")
        self.exceeded.add(event.model)

    def breaker_opened(self, event: e.BreakerOpened) -> None:
        """From here on only a probe may pass."""
        self._require(event.until is None or event.until > self.at, "a breaker opens into the past")
        self.breakers[event.model] = _Breaker(event.until)

    def breaker_closed(self, event: e.BreakerClosed) -> None:
        """An open one closes, after its probe."""
        breaker = self.breakers.pop(event.model, None)
        self._require(breaker is not None and breaker.probe is None, "a breaker closes that was not probed")

    # ── review ───────────────────────────────────────────────────────────────────────────────────────────────────

    def step_skipped(self, event: e.StepSkipped) -> None:
        """Only a critique or a revision can be left out, once."""
        step = (event.task, event.role, event.turn)
        self._require(event.role in (Role.CRITIC, Role.REVISER), f"{event.role} is left out")
        self._require(step not in self.skipped, "a step is left out twice")
        self.skipped.add(step)

    def check_started(self, event: e.CheckStarted) -> None:
        """One check per turn and validator of the plan."""
        self._require(event.validator in self.planned[event.task].validators, "a check the plan does not have")
        self.open_effects[self.version] = event

    def validated(self, event: e.Validated) -> None:
        """It ends an open check."""
        self._require(isinstance(self.open_effects.pop(event.check, None), e.CheckStarted), "Validated ends no check")

    def evaluated(self, event: e.Evaluated) -> None:
        """Once per turn, within the limits of iterations and samples."""
        settings, turn = self.state.settings, (event.task, event.turn)
        self._require(turn not in self.scored, "a turn is scored twice")
        self._require(event.turn <= settings.iterations[self.planned[event.task].type], "too many turns")
        self._require(len(event.samples) <= settings.evaluation.runs, "too many samples")
        inside = event.score is None or not event.samples or min(event.samples) <= event.score <= max(event.samples)
        self._require(inside, "the score is outside its samples")
        self.scored.add(turn)

    def output_chosen(self, event: e.OutputChosen) -> None:
        """An answer that was given."""
        call = self.calls.get(CallKey(event.task, Role.GENERATOR, event.turn, 1))
        self._require(call is not None and call.answered, "an output nobody wrote")
        self.chosen[event.task] = event
        if event.file:
            self.open_effects[self.version] = event

    def file_written(self, event: e.FileWritten) -> None:
        """It ends an open write."""
        self._require(isinstance(self.open_effects.pop(event.chosen, None), e.OutputChosen), "FileWritten ends nothing")


def broken_laws(history: Iterable[tuple[int, e.Event]]) -> list[str]:
    """Every law that a finished run's history (pairs of at and event, from the beginning) breaks, one line each."""
    laws = Laws()
    for at, event in history:
        laws.take(at, event)
    return laws.finish()


def _key(event: e.ModelSelected | e.CallStarted | e.SpendRefused) -> CallKey:
    return CallKey(event.node, event.role, event.turn, event.sample)


def _node_of(effect: e.Event) -> str | None:
    if isinstance(effect, e.ModelSelected | e.CallStarted):
        return effect.node
    return effect.task if isinstance(effect, e.CheckStarted | e.OutputChosen) else None


_CHECKS: Final[dict[type[e.Event], Callable[[Laws, Any], None]]] = {
    e.RunStarted: Laws.run_started,
    e.SessionOpened: Laws.session_opened,
    e.SessionFailed: Laws.session_ended,
    e.SessionLost: Laws.session_lost,
    e.RunInterrupted: Laws.session_ended,
    e.BudgetRaised: Laws.raised,
    e.TimeRaised: Laws.raised,
    e.PlanMade: Laws.plan_made,
    e.TaskStarted: Laws.task_started,
    e.ModelSelected: Laws.model_selected,
    e.CallPrepared: Laws.call_prepared,
    e.CallStarted: Laws.call_started,
    e.AccountRefused: Laws.account_refused,
    e.CallSucceeded: Laws.call_succeeded,
    e.CallFailed: Laws.call_failed,
    e.SpendRefused: Laws.spend_refused,
    e.SpendExceeded: Laws.spend_exceeded,
    e.BreakerOpened: Laws.breaker_opened,
    e.BreakerClosed: Laws.breaker_closed,
    e.StepSkipped: Laws.step_skipped,
    e.CheckStarted: Laws.check_started,
    e.Validated: Laws.validated,
    e.Evaluated: Laws.evaluated,
    e.OutputChosen: Laws.output_chosen,
    e.FileWritten: Laws.file_written,
    e.TaskFinished: Laws.task_finished,
    e.RunFinished: Laws.run_finished,
}
