"""The specification's "Improvement 1", and what a run's log shows of it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator import Budget, Orchestrator, ProjectStatus, StateManager
from orchestrator.errors import PluginNotFoundError, SpecError
from orchestrator.events import ModelSelected, SessionOpened
from orchestrator.ledger.event_log import EventLog
from orchestrator.optimization import GreedyBackend, ParetoBackend, PluginBackend, WeightedSumBackend
from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate
from tests.cli.command import ANSWERS, orchestrate

RUN = "demo"
MODELS = [
    {"id": "core", "vendor": "north", "price": {"input": 0.28, "output": 0.42}, "slots": ["deepseek-chat"]},
    {"id": "swift", "vendor": "kestrel", "price": {"input": 0.15, "output": 0.45}},
    {"id": "grand", "vendor": "aurora", "price": {"input": 5, "output": 25}, "slots": ["claude-sonnet"]},
]


class Backwards:
    """A backend of the caller's own: the row, from its end."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once, the last of the row first."""
        return [Ranked(each.model, float(each.place)) for each in sorted(candidates, key=lambda each: -each.place)]


def _orchestrator(home: Path, **fields: object) -> Orchestrator:
    home.mkdir(parents=True, exist_ok=True)
    answers = home / "answers.json"
    answers.write_text(json.dumps({"models": MODELS, "delay_ms": 0, "answers": ANSWERS}))
    providers = {"scripted": {"answers": str(answers)}}
    tasks = [{"id": "only", "type": "code_generation", "prompt": "Write x."}]
    return Orchestrator(
        budget=Budget(max_usd=10.0),
        state_manager=StateManager(home),
        **{"providers": providers, "tasks": tasks, **fields},  # type: ignore[arg-type]
    )


def _run(orchestrator: Orchestrator) -> ProjectStatus | None:
    return asyncio.run(orchestrator.run_project("Write x", "x is there", RUN)).status


def _drafts(home: Path) -> list[ModelSelected]:
    return [each for each in _selections(home) if each.role.value == "generator"]


def _selections(home: Path) -> list[ModelSelected]:
    log = EventLog.open_to_read(home)
    try:
        events = [record.event for record in log.read(RUN)]
    finally:
        log.close()
    return [each for each in events if isinstance(each, ModelSelected)]


def _opened(home: Path) -> list[SessionOpened]:
    log = EventLog.open_to_read(home)
    try:
        return [record.event for record in log.read(RUN) if isinstance(record.event, SessionOpened)]
    finally:
        log.close()


