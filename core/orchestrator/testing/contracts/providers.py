"""The contract of providers."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, Final
from unittest import SkipTest

from attrs import evolve

from orchestrator.errors import Billed, ErrorKind, ProviderError, SpecError
from orchestrator.models import Finish, ModelInfo, Role
from orchestrator.money import Price, Usage, Usd
from orchestrator.spi import Body, CallContext, CallRef, Message, Provider, ProviderConfig, Reply, Request
from orchestrator.testing.contracts import conduct
from orchestrator.testing.contracts.base import CANARY, PATIENCE, no_sleep, watched
from orchestrator.testing.contracts.conduct import blocks, longest_pause, no_task_left, nothing_left
from orchestrator.testing.contracts.live import LiveContract
from orchestrator.testing.contracts.programs import ProgramContract
from orchestrator.testing.contracts.wire import Answer, Recording, Sent, Wire, successes

ADDRESS: Final = "http://127.0.0.1:9/v1"
"""What variables for an address hold in a suite."""

_JSON: Final = {"content-type": "application/json"}
_PROMPT: Final = "Say hello, naïvely — 👋."

REFUSALS: Final[Mapping[int, frozenset[ErrorKind]]] = {
    400: frozenset({ErrorKind.BAD_REQUEST}),
    401: frozenset({ErrorKind.AUTHENTICATION}),
    403: frozenset({ErrorKind.AUTHENTICATION, ErrorKind.BAD_REQUEST, ErrorKind.QUOTA, ErrorKind.CONTENT_FILTER}),
    404: frozenset({ErrorKind.UNKNOWN_MODEL, ErrorKind.BAD_REQUEST}),
    429: frozenset({ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED, ErrorKind.QUOTA}),
    500: frozenset({ErrorKind.SERVER, ErrorKind.OVERLOADED}),
    502: frozenset({ErrorKind.SERVER, ErrorKind.OVERLOADED}),
    503: frozenset({ErrorKind.OVERLOADED, ErrorKind.SERVER}),
    504: frozenset({ErrorKind.TIMEOUT, ErrorKind.SERVER}),
}
"""What a refusal with this status, and words that say nothing, may be."""

UNUSUAL: Final = (402, 405, 408, 409, 413, 418, 422, 451, 499, 501, 507, 520, 522, 524)
"""Statuses that no table of a provider has, and that come all the same."""

NO_ANSWER: Final = frozenset({408, 499, 520, 522, 524})
"""Those with which something between gives up on a request that may have been worked on."""

_AGAIN: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED, ErrorKind.SERVER, ErrorKind.TIMEOUT})
"""Kinds that the same call may get over."""

RUBBISH: Final[Mapping[str, Answer]] = {
    "nothing": (200, _JSON, b""),
    "a page": (200, {"content-type": "text/html"}, b"<html>login</html>"),
    "a number": (200, _JSON, b"7"),
    "null": (200, _JSON, b"null"),
    "an empty object": (200, _JSON, b"{}"),
    "lists where objects are": (200, _JSON, b'{"choices": [[]], "content": {}, "candidates": [[]], "usage": []}'),
    "half of it": (200, _JSON, b'{"choices": [{"message": {"content": "he'),
    "no text at all": (200, _JSON, b"\xff\xfe\x00\x80" * 10),
    "a stream of nothing": (200, {"content-type": "text/event-stream"}, b"data: [DONE]\n\n"),
    "deep": (200, _JSON, b"[" * 100_000),
}
"""Bodies of status 200 that are no answer of any vendor."""


class ProviderContract(ProgramContract, LiveContract):
    """A provider turns one request into one reply or one classified error, and does nothing else.

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

    def test_a_key_is_enough(self) -> None:
        """Where every key is set, and every address, it is built."""
        self._module()
        built = self.build(config=self.config()) is not None
        assert built, (
            "every key is set, and it returned None: ask config.secret and config.variable, not the environment; "
            "what it needs besides stands in `options` and `environment`"
        )

    def test_odd_options_are_refused_in_words(self) -> None:
        """An option of an unexpected kind is taken, or is a SpecError; never another error."""
        self.refuses_odd_options(lambda options: self.build(config=self.config(options)))

    def test_options_that_make_no_sense_are_refused(self) -> None:
        """An option that it does not know is a SpecError."""
        self._module()
        try:
            self.build(config=self.config({**self.options, "no_such_option": 1}))
        except SpecError:
            return
        raise AssertionError("it takes an option it does not know; raise SpecError, so that a typing error shows")

    def test_its_models_are_models(self) -> None:
        """Each model has an id of its own, this provider's name and a price or None; asked twice, they are the same."""
        provider = self.make()
        models = provider.models()
        assert all(isinstance(each, ModelInfo) for each in models), "what it sells is no ModelInfo"
        assert models, "it sells nothing, although a model is declared for it"
        names = [each.id for each in models]
        assert len(set(names)) == len(names), "it sells two models of one name"
        priceless = [each.id for each in models if not isinstance(each.price, Price | None)]
        assert not priceless, f"the price of {', '.join(priceless)} is no Price; None: it is unknown"
        strange = sorted({each.provider for each in models} - {self.name})
        assert not strange, f"its models name the provider {', '.join(strange)}; use config.name"
        assert list(provider.models()) == list(models), "asked again, it sells others"

    def test_equal_requests_have_equal_bytes(self) -> None:
        """A request is shaped the same twice, and by an object built anew; it is not changed."""
        request = self.request()
        before = deepcopy(request)
        first = self._encoded(self.make(), request)
        provider = self.make()
        assert self._encoded(provider, request).content == first.content, "built anew, it shapes other bytes"
        self._encoded(provider, self.request("something else", 50))
        assert self._encoded(provider, request).content == first.content, "asked again, it shapes other bytes"
        assert request == before, "it changed the request"
        assert first.request == request, "the body names another request"

    def test_the_bytes_hold_the_prompt_and_the_limit(self) -> None:
        """A longer prompt gives more bytes, and another ``max_tokens`` other bytes: the hold is made of both."""
        if self.make().simulated:
            raise SkipTest("a simulated provider sends nothing")
        provider = self.make()
        short, long = (len(self._encoded(provider, self.request("x" * size)).content) for size in (10, 10_010))
        assert long - short >= 10_000, "a prompt longer by 10000 bytes has fewer bytes more: part of it is left out"
        request = self.request()
        for place, message in enumerate(request.messages):
            longer = evolve(message, text=message.text + "x" * 1_000)
            asked = evolve(request, messages=(*request.messages[:place], longer, *request.messages[place + 1 :]))
            more = len(self._encoded(provider, asked).content) - len(self._encoded(provider, request).content)
            assert more >= 1_000, f"the message of the author {message.author!r} is left out of the bytes"
        few, many = (self._encoded(provider, self.request(max_tokens=limit)).content for limit in (64, 128))
        assert few != many, "max_tokens is not sent: what a call can cost has no bound"

    def test_recordings_are_read(self) -> None:
        """Every recorded answer gives its text, finish and tokens by class, or its classified error, also in pieces."""
        for recording in self._recordings():
            for pieces in (0, 7):
                found = self._outcome(self._wire(recording, pieces))
                self._compare(recording, found)

    def test_refusals_are_classified(self) -> None:
        """Every status is a ProviderError of a fitting kind that says whether to try again and whether it cost."""
        for status, kinds in REFUSALS.items():
            error = self._error(Wire(_always((status, _JSON, b'{"error": {"message": "no"}}'))), str(status))
            assert error.kind in kinds, f"status {status} is {error.kind}; one of {', '.join(sorted(kinds))} fits"
            again = error.kind in _AGAIN
            assert error.retryable is again, f"status {status} ({error.kind}) must have retryable={again}"
            if status < 500:
                assert error.billed is Billed.NO, f"status {status}: nothing was billed, say billed=NO"
            else:
                assert error.billed is not Billed.YES, f"status {status} does not say that it was billed"
            assert status != 504 or error.billed is Billed.UNKNOWN, "what a 504 cost is unknown: billed=UNKNOWN"
        for status in UNUSUAL:
            error = self._error(Wire(_always((status, _JSON, b'{"error": {"message": "no"}}'))), str(status))
            known = status not in NO_ANSWER or error.billed is not Billed.NO
            assert known, f"status {status}: it may have been billed before the server gave up; billed must not be NO"

    def test_retry_after_is_passed_on(self) -> None:
        """What a vendor asks in ``Retry-After`` is in the error; what makes no sense there is no wait."""
        headers = {**_JSON, "retry-after": "7"}
        error = self._error(Wire(lambda sent: (429, headers, b"{}")), "429 with Retry-After")
        assert error.retry_after == 7.0, f"Retry-After: 7 became {error.retry_after}"
        for odd in ("soon", "-5", "nan", "1e99", ""):
            error = self._error(Wire(_always((429, {**_JSON, "retry-after": odd}, b"{}"))), odd)
            wait = error.retry_after
            assert wait is None or 0 <= wait < 10**7, f"Retry-After: {odd} became {wait}"

    def test_rubbish_is_a_bad_answer(self) -> None:
        """A body that is no answer is a ProviderError that does not claim that nothing was billed."""
        for what, answer in RUBBISH.items():
            error = self._error(Wire(_always(answer)), what)
            assert error.billed is not Billed.NO, f"{what}: the vendor may have billed it; billed must not be NO"

    def test_redirects_are_not_followed(self) -> None:
        """A redirect is an error: the key goes nowhere else."""
        wire = Wire(lambda sent: (307, {"location": "http://elsewhere.invalid/"}, b""))
        self._error(wire, "a redirect")
        assert not any("elsewhere.invalid" in sent.url for sent in wire.sent), "it followed the redirect with the key"

    def test_broken_connections_are_classified(self) -> None:
        """No connection is proof that nothing was billed; a broken or silent one proves nothing."""
        import httpx

        broken: Sequence[tuple[Exception, frozenset[ErrorKind], bool]] = (
            (httpx.ConnectError("refused"), frozenset({ErrorKind.CONNECTION, ErrorKind.UNREACHABLE}), True),
            (httpx.ReadError("reset"), frozenset({ErrorKind.CONNECTION}), False),
            (httpx.RemoteProtocolError("cut"), frozenset({ErrorKind.CONNECTION}), False),
            (httpx.ReadTimeout("silent"), frozenset({ErrorKind.TIMEOUT, ErrorKind.CONNECTION}), False),
        )
        for raised, kinds, free in broken:
            what = type(raised).__name__
            error = self._error(Wire(_always(raised)), what)
            assert error.kind in kinds, f"{what} is {error.kind}; one of {', '.join(sorted(kinds))} fits"
            assert error.retryable, f"{what}: the same call may succeed later, say retryable=True"
            assert free or error.billed is not Billed.NO, f"{what}: the bytes had left; billed must not be NO"

    def test_a_call_is_made_once(self) -> None:
        """Whatever comes back, one call is at most one request, with the bytes that were shaped, and no pause."""
        answers: list[Answer | Exception] = [
            *((status, _JSON, b"{}") for status in REFUSALS),
            *RUBBISH.values(),
            *((each.status, each.headers, each.body) for each in self.recordings),
        ]
        self._needs_http()
        for answer in answers:
            wire = Wire(_always(answer))
            slept: list[float] = []
            with no_sleep("it waits and blocks the event loop; waiting is the program's, not a provider's"):
                self._outcome(wire, slept=slept)
            assert len(wire.sent) <= 1, f"one call made {len(wire.sent)} requests; retrying is the program's"
            assert wire.sent, "no request came through ctx.http; use the client that is lent"
            assert not slept, "it waits before it comes back; say retry_after instead"
            shaped = self._encoded(self.make(), self.request()).content
            assert wire.sent[0].body == shaped, "the bytes sent are not those of encode: the hold is made of those"

    def test_the_key_travels_in_a_header_only(self) -> None:
        """The key is in no address, body, message of an error or log, and nothing is printed."""
        self._needs_http()
        echo = f'{{"error": {{"message": "Incorrect API key provided: {CANARY}"}}}}'.encode()
        answers: list[Answer] = [(401, _JSON, echo), (500, _JSON, echo), (200, _JSON, echo)]
        answers += [(each.status, each.headers, each.body) for each in self.recordings]
        for answer in answers:
            wire = Wire(_always(answer))
            with watched() as seen:
                found = self._outcome(wire)
            assert not seen.printed, f"it printed {seen.printed[:80]!r}"
            said = repr(found) + "".join(f"{each!r} {each}" for each in _chain(found))
            places = {"a log": seen.logged, "an error": said if isinstance(found, ProviderError) else ""}
            lent = " ".join(repr(each) for each in wire.left_in_client)
            assert CANARY not in lent, "the key stays in ctx.http, which others use too; give headers to the request"
            places |= {"its repr": repr(self.make())}
            places |= {"the address": " ".join(each.url for each in wire.sent)}
            places |= {"the body": " ".join(repr(each.body) for each in wire.sent)}
            for where, text in places.items():
                assert CANARY not in text, f"the key is in {where}"

    def test_calls_run_side_by_side(self) -> None:
        """Eight calls are in flight at once, and each gets its own answer."""
        good = successes(self._recordings())
        if not good:
            raise SkipTest("no recording is a reply")
        request = self.request()

        async def together() -> None:
            arrived, all_there = [0], asyncio.Event()

            async def gate() -> None:
                arrived[0] += 1
                if arrived[0] == 8:
                    all_there.set()
                await all_there.wait()

            provider = self.make()
            wires = [self._wire(good[number % len(good)], 0) for number in range(8)]
            for wire in wires:
                wire.gate = gate

            async def one(number: int) -> Reply:
                body = self._encoded(provider, evolve(request, max_tokens=100 + number))
                async with wires[number].client() as client:
                    reply = await provider.call(body, self._context(client))
                assert wires[number].sent[0].body == body.content, "a call sent the bytes of another one"
                return reply

            replies = await asyncio.gather(*(one(number) for number in range(8)))
            for number, reply in enumerate(replies):
                assert reply.text == good[number % len(good)].text, "a call got the answer of another one"

        self._run(together, "eight calls at once do not end: one waits for another")

    def test_a_call_can_be_cancelled(self) -> None:
        """A call that is cancelled ends at once as cancelled, and leaves no task behind."""
        self._needs_http()
        request = self.request()

        async def cancelled() -> None:
            provider, waiting = self.make(), asyncio.Event()

            async def gate() -> None:
                waiting.set()
                await asyncio.sleep(3600)

            wire = Wire(lambda sent: (200, _JSON, b"{}"), gate=gate)
            async with wire.client() as client:
                call = asyncio.ensure_future(provider.call(self._encoded(provider, request), self._context(client)))
                reached = asyncio.ensure_future(waiting.wait())
                await asyncio.wait({call, reached}, return_when=asyncio.FIRST_COMPLETED)
                assert waiting.is_set(), "no request came through ctx.http"
                call.cancel()
                ended, _ = await asyncio.wait({call}, timeout=5)
                assert ended, "a cancelled call goes on: let CancelledError through"
                assert call.cancelled(), "a cancelled call does not end as cancelled: let CancelledError through"
            await asyncio.sleep(0)
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done()]
            assert not left, f"it leaves {len(left)} task(s) behind"

        self._run(cancelled, "a cancelled call does not end")

    def test_others_go_on_during_a_call(self) -> None:
        """While a call is made, and the vendor takes its time, everything else on the event loop goes on."""
        request = self.request()

        async def slow() -> None:
            await asyncio.sleep(0.05)

        def pauses() -> Iterator[float]:
            answers: list[Answer] = [(each.status, each.headers, each.body) for each in self.recordings[:1]]
            while True:
                wires = [Wire(_always(answer), gate=slow) for answer in (*answers, (500, _JSON, b"{}"))]
                yield max(self._run(partial(self._paused, wire, request), "a call hangs") for wire in wires)

        longest = blocks(pauses())
        assert longest <= conduct.LONGEST_PAUSE, (
            f"during a call nothing else happened for {longest:.1f} s: it blocks the event loop; await instead of "
            "waiting, and give long work to asyncio.to_thread"
        )

    def test_a_call_leaves_nothing_behind(self) -> None:
        """After a call no task, thread or connection is left, nothing is printed, and nothing shared changes."""
        answers: list[Answer | Exception] = [(500, _JSON, b"{}"), *RUBBISH.values()]
        answers += [(each.status, each.headers, each.body) for each in self.recordings[:2]]
        request = self.request()
        with nothing_left("a call"):
            for answer in answers[:1] if self.make().simulated else answers:
                found = self._run(partial(self._alone, Wire(_always(answer)), request), "a call hangs")
                assert not isinstance(found, SystemExit), f"a call ends the program: sys.exit({found.code!r})"

    def test_what_it_is_given_stays_as_it_is(self) -> None:
        """Neither the request of a body, its schema included, nor the models it is built with are changed by a call."""
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        config = self.config(deepcopy(dict(self.options)))
        offered = deepcopy((config.options, config.models))
        answers = [(each.status, each.headers, each.body) for each in self.recordings[:2]] or [(500, _JSON, b"{}")]
        for given in (None, schema):
            request = evolve(self.request(), json_schema=deepcopy(given))
            before = deepcopy(request)
            for answer in answers:
                self._run(partial(self._alone, Wire(_always(answer)), request), "a call hangs")
            assert request == before, "it changed the request, which the next attempt is made of"
        if self.plugin is not None:
            built = self.build(config=config)
            if built is not None:
                built.models()
            assert (config.options, config.models) == offered, "it changed its options or models, which others have too"

    def test_a_simulated_provider_answers(self) -> None:
        """One that only pretends answers or fails like any other, and makes no connection."""
        if not self.make().simulated:
            raise SkipTest("it is not simulated")
        wire = Wire(lambda sent: (500, {}, b""))
        found = self._outcome(wire)
        assert not wire.sent, "it is simulated and sends a request"
        assert isinstance(found, Reply | ProviderError), f"it raised {type(found).__name__}"

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
            yield Wire(_always((500, _JSON, b"{}")))
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

    def _compare(self, recording: Recording, found: Any) -> None:
        where = f"recording {recording.name}"
        if recording.error is None:
            assert isinstance(found, Reply), f"{where}: a reply was expected, not {found!r}"[:300]
            assert found.text == recording.text, f"{where}: the text is {found.text!r}"[:300]
            assert found.finish is recording.finish, f"{where}: the finish is {found.finish}"
        else:
            assert isinstance(found, ProviderError), f"{where}: an error was expected, not {found!r}"[:300]
            assert found.kind is recording.error, f"{where}: the kind is {found.kind}, not {recording.error}"
            for name in ("retryable", "billed", "retry_after"):
                wanted, got = getattr(recording, name), getattr(found, name)
                assert wanted is None or got == wanted, f"{where}: {name} is {got}, not {wanted}"
        usage: Usage | None = found.usage
        assert usage == recording.usage, f"{where}: the tokens by token class are {usage}, not {recording.usage}"

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


def _always(found: Answer | Exception) -> Callable[[Sent], Answer | Exception]:
    """Answers every request alike."""
    return lambda sent: found


def _chain(error: object) -> Iterator[BaseException]:
    """An error of ours; a cause raised by other code is not shown to users and not looked at."""
    if isinstance(error, BaseException):
        yield error


__all__ = ["ADDRESS", "REFUSALS", "RUBBISH", "Finish", "ProviderContract", "Sent"]
