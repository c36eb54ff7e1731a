"""Which models decide calls, and why not the others."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.decide.compliance import violated, violations
from orchestrator.decide.roster import Memo
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query, list_candidates
from orchestrator.errors import ErrorKind
from orchestrator.models import ROLE_MAX_TOKENS, ModelInfo, ProjectStatus, Role, TaskType
from orchestrator.money import Price, Usd
from orchestrator.policy import EnforcementMode, Policy, with_strictest_modes
from orchestrator.settings import CrossVendor, Evaluation, RunSettings, SecondJudge
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.state.model_health import ModelRecord
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.simulation.simulator import sound_rank
from orchestrator.testing.strategies import catalogues, models, policies

KIND = TaskType.SUMMARIZATION
DEAR = Price(Usd.parse(5), Usd.parse(20))


def stage(catalogue: Sequence[ModelInfo], row: tuple[str, ...] = (), **settings: object) -> Stage:
    """A run of one task whose type has this row."""
    rules = RunSettings(routing={KIND: row, TaskType.EVALUATION: row}, **settings)  # type: ignore[arg-type]
    made = Stage(rules, catalogue, [task("t", KIND)])
    made.slots = {slot: each.id for each in catalogue for slot in each.slots}
    return made


def reasons(selected: e.ModelSelected) -> dict[str, str | None]:
    """Why each candidate lost."""
    return {candidate.model: candidate.rejection for candidate in selected.candidates}


def test_the_row_comes_first_then_the_others_by_price() -> None:
    """A slot or a model id in the row, in its order; then everybody else, cheapest first."""
    catalogue = (model("dear", price=DEAR), model("cheap"), model("filler", price=DEAR, slots=("glm-4",)))
    made = stage(catalogue, ("glm-4", "no-model"))
    made.begin()
    assert [candidate.model for candidate in made.last(e.ModelSelected).candidates] == ["filler", "cheap", "dear"]
    assert made.last(e.ModelSelected).model == "filler"


def test_the_specifications_older_names_stand_for_their_slots() -> None:
    """A dated id in the row is an alias of a slot."""
    made = stage((model("a"), model("b", price=DEAR, slots=("claude-opus",))), ("claude-3-5-opus-20241022",))
    made.begin()
    assert made.last(e.ModelSelected).model == "b"


def test_planning_takes_the_cheapest() -> None:
    """The decomposer is the cheapest model that may be asked."""
    made = Stage(RunSettings(), (model("dear", price=DEAR), model("cheap")))
    made.begin()
    assert (made.last(e.ModelSelected).node, made.last(e.ModelSelected).model) == ("plan", "cheap")


def test_every_loser_is_told_with_its_reason() -> None:
    """No price, nothing that bounds the output, a policy by its name, or ranked behind the winner."""
    catalogue = (
        model("wins"),
        model("unpriced", price=None),
        model("unbounded", thinking_in_limit=False),
        model("trains", trains_on_data=True),
        model("behind", price=DEAR, trains_on_data=False),
    )
    policy = Policy("private", blocked_models=("trains",))
    made = stage(catalogue, ("wins",), policies=(policy,))
    made.begin()
    assert reasons(made.last(e.ModelSelected)) == {
        "wins": None,
        "unpriced": "no_price",
        "unbounded": "unbounded",
        "trains": "policy",
        "behind": "ranked",
    }
    assert {c.model: c.policy for c in made.last(e.ModelSelected).candidates if c.policy} == {"trains": "private"}


def test_an_unbounded_model_is_asked_where_the_spec_allows_it() -> None:
    """``allow_unbounded`` lets it in."""
    made = stage((model("a", thinking_in_limit=False),), allow_unbounded=True)
    made.begin()
    assert made.last(e.ModelSelected).model == "a"


def test_with_no_model_left_the_run_ends_for_want_of_a_model() -> None:
    """A task whose candidates are all excluded fails with no_model, and the run is a SYSTEM_FAILURE."""
    made = stage((model("a", price=None),))
    made.begin()
    assert made.last(e.TaskFinished).reason == "no_model"
    assert made.last(e.RunFinished).status is ProjectStatus.SYSTEM_FAILURE


TWO_JUDGES = Evaluation(runs=2, second=SecondJudge.OTHER_MODEL)
AUTHOR = model("author", "north", tier="large")


@pytest.mark.parametrize(
    ("others", "reviewer", "waiver"),
    [
        ((model("x", "south", price=DEAR), model("y", "north", tier="small")), "x", None),
        ((model("y", "north", tier="large"), model("z", "north", price=DEAR, tier="house")), "z", "same_vendor"),
        ((model("y", "north", tier="large"), model("z", "north", price=DEAR, tier="small")), "y", "same_tier"),
        ((model("z", "north", tier="small"),), "author", "same_model"),
        ((model("y", "north", tier="large"),), "y", "same_tier"),
        ((), "author", "same_model"),
    ],
)
@pytest.mark.parametrize("role", [Role.CRITIC, Role.EVALUATOR])
def test_a_reviewer_is_of_another_vendor_or_the_waiver_is_recorded(
    others: tuple[ModelInfo, ...], reviewer: str, waiver: str | None, role: Role
) -> None:
    """Another vendor; else another tier, not a lower one; else another model; else the author itself."""
    made = stage((AUTHOR, *others), ("author",))
    made.begin()
    made.play()
    selected = next(event for event in made.all(e.ModelSelected) if event.role is role)
    assert (selected.model, selected.waiver) == (reviewer, waiver)


def test_a_second_judge_of_a_lower_tier_is_the_last_resort() -> None:
    """Where the first judge is the only one of the author's tier, it gives both evaluations."""
    made = stage((AUTHOR, model("z", "north", tier="small")), ("author",), evaluation=TWO_JUDGES)
    made.begin()
    made.play()
    judged = {event.sample: (event.model, event.waiver) for event in made.all(e.ModelSelected) if event.sample}
    assert judged == {1: ("author", "same_model"), 2: ("author", "same_model")}


