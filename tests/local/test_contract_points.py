"""What authors of plugins missed: words for ``check``, parameters for ``whatif``, providers in simulations, blame."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.deadlines import run_in_thread
from orchestrator.errors import ExhaustedError
from orchestrator.plugins import Catalogue
from orchestrator.spi import Backend, Body, CallContext, ModelTelemetry, Provider, Ranked, Reply, RoutingCandidate
from orchestrator.testing import Scenario, simulate
from orchestrator.testing.watched_backend import Judged
from tests.cli.command import orchestrate, scripted_spec

BANDIT = """
from orchestrator.spi import Ranked, SpecError, hookimpl


class Bandit:
    def __init__(self, epsilon):
        self._epsilon = epsilon

    def rank(self, candidates, telemetry, draw):
        row = sorted(candidates, key=lambda each: each.place, reverse=draw < self._epsilon)
        return [Ranked(each.model, -float(number)) for number, each in enumerate(row)]


@hookimpl
def orchestrator_backend(parameters):
    if set(parameters) - {"epsilon"}:
        raise SpecError(["routing.parameters: bandit takes epsilon"])
    return Bandit(parameters.get("epsilon", 0.5))
"""


@pytest.mark.parametrize("wanted", ["length", "multi-llm-orchestrator:length"])
def test_check_takes_a_word(tmp_path: Path, wanted: str) -> None:
    """The plugins of that name and no others; what is neither word nor distribution is said."""
    done = orchestrate(tmp_path, "plugins", "check", wanted)
    assert done.code == 0, done.err
    assert [line.partition(":")[0] for line in done.lines] == ["validator_length"]
    unknown = orchestrate(tmp_path, "plugins", "check", "lenght")
    assert unknown.code == 2
    assert "lenght is no plugin and offers none" in unknown.err


@pytest.mark.heavy
def test_everything_that_comes_with_the_program_keeps_its_contract(tmp_path: Path) -> None:
    """``plugins check`` of a fresh installation finds nothing."""
    done = orchestrate(tmp_path, "plugins", "check")
    assert done.code == 0, done.err
    assert all(line.endswith(" 0 failed") for line in done.lines)
    assert {line.partition("_")[0] for line in done.lines} >= {"provider", "command", "store", "scaffold"}


def test_check_takes_a_file(tmp_path: Path) -> None:
    """A file with a fault fails, and the fault is named."""
    (tmp_path / "loud.py").write_text(
        "from orchestrator.spi import hookimpl\n\n@hookimpl\ndef orchestrator_validator():\n"
        "    return lambda candidate, context: 'fine'\n"
    )
    done = orchestrate(tmp_path, "plugins", "check", "loud", "--plugin", str(tmp_path / "loud.py"))
    assert done.code == 1
    assert "not a Finding" in done.out
    told = orchestrate(tmp_path, "plugins", "check", "./loud.py")
    assert (told.code, "orchestrate plugins check loud --plugin ./loud.py" in told.err) == (2, True)


def test_a_bandit_draws_for_each_call_and_replays_exactly(tmp_path: Path) -> None:
    """``whatif`` builds the backend with other parameters; ``replay`` computes every draw again."""
    (tmp_path / "bandit.py").write_text(BANDIT)
    plugin = ("--plugin", str(tmp_path / "bandit.py"))
    routing = {"backend": "bandit", "parameters": {"epsilon": 0}}
    spec = scripted_spec(tmp_path / "spec", routing=routing, project_id="explored")
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(spec), *plugin).code == 0
    assert orchestrate(home, "replay", "explored", "--verify", "--strict", *plugin).code == 0
    same = orchestrate(
        home, "whatif", "explored", "--backend", "bandit", "--parameters", '{"epsilon": 0}', "--json", *plugin
    )
    other = orchestrate(
        home, "whatif", "explored", "--backend", "bandit", "--parameters", '{"epsilon": 1}', "--json", *plugin
    )
    assert (same.code, other.code) == (0, 0), other.err
    assert same.json != other.json
    for parameters, said in (("{", "no JSON"), ("[1]", "expected a JSON object"), ('{"x": 1}', "takes epsilon")):
        wrong = orchestrate(home, "whatif", "explored", "--backend", "bandit", "--parameters", parameters, *plugin)
        assert wrong.code == 2
        assert said in wrong.err
    assert "belongs to --backend" in orchestrate(home, "whatif", "explored", "--parameters", "{}").err


class Wrapped:
    """A provider around another one."""

    simulated = True

    def __init__(self, inner: Provider) -> None:
        self._inner = inner
        self.calls = 0

    def models(self) -> Any:
        """Those of the inner one."""
        return self._inner.models()

    def encode(self, request: Any) -> Body:
        """As the inner one."""
        return self._inner.encode(request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Counted."""
        self.calls += 1
        return await self._inner.call(body, ctx)


def test_a_provider_of_ones_own_in_simulated_runs() -> None:
    """It wraps the simulated vendor, and whole runs with crashes go over it to the same end."""
    made: list[Wrapped] = []

    def wrapped(vendor: Provider) -> Wrapped:
        made.append(Wrapped(vendor))
        return made[-1]

    scenario = Scenario.draw(3)
    with_wrapper = simulate(scenario, make_provider=wrapped)
    assert sum(each.calls for each in made) > 0
    assert with_wrapper.histories == simulate(scenario).histories
    shared = Wrapped(made[-1])
    assert simulate(scenario, make_provider=lambda: shared).histories
    assert shared.calls > 0


class Drawing:
    """Draws for itself."""

    calls = 0

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Another score each time."""
        Drawing.calls += 1
        return [Ranked(each.model, float(Drawing.calls)) for each in candidates]


class Losing:
    """Drops a candidate."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """All but the last."""
        return [Ranked(each.model, 0.0) for each in candidates[:-1]]


@pytest.mark.parametrize(
    ("make", "said"), [(Drawing, "remembers, reads a clock or draws for itself"), (Losing, "not the candidates")]
)
def test_what_is_wrong_with_every_ranking_is_found_before_any_run(make: type[Backend], said: str) -> None:
    """The message begins with the candidates and the ranking."""
    with pytest.raises(AssertionError, match=said) as found:
        Judged(make)
    assert str(found.value).startswith("candidates probe-0, probe-1, probe-2, draw 0; ranking probe-0 ")


def test_no_thread_left_is_no_fault_of_a_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line about the machine; the plugin is not shown as broken, and is used once there are threads again."""
    (tmp_path / "mine.py").write_text(BANDIT)
    catalogue = Catalogue.discover({"ORCHESTRATE_PLUGINS": str(tmp_path / "mine.py")})

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("orchestrator.deadlines.threads._WATCHED.work", None)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ExhaustedError, match="ulimit -u"):
            run_in_thread(lambda: 1, 5.0)
        with pytest.raises(ExhaustedError, match="can't start new thread"):
            catalogue.backend("mine", {})
    assert catalogue.find("backend", "mine").status != "broken"
    assert catalogue.backend("mine", {}) is not None
