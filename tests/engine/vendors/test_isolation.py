"""Third-party providers: each has an isolation thread of its own, and nothing it does reaches further."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from typing import Any

import pytest

from orchestrator.deadlines import EscapedError, OutOfTimeError
from orchestrator.engine.vendors import isolated_provider
from orchestrator.engine.vendors.http import make_client
from orchestrator.engine.vendors.isolated_provider import IsolatedProvider, isolate
from orchestrator.errors import ErrorKind, PluginLoadError, ProviderError
from orchestrator.events import PluginUsed
from orchestrator.models import ModelInfo, Role
from orchestrator.money import Price, Usd
from orchestrator.plugins import DISTRIBUTION
from orchestrator.spi import Body, CallContext, CallRef, Message, Provider, Reply, Request

MODEL = ModelInfo("m", "odd", "v", Price(Usd(1), Usd(1)), 1000, 100)
USED = PluginUsed("provider", "odd", "acme-odd", "2.1")
Call = Callable[[Body, CallContext], Awaitable[Reply]]


class Odd:
    """A provider whose call is given."""

    simulated = False

    def __init__(self, call: Call | None = None) -> None:
        self._call = call

    def models(self) -> Sequence[ModelInfo]:
        """One."""
        return [MODEL]

    def encode(self, request: Request) -> Body:
        """The text itself."""
        return Body(request.messages[0].text.encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """What was given."""
        assert self._call is not None
        return await self._call(body, ctx)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What blocked threads wait for; opened at the end of the test."""
    gate = threading.Event()
    yield gate
    gate.set()


def request(text: str = "x") -> Request:
    """A request with a text."""
    return Request(MODEL, (Message("user", text),), 10, 0.0, CallRef("t", Role.GENERATOR, 1, 1, 1), {"type": "object"})


def context(shown: Callable[[str], None] = lambda text: None) -> CallContext:
    """What the engine lends."""
    return CallContext(None, 1.0, asyncio.sleep, "key", shown)  # type: ignore[arg-type]


def calling(call: Call, *texts: str) -> Any:
    """The replies, or what was raised, of calls that are made at once."""

    async def made() -> Any:
        isolated_provider = IsolatedProvider(Odd(call), USED, make_client)
        try:
            return await asyncio.gather(
                *(isolated_provider.call(Body(text.encode(), request(text)), context()) for text in texts),
                return_exceptions=True,
            )
        finally:
            await isolated_provider.aclose()

    return asyncio.run(made())


def test_built_in_providers_are_used_directly_and_third_party_ones_isolated() -> None:
    """Only a provider of another distribution goes over to another thread."""
    odd = Odd()
    assert isolate(odd, PluginUsed("provider", "odd", DISTRIBUTION, "1")) is odd
    assert isinstance(isolate(odd, USED), IsolatedProvider)
    assert isinstance(isolate(odd, USED), Provider)


def test_a_call_that_blocks_its_thread_does_not_block_the_run(gate: threading.Event) -> None:
    """The run's loop goes on meanwhile: it is what opens the gate."""

    async def blocking(body: Body, ctx: CallContext) -> Reply:
        assert gate.wait(60), "the run's loop is blocked"
        return Reply("through", None)

    async def both() -> Reply:
        isolated_provider = IsolatedProvider(Odd(blocking), USED, make_client)
        asyncio.get_running_loop().call_later(0.05, gate.set)
        try:
            return await isolated_provider.call(Body(b"x", request()), context())
        finally:
            await isolated_provider.aclose()

    assert asyncio.run(both()).text == "through"


