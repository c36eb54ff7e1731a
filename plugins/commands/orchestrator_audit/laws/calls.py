"""Laws of calls: who may be asked, when, how large, at what price, and how an attempt may end."""

from typing import Final

from attrs import define

from orchestrator import events as e
from orchestrator.decide.compliance import binding, violated
from orchestrator.decide.strategies import judge_runs
from orchestrator.errors import ErrorKind, MissingError
from orchestrator.models import CacheUse, Finish, Lane, ReadingProblem, Role, SelectionReason, SpendLimit
from orchestrator.money import Usd
from orchestrator.settings import SECOND, CrossVendor
from orchestrator.state.calls import CallKey
from orchestrator_audit.laws.circuits import Circuits
from orchestrator_audit.laws.pacing import Pacing
from orchestrator_audit.laws.policies import Governance
from orchestrator_audit.laws.shadow_state import Call, Written, key_of
from orchestrator_audit.laws.sizes import Sizes

_FATAL: Final = (ErrorKind.AUTHENTICATION, ErrorKind.QUOTA, ErrorKind.UNKNOWN_MODEL)
_PER_MODEL: Final = 4
"""The rules from which on pauses count the attempts of the model."""
_LONGEST_WAIT: Final = 60 * SECOND
_GRACE: Final = 30 * SECOND
_REVIEWING: Final = (Role.CRITIC, Role.EVALUATOR)
_DELIVERED: Final = (Role.GENERATOR, Role.REVISER)
"""The roles whose answers are cut off where they end at their limit."""
_UNUSABLE: Final = 6
_UNUSABLE_OF_MODEL: Final = 2