def test_a_model_of_a_lower_tier_reviews_where_nothing_else_can() -> None:
    """The author failed: what is left is of a lower tier, and the waiver says so."""
    made = stage((AUTHOR, model("z", "north", tier="small")), ("author",))
    made.begin()
    made.play(lambda call: ErrorKind.BAD_REQUEST if (call.role, call.model) == (Role.CRITIC, "author") else {})
    critics = [(event.model, event.waiver) for event in made.all(e.ModelSelected) if event.role is Role.CRITIC]
    assert critics[:2] == [("author", "same_model"), ("z", "lower_tier")]


def test_cross_vendor_off_takes_the_row_for_critics_and_still_another_vendor_for_evaluators() -> None:
    """The setting speaks of reviewers; an evaluator of another vendor comes first all the same."""
    made = stage((AUTHOR, model("x", "south", price=DEAR)), ("author",), cross_vendor=CrossVendor.OFF)
    made.begin()
    made.play()
    chosen = {event.role: event.model for event in made.all(e.ModelSelected)}
    assert (chosen[Role.CRITIC], chosen[Role.EVALUATOR]) == ("author", "x")


def test_cross_vendor_require_skips_the_critique_where_there_is_no_other_vendor() -> None:
    """No model of the author's vendor reviews; the step is left out, and the rejection reason is ``vendor``."""
    made = stage((AUTHOR, model("y", "north")), ("author",), cross_vendor=CrossVendor.REQUIRE)
    made.begin()
    made.play()
    assert [(step.role, step.reason) for step in made.all(e.StepSkipped)] == [(Role.CRITIC, "no_model")]


