"""Hypothesis strategies for what decisions depend on: plans, catalogues, policies, budgets, and whole worlds."""

from collections.abc import Sequence
from typing import Final

from attrs import evolve
from hypothesis import strategies as st

from orchestrator.decide.strategies import STRATEGIES
from orchestrator.errors import ErrorKind
from orchestrator.events import CallStarted, Event, ModelSelected
from orchestrator.models import (
    SLOTS,
    CritiqueUse,
    JudgeMethod,
    ModelInfo,
    ModelOrder,
    PlannedTask,
    RepairUse,
    Role,
    TaskType,
)
from orchestrator.models import Strategy as Loop
from orchestrator.money import Price, Rate, Usage, Usd
from orchestrator.policy import EnforcementMode, Policy
from orchestrator.settings import (
    SECOND,
    CrossVendor,
    Evaluation,
    Limits,
    MissingTool,
    OnDisagree,
    RunSettings,
    SecondJudge,
)
from orchestrator.spi import ModelTelemetry, RoutingCandidate
from orchestrator.testing.decide_by_hand import Stage
from orchestrator.testing.simulation.scenario import WHERE, CrashPoint, Scenario
from orchestrator.testing.simulation.simulated_vendor import FAULTS, ODDITIES

Strategy = st.SearchStrategy

VENDORS: Final = ("north", "south", "east")
REGIONS: Final = ("eu", "us", "asia")

TOKEN_CLASSES: Final[Strategy[Usd]] = st.sampled_from([0, 1, 100_000_000, 2_500_000_000]).map(Usd) | st.integers(
    0, 100_000_000_000
).map(Usd)
"""Prices per million tokens: from nothing to a hundred dollars."""

TOKENS: Final[Strategy[int]] = st.integers(0, 2_000_000)


_NO_COSTS: Final[Strategy[Usd | None]] = st.none()


def rates() -> Strategy[Rate]:
    """Rates above a size, from a moment on, at hours of the day, or under several of these conditions."""
    timestamps = st.none() | st.integers(0, 4 * 10**15)
    hours = st.just(()) | st.tuples(st.integers(0, 1439), st.integers(0, 1439))
    sizes = st.sampled_from([0, 0, 1, 200_000])
    return st.builds(
        Rate,
        TOKEN_CLASSES,
        TOKEN_CLASSES,
        TOKEN_CLASSES,
        TOKEN_CLASSES,
        TOKEN_CLASSES,
        over=sizes,
        since=timestamps,
        hours=hours,
        days=st.just(()) | st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
    )


def prices() -> Strategy[Price]:
    """Prices with the two token classes that must be there, with all of them, and with rates."""
    token_classes = (TOKEN_CLASSES, TOKEN_CLASSES, TOKEN_CLASSES, TOKEN_CLASSES, TOKEN_CLASSES)
    some = st.lists(rates(), min_size=1, max_size=3).map(tuple)
    return (
        st.builds(Price, TOKEN_CLASSES, TOKEN_CLASSES)
        | st.builds(Price, *token_classes)
        | st.builds(Price, *token_classes, rates=some)
    )


def usages() -> Strategy[Usage]:
    """Sane usage."""
    return st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS)


def policies(
    modes: Sequence[EnforcementMode] = (EnforcementMode.HARD,), costs: Strategy[Usd | None] = _NO_COSTS
) -> Strategy[Policy]:
    """Policies over the names that ``catalogues`` uses, in some modes; ``costs`` are caps on the cost of a task."""
    models = st.lists(st.sampled_from([*(f"model-{n}" for n in range(5)), *SLOTS]), max_size=3)
    companies = st.lists(st.sampled_from([*VENDORS, "SIMULATED"]), max_size=3)
    return st.builds(
        Policy,
        name=st.sampled_from(["one", "two", "three"]),
        allowed_providers=st.none() | companies,
        blocked_providers=st.none() | companies,
        allowed_models=st.none() | models,
        blocked_models=st.none() | models,
        allowed_regions=st.none() | st.lists(st.sampled_from(REGIONS), max_size=3),
        allow_training_on_output=st.sampled_from([None, None, True, False]),
        max_latency_ms=st.none() | st.floats(1, 60_000),
        enforcement_mode=st.sampled_from(list(modes)),
        max_cost_per_task_usd=st.none() | costs,
    )


