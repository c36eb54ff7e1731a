"""One simulated world, drawn from a seed: runs, models, money, faults, and what goes wrong with the process."""

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from attrs import Factory, evolve, frozen

from orchestrator.decide.strategies import REVIEWED, STRATEGIES
from orchestrator.events import Length, Prior
from orchestrator.models import SLOTS, Allowances, JudgeMethod, ModelInfo, Role, TaskType
from orchestrator.money import Price, Rate, Usd
from orchestrator.policy import EnforcementMode, Policy, RateLimit
from orchestrator.settings import (
    SECOND,
    Approvals,
    CrossVendor,
    Evaluation,
    Limits,
    MissingTool,
    OnDisagree,
    RunSettings,
)
from orchestrator.testing.simulation.simulated_vendor import FAULTS, ODDITIES

WHERE: Final = ("before", "inside", "after")
"""Where a crash can be: before the transaction, inside it, after COMMIT and before the acknowledgement."""


@frozen
class CrashPoint:
    """The process dies at its n-th append (from 1), before, inside or after the transaction.

    With ``type``, the stored name of an event, it dies at the first append from the n-th on that writes such an event.
    """

    append: int
    where: str
    type: str | None = None


@frozen
class Scenario:
    """One world. ``Scenario.draw`` draws it from a seed; ``attrs.evolve`` changes it."""

    seed: int
    runs: int
    settings: RunSettings
    models: tuple[ModelInfo, ...]
    tasks: int
    given: bool
    """Whether the plan is given; otherwise it is asked for."""
    faults: tuple[str, ...] = ()
    fault_rate: float = 0.0
    slowest: float = 20.0
    crashes: tuple[CrashPoint, ...] = ()
    interrupt_after: tuple[float, ...] = ()
    """Seconds after which each of the first sessions is interrupted."""
    raises: int = 0
    """How often a halted run gets more money or time, or is tried again for want of a model."""
    account_caps: Mapping[str, Usd] = Factory(dict)
    account_advance: Usd = Usd.ZERO
    """What a run takes of each account at once."""
    backend_fails: float = 0.0
    decide_fails: float = 0.0
    by_model: bool = False
    files_fail: float = 0.0
    lost_by_other: bool = False
    """Whether another process notices the dead session first."""
    check_faults: float = 0.0
    models_change: bool = False
    """Whether later sessions find other models: one gone, one without a price, one that moved to another region."""
    verify_passes: float = 1.0
    """How likely the verification of a result passes, where the settings want one."""
    messages: tuple[float, ...] = ()
    """Seconds after which a message is put into a channel, in every session; after as long again, one is
    taken."""
    reconciles: float = 0.0
    """How likely the unknown cost of a call becomes known before the next session opens."""
    priors: tuple[Prior, ...] = ()
    """What earlier runs are said to have measured."""
    cut_rate: float = 0.0
    """How many answers are long, so that their limit can cut them off."""
    alike: bool = False
    """Whether all runs are of one project and one plan."""
    one_by_one: bool = False
    """Whether a run begins when the one before has ended."""

    person: bool = False
    """Whether a person can be asked."""
    outages: tuple[tuple[str, float, float], ...] = ()
    """(host, from, to): between these virtual seconds no connection to the host can be made."""
    broke: tuple[str, ...] = ()
    """The accounts without money."""
    calls_per_second: int | None = None
    """How often the vendor lets all runs together ask."""
    pace: Allowances | None = None
    """What is set for the vendor; runs keep to it together whose settings share their limits."""

    @classmethod
    def draw(cls, seed: int) -> "Scenario":
        """The scenario of a seed: 3 to 30 tasks, 2 to 5 models, budgets that bind, 0 to 4 crashes."""
        draw = Random(f"scenario/{seed}")
        accounts = ("org", "team/eng") if draw.random() < 0.3 else ()
        kinds = draw.sample([*FAULTS, *ODDITIES], draw.randint(0, 6)) if draw.random() < 0.8 else []
        settings = _settings(draw, accounts)
        drawn = cls(
            seed=seed,
            runs=draw.choice([1, 2, 3]) if accounts else 1,
            settings=settings,
            models=draw_models(draw),
            tasks=draw.choice([3, 4, 5, 6] if accounts else [3, 3, 4, 5, 6, 8, 12, 20, 30]),
            given=draw.random() < 0.5,
            faults=tuple(kinds),
            fault_rate=draw.choice([0.05, 0.15, 0.4]),
            slowest=draw.choice([0.5, 20.0, 100.0]),
            crashes=tuple(
                CrashPoint(round(1 + draw.random() ** 2 * 120), draw.choice(WHERE)) for _ in range(draw.randint(0, 4))
            ),
            interrupt_after=tuple(draw.uniform(1, 120) for _ in range(draw.choice([0, 0, 1, 2]))),
            raises=draw.choice([0, 1, 2]),
            account_caps={name: settings.cap.part(draw.randint(30, 250), 100) for name in accounts},
            backend_fails=draw.choice([0.0, 0.0, 0.1]),
            decide_fails=draw.choice([0.0, 0.0, 0.0, 0.02]),
            by_model=draw.random() < 0.5,
            files_fail=draw.choice([0.0, 0.2]),
            lost_by_other=draw.random() < 0.3,
            check_faults=draw.choice([0.0, 0.1]),
            models_change=draw.random() < 0.2,
        )
        # what came later is drawn last, so that the worlds of known seeds stay as they are
        drawn = evolve(drawn, models=tuple(_with_rates(model, draw) for model in drawn.models))
        apart = Random(f"reconciles/{seed}")
        drawn = evolve(
            drawn, reconciles=apart.choice([0.0, 0.5, 1.0]), priors=_priors(apart) if apart.random() < 0.5 else ()
        )
        drawn = evolve(
            drawn,
            settings=evolve(drawn.settings, verify=draw.random() < 0.3),
            verify_passes=draw.choice([1.0, 0.5]),
            messages=tuple(draw.uniform(0, 60) for _ in range(draw.choice([0, 0, 0, 2, 5]))),
        )
        drawn = _paced(_reusing(drawn, Random(f"reuse/{seed}")), Random(f"pace/{seed}"))
        drawn = _with_input_stage(drawn, Random(f"input/{seed}"))
        drawn = _governed(drawn, Random(f"governance/{seed}"))
        drawn = _comparing(drawn, Random(f"pairs/{seed}"))
        drawn = _with_lengths(drawn, Random(f"lengths/{seed}"))
        return _steered(drawn, Random(f"steering/{seed}"))

    @property
    def calls_per_minute(self) -> int | None:
        """How often the vendor lets a run ask: as often as the run's own limit says."""
        return next(iter(self.settings.limits.requests_per_minute.values()), None)

    def draw_of(self, purpose: str) -> Random:
        """A random source of its own for a purpose."""
        return Random(f"{purpose}/{self.seed}")

    def models_of(self, session: int) -> tuple[ModelInfo, ...]:
        """What the vendor sells when the run's n-th session (from 1) opens."""
        if not self.models_change or session == 1:
            return self.models
        draw = self.draw_of(f"models/{session}")
        models = list(self.models)
        if len(models) > 1 and draw.random() < 0.4:
            models.pop(draw.randrange(len(models)))
        changes: list[Mapping[str, Any]] = [
            {"price": None},
            {"regions": ("us",)},
            {"max_output": 512},
            {"thinking_in_limit": False, "max_output": None},
            {"price": Price(Usd.parse(2), Usd.parse(9))},
        ]
        at = draw.randrange(len(models))
        models[at] = evolve(models[at], **draw.choice(changes))
        return tuple(models)


