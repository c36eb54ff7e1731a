"""The part of the contract of providers that is about calls: each is made once, beside others, and leaves no traces."""

import asyncio
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from unittest import SkipTest

from attrs import evolve

from orchestrator.errors import ProviderError
from orchestrator.spi import Reply
from orchestrator.testing.contracts import leftovers
from orchestrator.testing.contracts.base import CANARY, no_sleep, watched
from orchestrator.testing.contracts.leftovers import blocks, nothing_left
from orchestrator.testing.contracts.pretended_http import Answer, Wire, successes
from orchestrator.testing.contracts.provider_answers import REFUSALS, RUBBISH
from orchestrator.testing.contracts.provider_setup import JSON, ProviderCalls, always


class CallContract(ProviderCalls):
    """A call is one request; others go on meanwhile, it can be cancelled, and what it is lent stays as it was."""

    def test_a_call_is_made_once(self) -> None:
        """Whatever comes back, one call is at most one request, with the bytes that were shaped, and no pause."""
        answers: list[Answer | Exception] = [
            *((status, JSON, b"{}") for status in REFUSALS),
            *RUBBISH.values(),
            *((each.status, each.headers, each.body) for each in self.recordings),
        ]
        self._needs_http()
        for answer in answers:
            wire = Wire(always(answer))
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
        answers: list[Answer] = [(401, JSON, echo), (500, JSON, echo), (200, JSON, echo)]
        answers += [(each.status, each.headers, each.body) for each in self.recordings]
        for answer in answers:
            wire = Wire(always(answer))
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

            wire = Wire(lambda sent: (200, JSON, b"{}"), gate=gate)
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
                wires = [Wire(always(answer), gate=slow) for answer in (*answers, (500, JSON, b"{}"))]
                yield max(self._run(partial(self._paused, wire, request), "a call hangs") for wire in wires)

        longest = blocks(pauses())
        assert longest <= leftovers.LONGEST_PAUSE, (
            f"during a call nothing else happened for {longest:.1f} s: it blocks the event loop; await instead of "
            "waiting, and give long work to asyncio.to_thread"
        )

    def test_a_call_leaves_nothing_behind(self) -> None:
        """After a call no task, thread or connection is left, nothing is printed, and nothing shared changes."""
        answers: list[Answer | Exception] = [(500, JSON, b"{}"), *RUBBISH.values()]
        answers += [(each.status, each.headers, each.body) for each in self.recordings[:2]]
        request = self.request()
        with nothing_left("a call"):
            for answer in answers[:1] if self.make().simulated else answers:
                found = self._run(partial(self._alone, Wire(always(answer)), request), "a call hangs")
                assert not isinstance(found, SystemExit), f"a call ends the program: sys.exit({found.code!r})"

    def test_what_it_is_given_stays_as_it_is(self) -> None:
        """Neither the request of a body, its schema included, nor the models it is built with are changed by a call."""
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        config = self.config(deepcopy(dict(self.options)))
        offered = deepcopy((config.options, config.models))
        answers = [(each.status, each.headers, each.body) for each in self.recordings[:2]] or [(500, JSON, b"{}")]
        for given in (None, schema):
            request = evolve(self.request(), json_schema=deepcopy(given))
            before = deepcopy(request)
            for answer in answers:
                self._run(partial(self._alone, Wire(always(answer)), request), "a call hangs")
            assert request == before, "it changed the request, which the next attempt is made of"
        if self.plugin is not None:
            built = self.build(config=config)
            if built is not None:
                built.models()
            assert (config.options, config.models) == offered, "it changed its options or models, which others have too"


def _chain(error: object) -> Iterator[BaseException]:
    """An error of ours; a cause raised by other code is not shown to users and not looked at."""
    if isinstance(error, BaseException):
        yield error
