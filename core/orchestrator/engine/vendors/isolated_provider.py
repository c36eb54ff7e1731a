"""Isolation of third-party providers: what they sell is read once, and their calls run in an isolation thread.

A call that blocks its thread is left behind there with all it holds, and those that have not begun move to a new one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import evolve

from orchestrator.deadlines import run_in_thread
from orchestrator.engine.vendors.isolation_thread import IsolatedCall, IsolationThread
from orchestrator.errors import ExhaustedError, PluginLoadError
from orchestrator.events import PluginUsed
from orchestrator.models import ModelInfo
from orchestrator.plugins import plugin_status
from orchestrator.spi import Body, CallContext, Provider, Reply, Request

if TYPE_CHECKING:
    import httpx

MODELS_SECONDS: Final = 30.0
"""How long a provider may take to say what it sells."""

ENCODE_SECONDS: Final = 1.0
"""How long it may take to shape a request; the run waits for that."""

BEGIN_SECONDS: Final = 2.0
"""How long a call may wait for the provider's thread before it gets another one."""

BLOCKED_SECONDS: Final = 1.0
"""How long a provider may hold up its event loop before that is said, and how often it is looked at."""

_ADVICE: Final = "its calls wait for each other, and cannot be cancelled; give what blocks to asyncio.to_thread"
_LOGGER: Final = logging.getLogger("orchestrator.plugins")

_Work = Callable[["httpx.AsyncClient | None"], Awaitable[Reply]]


def isolate(provider: Provider, used: PluginUsed, client: "Callable[[], httpx.AsyncClient] | None" = None) -> Provider:
    """The provider as the engine may hold it: as it is, or isolated where its distribution is.

    See ``orchestrator.plugins.plugin_status.is_isolated``.

    Raises:
        PluginLoadError: a third-party one cannot say what it sells.
    """
    return IsolatedProvider(provider, used, client) if plugin_status.is_isolated(used.distribution) else provider


class IsolatedProvider:
    """A third-party provider, as the engine sees it: what it sells is read once, and nothing it does blocks the run.

    Args:
        provider: the object its hook returned.
        used: the plugin it is of.
        client: makes the HTTP client for one event loop; None: it is not called. One that only pretends gets none.

    Raises:
        PluginLoadError: it cannot say what it sells.
    """

    def __init__(self, provider: Provider, used: PluginUsed, client: "Callable[[], httpx.AsyncClient] | None") -> None:
        self._label = label = used.label
        self._provider = provider
        self._isolation: IsolationThread | None = None
        self._is_blocking = False
        try:
            self._read(provider)
        except ExhaustedError:
            raise
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise PluginLoadError("provider", used.name, f"{label} cannot say what it sells: {said}") from error
        self._client = None if self.simulated else client

    def _read(self, provider: Provider) -> None:
        def read() -> tuple[Any, ...]:
            address, retired = getattr(provider, "base_url", None), getattr(provider, "retired", {})
            key = getattr(provider, "key", None)
            return tuple(provider.models()), address, key, dict(retired), provider.simulated

        models, address, key, self.retired, self.simulated = run_in_thread(read, MODELS_SECONDS)
        self.base_url = address if isinstance(address, str) else None
        self.key = key if isinstance(key, str) else None
        for model in models:
            if not isinstance(model, ModelInfo):
                raise TypeError(f"models() gave {type(model).__name__}, not ModelInfo")
        self._models = deepcopy(models)

    def models(self) -> Sequence[ModelInfo]:
        """What it sold when it was built."""
        return tuple(self._models)

    def encode(self, request: Request) -> Body:
        """The request's bytes, as its provider shapes them.

        Raises:
            OutOfTimeError: it has not come back in time.
            Exception: what it raised.
        """
        copied = deepcopy(request)
        body = run_in_thread(lambda: self._provider.encode(copied), ENCODE_SECONDS)
        return evolve(body, request=copied) if isinstance(body, Body) else body

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send it once, over there.

        Raises:
            EscapedError: the provider raised what would end more than the call.
            Exception: what it raised.
        """
        loop = asyncio.get_running_loop()
        given = deepcopy(body)

        def show(text: str) -> None:
            with suppress(RuntimeError):  # the run has ended
                loop.call_soon_threadsafe(ctx.on_text, str(text))

        def work(http: "httpx.AsyncClient | None") -> Awaitable[Reply]:
            return self._provider.call(given, evolve(ctx, http=cast("httpx.AsyncClient", http), on_text=show))

        isolated_call = await self._begun(work)
        watching = None if self._is_blocking else asyncio.ensure_future(self._watch(isolated_call.isolation))
        try:
            return await isolated_call.answer  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            await self._end(isolated_call)
            raise
        finally:
            if watching is not None:
                watching.cancel()

    async def _watch(self, isolation: IsolationThread) -> None:
        """Say once that the provider's calls hold up its event loop, and so each other."""
        while not self._is_blocking:
            heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            isolation.ping(heard)
            await asyncio.wait({heard}, timeout=BLOCKED_SECONDS)
            if not heard.done() and not self._is_blocking:
                self._is_blocking = True
                _LOGGER.warning("%s blocks its event loop: %s", self._label, _ADVICE)
            await asyncio.sleep(BLOCKED_SECONDS)

    async def _begun(self, work: _Work) -> "IsolatedCall":
        """A call that has begun; where another call blocks the thread, in a new one."""
        while True:
            if self._isolation is None or not self._isolation.is_open:
                self._isolation = IsolationThread(self._label, self._client)
            isolated_call = self._isolation.enter(work)
            try:
                await asyncio.wait({isolated_call.begun}, timeout=BEGIN_SECONDS)
            except asyncio.CancelledError:
                if not isolated_call.take():
                    await self._end(isolated_call)
                raise
            if isolated_call.begun.done() or not isolated_call.take():
                return isolated_call
            self._leave(isolated_call.isolation)

    async def _end(self, isolated_call: "IsolatedCall") -> None:
        isolated_call.answer.cancel()  # the caller has gone
        if not await isolated_call.cancelled():
            self._leave(isolated_call.isolation)

    def _leave(self, isolation: "IsolationThread") -> None:
        """Let no more calls into a thread that does not answer."""
        if isolation is self._isolation:
            self._isolation = None
        if isolation.is_open:
            isolation.close()
            _LOGGER.warning("%s has blocked its thread; its next calls get another one", self._label)

    async def aclose(self) -> None:
        """End the thread. What does not end in time is left behind."""
        if self._isolation is not None and not await self._isolation.end():
            _LOGGER.warning("%s has not come to an end; its thread is left behind", self._label)
