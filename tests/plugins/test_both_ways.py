"""The same plugins, isolated and not: what a run amounts to is the same, and one named property decides."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator import events as e
from orchestrator.deadlines import EscapedError, OutOfTimeError, harmless, outcome_of, run_in_thread
from orchestrator.plugins import DISTRIBUTION, plugin_status
from orchestrator.testing import Played
from tests.plugins.installed import installed

PROVIDER: Final = """
import threading
from orchestrator.money import Price, Usage, Usd
from orchestrator.spi import Body, ModelInfo, Reply, hookimpl

THREADS = []

class Provider:
    simulated = True
    def __init__(self, config): self.name = config.name
    def models(self):
        THREADS.append(threading.current_thread().name)
        price = Price(Usd(10**8), Usd(10**8))
        names = (("m1", "v1", "deepseek-chat"), ("m2", "v2", "moonshot-v1"))
        return [ModelInfo(n, self.name, v, price, 100000, 4000, slots=(s,)) for n, v, s in names]
    def encode(self, request):
        THREADS.append(threading.current_thread().name)
        return Body("".join(m.text for m in request.messages).encode(), request)
    async def call(self, body, ctx):
        THREADS.append(threading.current_thread().name)
        texts = {"evaluator": '{"score": 9, "reasons": "fine"}', "critic": '{"defects": []}'}
        return Reply(texts.get(body.request.call.role.value, "```python\\nx = 1\\n```"), Usage(input=5, output=5))

@hookimpl
def orchestrator_provider(config):
    THREADS.append(threading.current_thread().name)
    return Provider(config)
"""
BACKEND: Final = """
import threading
from orchestrator.spi import Ranked, hookimpl

THREADS = []

class Backend:
    def rank(self, candidates, telemetry, draw):
        THREADS.append(threading.current_thread().name)
        return [Ranked(each.model, float(each.place)) for each in candidates]

@hookimpl
def orchestrator_backend(parameters):
    return Backend()
"""
OURS: Final = frozenset({DISTRIBUTION, "orchestrator-both"})


@pytest.fixture(scope="module")
def both_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the path with a provider and a backend that note the threads they run in."""
    site = tmp_path_factory.mktemp("both")
    points = {"orchestrator.providers": {"both": "both_provider"}, "orchestrator.backends": {"both": "both_backend"}}
    installed(site, "orchestrator-both", "1.0", points, {"both_provider": PROVIDER, "both_backend": BACKEND})
    return site


def history(played: Played) -> list[tuple[str, object]]:
    """The events of a run without what differs between any two runs."""
    kept: list[tuple[str, object]] = []
    for event in played.events:
        match event:
            case e.ModelSelected() | e.CallStarted():
                kept.append((type(event).__name__, (event.node, event.role, event.model)))
            case e.CallSucceeded():
                kept.append(("CallSucceeded", (event.settled, event.usage)))
            case e.TaskFinished():
                kept.append(("TaskFinished", (event.status, event.score, event.cost, event.iterations)))
            case e.SessionOpened():
                kept.append(("SessionOpened", tuple(event.plugins)))
            case _:
                kept.append((type(event).__name__, None))
    return sorted(kept, key=repr)


def test_a_run_is_the_same_both_ways(
    both_site: Path, monkeypatch: pytest.MonkeyPatch, orchestrate_run: Callable[..., Played]
) -> None:
    """Isolated, a plugin's code runs in other threads; trusted and prepared, in the run's own; nothing else differs."""
    monkeypatch.syspath_prepend(both_site)
    keys: dict[str, Any] = {"providers": {"both": {}}, "routing": {"backend": "both"}}
    threads: list[set[str]] = []
    stories = []
    for trusted in (plugin_status.TRUSTED, OURS):
        monkeypatch.setattr(plugin_status, "TRUSTED", trusted)
        played = orchestrate_run(**keys)
        stories.append((played.status, history(played)))
        import both_backend  # type: ignore[import-not-found]
        import both_provider  # type: ignore[import-not-found]

        assert both_backend.THREADS
        threads.append({*both_backend.THREADS, *both_provider.THREADS})
        both_backend.THREADS.clear()
        both_provider.THREADS.clear()
    assert stories[0] == stories[1]
    assert stories[0][0] == "SUCCESS"
    here = threading.current_thread().name
    assert here not in threads[0]
    assert {name for name in threads[1] if not name.startswith("orchestrate-start")} == {here}


def test_one_property_decides() -> None:
    """Our own distribution is trusted; any other is isolated."""
    assert not plugin_status.is_isolated(DISTRIBUTION)
    assert plugin_status.is_isolated("orchestrator-x")


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (ValueError("no"), ValueError, "no"),
        (SystemExit(3), EscapedError, "it called sys.exit(3)"),
        (KeyboardInterrupt(), EscapedError, "KeyboardInterrupt: "),
        (StopIteration(1), EscapedError, "StopIteration: 1"),
        (GeneratorExit(), EscapedError, "GeneratorExit: "),
    ],
)
def test_nothing_that_is_raised_ends_more_than_the_call(
    raised: BaseException, kind: type[Exception], said: str
) -> None:
    """In a thread or not, an error arrives as an ``Exception`` that says what it was."""

    def function() -> None:
        raise raised

    assert (type(harmless(raised)), str(harmless(raised))) == (kind, said)
    _, error = outcome_of(function)
    assert (type(error), str(error)) == (kind, said)
    with pytest.raises(kind):
        run_in_thread(function, 10)


def test_a_function_that_hangs_is_left_behind() -> None:
    """The next one gets another thread."""
    let_go = threading.Event()
    with pytest.raises(OutOfTimeError):
        run_in_thread(let_go.wait, 0.05)
    assert run_in_thread(lambda: 1, 10) == 1
    let_go.set()