def test_the_reviser_is_the_author() -> None:
    """Who wrote the draft revises it, whatever the row says."""
    made = stage((model("first"), AUTHOR), ("first", "author"))
    made.begin()
    made.play(
        lambda started: ErrorKind.BAD_REQUEST if (started.role, started.model) == (Role.GENERATOR, "first") else {}
    )
    revised = next(event for event in made.all(e.ModelSelected) if event.role is Role.REVISER)
    assert revised.model == "author"


def test_a_named_backend_ranks_all() -> None:
    """The backend's order replaces the row's, its scores are recorded, and so is its name."""

    def last_first(
        candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        return [Ranked(candidate.model, float(candidate.place)) for candidate in reversed(candidates)]

    made = stage((model("a"), model("b"), model("c")), ("a", "b"), backend_named=True)
    made.rank = last_first
    made.begin()
    selected = made.last(e.ModelSelected)
    assert (selected.model, selected.backend) == ("c", "test")
    assert [(candidate.model, candidate.score) for candidate in selected.candidates] == [("c", 2), ("b", 1), ("a", 0)]


@given(seeds=st.lists(st.integers(0, 2**63), min_size=2, max_size=2, unique=True))
def test_a_draw_depends_on_seed_call_and_selection(seeds: list[int]) -> None:
    """Equal seeds draw equally; another seed, call or selection draws otherwise; each draw is recorded."""
    first, again, other = (_draws_of(seed) for seed in (seeds[0], *seeds))
    assert first == again
    assert len({*first, *other}) == len(first) + len(other) > 4
    assert all(0 <= draw < 1 for draw in (*first, *other))


def _draws_of(seed: int) -> list[float]:
    """The draws a backend was given in a run whose first model fails; each is in the log."""
    given_draws: list[float] = []

    def by_place(
        candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        given_draws.append(draw)
        return [Ranked(each.model, -float(each.place)) for each in candidates]

    made = stage((model("a"), model("b"), model("c")), ("a", "b"), backend_named=True)
    made.rank, made.seed = by_place, seed
    made.begin()
    made.play(lambda started: ErrorKind.BAD_REQUEST if started.model == "a" else {})
    recorded = [selected.draw for selected in made.all(e.ModelSelected)]
    assert set(recorded) <= set(given_draws)
    return [draw for draw in recorded if draw is not None]


def test_an_unmeasured_model_keeps_its_place_before_an_unnamed_backend() -> None:
    """With fewer than ten calls nothing is reordered."""
    made = stage((model("dear", price=DEAR), model("cheap")), ("dear",))
    made.rank = sound_rank()
    made.begin()
    assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).backend) == ("dear", "row")


def test_measured_models_are_ordered_among_the_places_they_hold() -> None:
    """Ten calls of a model and type let the backend move it, and only among the measured."""
    made = stage((model("dear", price=DEAR), model("new"), model("cheap")), ("dear", "new", "cheap"))
    made.rank = sound_rank()
    made.begin()
    for name in ("dear", "cheap"):
        made.state.record(name).measured(KIND).calls = 10
    timestamp = RoutingContext(made.state, made.now, made.rank, time_up=False)
    listed = list_candidates(timestamp, Query(Role.GENERATOR, KIND), {}, ("test",))
    assert [candidate.model for candidate in listed.candidates] == ["cheap", "new", "dear"]


def test_latency_is_judged_from_ten_calls_on() -> None:
    """The measured p95 counts, not nine calls however slow."""
    policy, record = Policy("quick", max_latency_ms=100.0), ModelRecord()
    for _ in range(9):
        record.latencies.append(5_000)
    assert violated((policy,), model("a"), (), record) is None
    record.latencies.append(5_000)
    assert violated((policy,), model("a"), (), record) == "quick"
    assert violated((policy,), model("a"), (), None) is None


