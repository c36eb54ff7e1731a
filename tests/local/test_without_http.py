"""docs/providers-without-http.md keeps the contract as printed, and a run says when a provider blocks."""

import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.engine.vendors import isolated_provider
from orchestrator.spi import Body, CallContext, Reply
from orchestrator.testing import ProviderContract
from orchestrator.testing.contracts import play
from tests.cli.command import ROOT
from tests.local.test_objects import Mine
from tests.scripted import TASK, orchestrator, run

PAGE = (ROOT / "docs" / "providers-without-http.md").read_text(encoding="utf-8")
SDK, PROGRAM, SUITE = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def _no_module_is_left() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("orchestrator_local"):
            del sys.modules[name]


def _module(name: str, text: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    return module


def _problems(suite: type[ProviderContract]) -> list[str]:
    return [f"{each.test}: {each.problem}" for each in play(suite) if each.problem]


def test_the_program_of_the_page_keeps_the_contract() -> None:
    """With the suite of the page; none of the tests with the program is left out."""
    names = {"ProviderContract": ProviderContract, "orchestrator_local_program": _module("local_program", PROGRAM)}
    exec(SUITE, names)
    suite: Any = names["TestLocalProgram"]
    assert _problems(suite) == []
    left_out = {each.test for each in play(suite) if each.skipped}
    assert not {name for name in left_out if "program" in name}


def test_the_sdk_of_the_page_keeps_the_contract_and_one_that_blocks_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both with an SDK that takes its time."""
    monkeypatch.setattr("orchestrator.testing.contracts.leftovers.LONGEST_PAUSE", 0.5)
    module = _module("vendor_sdk", SDK)
    blocking = _module("vendor_sdk", SDK.replace("await asyncio.to_thread(self._sdk.complete, ", "self._sdk.complete("))

    def slow(of: ModuleType) -> type[ProviderContract]:
        class Slow(of.Sdk):  # type: ignore[misc, name-defined]
            def complete(self, *arguments: Any) -> Any:
                time.sleep(0.8)
                return super().complete(*arguments)

        class Suite(ProviderContract):
            plugin = of
            over_http = False

            def make(self) -> Any:
                return of.SdkProvider(self.config().models, Slow())

        return Suite

    assert _problems(slow(module)) == []
    (problem,) = [each for each in _problems(slow(blocking)) if "go_on" in each]
    assert "it blocks the event loop" in problem


class Blocking(Mine):
    """Blocks while it calls."""

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """A nap."""
        time.sleep(0.5)  # noqa: ASYNC251
        return await super().call(body, ctx)


@pytest.mark.parametrize(("made", "said"), [(Blocking(), 1), (Mine(), 0)])
def test_a_run_says_once_that_a_provider_blocks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, made: Mine, said: int
) -> None:
    """Also where nothing else waits for it; the run goes on."""
    monkeypatch.setattr(isolated_provider, "BLOCKED_SECONDS", 0.1)
    with caplog.at_level(logging.WARNING, "orchestrator.plugins"):
        state = run(orchestrator(tmp_path, providers={"mine": made}, tasks=[TASK]))
    assert state.status is not None
    assert state.status.value == "SUCCESS"
    found = [each for each in caplog.messages if "blocks its event loop" in each]
    assert len(found) == said
    assert all("the provider 'mine'" in each and "asyncio.to_thread" in each for each in found)
