"""The rules of routing as a Hypothesis state machine: the real ``decide`` with any backend, against what must hold.

A backend of one's own is put under the rules like this::

    class MyRules(RoutingRules):
        def make_backend(self):
            return MyBackend()

    TestMyRules = MyRules.TestCase
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import ClassVar, Final, cast

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator import events as e
from orchestrator.decide.compliance import binding, violated, violations
from orchestrator.decide.ranking import telemetry_of
from orchestrator.decide.retries_and_circuits import is_off
from orchestrator.decide.round_context import Rank, RoutingContext
from orchestrator.decide.routing import Listing, Query, list_candidates, slots_of
from orchestrator.errors import ErrorKind
from orchestrator.models import ModelInfo, PlannedTask, Role, TaskType, Waiver
from orchestrator.models.offers import is_lower_tier
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode, Policy
from orchestrator.settings import CrossVendor, RunSettings
from orchestrator.spi import Backend, ModelTelemetry
from orchestrator.testing.decide_by_hand import Stage, task
from orchestrator.testing.strategies import budgets, catalogues, policies, settings_of_runs
from orchestrator.testing.watched_backend import Judged, patient

_TASKS: Final = ("t0", "t1", "t2")
_ANY_POLICY: Final = policies(list(EnforcementMode), budgets())
_ROLES: Final = (Role.GENERATOR, Role.CRITIC, Role.REVISER, Role.EVALUATOR)


def stage_of(
    settings: RunSettings,
    models: Sequence[ModelInfo],
    plan: Sequence[PlannedTask],
    rank: Rank | None,
    priors: Sequence[e.Prior] = (),
) -> Stage:
    """A run that has begun, whose slots are filled by the first model that offers each."""
    stage = Stage(settings, models, plan, rank)
    for model in models:
        for slot in model.slots:
            stage.slots.setdefault(slot, model.id)
    started = e.RunStarted(1, settings, "0" * 64, "0" * 64, "0" * 64, tuple(plan))
    stage.step(started, evolve(stage.opening(), priors=tuple(priors)))
    return stage


@st.composite
def measurements(draw: st.DrawFn, models: Sequence[ModelInfo], kind: TaskType) -> tuple[e.Prior, ...]:
    """What earlier runs measured of some of the models for a type of task."""
    shares, costs = st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([0.0, 0.001, 0.002, 1.0])
    return tuple(
        [
            e.Prior(model.id, kind, draw(st.sampled_from([9, 10, 50])), draw(shares), draw(costs), 10.0, draw(shares))
            for model in models
            if draw(st.integers(0, 3))
        ]
    )


def listed(stage: Stage, query: Query, *further: Policy) -> Listing:
    """Which models a run would call now, were further policies in force."""
    state = copy(stage.state)
    assert state.start is not None
    settings = evolve(state.settings, policies=(*state.settings.policies, *further))
    state.start = evolve(state.start, settings=settings)
    return list_candidates(RoutingContext(state, stage.now, stage.rank, time_up=False), query, {}, ("rules",))


def allowed(listing: Listing) -> list[str]:
    """The models that may be asked, in their order."""
    return [name for name in listing.order if name not in listing.rejection]


def place_of_first_call(stage: Stage, size: int) -> float:
    """Where the model called first stands among the candidates of the first draft; infinity where none is called.

    The run has just begun, with one task; its bodies have ``size`` bytes.
    """
    stage.prepare(size)
    drafts = [event for event in stage.all(e.ModelSelected) if (event.role, event.iteration) == (Role.GENERATOR, 1)]
    called = next((event.model for event in stage.all(e.CallStarted)), None)
    if called is None:
        return float("inf")
    return [candidate.model for candidate in drafts[0].candidates].index(called)


def dominates(one: ModelTelemetry, other: ModelTelemetry) -> bool:
    """Whether one measured model beats another in quality, trust and cost at once: nowhere worse, somewhere better."""
    values = [(seen.quality, seen.cost) for seen in (one, other)]
    if any(value is None for pair in values for value in pair):
        return False
    ours = (one.quality or 0.0, one.trust, -max(one.cost or 0.0, 1e-6))
    theirs = (other.quality or 0.0, other.trust, -max(other.cost or 0.0, 1e-6))
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))


class RoutingRules(RuleBasedStateMachine):
    """A run of three tasks that is answered, fails, waits, and is asked what it would do under other rules."""

    backend: ClassVar[Backend | None] = None
    """What ranks the candidates, unless ``make_backend`` says otherwise; None: the row's order."""
    refuses_dominated: ClassVar[bool] = False
    """Whether the backend never puts a dominated model first."""

    stage: Stage
    seen: int
    judged: Judged | None

    def make_backend(self) -> Backend | None:
        """A backend that has ranked nothing yet; asked for again and again. None: the row's order."""
        return self.backend

    @initialize(
        models=catalogues(2), settings=settings_of_runs(), own=st.lists(_ANY_POLICY, max_size=1), kind=st.data()
    )
    def begin(
        self, models: tuple[ModelInfo, ...], settings: RunSettings, own: list[Policy], kind: st.DataObject
    ) -> None:
        """Open a run; one of its tasks may have policies of its own."""
        self.kind = kind.draw(st.sampled_from(list(TaskType)))
        self.judged = None if self.make_backend() is None else Judged(cast("Callable[[], Backend]", self.make_backend))
        self.rank = None if self.judged is None else patient(self.judged)
        self.settings = evolve(settings, node_policies={"t1": tuple(own)})
        self.priors = kind.draw(measurements(models, self.kind))
        tasks = [task(name, self.kind) for name in _TASKS]
        self.stage = stage_of(self.settings, models, tasks, self.rank, self.priors)
        self.seen = 0

    @precondition(lambda self: self.stage.open(e.ModelSelected))
    @rule(size=st.integers(1, 20_000))
    def prepare(self, size: int) -> None:
        """Shape every body that is wanted."""
        self.stage.prepare(size)

    @precondition(lambda self: self.stage.open(e.CallStarted))
    @rule(score=st.none() | st.floats(0, 1), latency=st.integers(0, 10**8))
    def answer(self, score: float | None, latency: int) -> None:
        """Answer the oldest call."""
        self.stage.answer(score=score, latency=latency)

    @precondition(lambda self: self.stage.open(e.CallStarted))
    @rule(kind=st.sampled_from([ErrorKind.SERVER, ErrorKind.BAD_REQUEST, ErrorKind.AUTHENTICATION]))
    def fail(self, kind: ErrorKind) -> None:
        """Fail the oldest call."""
        self.stage.fail(kind=kind, retryable=kind is ErrorKind.SERVER, outage=kind is ErrorKind.SERVER)

    @precondition(lambda self: self.stage.waits_until is not None and self.stage.state.finished is None)
    @rule()
    def wait(self) -> None:
        """Let time pass."""
        self.stage.wait()

    @rule(policy=_ANY_POLICY, data=st.data())
    def restrict(self, policy: Policy, data: st.DataObject) -> None:
        """A further policy lets no model in; one that is not HARD rules none out, and MONITOR moves none."""
        query = self._query(data)
        before, after = listed(self.stage, query), listed(self.stage, query, policy)
        assert set(allowed(after)) <= set(allowed(before)), "a policy let a model in"
        if policy.enforcement_mode is EnforcementMode.HARD:
            return
        assert set(allowed(after)) == set(allowed(before)), "a mild policy ruled a model out"
        if policy.enforcement_mode is EnforcementMode.MONITOR:
            assert allowed(after) == allowed(before), "a monitored policy moved a model"

    @rule(cap=budgets(), more=budgets(), size=st.integers(1, 20_000))
    def enrich(self, cap: Usd, more: Usd, size: int) -> None:
        """More budget never gives a choice that stands further back."""
        places = []
        for total in (cap, cap + more):
            rules = evolve(self.settings, cap=total)
            begun = stage_of(rules, self.stage.models, [task("t0", self.kind)], self.rank, self.priors)
            places.append(place_of_first_call(begun, size))
        assert places[1] <= places[0], f"with {more} more the call went from place {places[0]} to {places[1]}"

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """Every model is listed once; those that violate a SOFT policy rank last."""
        query = self._query(data)
        listing = listed(self.stage, query)
        assert sorted(listing.order) == sorted(model.id for model in self.stage.models)
        soft = [self._violates_soft(name, query.node) for name in allowed(listing)]
        assert soft == sorted(soft), "a model that violates a SOFT policy ranks before one that does not"

    @rule(data=st.data(), role=st.sampled_from([Role.CRITIC, Role.EVALUATOR]), second=st.booleans())
    def review(self, data: st.DataObject, role: Role, second: bool) -> None:
        """Of the author's vendor, a reviewer of a lower tier ranks behind all others, SOFT policies aside."""
        models, node = self.stage.state.models, data.draw(st.sampled_from(_TASKS), label="node")
        author = models[data.draw(st.sampled_from(sorted(models)), label="author")]
        if role is Role.CRITIC and self.settings.cross_vendor is CrossVendor.OFF:
            return
        avoid = (data.draw(st.sampled_from(sorted(models)), label="avoid"),) if second else ()
        listing = listed(self.stage, Query(role, self.kind, author.id, node, avoid=avoid))
        names = [name for name in allowed(listing) if not self._violates_soft(name, node)]
        lower = [
            models[name].vendor == author.vendor and is_lower_tier(models[name].tier, author.tier) for name in names
        ]
        assert lower == sorted(lower), f"a model of a lower tier than {author.id} ranks too early to review it"
        waived = {listing.waiver(name) for name, is_lower in zip(names, lower, strict=True) if is_lower}
        assert waived <= {Waiver.LOWER_TIER}, "a reviewer of a lower tier is not recorded as one"

    @precondition(lambda self: self.refuses_dominated and self.settings.backend_named)
    @rule(node=st.sampled_from(_TASKS))
    def draft(self, node: str) -> None:
        """For a draft no dominated model comes first, be it among those that violate a SOFT policy."""
        names = allowed(listed(self.stage, Query(Role.GENERATOR, self.kind, node=node)))
        names = [name for name in names if self._violates_soft(name, node) is self._violates_soft(names[0], node)]
        if self.stage.state.backend_failed or not names:
            return
        records = self.stage.state.records
        shown = [telemetry_of(records.get(name), self.kind) for name in names]
        assert not any(dominates(other, shown[0]) for other in shown[1:]), f"{names[0]} is dominated"

    @invariant()
    def the_backend_is_one(self) -> None:
        """It ranks the candidates it is given, and ranks them alike every time."""
        judged = getattr(self, "judged", None)
        assert judged is None or not judged.problem, judged.problem

    @invariant()
    def no_forbidden_model(self) -> None:
        """No model was selected that a policy, its price, its bound or its health forbids."""
        stage = getattr(self, "stage", None)
        if stage is None:
            return
        for event in [event for _, event in stage.history[self.seen :]]:
            if isinstance(event, e.ModelSelected):
                self._may_be_called(event)
        self.seen = len(stage.history)

    def _may_be_called(self, event: e.ModelSelected) -> None:
        state = self.stage.state
        model, record = state.models[event.model], state.records.get(event.model)
        policy = violated(binding(state.settings, event.node), model, slots_of(state, model.id), record)
        assert policy is None, f"{event.model} is asked although {policy} forbids it"
        assert model.price is not None
        assert model.output_bound(1) is not None or state.settings.allow_unbounded
        assert not is_off(record)

    def _violates_soft(self, name: str, node: str) -> bool:
        state = self.stage.state
        policies_ = binding(state.settings, node)
        return violations(policies_, state.models[name], slots_of(state, name), state.records.get(name))[1]

    def _query(self, data: st.DataObject) -> Query:
        names = [model.id for model in self.stage.models]
        role = data.draw(st.sampled_from(_ROLES), label="role")
        author = None if role is Role.GENERATOR else data.draw(st.sampled_from(names), label="author")
        return Query(role, self.kind, author, data.draw(st.sampled_from(_TASKS), label="node"))