def _steered(scenario: Scenario, draw: Random) -> Scenario:
    """The world with approval points, where there is a person to ask, and with a planner that is asked once more."""
    settings = evolve(scenario.settings, replans=2 if draw.random() < 0.2 else 0)
    if scenario.person and draw.random() < 0.4:
        points = Approvals(
            plan=draw.random() < 0.5,
            tasks=draw.random() < 0.3,
            spend=(settings.cap.part(draw.randint(1, 9), 10),) if draw.random() < 0.4 else (),
            ceiling=draw.random() < 0.4,
        )
        settings = evolve(settings, approve=points)
    return evolve(scenario, settings=settings)


def _reusing(scenario: Scenario, draw: Random) -> Scenario:
    """The world with long answers, or with two runs of one project that share a cache."""
    settings = scenario.settings
    if draw.random() < 0.2:
        scenario = evolve(scenario, cut_rate=draw.choice([0.1, 0.5]))
    if draw.random() < 0.06 and not settings.accounts:
        alike = evolve(scenario, runs=2, alike=True, one_by_one=draw.random() < 0.8)
        return evolve(alike, settings=evolve(settings, cache=True))
    return scenario


def _paced(scenario: Scenario, draw: Random) -> Scenario:
    """The world, in one of five cases with limits on how often and how much may be asked, and the time for it."""
    settings = scenario.settings
    if draw.random() < 0.12:
        requests, tokens = draw.choice([5, 20, 60]), draw.choice([{}, {"*": 20_000}, {"simulated": 200_000}])
        name = draw.choice(["simulated", "*"])
        limits = evolve(settings.limits, requests_per_minute={name: requests}, tokens_per_minute=tokens)
        settings = evolve(settings, limits=limits, time_limit=100 * settings.time_limit)
    if draw.random() < 0.08:
        limit = RateLimit(
            calls_per_minute=draw.choice([None, 6, 30]),
            cost_usd_per_hour=draw.choice([None, settings.cap.part(1, 4)]),
            tokens_per_day=draw.choice([None, 10_000_000]),
        )
        mode = draw.choice([EnforcementMode.HARD, EnforcementMode.HARD, EnforcementMode.SOFT])
        policy = Policy("pace", rate_limit=limit, enforcement_mode=mode)
        everywhere = draw.random() < 0.5
        settings = evolve(
            settings,
            time_limit=100 * settings.time_limit,
            policies=(*settings.policies, policy) if everywhere else settings.policies,
            node_policies={} if everywhere else {f"t{number}": (policy,) for number in (1, 2)},
        )
    return evolve(scenario, settings=settings)