def models(number: int = 0) -> Strategy[ModelInfo]:
    """One model, ``model-NUMBER``."""
    return st.builds(
        ModelInfo,
        id=st.just(f"model-{number}"),
        provider=st.just("simulated"),
        vendor=st.sampled_from(VENDORS),
        price=st.none() | prices(),
        context=st.sampled_from([None, 4096, 128_000]),
        max_output=st.sampled_from([None, 512, 8192]),
        hidden_tokens=st.sampled_from([0, 512]),
        thinking_in_limit=st.booleans(),
        tier=st.sampled_from([None, "small", "large"]),
        regions=st.lists(st.sampled_from(REGIONS), unique=True, max_size=2).map(tuple),
        trains_on_data=st.sampled_from([None, True, False]),
        slots=st.lists(st.sampled_from(SLOTS), unique=True, max_size=4).map(tuple),
    )


def catalogues(least: int = 1, most: int = 5) -> Strategy[tuple[ModelInfo, ...]]:
    """Some models with different ids."""
    each = [models(number) for number in range(most)]
    sized = [st.tuples(*each[:count]) for count in range(least, most + 1)]
    return st.integers(least, most).flatmap(lambda count: sized[count - least])


def located(models: tuple[ModelInfo, ...]) -> tuple[ModelInfo, ...]:
    """The models with an account for each vendor, and hosts that some of these share."""
    return tuple(evolve(each, account=each.vendor, host=f"{each.vendor[0]}.example") for each in models)


def telemetry() -> Strategy[ModelTelemetry]:
    """What may have been measured of a model."""
    share = st.none() | st.floats(0, 1)
    positive = st.none() | st.floats(0, 1e6)
    return st.builds(
        ModelTelemetry,
        calls=st.integers(0, 100),
        quality=share,
        trust=st.floats(0, 1),
        cost=positive,
        latency_ms=positive,
        latency_p95_ms=positive,
        success_rate=share,
    )


@st.composite
def plans(draw: st.DrawFn, most: int = 8, validators: tuple[str, ...] = ()) -> tuple[PlannedTask, ...]:
    """Plans without cycles, in an order that need not be that of their dependencies."""
    count = draw(st.integers(1, most))
    tasks = []
    for number in range(count):
        before = [f"t{other}" for other in range(number)]
        tasks.append(
            PlannedTask(
                id=f"t{number}",
                type=draw(st.sampled_from(list(TaskType))),
                prompt=f"{number:064x}",
                prompt_bytes=draw(st.integers(1, 5_000)),
                dependencies=tuple(draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else ()),
                validators=tuple(name for name in validators if draw(st.booleans())),
                tests=draw(st.sampled_from([None, "1" * 64])),
            )
        )
    return tuple(draw(st.permutations(tasks)))


def budgets() -> Strategy[Usd]:
    """Caps from nothing to ample."""
    return st.sampled_from([0, 10**7, 10**8, 10**9, 10**12]).map(Usd) | st.integers(0, 10**11).map(Usd)


def loops() -> Strategy[dict[TaskType, Loop]]:
    """One strategy of the review loop for all types: one that has a name, or any other."""
    some = st.builds(
        Loop,
        name=st.just("some"),
        samples=st.integers(1, 4),
        iterations=st.none() | st.integers(1, 4),
        critique=st.sampled_from(list(CritiqueUse)),
        runs=st.none() | st.integers(0, 2),
        repair=st.sampled_from(list(RepairUse)),
        improves=st.booleans(),
        order=st.sampled_from(list(ModelOrder)),
        temperature=st.none() | st.just(0.5),
        method=st.sampled_from([None, *JudgeMethod]),
    )
    return (st.sampled_from(list(STRATEGIES.values())) | some).map(lambda loop: dict.fromkeys(TaskType, loop))


def settings_of_runs(accounts: tuple[str, ...] = ()) -> Strategy[RunSettings]:
    """The rules of a run."""
    return st.builds(
        RunSettings,
        cap=budgets(),
        time_limit=st.sampled_from([5400, 600, 60]).map(lambda seconds: seconds * SECOND),
        concurrency=st.integers(1, 5),
        iterations=st.integers(1, 3).map(lambda count: dict.fromkeys(TaskType, count)),
        role_max_tokens=st.sampled_from([64, 1024]).map(
            lambda limit: {Role.DECOMPOSER: 8192, Role.CRITIC: 2048, Role.EVALUATOR: limit}
        ),
        backend_named=st.booleans(),
        evaluation=st.builds(
            Evaluation,
            runs=st.integers(1, 3),
            on_disagree=st.sampled_from(list(OnDisagree)),
            second=st.sampled_from(list(SecondJudge)),
            tests_decide=st.booleans(),
            judged_types=st.sampled_from([(), tuple(TaskType)]),
            judge=st.sampled_from([None, None, *JudgeMethod]),
            scorer=st.sampled_from([None, None, None, "a_scorer"]),
            with_judge=st.booleans(),
        ),
        loop=loops(),
        cross_vendor=st.sampled_from(list(CrossVendor)),
        missing_tool=st.sampled_from(list(MissingTool)),
        limits=st.builds(
            Limits, tries=st.integers(1, 3), attempts=st.integers(1, 12), breaker_failures=st.integers(1, 3)
        ),
        policies=st.lists(policies(list(EnforcementMode), budgets()), max_size=1).map(tuple),
        accounts=st.just(accounts),
        allow_unbounded=st.booleans(),
        simulated=st.just(True),
    )