def test_a_call_behind_one_that_blocks_moves_to_another_thread(
    gate: threading.Event, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not begun, so that it can; the one that blocks may still come back."""
    monkeypatch.setattr(isolated_provider, "BEGIN_SECONDS", 0.1)
    threads = {}

    async def answered(body: Body, ctx: CallContext) -> Reply:
        threads[body.content] = threading.get_ident()
        if body.content == b"blocks":
            assert gate.wait(60)
        else:
            gate.set()
        return Reply(body.content.decode(), None)

    replies = calling(answered, "blocks", "passes")
    assert [each.text for each in replies] == ["blocks", "passes"]
    assert threads[b"blocks"] != threads[b"passes"] != threading.get_ident()
    assert "the provider 'odd' of acme-odd 2.1 has blocked its thread" in caplog.text


def test_calls_share_one_loop_and_one_client_of_their_own() -> None:
    """A provider may keep what belongs to an event loop: a lock, a session."""
    seen = set()

    async def looking(body: Body, ctx: CallContext) -> Reply:
        seen.add((asyncio.get_running_loop(), ctx.http))
        await asyncio.sleep(0)
        return Reply("", None)

    calling(looking, "a", "b", "c")
    assert len(seen) == 1
    ((loop, client),) = seen
    assert client.is_closed
    assert loop.is_closed()


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ProviderError("no", kind=ErrorKind.SERVER), ProviderError),
        (KeyError("x"), KeyError),
        (SystemExit(3), EscapedError),
        (KeyboardInterrupt(), EscapedError),
        (StopIteration(3), EscapedError),
        (asyncio.CancelledError(), EscapedError),
    ],
)
def test_what_a_call_raises_comes_back(error: BaseException, raised: type[Exception]) -> None:
    """Errors are themselves; what would end more than the call is made an error."""

    async def raising(body: Body, ctx: CallContext) -> Reply:
        class Awaited:
            def __await__(self) -> Generator[Any, Any, Any]:
                raise error

        return await Awaited()  # type: ignore[no-any-return]

    (found,) = calling(raising, "x")
    if isinstance(error, StopIteration):
        raised = RuntimeError  # a coroutine cannot raise it
    assert type(found) is raised


def test_a_cancelled_call_is_cancelled_over_there() -> None:
    """The provider hears of the deadline, and can close what it has opened."""
    ended = threading.Event()

    async def waiting(body: Body, ctx: CallContext) -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async def timed() -> None:
        isolated_provider = IsolatedProvider(Odd(waiting), USED, make_client)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await isolated_provider.call(Body(b"x", request()), context())
        assert ended.is_set()
        await isolated_provider.aclose()

    asyncio.run(timed())


def test_what_a_thread_leaves_behind_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails after the call, and one that ends the thread itself."""

    async def leaking(body: Body, ctx: CallContext) -> Reply:
        async def later() -> None:
            raise ValueError if body.content == b"fails" else SystemExit

        task = asyncio.ensure_future(later())
        await asyncio.sleep(0.01)
        del task
        return Reply("here", None)

    assert calling(leaking, "fails")[0].text == "here"
    (lost,) = calling(leaking, "quits")
    assert isinstance(lost, EscapedError)
    assert "has left something behind that failed: ValueError" in caplog.text
    assert "has ended its own thread: SystemExit" in caplog.text


def test_live_text_is_shown_in_the_runs_thread() -> None:
    """What shows it need not care for threads."""
    shown: list[tuple[str, int]] = []

    async def speaking(body: Body, ctx: CallContext) -> Reply:
        ctx.on_text("hel")
        ctx.on_text("lo")
        return Reply("hello", None)

    async def heard() -> None:
        isolated_provider = IsolatedProvider(Odd(speaking), USED, make_client)
        await isolated_provider.call(
            Body(b"x", request()), context(lambda text: shown.append((text, threading.get_ident())))
        )
        await isolated_provider.aclose()

    asyncio.run(heard())
    assert shown == [("hel", threading.get_ident()), ("lo", threading.get_ident())]


def test_what_a_provider_changes_is_a_copy() -> None:
    """Neither its models nor a request are the engine's own."""

    class Changing(Odd):
        def encode(self, request: Request) -> Body:
            request.json_schema["type"] = "changed"  # type: ignore[index]
            object.__setattr__(request.model, "price", None)
            return super().encode(request)

    asked = request()
    isolated_provider = IsolatedProvider(Changing(), USED, None)
    body = isolated_provider.encode(asked)
    assert body.content == b"x"
    assert asked == request()
    assert asked.model.price is not None
    assert isolated_provider.models()[0] is not MODEL


def test_an_encode_that_hangs_is_given_up(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run waits for it a moment and goes on."""
    monkeypatch.setattr(isolated_provider, "ENCODE_SECONDS", 0.1)

    class Hanging(Odd):
        def encode(self, request: Request) -> Body:
            gate.wait()
            return super().encode(request)

    with pytest.raises(OutOfTimeError):
        IsolatedProvider(Hanging(), USED, None).encode(request())


@pytest.mark.parametrize("models", ["raise ValueError('empty shelf')", "return [7]", "return None", "gate.wait()"])
def test_who_cannot_say_what_it_sells_is_refused_in_one_line(
    models: str, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the distribution and its version."""
    monkeypatch.setattr(isolated_provider, "MODELS_SECONDS", 0.2)
    space: dict[str, Any] = {"gate": gate}
    exec(f"def models(self):\n    {models}", space)
    mute = type("Mute", (Odd,), {"models": space["models"]})()
    with pytest.raises(
        PluginLoadError, match=r"the provider 'odd' of acme-odd 2\.1 cannot say what it sells: "
    ) as refused:
        IsolatedProvider(mute, USED, None)
    assert "\n" not in str(refused.value)
