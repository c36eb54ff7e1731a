"""The part of the contract of providers that is about live text: what ``ctx.on_text`` is given while a call goes on."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest import SkipTest

from attrs import Factory, define, evolve

from orchestrator.spi import Reply
from orchestrator.testing.contracts.pretended_http import Wire
from orchestrator.testing.contracts.provider_setup import ProviderCalls

LINGER = 0.1
"""Seconds after a call in which no text may come any more."""


@define
class LiveText:
    """What was shown of one call."""

    during: list[str] = Factory(list)
    after: list[str] = Factory(list)
    ended: bool = False

    def take(self, text: str) -> None:
        """One piece of live text."""
        (self.after if self.ended else self.during).append(text)


class LiveContract(ProviderCalls):
    """Live text is the text of the reply, in pieces, and ends with the call."""

    def test_live_text_is_the_text_of_the_reply(self) -> None:
        """The pieces, put together, are the reply's text; a provider that shows nothing is one that does not stream."""
        for reply, shown in self._replies():
            if shown.during:
                live = "".join(shown.during)
                assert live == reply.text, f"the live text {live[:60]!r} is not that of the reply, {reply.text[:60]!r}"

    def test_no_text_comes_after_the_end(self) -> None:
        """Once a call has come back, nothing is shown of it."""
        for _, shown in self._replies():
            assert not shown.after, f"it shows {shown.after[0][:60]!r} after its call has ended"

    def _replies(self) -> Iterator[tuple[Reply, LiveText]]:
        """The replies to the recorded answers, in pieces, and what was shown of each."""
        found = [self._run(partial(self._shown, wire), "the call does not end") for wire in self._answers()]
        replies = [(reply, shown) for reply, shown in found if isinstance(reply, Reply)]
        if not replies:
            raise SkipTest("no call is answered; give `recordings`")
        yield from replies

    async def _shown(self, wire: Wire) -> tuple[Any, LiveText]:
        provider, request, shown = self.make(), self.request(), LiveText()
        async with wire.client() as client:
            context = evolve(self._context(client), on_text=shown.take)
            try:
                reply: Any = await provider.call(self._encoded(provider, request), context)
            except (Exception, SystemExit) as error:
                reply = error
            shown.ended = True
            await asyncio.sleep(LINGER)
        return reply, shown
