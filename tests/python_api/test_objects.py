"""Objects of a program are plugins of the runs that a workspace starts with them, and of no others."""

import asyncio
import inspect
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Budget, ProjectStatus, Workspace
from orchestrator.errors import NotAllowedError, PluginError, SpecError
from orchestrator.plugins.handed_objects import KeywordError
from orchestrator.spi import Candidate, Finding, Score, ScorerContext, ValidatorContext
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.local.test_objects import Backwards, Bare, Counting, Lines, Mine, loud
from tests.python_api.stepping import a_spec
from tests.scripted import TASK

CHECKED = {**TASK, "hard_validators": ["house"]}


def quiet(candidate: Candidate, context: ValidatorContext) -> Finding:
    """Fails whatever has an x."""
    return Finding.failed("an x") if "x" in candidate.text else Finding.passed()


def steady(candidate: Candidate, context: ScorerContext) -> Score:
    """The same for everything."""
    return Score(0.97, "steady")


def used(home: Path, run: str, kind: str) -> dict[str, dict[str, Any]]:
    """The plugins of a kind that the last session of a run has recorded, by name."""
    data = rows(home, "SELECT data FROM events WHERE type = 'session.opened' AND stream = ?", run)[-1][0]
    return {each["name"]: each for each in json.loads(data)["plugins"] if each["kind"] == kind}


def digest(source: Any) -> str:
    """The digest of the source of a function or a class."""
    return sha256(inspect.getsource(source).encode()).hexdigest()


def test_objects_of_every_kind(tmp_path: Path) -> None:
    """A spec's file and a dict use them by name; the log has each with its qualified name and its source's digest."""
    home, policies = tmp_path / "home", tmp_path / "own.lines"
    policies.write_text("south")
    counting = Counting()
    spec = scripted_spec(
        tmp_path,
        tasks=[CHECKED],
        routing={"backend": "mine"},
        evaluate={"scorer": "steady"},
        policy_files=[str(policies)],
        app="bare",
        advise=False,
        project_id="every",
        validators={"missing_tool": "fail"},
    )

    async def scene() -> None:
        async with Workspace.open(home, allow=["read=*"]) as ws:
            run = await ws.start(
                spec,
                output=tmp_path / "out",
                validators={"house": loud},
                exporters=[counting],
                backends={"mine": Backwards()},
                policy_loaders={"lines": Lines()},
                scaffolds={"bare": Bare()},
                scorers=steady,
            )
            state = await run.result(timeout=60)
            assert state.results["only"].deterministic_check_passed
            assert state.results["only"].score == 0.97
            assert state.results["only"].model_used == "north"  # the other one is blocked by the policy file
            assert (tmp_path / "out" / "BARE.md").is_file()
            assert counting.exports >= 1

    asyncio.run(scene())
    made: dict[str, tuple[str, Any]] = {
        "validator": ("house", loud),
        "exporter": ("Counting", Counting),
        "backend": ("mine", Backwards),
        "scaffold": ("bare", Bare),
        "scorer": ("steady", steady),
    }
    for kind, (name, source) in made.items():
        found = used(home, "every", kind)[name]
        assert found["qualified_name"] == f"{source.__module__}.{source.__qualname__}", kind
        assert found["source_digest"] == digest(source), kind


@pytest.mark.parametrize("named", [True, False])
def test_a_provider_stands_beside_those_of_the_spec(tmp_path: Path, named: bool) -> None:
    """Or is the only one, where the spec names none."""
    home = tmp_path / "home"
    keys = json.loads(a_spec(tmp_path, project_id="own").read_text())
    scripted = {"scripted": {"answers": str(tmp_path / "answers.json")}}
    keys |= {"providers": scripted} if named else {}
    if not named:
        del keys["providers"]

    async def scene() -> None:
        async with Workspace.open(home) as ws:
            state = await (await ws.start(keys, providers={"mine": Mine()})).result(timeout=60)
            assert state.status is ProjectStatus.SUCCESS

    asyncio.run(scene())
    providers = used(home, "own", "provider")
    assert set(providers) == ({"scripted", "mine"} if named else {"mine"})
    assert providers["mine"]["qualified_name"] == f"{Mine.__module__}.Mine"
    assert providers["mine"]["source_digest"] == digest(Mine)