def _with_input_stage(scenario: Scenario, draw: Random) -> Scenario:
    """The world, in one of four cases with suggestions or advice before the plan."""
    if draw.random() >= 0.25:
        return scenario
    cap = draw.choice([Usd.parse("0.1"), Usd.parse("0.1"), Usd.parse("0.0005")])
    enhance, advise = draw.random() < 0.8, draw.random() < 0.6
    settings = evolve(scenario.settings, enhance=enhance, enhance_cap=cap, advise=advise)
    return evolve(scenario, settings=settings, person=draw.random() < 0.9)


def _governed(scenario: Scenario, draw: Random) -> Scenario:
    """The world, in one of four cases with milder policies, caps on the cost of a task, or policies of single tasks."""
    if draw.random() >= 0.25:
        return scenario
    settings = scenario.settings
    policies = [evolve(policy, enforcement_mode=draw.choice(list(EnforcementMode))) for policy in settings.policies]
    cap = Usd(round(10 ** draw.uniform(5.0, 8.5)))
    for kind in draw.sample(["cap", "mild", "node"], draw.randint(1, 3)):
        match kind:
            case "cap":
                mode = draw.choice([EnforcementMode.HARD, *EnforcementMode])
                policies.append(Policy("cheap", max_cost_per_task_usd=cap, enforcement_mode=mode))
            case "mild":
                mode = draw.choice([EnforcementMode.SOFT, EnforcementMode.SOFT, EnforcementMode.MONITOR])
                policies.append(Policy("rather_not", blocked_models=("model-0", "model-2"), enforcement_mode=mode))
            case "node":
                own = (
                    Policy(
                        "not_here", blocked_providers=("north",), enforcement_mode=draw.choice(list(EnforcementMode))
                    ),
                    Policy("cheap_here", max_cost_per_task_usd=cap.part(draw.choice([1, 3]), 2)),
                )
                nodes = {**settings.node_policies, **{f"t{n}": own[: draw.randint(1, 2)] for n in (1, 3)}}
                settings = evolve(settings, node_policies=nodes)
    return evolve(scenario, settings=evolve(settings, policies=tuple(policies)))


def _comparing(scenario: Scenario, draw: Random) -> Scenario:
    """The world, in one of eight cases with results that are compared in pairs, whatever the strategy."""
    if draw.random() >= 0.125:
        return scenario
    settings = scenario.settings
    evaluation = evolve(settings.evaluation, judge=JudgeMethod.PAIRS)
    return evolve(scenario, settings=evolve(settings, evaluation=evaluation))


def _priors(draw: Random) -> tuple[Prior, ...]:
    return tuple(
        Prior(
            model=f"model-{number}",
            type=kind,
            calls=draw.choice([10, 30, 200]),
            quality=draw.choice([None, draw.random()]),
            cost=draw.choice([None, draw.uniform(0, 0.01)]),
            latency_ms=draw.uniform(1, 5000),
            trust=draw.uniform(0.2, 1),
            latency_p95_ms=draw.choice([None, 7000.0]),
            success_rate=draw.choice([None, 0.9]),
        )
        for number in range(5)
        for kind in draw.sample([None, *TaskType], 3)
    )


def _with_lengths(scenario: Scenario, draw: Random) -> Scenario:
    """The same world: some models think, some lengths were measured, and some limits are the user's own."""
    thinking: list[dict[str, int]] = [{}, {}, {"default": 300}, {"default": 5000}]
    settings = scenario.settings
    if draw.random() < 0.3:
        kinds, roles = draw.sample(list(TaskType), 3), draw.sample(list(settings.role_max_tokens), 2)
        settings = evolve(settings, fixed_types=tuple(kinds), fixed_roles=tuple(roles))
    return evolve(
        scenario,
        settings=settings,
        models=tuple(evolve(model, thinking_tokens=draw.choice(thinking)) for model in scenario.models),
        priors=tuple(evolve(prior, lengths=_lengths(draw)) for prior in scenario.priors),
    )


