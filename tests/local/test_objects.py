"""Objects of a program are plugins of its runs: of every kind, by name, recorded with the digest of their source."""

import asyncio
import inspect
import json
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Budget, Orchestrator, StateManager
from orchestrator.errors import SpecError
from orchestrator.models import ModelInfo, ProjectState
from orchestrator.money import Price, Usage, Usd
from orchestrator.plugins.local_plugins import qualified_name, source_digest
from orchestrator.spi import (
    App,
    Body,
    CallContext,
    Candidate,
    Exporter,
    Finding,
    Metrics,
    ModelTelemetry,
    Ranked,
    Reply,
    Request,
    RoutingCandidate,
    Skeleton,
    ValidatorContext,
)
from tests.cli.command import orchestrate, rows
from tests.scripted import TASK, fields, job, orchestrator, run


def loud(candidate: Candidate, context: ValidatorContext, *, word: str = "nowhere") -> Finding:
    """A house rule."""
    return Finding.failed(f"{word} is in it") if word in candidate.text else Finding.passed()


class Mine:
    """A vendor of this program: says the same to everybody."""

    simulated = True

    def __init__(self, provider: str = "mine") -> None:
        self._provider = provider

    def models(self) -> Sequence[ModelInfo]:
        """One model."""
        price = Price(Usd.parse("1"), Usd.parse("2"))
        return [ModelInfo("mine-1", self._provider, "me", price=price, context=100_000, max_output=4_000)]

    def encode(self, request: Request) -> Body:
        """The messages."""
        return Body(json.dumps([each.text for each in request.messages]).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """A score to judges, code to everybody else."""
        text = '{"score": 0.95}' if body.request.call.role == "evaluator" else "```python\nx = 1\n```"
        return Reply(text, Usage(10, 5))


class Counting(Exporter):
    """Counts its exports."""

    def __init__(self) -> None:
        self.exports = 0

    def export(self, metrics: Metrics) -> None:
        """One more."""
        self.exports += 1


class Backwards:
    """The last of the row first."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Ranked by place."""
        return [Ranked(each.model, float(each.place)) for each in reversed(candidates)]


class Lines:
    """Policies, a name a line."""

    suffixes = (".lines",)

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """Each line forbids a model."""
        return {"global": [{"name": each, "blocked_models": [each]} for each in text.split()]}, {}


class Bare:
    """An application of one file."""

    def skeleton(self, app: App) -> Skeleton:
        """Only this."""
        return Skeleton(files={"BARE.md": "# bare\n"}, guidance="One file.")


def _used(home: Path, kind: str) -> list[dict[str, Any]]:
    (data,) = rows(home, "SELECT data FROM events WHERE type = 'session.opened'")[0]
    return [each for each in json.loads(data)["plugins"] if each["kind"] == kind]


def _check(*names: str) -> dict[str, Any]:
    return {**TASK, "hard_validators": list(names)}


def test_a_function_is_a_validator(tmp_path: Path) -> None:
    """It decides, beside settings of the spec, and the log has its qualified name and the digest of its source."""
    state = run(orchestrator(tmp_path, **fields(tmp_path, tasks=[_check("house")], validators={"house": loud})))
    assert state.status is not None
    assert state.status.value == "SUCCESS"
    (used,) = [each for each in _used(tmp_path / "home", "validator") if each["name"] == "house"]
    assert used["qualified_name"] == f"{__name__}.loud"
    assert used["source_digest"] == sha256(inspect.getsource(loud).encode()).hexdigest()
    strict = {"missing_tool": "fail", "house": partial(loud, word="x")}
    failed = run(orchestrator(tmp_path / "b", **fields(tmp_path / "b", tasks=[_check("house")], validators=strict)))
    assert failed.results["only"].deterministic_check_passed is False


def test_an_object_is_a_provider(tmp_path: Path) -> None:
    """Its models are the only ones, without any installed provider's options."""
    made = Orchestrator(
        Budget(max_usd=1.0), state_manager=StateManager(tmp_path / "home"), providers={"mine": Mine()}, tasks=[TASK]
    )
    state = asyncio.run(made.run_project("Write x.", "x is there"))
    assert state.status is not None
    assert state.status.value == "SUCCESS"
    assert state.results["only"].model_used.value == "mine-1"
    (used,) = _used(tmp_path / "home", "provider")
    assert (used["name"], used["qualified_name"]) == ("mine", f"{__name__}.Mine")


def test_a_provider_under_another_name_is_said(tmp_path: Path) -> None:
    """What its models are called is what a run calls them by."""
    made = Orchestrator(state_manager=StateManager(tmp_path), providers={"mine": Mine("theirs")}, tasks=[TASK])
    with pytest.raises(SpecError, match=r"providers\.mine: its models are of the provider 'theirs'"):
        asyncio.run(made.run_project("Write x.", "x is there"))


def test_objects_are_exporters_named_like_their_classes(tmp_path: Path) -> None:
    """Two of a class are two exporters."""
    one, two = Counting(), Counting()
    run(orchestrator(tmp_path, **fields(tmp_path, exporters=[one, two])))
    assert one.exports >= 1
    assert two.exports >= 1
    assert [each["name"] for each in _used(tmp_path / "home", "exporter")] == ["Counting", "Counting-2"]


def test_objects_are_backends_loaders_and_scaffolds(tmp_path: Path) -> None:
    """A spec of keywords names them as it names installed ones."""
    ranked = run(
        orchestrator(
            tmp_path / "a", **fields(tmp_path / "a", backends={"mine": Backwards()}, routing={"backend": "mine"})
        )
    )
    plain = run(orchestrator(tmp_path / "b", **fields(tmp_path / "b")))
    assert ranked.results["only"].model_used != plain.results["only"].model_used
    (used,) = _used(tmp_path / "a" / "home", "backend")
    assert used["qualified_name"] == f"{__name__}.Backwards"
    (tmp_path / "own.lines").write_text(plain.results["only"].model_used.value)
    bound = run(
        orchestrator(
            tmp_path / "c",
            **fields(tmp_path / "c", policy_loaders={"lines": Lines()}, policy_files=[str(tmp_path / "own.lines")]),
        )
    )
    assert bound.results["only"].model_used != plain.results["only"].model_used
    built: ProjectState = run(
        orchestrator(
            tmp_path / "d",
            output_dir=tmp_path / "out",
            **fields(tmp_path / "d", scaffolds={"bare": Bare()}, app="bare", advise=False),
        )
    )
    assert built.status is not None
    assert (tmp_path / "out" / "BARE.md").is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"validators": {"house": lambda: None}}, r"validators\.house: .*2 positional arguments"),
        ({"providers": {"mine": object()}}, r"providers\.mine: .*`models`"),
        ({"exporters": [object()]}, r"exporters\.object: .*`export`"),
        ({"backends": {"mine": "greedy"}}, r"backends: expected objects by name"),
        ({"backends": "greedy"}, r"backends: expected objects by name"),
    ],
)
def test_what_is_no_plugin_is_refused_at_once(given: dict[str, Any], said: str) -> None:
    """With the keyword and what is missing."""
    with pytest.raises(SpecError, match=said):
        Orchestrator(**given)