@define
class Calls(Sizes, Pacing, Circuits, Governance):
    """Selections, attempts and their ends."""

    def model_selected(self, event: e.ModelSelected) -> None:
        """A model that may be called, for the first time since a reopening; every candidate is listed once."""
        call = self.calls.setdefault(key_of(event), Call())
        self._may_be_wanted(event, call)
        self._may_be_called(event.model, event.node)
        self._may_review(event)
        self._may_compare(event)
        self.tells_violations(event)
        self._may_be_selected(event, call)
        self.within_limits(event)
        self.require("intents", event.selection == call.selections + 1, "a selection's number is wrong")
        if not call.selected:
            reported = [candidate.model for candidate in event.candidates]
            self.require("intents", sorted(reported) == sorted(self.models), f"the candidates are {reported}")
        winner = next((c for c in event.candidates if c.model == event.model), None)
        self.require("policies", winner is None or winner.rejection is None, "the winner has a reason to lose")
        call.selections += 1
        call.selected.append(event.model)
        call.selection, call.prepared, call.smallest, call.ready = event, None, None, 0
        call.forget_reservation()
        call.refusals.clear()
        call.cut.clear()
        call.shrunk = call.cut_off = False
        self.open_effects[self.version] = event

    def _may_be_selected(self, event: e.ModelSelected, call: Call) -> None:
        """Once, and once more at once after an answer that could not be used: within its largest size, shown why."""
        again = event.reason is SelectionReason.REASK
        unreached = self.host_of(event.model) is not None and not call.tries[event.model]
        twice = event.model in call.selected and not (again or unreached)
        self.require("limits", not twice, f"{event.model} is selected twice")
        count = call.unusable.count(event.model)
        self.require(
            "limits", count < _UNUSABLE_OF_MODEL, f"{event.model} is called again after {count} useless answers"
        )
        total = len(call.unusable) - call.unusable_before
        self.require("limits", total < _UNUSABLE, f"called again after {total} useless answers")
        self.require(
            "intents", (event.unreadable is not None) == (count > 0), "an answer that could not be used is kept"
        )
        if not again:
            return
        before = call.selection
        same = before is not None and before.model == event.model and call.latest_unusable == event.unreadable
        self.require("intents", same, f"{event.model} is called again, and did not answer before")
        shrunk = call.shrunk or (before is not None and (call.smallest or before.max_tokens) < before.max_tokens)
        largest = 0 if before is None else max(before.max_tokens, before.most_tokens)
        most = (call.cut[-1] if call.cut else call.smallest or 0) if shrunk else largest
        self.require("limits", event.max_tokens <= most, "a model is called anew with more room than may be")

    def _may_review(self, event: e.ModelSelected) -> None:
        """A reviewer of the author's vendor only with the waiver, and a critic not at all where that is required."""
        if event.role not in _REVIEWING:
            return
        author = self.models.get(self.authors.get((event.node, event.iteration, Role.GENERATOR), ""))
        output = self.output_of(event.node, event.iteration) if event.role is Role.EVALUATOR else None
        if output is not None:
            author = self.models.get(output.model)
        reviewer = self.models.get(event.model)
        if author is None or reviewer is None:
            return
        same = author.vendor == reviewer.vendor
        self.require("reviewers", not same or event.waiver is not None, f"{event.model} reviews its own vendor's work")
        self.require("reviewers", same or event.waiver is None, f"{event.model} has a waiver and needs none")
        strict = event.role is Role.CRITIC and self.state.settings.cross_vendor is CrossVendor.REQUIRE
        self.require("reviewers", not (same and strict), f"{event.model} reviews, and another vendor is required")

    def _may_compare(self, event: e.ModelSelected) -> None:
        """Two different results of the task, the later one that of the call's iteration."""
        if event.compares is None:
            return
        made = self.written.get(event.node, {})
        both = event.role is Role.EVALUATOR and all(version in made for version in event.compares)
        self.require("intents", both and len(set(event.compares)) == 2, "what is compared is no two results")
        numbers = [made[version].iteration for version in event.compares if version in made]
        self.require("intents", max(numbers, default=0) == event.iteration, "a comparison is of another iteration")

    def call_prepared(self, event: e.CallPrepared) -> None:
        """It ends an open prepare."""
        selected = self.open_effects.pop(event.selected, None)
        self.require("intents", isinstance(selected, e.ModelSelected), "CallPrepared ends no open prepare")
        if not isinstance(selected, e.ModelSelected):
            return
        call = self.calls[key_of(selected)]
        call.prepared = event
        hit = event.reused is not None
        self.require("intents", hit is (event.cache is CacheUse.HIT), "a hit without an answer, or the reverse")
        used = event.cache is CacheUse.OFF or self.state.settings.cache
        self.require("intents", used, "the cache is used although it is off")
        if event.reused is not None:
            useful = not call.answered and event.reused.reading.problem is None
            self.require("intents", useful, "a needless or useless hit")
            self._answered(selected, selected.model, call, event.selected, event.reused.reading)

    def call_started(self, event: e.CallStarted) -> None:
        """Everything that must be true before a byte leaves."""
        call = self.calls.setdefault(key_of(event), Call())
        self.takes_its_lane(event)
        self._may_start(event, call)
        call.attempts += 1
        call.forget_reservation()
        call.in_flight = True
        call.smallest = event.max_tokens
        for breaker in self.breakers_of(event.model):
            breaker.probe = self.version
        self.open_effects[self.version] = event
        self.keeps_the_caps(event)
        self.in_flight += event.hold
        taken = self.settled + self.held
        beyond = [each for each in self.state.settings.approve.spend if self.spend_agreed < each < taken]
        self.require("holds", not beyond, "a call goes beyond an amount that is not approved")
        self.pace(event)
        if call.cut_off:
            stands = self._works_with(event)
            self.require("intents", not stands, "an answer that others work with is asked for again")
        named = sorted(each.name for each in event.accounts)
        self.require("accounts", named == sorted(self.state.settings.accounts), "a call is held in other accounts")
        places = self.state.settings.concurrency
        single = [each for each in self.calls_in_flight if each.lane is Lane.INTERACTIVE]
        within = event.lane is Lane.BATCH or len(single) <= places
        self.require("limits", within, "more calls in flight than may be")
        compares = call.selection is not None and call.selection.compares is not None
        if (event.role in (Role.GENERATOR, Role.CRITIC, Role.REVISER) or compares) and self._is_judged(event.node):
            self.leaves_an_evaluation(event)

    def _is_judged(self, task: str) -> bool:
        """Whether results of the task are scored by a model."""
        return judge_runs(self.state.settings, self.planned[task].type) > 0

    def account_refused(self, event: e.AccountRefused) -> None:
        """The call could have started; the account has too little free; the spending order is followed step by step."""
        call = self.calls.setdefault(key_of(event.call), Call())
        self._may_start(event.call, call)
        needed = event.need == event.call.hold and event.need > event.free
        self.require("accounts", needed, "an account refused without need")
        call.smallest = event.call.max_tokens
        call.refusals.append((self.at, event))

    def pace_refused(self, event: e.PaceRefused) -> None:
        """The call could have started, but for the calls of other runs before it; a time is reserved for it."""
        call = self.calls.setdefault(key_of(event.call), Call())
        self._may_start(event.call, call)
        self.require("limits", self.state.settings.limits.shared, "a call waits for other runs, and shares no pace")
        self.require("limits", event.until > self.at, "a call waits for a time that has come")
        call.reservation = (self.version, event.until, event.until + (SECOND << min(call.paced, 6)))
        call.paced += 1

    def _may_start(self, event: e.CallStarted, call: Call) -> None:
        limits = self.state.settings.limits
        self._may_be_wanted(event, call)
        self.keeps_its_reservation(event, call)
        self._may_be_called(event.model, event.node)
        selection, prepared = call.selection, call.prepared
        chosen = selection is not None and selection.model == event.model
        self.require("intents", chosen, "another model was selected")
        self.require("intents", prepared is not None and prepared.problem is None, "nothing was prepared")
        if prepared is not None and selection is not None:
            same = event.body_bytes == prepared.body_bytes
            self.require("holds", same, "the body held for is not the one prepared")
            self.require("intents", event.selected == prepared.selected, "the prepare is of another selection")
            self.sizes(event, call, selection)
        self.require("intents", event.attempt == call.attempts + 1, f"attempt {event.attempt} follows {call.attempts}")
        self.require("intents", event.try_ == call.ended + 1, f"try {event.try_} after {call.ended} ends")
        self.require("limits", call.tries[event.model] < limits.tries, f"{event.model} is tried too often")
        self.require("limits", call.ended - call.ended_before < limits.attempts, "the call is tried too often")
        self.require("limits", self.at >= call.ready, "asked again too soon")
        self._may_last(event, call)
        self.require("limits", self.state.active(self.at) < self.state.time_limit, "a call starts after the deadline")
        breakers = self.breakers_of(event.model)
        probing = event.probe is bool(breakers)
        self.require("limits", probing, "a probe, and no breaker is open, or the reverse")
        for breaker in breakers:
            may = breaker.until is not None and self.at >= breaker.until
            self.require("limits", may, "asked behind an open breaker")
            self.require("limits", breaker.probe is None, "a second probe")
        self.waits_and_shrinks(event, call)

    def _may_last(self, event: e.CallStarted, call: Call) -> None:
        """As long as its call has time left; one of a batch as long as batches are waited for."""
        limits = self.state.settings.limits
        self.require("limits", call.took < limits.call_total, "a call is asked again after its deadline")
        if event.lane is Lane.BATCH:
            self.require("limits", event.timeout == limits.batch_wait, "a batch is waited for another time")
            return
        self.require(
            "limits", 0 < event.timeout <= (limits.call_timeout or limits.call_total), "a time-out is out of bounds"
        )
        rest = max(_GRACE, limits.call_total - call.took)
        self.require("limits", event.timeout <= rest, "an attempt may take longer than is left of its call's time")

    def _works_with(self, event: e.CallStarted) -> bool:
        """Whether a review, a check or a score of what a draft or a revision says has begun."""
        reviews = CallKey(event.node, Role.CRITIC, event.iteration, 1)
        judged = CallKey(event.node, Role.EVALUATOR, event.iteration, 1) in self.calls
        made = self.written.get(event.node, {})
        own = (
            version for version, each in made.items() if (each.iteration, each.role) == (event.iteration, event.role)
        )
        if judged or any((event.node, version) in self.checked for version in own):
            return True
        skipped = (event.node, Role.CRITIC, event.iteration) in self.skipped
        return event.role is Role.GENERATOR and (reviews in self.calls or skipped)

    def _may_be_wanted(self, event: e.ModelSelected | e.CallStarted, call: Call) -> None:
        self.require("intents", not call.in_flight, "the logical call is in flight already")
        again = isinstance(event, e.CallStarted) and call.cut_off
        self.require("intents", not call.answered or again, "the answer is on disk already")
        self.require("limits", not call.refused, "the call was refused its money")
        if event.node in (e.PLAN, e.ENHANCE, e.ADVISE):
            patches = event.node == e.PLAN and event.iteration == self.patches + 2
            patches = patches and self.patches < self.state.settings.replans
            self.require("intents", patches or not self.planned, f"a call for {event.node} although there is a plan")
        else:
            self.require("intents", event.node in self.started, f"a call for {event.node}, which is not started")

    def _may_be_called(self, name: str, node: str) -> None:
        model = self.models.get(name)
        if model is None:
            self.require("policies", False, f"{name} is not a model of the session")
            return
        if self.session is None:
            raise MissingError("session")
        slots = [slot for slot, filled_by in self.session.slots.items() if filled_by == name]
        policy = violated(binding(self.state.settings, node), model, slots, self.state.records.get(name))
        self.require("policies", policy is None, f"{name} is asked although policy {policy} forbids it")
        self.require("holds", model.price is not None, f"{name} has no price")
        bounded = model.output_bound(1) is not None or self.state.settings.allow_unbounded
        self.require("holds", bounded, f"nothing bounds the output of {name}")
        self.require("limits", name not in self.dead_models, f"{name} is off for the session")
        self.require("limits", name not in self.exceeded, f"{name} billed beyond a hold")

    def call_succeeded(self, event: e.CallSucceeded) -> None:
        """It ends an open attempt; an answer that can be used ends the logical call."""
        found = self.end(event.call, event.settled, event.unreconciled)
        if found is None:
            return
        started, call = found
        host = self.host_of(started.model)
        if host is not None:
            self._reached(host, started, answered=True)
        self.ends_in_its_batch(event.call, started)
        model = self.model_of(event.call, started)
        price = model.price_in(started.lane) if model is not None else None
        cost = price.cost(event.usage, self.at) if price and event.usage else Usd.ZERO
        self.require("holds", event.settled == cost, "settled is not the cost of the usage")
        known = event.usage is not None or event.unreconciled == started.hold
        self.require("holds", known, "an unknown cost is not unreconciled")
        self.answered_by[event.call] = started.model
        call.ended += 1
        call.took += 0 if started.lane is Lane.BATCH else event.latency
        call.tries[started.model] += 1
        call.ready = 0
        if event.reading.problem in (None, ReadingProblem.NO_SUGGESTIONS):
            self._answered(started, started.model, call, event.call, event.reading)
        else:
            self._useless(event.call, started.model, call)
        cut = event.finish is Finish.LENGTH
        final = event.reading.problem is not None or event.reading.repeats
        call.cut_off = cut and started.role in _DELIVERED and not final
        if cut:
            call.cut.append(started.max_tokens)
            call.first_cut.setdefault(started.model, started.max_tokens)
            call.shrunk = started.max_tokens < call.full
            call.smallest = None
            call.refusals.clear()
        self.used(event)

    def _useless(self, version: int, model: str, call: Call) -> None:
        call.unusable.append(model)
        call.latest_unusable = version

    def plan_refused(self, event: e.PlanRefused) -> None:
        """An answer of the decomposer is no plan: it is as good as none."""
        for key, call in self.calls.items():
            started = self.answered_by.get(event.call)
            if key.node == e.PLAN and started is not None and call.answered:
                call.answered = False
                self._useless(event.call, started, call)

    def _answered(
        self, event: e.ModelSelected | e.CallStarted, model: str, call: Call, version: int, reading: e.Reading
    ) -> None:
        call.answered = True
        self.authors[event.node, event.iteration, event.role] = model
        if event.role in _DELIVERED:
            made = Written(event.iteration, event.role, model, reading.equivalence)
            self.written.setdefault(event.node, {})[version] = made
        if call.selection is not None and call.selection.compares is not None:
            self.preferred[event.node, *call.selection.compares] = reading.choice

    def call_failed(self, event: e.CallFailed) -> None:
        """It ends an open attempt; a vendor's end counts as a try and sets the time of the next."""
        found = self.end(event.call, event.settled, event.unreconciled)
        if found is None:
            return
        started, call = found
        self.ends_in_its_batch(event.call, started)
        self.looks_at_host(event, started)
        if not event.by_vendor:
            return
        call.ended += 1
        call.took += 0 if started.lane is Lane.BATCH else event.latency
        call.tries[started.model] += 1
        if self.session is None:
            raise MissingError("session")
        count = call.tries[started.model] if self.session.rules >= _PER_MODEL else call.ended
        pause = min(SECOND << min(count - 1, 6), _LONGEST_WAIT) // 2
        call.ready = self.at + max(pause, min(event.retry_after or 0, _LONGEST_WAIT))
        if event.kind in _FATAL:
            self.dead_models.add(started.model)

    def spend_refused(self, event: e.SpendRefused) -> None:
        """Once per call and raise, and only where the hold really does not fit."""
        call = self.calls.setdefault(key_of(event), Call())
        self.require("limits", not call.refused, "SpendRefused twice")
        idle = not call.in_flight and not call.answered
        self.require("intents", idle, "SpendRefused for a call in flight or answered")
        self.require("holds", event.need > event.free, "SpendRefused although the hold fits")
        if event.limit is SpendLimit.RUN:
            rest = self.cap - self.settled - self.held
            self.require("holds", event.free == rest, "SpendRefused tells another rest")
        call.refused = True

    def spend_exceeded(self, event: e.SpendExceeded) -> None:
        """A vendor did bill beyond its hold."""
        self.require("holds", event.settled > event.hold, "SpendExceeded without an excess")
        self.exceeded.add(event.model)

    def spend_reconciled(self, event: e.SpendReconciled) -> None:
        """Unreconciled money becomes spend, once, while no session is open."""
        self.require("sessions", not self.is_open, "SpendReconciled in an open session")
        started = self.unreconciled_calls.pop(event.call, None)
        self.require("intents", started is not None, f"nothing is unreconciled for call {event.call}")
        if started is None:
            return
        self.require("holds", event.unreconciled == started.hold, "the unreconciled amount is not the hold")
        self.excess += max(Usd.ZERO, event.settled - started.hold)
        self.enter(started, event.settled, -event.unreconciled)
        self.costs[event.call] = event.settled