def _lengths(draw: Random) -> tuple[Length, ...]:
    """Of some roles, from hardly anything to more than any limit."""
    roles = draw.sample(list(Role), draw.randint(0, 4))
    return tuple(Length(role, 10, 1, draw.choice([1, 300, 700, 3000, 20_000])) for role in roles)


def ample(scenario: Scenario) -> Scenario:
    """The same world with more money and time than it can use."""
    return evolve(
        scenario,
        settings=evolve(scenario.settings, cap=Usd.parse(1_000_000), time_limit=10_000_000 * SECOND),
        account_caps={name: Usd.parse(10_000_000) for name in scenario.account_caps},
    )


def _settings(draw: Random, accounts: tuple[str, ...]) -> RunSettings:
    binds = draw.random() < 0.45
    policies = [
        Policy("eu_only", allowed_regions=("eu",)),
        Policy("no_training", allow_training_on_output=False),
        Policy("no_east", blocked_providers=("EAST",)),
        Policy("without_first", blocked_models=("model-0",)),
        Policy("prompt", max_latency_ms=draw.choice([300.0, 8000.0])),
    ]
    return RunSettings(
        cap=Usd(round(10 ** (draw.uniform(6.5, 9.0) if binds else draw.uniform(9.5, 11.5)))),
        time_limit=draw.choice([5400, 5400, 5400, 600, 90]) * SECOND,
        concurrency=draw.choice([1, 2, 3, 3, 5, 8]),
        accounts=accounts,
        simulated=True,
        backend_named=draw.random() < 0.3,
        evaluation=Evaluation(runs=draw.choice([1, 2, 2, 2, 3]), on_disagree=draw.choice(list(OnDisagree))),
        loop=dict.fromkeys(TaskType, draw.choice([REVIEWED, REVIEWED, *STRATEGIES.values()])),
        cross_vendor=draw.choice([CrossVendor.PREFER, CrossVendor.PREFER, *CrossVendor]),
        missing_tool=draw.choice(list(MissingTool)),
        limits=draw.choice([Limits(), Limits(), Limits(tries=1, attempts=3, breaker_failures=1)]),
        policies=tuple(draw.sample(policies, draw.choice([0, 0, 0, 0, 1, 2]))),
        allow_unbounded=draw.random() < 0.3,
    )


def _with_rates(model: ModelInfo, draw: Random) -> ModelInfo:
    """The model, in one of five cases with a price that depends on the size, the date and the hour of a call."""
    price = model.price
    if price is None or draw.random() >= 0.2:
        return model
    double, half = Usd(2 * price.output.nano), Usd(price.input.nano // 2)
    minute = draw.randrange(24 * 60)
    rates = (
        Rate(half, price.output, hours=(minute, (minute + draw.choice([1, 30, 700])) % (24 * 60))),
        Rate(price.input, double, reasoning=double, since=draw.choice([1_800_000_060, 1_800_003_600]) * SECOND),
        Rate(double, double, over=draw.choice([600, 2_000])),
    )
    return evolve(model, price=evolve(price, rates=tuple(draw.sample(rates, draw.randint(1, 3)))))


def draw_models(draw: Random) -> tuple[ModelInfo, ...]:
    """Two to five models of up to three vendors, each filling some of the slots."""
    slots = list(SLOTS)
    draw.shuffle(slots)
    count = draw.randint(2, 5)
    models = []
    for number in range(count):
        cheap = draw.choice([0.1, 0.3, 1.0, 5.0])
        price = Price(Usd.rounded(cheap), Usd.rounded(cheap * draw.choice([1, 4, 8])))
        dear = evolve(price, reasoning=Usd(2 * price.output.nano), cache_write=Usd(price.input.nano * 5 // 4))
        models.append(
            ModelInfo(
                id=f"model-{number}",
                provider="simulated",
                vendor=draw.choice(["north", "south", "east"]),
                price=draw.choice([price, price, price, dear, dear, None]),
                context=draw.choice([None, 4096, 128_000, 128_000]),
                max_output=draw.choice([None, 1024, 8192]),
                hidden_tokens=draw.choice([0, 512, 512]),
                thinking_in_limit=draw.random() < 0.8,
                tier=draw.choice([None, "small", "large"]),
                slots=tuple(slots[number::count]),
                trains_on_data=draw.choice([None, False, False, True]),
                regions=draw.choice([(), ("eu",), ("eu",), ("us",)]),
            )
        )
    return tuple(models)