def test_a_model_that_turns_out_too_slow_is_asked_no_more() -> None:
    """From the tenth call on the policy on latency moves the run to another model, even in the middle of a call."""
    made = Stage(
        RunSettings(policies=(Policy("quick", max_latency_ms=100.0),), concurrency=1, routing={}),
        (model("slow", "north"), model("fast", "south", price=DEAR)),
        [task(f"t{number}") for number in range(12)],
    )
    made.begin()
    made.play(lambda started: {"latency": 2_000_000 if started.model == "slow" else 1_000})
    asked = [started.model for started in made.all(e.CallStarted)]
    assert asked.count("slow") == 10
    assert asked[-1] == "fast"


def test_a_session_with_other_facts_moves_the_call_on() -> None:
    """A model selected in an earlier session that now has no price, or is gone, is not asked."""
    for later in ((model("b", price=DEAR),), (model("a", price=None), model("b", price=DEAR))):
        made = stage((model("a"), model("b", price=DEAR)), ("a",))
        made.begin()
        version, _ = made.open(e.ModelSelected)[0]
        made.step(e.SessionFailed("0" * 64))
        made.models = later
        made.step(made.opening())
        made.step(e.CallPrepared(version, "0" * 64, 100, None))
        assert (made.last(e.ModelSelected).model, made.last(e.ModelSelected).reason) == ("b", "fallback")


@given(catalogues(), st.lists(policies(), max_size=2), st.permutations([f"model-{n}" for n in range(5)]))
def test_candidates_are_every_model_once_in_row_order(
    catalogue: tuple[ModelInfo, ...], rules: list[Policy], row: list[str]
) -> None:
    """No candidate is lost or doubled, the row's order holds, and no winner is forbidden."""
    made = stage(catalogue, tuple(row), policies=tuple(rules))
    made.begin()
    timestamp = RoutingContext(made.state, made.now, None, time_up=False)
    listed = [
        candidate.model
        for candidate in list_candidates(timestamp, Query(Role.GENERATOR, KIND), {}, ("test",)).candidates
    ]
    assert listed == [name for name in row if name in {each.id for each in catalogue}]
    for selected in made.all(e.ModelSelected):
        chosen = next(each for each in catalogue if each.id == selected.model)
        slots = [slot for slot, name in made.slots.items() if name == chosen.id]
        assert chosen.price is not None
        assert violated(rules, chosen, slots, None) is None


@given(models(), st.lists(policies(), max_size=3), policies(), st.integers(0, 50))
def test_a_further_policy_never_lets_a_model_in(info: ModelInfo, rules: list[Policy], more: Policy, calls: int) -> None:
    """What some policies forbid stays forbidden whatever policy is added, wherever."""
    record = ModelRecord()
    record.latencies.extend([1000] * calls)
    if violated(rules, info, info.slots, record) is not None:
        assert violated([*rules, more], info, info.slots, record) is not None
        assert violated([more, *rules], info, info.slots, record) is not None


@pytest.mark.parametrize(
    ("policy", "facts", "allowed"),
    [
        (Policy("p", allowed_providers=("North",)), {}, True),
        (Policy("p", allowed_providers=("south",)), {}, False),
        (Policy("p", allowed_providers=()), {}, False),
        (Policy("p", blocked_providers=("SIMULATED",)), {}, False),
        (Policy("p", allowed_models=("glm-4",)), {"slots": ("glm-4",)}, True),
        (Policy("p", allowed_models=("glm-4",)), {}, False),
        (Policy("p", blocked_models=("claude-3-5-opus-20241022",)), {"slots": ("claude-opus",)}, False),
        (Policy("p", blocked_models=("wire",)), {"wire_name": "wire"}, False),
        (Policy("p", allowed_regions=("eu",)), {"regions": ("eu",)}, True),
        (Policy("p", allowed_regions=("eu",)), {"regions": ("eu", "us")}, False),
        (Policy("p", allowed_regions=("eu",)), {}, False),
        (Policy("p", allow_training_on_output=False), {"trains_on_data": False}, True),
        (Policy("p", allow_training_on_output=False), {"trains_on_data": True}, False),
        (Policy("p", allow_training_on_output=False), {}, False),
        (Policy("p", allow_training_on_output=True), {"trains_on_data": True}, True),
    ],
)
def test_what_a_policy_forbids(policy: Policy, facts: dict[str, object], allowed: bool) -> None:
    """Names match plugin, vendor, model or slot; a fact that is not declared satisfies no restriction."""
    info = model("m", "north", **facts)
    assert (violated((policy,), info, info.slots, None) is None) is allowed