def crash_points() -> Strategy[CrashPoint]:
    """Anywhere in the first hundred appends."""
    return st.builds(CrashPoint, st.integers(1, 100), st.sampled_from(WHERE))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Whole worlds: the seed's, with what most decides a run drawn anew, so that a failure shrinks."""
    drawn = Scenario.draw(draw(st.integers(0, 2**32 - 1)))
    return evolve(
        drawn,
        tasks=draw(st.integers(3, 8)),
        given=draw(st.booleans()),
        settings=evolve(
            drawn.settings,
            cap=draw(st.integers(10**6, 10**11).map(Usd)),
            concurrency=draw(st.integers(1, 8)),
            backend_named=draw(st.booleans()),
        ),
        faults=tuple(draw(st.lists(st.sampled_from([*FAULTS, *ODDITIES]), unique=True, max_size=4))),
        fault_rate=draw(st.sampled_from([0.0, 0.1, 0.4, 0.9])),
        crashes=tuple(draw(st.lists(crash_points(), max_size=4))),
        decide_fails=0.0,
        raises=draw(st.integers(0, 2)),
    )


def routing_candidates(most: int = 6) -> Strategy[tuple[RoutingCandidate, ...]]:
    """Candidates of a routing row with different models, each in its own place."""
    one = st.tuples(st.sampled_from(["simulated", "other"]), st.sampled_from(VENDORS), prices())
    return st.lists(one, max_size=most).map(
        lambda drawn: tuple(
            RoutingCandidate(f"model-{place}", provider, vendor, price, place)
            for place, (provider, vendor, price) in enumerate(drawn)
        )
    )


def odd_telemetry() -> Strategy[ModelTelemetry]:
    """Telemetry with numbers that no measurement gives: negative, endless, and not a number."""
    number = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 5e-324, 1.7e308])
    return st.builds(
        ModelTelemetry,
        calls=st.integers(0, 2**62),
        quality=number,
        trust=st.floats(),
        cost=number,
        latency_ms=number,
        latency_p95_ms=number,
        success_rate=number,
    )


@st.composite
def fields_of_candidates(
    draw: st.DrawFn, *, odd: bool = False
) -> tuple[tuple[RoutingCandidate, ...], dict[str, ModelTelemetry]]:
    """What a backend is asked: candidates, and the telemetry of each; ``odd``: of any numbers."""
    candidates = draw(routing_candidates())
    measured = telemetry() | odd_telemetry() if odd else telemetry()
    return candidates, {each.model: draw(measured) for each in candidates}


@st.composite
def histories(draw: st.DrawFn, steps: int = 30) -> tuple[tuple[int, Event], ...]:
    """Histories of runs as the real rules write them, as pairs of at and event; most are not at their end.

    Up to ``steps`` times a call is prepared, answered or failed, or time passes.
    """
    stage = Stage(draw(settings_of_runs()), draw(catalogues()), draw(plans(4)), None)
    stage.begin()
    for _ in range(draw(st.integers(0, steps))):
        ready = [name for name, able in (("prepare", ModelSelected), ("call", CallStarted)) if stage.open(able)]
        if stage.waits_until is not None and stage.state.finished is None:
            ready.append("wait")
        if not ready:
            break
        match draw(st.sampled_from(ready)):
            case "prepare":
                stage.prepare(draw(st.integers(1, 20_000)))
            case "wait":
                stage.wait()
            case _ if draw(st.integers(0, 3)):
                stage.answer(score=draw(st.none() | st.floats(0, 1)))
            case _:
                stage.fail(kind=ErrorKind.SERVER, retryable=True, outage=True)
    return tuple(stage.history)
