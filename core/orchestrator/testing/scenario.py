"""One simulated world, drawn from a seed: runs, models, money, faults, and what goes wrong with the process."""

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from attrs import Factory, evolve, frozen

from orchestrator.models import SLOTS, ModelInfo
from orchestrator.money import Price, Usd
from orchestrator.policy import Policy
from orchestrator.settings import SECOND, CrossVendor, Evaluation, Limits, MissingTool, OnDisagree, RunSettings
from orchestrator.testing.vendor import FAULTS, ODDITIES

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
    backend_fails: float = 0.0
    decide_fails: float = 0.0
    by_model: bool = False
    files_fail: float = 0.0
    lost_by_other: bool = False
    """Whether another process notices the dead session first."""
    check_faults: float = 0.0
    models_change: bool = False
    """Whether later sessions find other models: one gone, one without a price, one that moved to another region."""

    @classmethod
    def draw(cls, seed: int) -> "Scenario":
        """The scenario of a seed: 3 to 30 tasks, 2 to 5 models, budgets that bind, 0 to 4 crashes."""
        draw = Random(f"scenario/{seed}")
        accounts = ("org", "team/eng") if draw.random() < 0.3 else ()
        kinds = draw.sample([*FAULTS, *ODDITIES], draw.randint(0, 6)) if draw.random() < 0.8 else []
        settings = _settings(draw, accounts)
        return cls(
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
        cross_vendor=draw.choice([CrossVendor.PREFER, CrossVendor.PREFER, *CrossVendor]),
        missing_tool=draw.choice(list(MissingTool)),
        limits=draw.choice([Limits(), Limits(), Limits(tries=1, attempts=3, breaker_failures=1)]),
        policies=tuple(draw.sample(policies, draw.choice([0, 0, 0, 0, 1, 2]))),
        allow_unbounded=draw.random() < 0.3,
    )


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
