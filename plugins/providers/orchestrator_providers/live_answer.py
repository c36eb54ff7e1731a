"""An answer as it arrives: the events of a stream, or a body in one piece."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve

from orchestrator.spi import ErrorKind, ModelInfo, ProviderError, Reply
from orchestrator_providers.allowances import allowances
from orchestrator_providers.error_meanings import bad_answer, cut_off
from orchestrator_providers.event_stream import EventSplitter
from orchestrator_providers.reply_body_json import NO_JSON, parse_strict
from orchestrator_providers.text_without_keys import excerpt, one_line

if TYPE_CHECKING:
    from orchestrator_providers.one_call import Vendor

_THOUGHT: Final = re.compile(r"\s*<think>(?:.*?</think>\s*|.*)", re.DOTALL)


class Gathering(Protocol):
    """What the events of one stream amount to so far."""

    def add(self, event: dict[str, Any] | None) -> str:
        """Take one event in, or None for the mark at the end; returns the piece of visible text in it.

        Raises:
            ProviderError: it says that the call failed.
        """

    @property
    def is_complete(self) -> bool:
        """Whether the vendor has said that the answer is whole."""

    def answer(self) -> Any:
        """The answer as the vendor would have sent it in one piece."""


class LiveAnswer:
    """An answer as it arrives: events of a stream, or a body in one piece where none was sent.

    Args:
        vendor: reads the events.
        on_text: gets the visible text, piece by piece.
        strips: whether ``on_text`` gets the text without the thinking that opens it between ``<think>`` and
            ``</think>``. The reply has it: the engine takes it off.
    """

    def __init__(self, vendor: "Vendor", on_text: Callable[[str], None], strips: bool) -> None:
        self._vendor = vendor
        self._on_text = on_text
        self._strips = strips
        self._thinking = ""
        self._is_past_thinking = False
        self._splitter = EventSplitter()
        self._gathering = vendor.gathering()
        self._raw: list[bytes] = []

    @property
    def is_complete(self) -> bool:
        """Whether the vendor has said that the answer is whole."""
        return self._gathering.is_complete

    def feed(self, piece: bytes, status: int) -> None:
        """Take a piece of the body in.

        Raises:
            ProviderError: an event in it is damaged, or says that the call failed.
        """
        if not self._splitter.seen:
            self._raw.append(piece)
        for data in self._splitter.feed(piece):
            self._take(data, status)

    def _take(self, data: bytes, status: int) -> None:
        try:
            event = None if data.strip() == b"[DONE]" else parse_strict(data)
            if event is not None and not isinstance(event, dict):
                raise bad_answer("an event of the stream is not a JSON object")
            text = self._gathering.add(event)
        except ProviderError as error:
            error.status = status
            raise
        except NO_JSON as error:
            raise self._damaged(error, data, status) from None
        if text:
            self._show(text)

    def _show(self, text: str) -> None:
        if self._strips and not self._is_past_thinking:
            self._thinking += text
            text = _without_thoughts(self._thinking)
            if "<think>".startswith(text.strip()):
                return  # still thinking, or not known yet
            self._is_past_thinking = True
        self._on_text(text)

    def finish(self, status: int, headers: Mapping[str, str]) -> Reply:
        """The reply, once the body has ended.

        Raises:
            ProviderError: it was cut, or there is no reply in it.
        """
        return evolve(self._finish(status, headers), allowances=allowances(headers))

    def _finish(self, status: int, headers: Mapping[str, str]) -> Reply:
        rest = self._splitter.rest()
        if not self._splitter.seen:
            return self._whole(b"".join(self._raw), status, headers)
        if rest is not None and not self._gathering.is_complete:
            try:
                self._take(rest, status)
            except ProviderError as error:
                if error.kind is not ErrorKind.BAD_ANSWER:
                    raise
        if not self._gathering.is_complete:
            raise cut_off("the stream ended before the answer was complete", status)
        return self._reply(self._gathering.answer(), status, headers)

    def _whole(self, content: bytes, status: int, headers: Mapping[str, str]) -> Reply:
        try:
            answer = parse_strict(content)
        except NO_JSON as error:
            raise self._damaged(error, content, status) from None
        return self._reply(answer, status, headers)

    def _reply(self, answer: Any, status: int, headers: Mapping[str, str]) -> Reply:
        try:
            if not isinstance(answer, dict):
                raise bad_answer("the answer is not a JSON object")
            reply = self._vendor.reply(answer, headers)
        except ProviderError as error:
            error.status = status
            raise
        return reply

    def _damaged(self, error: BaseException, content: bytes, status: int) -> ProviderError:
        cause = one_line(str(error), self._vendor.key)[:200] if isinstance(error, ValueError) else "nested too deeply"
        found = bad_answer(f"the answer is not valid JSON ({cause}): {excerpt(content, self._vendor.key)}")
        found.status = status
        return found


def inline_thinking(model: ModelInfo | None) -> bool:
    """Whether the model writes its thinking into its text."""
    return model is not None and "inline_thinking" in model.abilities


def _without_thoughts(text: str) -> str:
    match = _THOUGHT.match(text)
    return text if match is None else text[match.end() :]