def test_two_runs_of_a_process_keep_their_own(tmp_path: Path) -> None:
    """One name, two functions: each run is judged by its own."""
    ones = orchestrator(tmp_path / "a", **fields(tmp_path / "a", tasks=[_check("house")], validators={"house": loud}))
    strict = {"house": partial(loud, word="x")}
    others = orchestrator(tmp_path / "b", **fields(tmp_path / "b", tasks=[_check("house")], validators=strict))

    async def both() -> list[ProjectState]:
        return list(await asyncio.gather(ones.run_job(job()), others.run_job(job())))

    first, second = asyncio.run(both())
    assert first.results["only"].deterministic_check_passed is True
    assert second.results["only"].deterministic_check_passed is False


def test_names_and_digests_are_those_of_the_definition() -> None:
    """Of functions, methods, partial functions, classes' objects; without a file there is no digest."""
    assert qualified_name(partial(loud, word="x")) == f"{__name__}.loud"
    assert qualified_name(Mine().models) == f"{__name__}.Mine.models"
    assert source_digest(Mine()) == source_digest(Mine) != ""
    assert source_digest(eval("lambda: None")) == ""
    assert source_digest(len) == ""


def test_an_advisor_may_choose_a_scaffold_of_ones_own(tmp_path: Path) -> None:
    """Its word is among those that the model may answer, and its files are in the application."""
    advice = {"app_type": "bare", "structural_pattern": "layered", "topology": "monolith"}
    given = fields(
        tmp_path, {"role": "advisor", "text": json.dumps(advice)}, scaffolds={"bare": Bare()}, app="auto", tasks=[]
    )
    given["tasks"] = [TASK]
    state = run(orchestrator(tmp_path, output_dir=tmp_path / "out", advise=True, **given))
    assert state.status is not None
    assert (tmp_path / "out" / "BARE.md").is_file()
    exchanges = orchestrate(tmp_path / "home", "explain", "last", "advise", "--prompts").out
    assert "generic, bare." in exchanges
    assert orchestrate(tmp_path / "home", "audit", "verify", "last").code == 0