@given(catalogues(1, 5), st.integers(1, 300_000), st.integers(1, 20_000), st.booleans())
def test_the_cheapest_judge_is_never_left_out(
    catalogue: tuple[ModelInfo, ...], size: int, limit: int, unbounded: bool
) -> None:
    """Whatever the length of what is judged: those kept contain one that costs no more than any that may be asked."""
    made = stage(
        catalogue,
        allow_unbounded=unbounded,
        role_max_tokens={**ROLE_MAX_TOKENS, Role.EVALUATOR: limit},
        fixed_roles=(Role.EVALUATOR,),
    )
    made.begin()
    roster = Memo().roster(made.state)

    def bound(judge: ModelInfo) -> Usd:
        least = min(limit + judge.thinking, judge.max_output or limit + judge.thinking)
        assert judge.price is not None
        written = judge.output_bound(least)
        return judge.price.bound(size + judge.hidden_tokens, least if written is None else written)

    able = [each for each in catalogue if each.id not in roster.verdicts("").rejection]
    unreconciled = roster.cheapest_judges("", frozenset())
    assert min(map(bound, unreconciled), default=None) == min(map(bound, able), default=None)


def test_only_a_hard_policy_removes_and_the_milder_ones_are_named() -> None:
    """SOFT and MONITOR differ by whether the model ranks last."""
    rules = [
        Policy("hard", blocked_models=("b",)),
        Policy("soft", blocked_models=("a",), enforcement_mode=EnforcementMode.SOFT),
        Policy("watch", blocked_models=("a", "b"), enforcement_mode=EnforcementMode.MONITOR),
    ]
    assert violated(rules, model("a"), (), None) is None
    assert violated(rules, model("b"), (), None) == "hard"
    assert violations(rules, model("a"), (), None) == (("soft", "watch"), True)
    assert violations(rules, model("b"), (), None) == (("watch",), False)
    assert violations(rules, model("c"), (), None) == ((), False)


def test_a_reviser_that_violates_a_soft_policy_ranks_last() -> None:
    """The policy comes before the wish that the author revises; without another it is called all the same."""
    soft = Policy("not_a", blocked_models=("author",), enforcement_mode=EnforcementMode.SOFT)
    for others, reviser in (((model("x", "south", price=DEAR),), "x"), ((), "author")):
        made = stage((AUTHOR, *others), ("author",), node_policies={"t": (soft,)})
        made.begin()
        made.play()
        revised = [event.model for event in made.all(e.ModelSelected) if event.role is Role.REVISER]
        assert revised[0] == reviser


def test_the_strictest_mode_of_a_name_holds_on_every_level() -> None:
    """Among the policies of the run for all, and with those of a node for that node."""
    mild = Policy("p", blocked_models=("a",), enforcement_mode=EnforcementMode.MONITOR)
    soft = Policy("p", blocked_models=("b",), enforcement_mode=EnforcementMode.SOFT)
    hard = Policy("p", blocked_models=("c",))
    run, nodes = with_strictest_modes([mild, soft], {"t": [hard], "u": [mild]})
    assert [policy.enforcement_mode for policy in run] == [EnforcementMode.SOFT] * 2
    assert [(policy.blocked_models, policy.enforcement_mode.value) for policy in nodes["t"]] == [
        (("a",), "hard"),
        (("b",), "hard"),
        (("c",), "hard"),
    ]
    assert [policy.enforcement_mode for policy in nodes["u"]] == [EnforcementMode.SOFT]
