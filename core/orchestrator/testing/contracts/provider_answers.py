"""The part of the contract of providers that is about answers: each is read as a reply or classified as an error."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.money import Usage
from orchestrator.spi import Reply
from orchestrator.testing.contracts.pretended_http import Answer, Recording, Wire
from orchestrator.testing.contracts.provider_setup import JSON, ProviderCalls, always

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
    "nothing": (200, JSON, b""),
    "a page": (200, {"content-type": "text/html"}, b"<html>login</html>"),
    "a number": (200, JSON, b"7"),
    "null": (200, JSON, b"null"),
    "an empty object": (200, JSON, b"{}"),
    "lists where objects are": (200, JSON, b'{"choices": [[]], "content": {}, "candidates": [[]], "usage": []}'),
    "half of it": (200, JSON, b'{"choices": [{"message": {"content": "he'),
    "no text at all": (200, JSON, b"\xff\xfe\x00\x80" * 10),
    "a stream of nothing": (200, {"content-type": "text/event-stream"}, b"data: [DONE]\n\n"),
    "deep": (200, JSON, b"[" * 100_000),
}
"""Bodies of status 200 that are no answer of any vendor."""


class AnswerContract(ProviderCalls):
    """Whatever comes back is one reply, or one error of a fitting kind that says whether it cost."""

    def test_recordings_are_read(self) -> None:
        """Every recorded answer gives its text, finish and tokens by class, or its classified error, also in pieces."""
        for recording in self._recordings():
            for pieces in (0, 7):
                found = self._outcome(self._wire(recording, pieces))
                self._compare(recording, found)

    def test_refusals_are_classified(self) -> None:
        """Every status is a ProviderError of a fitting kind that says whether to try again and whether it cost."""
        for status, kinds in REFUSALS.items():
            error = self._error(Wire(always((status, JSON, b'{"error": {"message": "no"}}'))), str(status))
            assert error.kind in kinds, f"status {status} is {error.kind}; one of {', '.join(sorted(kinds))} fits"
            again = error.kind in _AGAIN
            assert error.retryable is again, f"status {status} ({error.kind}) must have retryable={again}"
            if status < 500:
                assert error.billed is Billed.NO, f"status {status}: nothing was billed, say billed=NO"
            else:
                assert error.billed is not Billed.YES, f"status {status} does not say that it was billed"
            assert status != 504 or error.billed is Billed.UNKNOWN, "what a 504 cost is unknown: billed=UNKNOWN"
        for status in UNUSUAL:
            error = self._error(Wire(always((status, JSON, b'{"error": {"message": "no"}}'))), str(status))
            known = status not in NO_ANSWER or error.billed is not Billed.NO
            assert known, f"status {status}: it may have been billed before the server gave up; billed must not be NO"

    def test_retry_after_is_passed_on(self) -> None:
        """What a vendor asks in ``Retry-After`` is in the error; what makes no sense there is no wait."""
        headers = {**JSON, "retry-after": "7"}
        error = self._error(Wire(lambda sent: (429, headers, b"{}")), "429 with Retry-After")
        assert error.retry_after == 7.0, f"Retry-After: 7 became {error.retry_after}"
        for odd in ("soon", "-5", "nan", "1e99", ""):
            error = self._error(Wire(always((429, {**JSON, "retry-after": odd}, b"{}"))), odd)
            wait = error.retry_after
            assert wait is None or 0 <= wait < 10**7, f"Retry-After: {odd} became {wait}"

    def test_rubbish_is_a_bad_answer(self) -> None:
        """A body that is no answer is a ProviderError that does not claim that nothing was billed."""
        for what, answer in RUBBISH.items():
            error = self._error(Wire(always(answer)), what)
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
            error = self._error(Wire(always(raised)), what)
            assert error.kind in kinds, f"{what} is {error.kind}; one of {', '.join(sorted(kinds))} fits"
            assert error.retryable, f"{what}: the same call may succeed later, say retryable=True"
            assert free or error.billed is not Billed.NO, f"{what}: the bytes had left; billed must not be NO"

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
