"""A choice among 1,000 candidates, beside LiteLLM's Router with its strategy ``least-busy``.

It needs the extra ``bench-routing``, and is left out where that is not installed.
"""

import os
import sys
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import count
from typing import Any, Final

from benchmarks.measure import Row, alternate, cpu, milliseconds
from orchestrator.decide import RULES, Memo, Rank, decide
from orchestrator.decide.ranking import telemetry_of
from orchestrator.engine.backend_guard import guard, runner_of
from orchestrator.events import Event, ForecastMade, ModelSelected, PlanMade, RunStarted, SessionOpened, TaskStarted
from orchestrator.models import ModelInfo, PlannedTask, TaskType
from orchestrator.money import Price, Usd
from orchestrator.plugins import Catalogue
from orchestrator.settings import RunSettings
from orchestrator.spi import RoutingCandidate
from orchestrator.state.fold import apply, fold
from orchestrator.state.run import RunState

CANDIDATES: Final = 1_000
_CHOICES: Final = 10
_BACKENDS: Final = ("greedy", "weighted_sum", "pareto")


def _models() -> tuple[ModelInfo, ...]:
    return tuple(
        ModelInfo(
            f"model-{number}",
            "many",
            f"vendor-{number % 7}",
            price=Price(Usd(100_000_000 + 7_919 * number), Usd(400_000_000 + 104_729 * (number * 37 % CANDIDATES))),
            context=128_000,
            max_output=8_192,
        )
        for number in range(CANDIDATES)
    )


def state_of(backend: str) -> RunState:
    """A run that is about to choose, a backend having been named; every model is measured."""
    tasks = (PlannedTask("only", TaskType.CODE_GEN, "", 1),)
    plugins = (Catalogue.discover().used("backend", backend),)
    opened = SessionOpened(1, RULES, "benchmark", plugins, _models(), {}, files=False, caps={})
    history: list[tuple[int, Event]] = [
        (1, RunStarted(0, RunSettings(backend_named=True), "", "", "", given_plan=tasks)),
        (2, opened),
        (2, PlanMade(tasks, ("only",), None)),
        (2, TaskStarted("only")),
    ]
    state = fold(history)
    forecast = decide(state, 3, None, Memo())
    assert isinstance(forecast, ForecastMade)
    apply(state, 3, forecast)
    for number, model in enumerate(state.models):
        measured = state.record(model).measured(TaskType.CODE_GEN)
        measured.observe_answer(0.001 + number * 31 % CANDIDATES / 1e5, 200.0 + number * 17 % CANDIDATES)
        measured.observe_quality(0.5 + number * 53 % CANDIDATES / 2_000)
    return state


def _ranking(state: RunState, rank: Rank) -> float:
    """CPU seconds per ranking by the guarded backend, as the loop calls it."""
    models = state.models.values()
    offered = [
        RoutingCandidate(model.id, model.provider, model.vendor, model.price, place)
        for place, model in enumerate(models)
        if model.price is not None
    ]
    telemetry = {model.id: telemetry_of(state.record(model.id), TaskType.CODE_GEN) for model in models}

    def choose() -> None:
        for _ in range(_CHOICES):
            assert len(rank(offered, telemetry, 0.5)) == CANDIDATES

    return cpu(choose) / _CHOICES


def _decision(state: RunState, rank: Rank) -> float:
    """CPU seconds per decision: policies, health, prices, the ranking, and the event with every candidate in it.

    As in a run, a model has answered since the choice before.
    """
    memo = Memo()

    def choose() -> None:
        for now in range(_CHOICES):
            state.record(f"model-{now}").measured(TaskType.CODE_GEN).observe_answer(0.002, 300.0)
            chosen = decide(state, 3 + now, rank, memo)
            assert isinstance(chosen, ModelSelected)
            assert len(chosen.candidates) == CANDIDATES

    return cpu(choose) / _CHOICES


def _router() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # nothing is fetched
    import litellm

    litellm.telemetry = False
    deployments = [
        {
            "model_name": "any",
            "litellm_params": {"model": f"openai/model-{number}", "api_key": "none"},
            "model_info": {"id": str(number)},
        }
        for number in range(CANDIDATES)
    ]
    router = litellm.Router(model_list=deployments, routing_strategy="least-busy")
    for number in range(CANDIDATES):
        router.cache.set_cache(f"any_request_count:{number}", number * 31 % 97 + 1)
    return router


def _litellm(router: Any, prompts: "count[int]") -> float:
    """CPU seconds per choice."""

    def choose() -> None:
        for _ in range(_CHOICES):
            messages = [{"role": "user", "content": f"Write part {next(prompts)}."}]
            assert router.get_available_deployment("any", messages=messages) is not None

    return cpu(choose) / _CHOICES


def run(rounds: int) -> Iterator[Row]:
    """Compare each backend: the ranking, and the whole decision that is recorded."""
    if find_spec("litellm") is None:
        print("routing: left out, LiteLLM is not installed", file=sys.stderr)
        return
    router, prompts = _router(), count()
    for backend in _BACKENDS:
        state = state_of(backend)
        assert state.session is not None
        rank = guard(Catalogue.discover().backend(backend, {}), runner_of(state.session.plugins))
        for measure, what in ((_ranking, "ranking"), (_decision, "deciding among")):
            pairs = alternate(partial(measure, state, rank), partial(_litellm, router, prompts), rounds)
            text = f"{what} {CANDIDATES:,} candidates by {backend}, beside LiteLLM's Router (least-busy)"
            peer = f"LiteLLM {version('litellm')}"
            note = f"{peer}; policies, health and money as well, and the event with every candidate and its score"
            yield pairs.row(text, milliseconds, 0.5, most=True, note=note if measure is _decision else peer)