def test_runs_side_by_side_have_their_own(tmp_path: Path) -> None:
    """One name, two functions, one workspace: each run is judged by its own, and a run without it has none."""
    home, spec = tmp_path / "home", scripted_spec(tmp_path, tasks=[CHECKED])

    async def scene() -> None:
        async with Workspace.open(home) as ws:
            runs = [await ws.start(spec, validators={"house": each}) for each in (loud, quiet)]
            passed = [(await each.result(timeout=60)).results["only"].deterministic_check_passed for each in runs]
            assert passed == [True, False]
            with pytest.raises(SpecError, match="house"):
                await ws.start(spec)
            assert len(ws.runs()) == 2

    asyncio.run(scene())


def test_a_run_goes_on_with_its_objects(tmp_path: Path) -> None:
    """Those of its workspace; in another one they are given again, and a digest says that one was changed."""
    home, spec = tmp_path / "home", scripted_spec(tmp_path, tasks=[CHECKED], project_id="goes-on")
    provider: dict[str, Any] = {"providers": {"mine": Mine()}}

    async def begins() -> None:
        async with Workspace.open(home) as ws:
            run = await ws.start(spec, budget=Budget(max_usd=0.0001), validators={"house": loud}, **provider)
            assert (await run.result(timeout=60)).status is ProjectStatus.BUDGET_EXHAUSTED
            await ws.run("goes-on").resume(add_budget=0.0001)
            assert (await run.result(timeout=60)).status is ProjectStatus.BUDGET_EXHAUSTED
            assert used(home, "goes-on", "validator")["house"]["source_digest"] == digest(loud)

    async def goes_on() -> None:
        async with Workspace.open(home) as ws:
            run = ws.run("goes-on")
            with pytest.raises(PluginError, match="mine"):
                await run.resume(add_budget=1)
            with pytest.raises(KeywordError, match="resume: there is no argument 'validator'"):
                await run.resume(add_budget=1, validator=quiet)
            await run.resume(add_budget=1, **provider, validators={"house": quiet})
            await run.result(timeout=60)
            assert used(home, "goes-on", "validator")["house"]["source_digest"] == digest(quiet)
            assert (await run.replay(verify=True)).differences == ()

    asyncio.run(begins())
    asyncio.run(goes_on())
    assert orchestrate(home, "audit", "verify", "goes-on").code == 0


def test_what_a_stranger_may_do_is_not_widened(tmp_path: Path) -> None:
    """An object is the program's own word; what else a dict of others wants has to be agreed to, as without it."""
    keys = json.loads(a_spec(tmp_path).read_text())
    keys["providers"] = {"scripted": {"answers": str(tmp_path / "answers.json")}}
    keys["validators"] = {"sandbox": "none"}

    async def scene() -> None:
        async with Workspace.open(tmp_path / "home") as ws:
            with pytest.raises(NotAllowedError, match="sandbox"):
                await ws.start(keys, source="a request", providers={"mine": Mine()}, exporters=[Counting()])
            assert ws.runs() == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (
            {"validator": {"house": loud}},
            KeywordError,
            "start: there is no argument 'validator'; did you mean 'validators'",
        ),
        ({"validators": {"house": lambda: None}}, SpecError, r"validators\.house: .*2 positional arguments"),
        ({"validators": {"missing_tool": "fail"}}, SpecError, "start: validators takes objects here"),
        ({"exporters": "console"}, SpecError, "start: exporters takes objects here"),
        ({"backends": {"mine": "greedy"}}, SpecError, "backends: expected objects by name"),
        ({"providers": {"a b\n": Mine()}}, SpecError, "providers"),
    ],
)
def test_what_is_no_plugin_is_refused(tmp_path: Path, given: dict[str, Any], kind: type[Exception], said: str) -> None:
    """With the keyword and what is wrong; nothing is recorded."""

    async def scene() -> None:
        async with Workspace.open(tmp_path / "home") as ws:
            with pytest.raises(kind, match=said):
                await ws.start(a_spec(tmp_path), **given)
            assert ws.runs() == []

    asyncio.run(scene())
