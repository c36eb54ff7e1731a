"""A whole run with each vendor alone, over real sockets: what it settles is what the vendor bills."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.engine.vendors.http import make_client
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.spec import spec_from
from tests.plugins.providers.calls import a_context, a_request
from tests.plugins.providers.vendor_server import VendorServer
from tests.plugins.providers.vendors import CANARY, VENDORS, built


def served(name: str) -> VendorServer:
    """A server of the vendor's format that sells its models at their prices."""
    return VendorServer(name, {model.id: model for model in built(name).models()})


def run(folder: Path, project: str) -> RunEnd:
    """A run of a project with whatever the environment has."""

    async def play() -> RunEnd:
        workspace = Engine.open(folder / "home")
        try:
            spec = spec_from(project, "its tests pass", budget_usd=20.0)
            return await workspace.start(spec, output=folder / "out", watchers=Watchers())
        finally:
            workspace.close()

    return asyncio.run(play())


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any key or address."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_COMPATIBLE_BASE_URL", "OPENAI_COMPATIBLE_API_KEY", "KIMI_MODEL", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for reached in VENDORS.values():
        monkeypatch.delenv(reached.key, raising=False)
        monkeypatch.delenv(reached.address, raising=False)
    return monkeypatch


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", VENDORS)
def test_one_call_of_every_model_is_billed_as_its_usage_says(name: str, stream: bool) -> None:
    """Every model of every vendor, streamed and not: the usage read is the usage billed, token class by token class."""

    async def call() -> None:
        with served(name) as server:
            environment = {VENDORS[name].key: CANARY, VENDORS[name].address: server.base_url}
            vendor = built(name, environment, {"stream": stream})
            async with make_client() as http:
                for model in vendor.models():
                    reply = await vendor.call(vendor.encode(a_request(model=model, max_tokens=400)), a_context(http))
                    assert reply.text
                    assert reply.usage == server.ledger[-1].usage
                    assert server.ledger[-1].model == model.sent_name
                    assert model.price is not None
                    assert (server.ledger[-1].cost.nano > 0) == (model.price.blended.nano > 0)

    asyncio.run(call())


@pytest.mark.parametrize("name", VENDORS)
def test_a_run_settles_to_the_nano_dollar_what_the_vendor_bills(
    name: str, tmp_path: Path, alone: pytest.MonkeyPatch
) -> None:
    """With one key alone a run succeeds, nothing is unreconciled, and the key is in no file."""
    with served(name) as server:
        alone.setenv(VENDORS[name].key, CANARY)
        alone.setenv(VENDORS[name].address, server.base_url)
        outcome = run(tmp_path, "Build a small CSV statistics library")
        billed = server.billed

    finished = outcome.state.finished
    assert finished is not None
    assert finished.status is ProjectStatus.SUCCESS
    assert (finished.settled, finished.unreconciled) == (billed, Usd.ZERO)
    assert billed.nano > 0
    assert {each.headers[VENDORS[name].header].removeprefix("Bearer ") for each in server.ledger} == {CANARY}
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file


def test_with_two_keys_the_critic_is_of_the_other_vendor(tmp_path: Path, alone: pytest.MonkeyPatch) -> None:
    """Every provider with a key is used, and both are billed what they bill."""
    with served("deepseek") as first, served("anthropic") as second:
        for name, server in (("deepseek", first), ("anthropic", second)):
            alone.setenv(VENDORS[name].key, CANARY)
            alone.setenv(VENDORS[name].address, server.base_url)
        outcome = run(tmp_path, "Build a small CSV statistics library")
        billed = first.billed + second.billed

    finished = outcome.state.finished
    assert finished is not None
    assert first.ledger
    assert second.ledger
    assert (finished.settled, finished.unreconciled) == (billed, Usd.ZERO)