def test_the_specifications_example_runs_as_written() -> None:
    """Both backends are made and set as the specification has it."""
    from orchestrator.optimization import ParetoBackend, WeightedSumBackend

    orch = Orchestrator(budget=Budget(max_usd=10.0))

    # Switch to Pareto-optimal routing
    orch.set_optimization_backend(ParetoBackend())

    # Or tune weighted routing
    orch.set_optimization_backend(WeightedSumBackend(
        w_quality=0.5, w_trust=0.3, w_cost=0.2
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "name", "parameters"),
    [
        (GreedyBackend(), "greedy", {}),
        (ParetoBackend(), "pareto", {}),
        (
            WeightedSumBackend(w_quality=0.5, w_trust=0.3, w_cost=0.2),
            "weighted_sum",
            {"w_quality": 0.5, "w_trust": 0.3, "w_cost": 0.2, "w_latency": 0.0},
        ),
        (PluginBackend("weighted_sum", w_latency=1), "weighted_sum", {"w_latency": 1}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_backend_that_is_set_ranks_every_choice(
    tmp_path: Path, backend: PluginBackend, name: str, parameters: dict[str, float]
) -> None:
    """The log names the plugin with its parameters, every draft was ranked by it, and all is verified."""
    orchestrator = _orchestrator(tmp_path)
    orchestrator.set_optimization_backend(backend)
    assert _run(orchestrator) is ProjectStatus.SUCCESS
    (opened,) = _opened(tmp_path)
    (used,) = (plugin for plugin in opened.plugins if plugin.kind == "backend")
    assert (used.name, used.distribution, used.parameters) == (name, "multi-llm-orchestrator", parameters)
    drafts = _drafts(tmp_path)
    assert drafts
    for draft in drafts:
        ranked = [candidate for candidate in draft.candidates if candidate.score is not None]
        assert draft.backend == name
        if draft.selection == 1:
            scores = [candidate.score for candidate in ranked]
            assert ranked[0].model == draft.model
            assert scores == sorted(scores, key=lambda score: -(score or 0.0))
    verified = orchestrate(tmp_path, "replay", RUN, "--verify", "--strict")
    assert (verified.code, verified.out.startswith("ok: ")) == (0, True), verified.out


def test_backends_choose_differently(tmp_path: Path) -> None:
    """By the table and by price differ: the backend is not only named in the log but asked."""
    plain, cheap = _orchestrator(tmp_path / "plain"), _orchestrator(tmp_path / "cheap")
    cheap.set_optimization_backend(WeightedSumBackend(w_quality=0, w_trust=0, w_cost=1))
    assert (_run(plain), _run(cheap)) == (ProjectStatus.SUCCESS, ProjectStatus.SUCCESS)
    assert _drafts(tmp_path / "plain")[0].model == "core"
    assert _drafts(tmp_path / "cheap")[0].model == "swift"


def test_an_object_of_the_callers_is_asked_and_recorded_by_its_name(tmp_path: Path) -> None:
    """It ranks all candidates; its decisions cannot be computed again, which is said and, if strict, an error."""
    orchestrator = _orchestrator(tmp_path)
    orchestrator.set_optimization_backend(Backwards())
    assert _run(orchestrator) is ProjectStatus.SUCCESS
    name = f"{__name__}.Backwards"
    draft = _drafts(tmp_path)[0]
    assert draft.backend == name
    assert [candidate.score for candidate in draft.candidates] == [2.0, 1.0, 0.0]
    (used,) = (plugin for plugin in _opened(tmp_path)[0].plugins if plugin.kind == "backend")
    assert (used.name, used.distribution, used.version) == (name, "", "")
    verified = orchestrate(tmp_path, "replay", RUN, "--verify")
    assert verified.code == 0
    assert "not recomputable" in verified.out
    assert orchestrate(tmp_path, "replay", RUN, "--verify", "--strict").code == 6
    assert f"ordered by {name}, an object passed from Python" in orchestrate(tmp_path, "explain", RUN, "--all").out


def test_a_run_with_an_object_goes_on_where_the_object_is(tmp_path: Path) -> None:
    """Halted for money, it is resumed by Python with the object; the command says what is missing."""
    orchestrator = _orchestrator(tmp_path)
    orchestrator.set_optimization_backend(Backwards())
    orchestrator.budget.max_usd = 0.0001
    assert _run(orchestrator) is ProjectStatus.BUDGET_EXHAUSTED
    assert _run(orchestrator) is ProjectStatus.BUDGET_EXHAUSTED
    agreed = ("--allow", f"read={tmp_path / 'answers.json'}")  # an argument in Python was the user's own word there
    resumed = orchestrate(tmp_path, "resume", RUN, "--add-budget", "5", *agreed)
    assert resumed.code == 2
    assert f"no backend '{__name__}.Backwards' is installed" in resumed.err


def test_another_backend_is_another_spec(tmp_path: Path) -> None:
    """The same id with another backend is refused, with what differs."""
    assert _run(_orchestrator(tmp_path)) is ProjectStatus.SUCCESS
    changed = _orchestrator(tmp_path)
    changed.set_optimization_backend(ParetoBackend())
    with pytest.raises(Exception, match="routing"):
        _run(changed)


def test_it_wins_over_the_spec_and_keeps_the_table(tmp_path: Path) -> None:
    """What is set replaces the backend of ``routing``, not its table."""
    table = {"code_generation": ["grand"]}
    orchestrator = _orchestrator(tmp_path, routing={"backend": "greedy", "table": table})
    orchestrator.set_optimization_backend(Backwards())
    _run(orchestrator)
    assert _drafts(tmp_path)[0].candidates[-1].model == "grand"


@pytest.mark.parametrize("backend", [ParetoBackend, 3, "pareto", None])
def test_what_is_no_backend_is_refused_at_once(backend: object) -> None:
    """A class, a number, a name and nothing have no ranking to give."""
    with pytest.raises(SpecError, match="set_optimization_backend"):
        Orchestrator().set_optimization_backend(backend)  # type: ignore[arg-type]


def test_a_ranking_without_a_draw_is_refused_at_once() -> None:
    """An object written for two arguments gets a line that says what to change."""
    old = type("Old", (), {"rank": lambda self, candidates, telemetry: []})()
    with pytest.raises(SpecError, match=r"Old: its `rank` takes .* must take \(candidates, telemetry, draw\)"):
        Orchestrator().set_optimization_backend(old)


class Explorer:
    """A backend of the caller's own that puts the candidate first which the draw names."""

    def __init__(self) -> None:
        self.draws: list[float] = []

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once."""
        self.draws.append(draw)
        row = sorted(candidates, key=lambda each: each.place)
        row.insert(0, row.pop(int(draw * len(row))))
        return [Ranked(each.model, -float(number)) for number, each in enumerate(row)]


def test_the_draw_is_recorded_with_each_choice_and_decides_it(tmp_path: Path) -> None:
    """Different calls draw differently, the log has each draw, and the row has none."""
    orchestrator, explorer = _orchestrator(tmp_path), Explorer()
    orchestrator.set_optimization_backend(explorer)
    _run(orchestrator)
    selections = [each for each in _selections(tmp_path) if each.backend != "row"]
    assert {each.draw for each in selections} <= set(explorer.draws)
    assert len({each.draw for each in selections}) == len(selections) > 1
    assert all(each.draw is not None and 0 <= each.draw < 1 for each in selections)
    for each in selections:
        if each.role.value == "generator" and each.selection == 1:
            assert each.draw is not None
            assert each.model == ("core", "grand", "swift")[int(each.draw * 3)]


def test_the_row_draws_nothing(tmp_path: Path) -> None:
    """Where no backend ranked, no draw is recorded."""
    assert _run(_orchestrator(tmp_path)) is ProjectStatus.SUCCESS
    assert {(each.backend, each.draw) for each in _selections(tmp_path)} == {("row", None)}


def test_a_stand_in_ranks_like_its_plugin() -> None:
    """Used by itself it loads the plugin and asks it; one that is not installed says so then."""
    from orchestrator.money import Price, Usd

    candidates = [
        RoutingCandidate(name, "p", "v", Price(Usd(nano), Usd(nano)), 0) for name, nano in (("a", 9), ("b", 2))
    ]
    telemetry = {name: ModelTelemetry(quality=0.5, cost=cost) for name, cost in (("a", 0.02), ("b", 0.01))}
    backends: list[Backend] = [GreedyBackend(), ParetoBackend(), WeightedSumBackend()]
    for backend in backends:
        assert [each.model for each in backend.rank(candidates, telemetry, 0.5)] == ["b", "a"]
    with pytest.raises(PluginNotFoundError, match="no backend 'nope' is installed"):
        PluginBackend("nope").rank(candidates, telemetry, 0.5)


def test_bad_weights_are_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    """The plugin checks its parameters when the run starts."""
    orchestrator = _orchestrator(tmp_path)
    orchestrator.set_optimization_backend(WeightedSumBackend(w_cost=-1))
    with pytest.raises(SpecError, match="w_cost"):
        _run(orchestrator)
    assert orchestrate(tmp_path, "runs", "list", "--json").json == []
