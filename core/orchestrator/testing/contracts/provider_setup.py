"""Providers in suites: built with what a suite lends, and called over a wire that only pretends."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final
from unittest import SkipTest

from orchestrator.errors import ErrorKind, ProviderError
from orchestrator.models import ModelInfo, Role
from orchestrator.money import Price, Usd
from orchestrator.spi import Body, CallContext, CallRef, Message, Provider, ProviderConfig, Request
from orchestrator.testing.contracts.base import CANARY, PATIENCE, PluginContract
from orchestrator.testing.contracts.leftovers import longest_pause, no_task_left
from orchestrator.testing.contracts.pretended_http import Answer, Recording, Sent, Wire, successes

ADDRESS: Final = "http://127.0.0.1:9/v1"
"""What variables for an address hold in a suite."""

JSON: Final = {"content-type": "application/json"}
"""The headers of an answer."""

_PROMPT: Final = "Say hello, naïvely — 👋."


class ProviderCalls(PluginContract):
    """What suites of providers share: the provider under test, and its calls.

    Name the module in ``plugin``, what a spec says in ``options`` and variables of the environment in ``environment``.
    ``recordings`` are answers of the vendor with what they amount to; without any, what needs one is left out.
    """

    kind = "provider"
    name: ClassVar[str] = "under_test"
    """The name a spec has for it."""
    environment: ClassVar[Mapping[str, str]] = {}
    """Variables that are set; any other key has a canary as its value, and any other address is of this machine."""
    recordings: ClassVar[Sequence[Recording]] = ()
    declared: ClassVar[Sequence[ModelInfo]] = ()
    """Models that a spec declares for it; without any and where it sells none itself, one is declared."""
    over_http: ClassVar[bool] = True
    """Whether it speaks over ``ctx.http``; a simulated one never does."""
    folder: ClassVar[str] = "."

    def make(self) -> Provider:
        """The provider."""
        made = self.build(config=self.config())
        if made is None:
            raise SkipTest("it returned None: it finds no key or address in `environment`")
        provider: Provider = made
        return provider

    def config(self, options: Mapping[str, Any] | None = None) -> ProviderConfig:
        """What it is built with."""
        own = ModelInfo(
            "model-1", self.name, "vendor", Price(Usd.parse("1"), Usd.parse("2")), context=8000, max_output=1000
        )
        return ProviderConfig(
            self.name,
            dict(self.options if options is None else options),
            tuple(self.declared) or (own,),
            lambda variable: self.environment.get(variable, CANARY),
            self._variable,
            self.folder,
        )

    def _variable(self, name: str) -> str | None:
        wanted = name.endswith(("_BASE_URL", "_URL", "_ADDRESS", "_HOST", "_ENDPOINT"))
        return self.environment.get(name, ADDRESS if wanted else None)

    def request(self, text: str = _PROMPT, max_tokens: int = 100) -> Request:
        """A request to its first model."""
        model = self.make().models()[0]
        messages = (Message("system", "Be brief."), Message("user", text))
        return Request(model, messages, max_tokens, 0.2, CallRef("task_001", Role.GENERATOR, 1, 1, 1))

    def _needs_http(self) -> None:
        if not self.over_http or self.make().simulated:
            raise SkipTest("it does not speak over HTTP")

    def _recordings(self) -> Iterator[Recording]:
        self._needs_http()
        if not self.recordings:
            raise SkipTest("no recordings were given in `recordings`")
        yield from self.recordings

    def _answers(self) -> Iterator[Wire]:
        """Wires that answer with each recording, in pieces; one that answers nothing where there is no HTTP."""
        if not self.over_http or self.make().simulated:
            yield Wire(always((500, JSON, b"{}")))
            return
        yield from (self._wire(recording, 7) for recording in successes(self.recordings))

    def _wire(self, recording: Recording, pieces: int) -> Wire:
        return Wire(lambda sent: (recording.status, recording.headers, recording.body), pieces)

    def _encoded(self, provider: Provider, request: Request) -> Body:
        body: Any = provider.encode(request)
        assert isinstance(body, Body), f"encode returned {type(body).__name__}, not a Body"
        assert isinstance(body.content, bytes), "the content of a Body is bytes"
        return body

    def _context(self, client: Any, slept: list[float] | None = None) -> CallContext:
        async def sleep(seconds: float) -> None:
            if slept is not None:
                slept.append(seconds)
            await asyncio.sleep(0)

        return CallContext(client, 30.0, sleep, "contract-key")

    async def _paused(self, wire: Wire, request: Request) -> float:
        """How long everything else stands still at most while one call is made."""
        provider = self.make()
        async with wire.client() as client:
            body = self._encoded(provider, request)
            return await longest_pause(provider.call(body, self._context(client)))

    async def _alone(self, wire: Wire, request: Request) -> Any:
        """The reply of one call, or what it raised; fails where tasks go on."""
        provider = self.make()
        async with wire.client() as client:
            try:
                return await no_task_left(provider.call(self._encoded(provider, request), self._context(client)))
            except AssertionError:
                raise
            except (Exception, SystemExit) as error:
                return error

    def _outcome(self, wire: Wire, slept: list[float] | None = None) -> Any:
        """The reply of one call, or what it raised."""
        request = self.request()

        async def one() -> Any:
            provider = self.make()
            async with wire.client() as client:
                try:
                    return await provider.call(self._encoded(provider, request), self._context(client, slept))
                except (Exception, SystemExit) as error:
                    return error
                finally:
                    wire.left_in_client = [*client.headers.items(), *client.cookies.items(), client.auth, client.params]

        return self._run(one, "the call does not end")

    def _error(self, wire: Wire, what: str) -> ProviderError:
        self._needs_http()
        found = self._outcome(wire)
        if isinstance(found, Exception) and not isinstance(found, ProviderError):
            raise AssertionError(f"{what}: it raised {type(found).__name__}, not ProviderError: {found}"[:300])
        assert isinstance(found, ProviderError), f"{what} became the reply {found!r}"[:200]
        assert isinstance(found.kind, ErrorKind), f"{what}: {found.kind!r} is no ErrorKind"
        return found

    def _run(self, work: Callable[[], Coroutine[Any, Any, Any]], why: str) -> Any:
        async def bounded() -> Any:
            try:
                async with asyncio.timeout(PATIENCE) as limit:
                    return await work()
            except TimeoutError as error:
                if limit.expired():
                    raise AssertionError(why) from error
                raise

        return asyncio.run(bounded())


def always(found: Answer | Exception) -> Callable[[Sent], Answer | Exception]:
    """Answers every request alike."""
    return lambda sent: found
