"""Every fault of a vendor or of the way to it: what is sent, and what it must mean for the attempt and its money."""

import gzip
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from email.utils import formatdate
from time import time
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator.errors import ErrorKind
from tests.plugins.providers.vendors import CANARY
from tests.servers.local import Fault

Change = Callable[[Fault], Fault]
"""From the right answer, as Kimi gives it, to what is sent instead."""

RELEASED: Final = "released"
UNRECONCILED: Final = "unreconciled"
SETTLED: Final = "settled"


@frozen
class Row:
    """One fault.

    Attributes:
        name: what it is.
        change: how it is made.
        kind: the class of the error that the attempt ends with; None: it ends with an answer.
        money: what becomes of the attempt's hold.
        moves: whether another model must be asked, because this one will not answer differently.
        harmless: whether the answer can be used, so that even always is no fault.
        stream: whether the answer is streamed.
        bills: whether the vendor charges for it.
        mute: whether the answer can be read and says nothing: an evaluation that does is not always asked again.
        other: whether the answer, or the request for it once more, says something else, so that results differ.
        beyond: whether the vendor charges beyond the hold.
        slow: whether it is noticed only by a deadline of minutes.
    """

    name: str
    change: Change
    kind: ErrorKind | None = None
    money: str = RELEASED
    moves: bool = False
    harmless: bool = False
    stream: bool = False
    bills: bool = False
    mute: bool = False
    other: bool = False
    beyond: bool = False
    slow: bool = False


# ── how they are made ──────────────────────────────────────────────────────────────────────────────────────────────


def refused(status: int, error: Mapping[str, Any] | str, headers: Mapping[str, str] | None = None) -> Change:
    """A status with an error object, or with a page of HTML."""
    if isinstance(error, str):
        return lambda sent: Fault(status, error, {"content-type": "text/html", **(headers or {})})
    return lambda sent: Fault(status, {"error": dict(error)}, headers or {})


def limited(**headers: str) -> Change:
    """A rate limit with headers; underscores in their names stand for hyphens."""
    error = {"message": "slow down", "type": "rate_limit_reached_error"}
    return refused(429, error, {name.replace("_", "-"): value for name, value in headers.items()})


def dated(seconds: float, clock: float | None = None) -> Change:
    """A rate limit that ends at a date, beside a vendor's clock that may be wrong."""

    def change(sent: Fault) -> Fault:
        now = time() if clock is None else clock
        headers = {"retry-after": formatdate(now + seconds, usegmt=True), "date": formatdate(now, usegmt=True)}
        return limited(**headers)(sent)

    return change


def edited(edit: Callable[[dict[str, Any]], object]) -> Change:
    """The right answer with something in its JSON changed, for which the vendor charges."""

    def change(sent: Fault) -> Fault:
        body = deepcopy(dict(sent.body)) if isinstance(sent.body, Mapping) else {}
        edit(body)
        return evolve(sent, body=body, billed=True)

    return change


def rewritten(edit: Callable[[bytes], bytes], **headers: str | None) -> Change:
    """The right answer with its bytes changed, for which the vendor charges."""
    return lambda sent: evolve(
        sent,
        body=edit(sent.content),
        billed=True,
        headers={**sent.headers, **{name.replace("_", "-"): value for name, value in headers.items()}},
    )


def broken(**how: Any) -> Change:
    """The right answer on a connection that breaks, for which the vendor charges."""
    return lambda sent: evolve(sent, billed=True, **how)


def cut_in_half(**how: Any) -> Change:
    """The right answer, of which half arrives."""
    return lambda sent: evolve(sent, billed=True, cut=len(sent.content) // 2, **how)


def usage(**token_classes: Any) -> Change:
    """The right answer with another usage."""
    return edited(lambda body: body["usage"].update(token_classes))


def message(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Another message in the first choice."""
    return lambda body: body["choices"][0]["message"].update(fields)


def finished(reason: str, **fields: Any) -> Change:
    """Another finish reason, and another message."""

    def edit(body: dict[str, Any]) -> None:
        body["choices"][0]["finish_reason"] = reason
        message(**fields)(body)

    return edited(edit)


def chunked(body: bytes) -> Change:
    """A chunked body as it is written."""
    head = {"transfer-encoding": "chunked", "content-length": None}
    return lambda sent: evolve(sent, body=body, headers={**sent.headers, **head}, billed=True, cut=len(body))


def beyond_the_hold(body: dict[str, Any]) -> None:
    """A usage of far more tokens than were asked for."""
    counted = body["usage"]
    counted["completion_tokens"] += 400_000
    counted["total_tokens"] += 400_000


def parts_of_text(body: dict[str, Any]) -> None:
    """The content as a list of parts."""
    first = body["choices"][0]["message"]
    half = len(first["content"]) // 2
    first["content"] = [
        {"type": "text", "text": first["content"][:half]},
        {"type": "text", "text": first["content"][half:]},
    ]


def duplicated(content: bytes) -> bytes:
    """The usage, a second time and with nothing in it."""
    return content[:-1] + b', "usage": {"prompt_tokens": 0, "completion_tokens": 0}}'


def nested(content: bytes) -> bytes:
    """A field nested beyond any parser's depth."""
    return content[:-1] + b', "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def with_event(event: Mapping[str, Any]) -> Callable[[bytes], bytes]:
    """A stream that says half of it, and then the event."""

    def edit(content: bytes) -> bytes:
        events = content.split(b"\n\n")
        return b"\n\n".join([*events[: len(events) // 2], b"data: " + json.dumps(event).encode(), b""]) + b"\n"

    return edit


def without_usage(content: bytes) -> bytes:
    """A stream that never says what it cost."""
    unreconciled = []
    for event in content.split(b"\n\n"):
        if event.startswith(b"data: {"):
            data = json.loads(event[6:])
            data.pop("usage", None)
            for choice in data.get("choices", ()):
                choice.pop("usage", None)
            event = b"data: " + json.dumps(data).encode()
        unreconciled.append(event)
    return b"\n\n".join(unreconciled)


def whole(sent: Fault) -> Fault:
    """Plain JSON in the place of a stream."""
    text, last = "", dict[str, Any]()
    for event in sent.content.decode().split("\n\n"):
        if event.startswith("data: {"):
            last = json.loads(event[6:])
            text += last["choices"][0].get("delta", {}).get("content") or ""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "c", "choices": [choice], "usage": last["choices"][0]["usage"]}
    return Fault(200, body, billed=True)


def stalled(sent: Fault) -> Fault:
    """A stream that falls silent in the middle."""
    half = len(sent.content) // 2
    return evolve(sent, body=sent.content[:half], pieces=(30.0,), billed=True)


_HTML: Final = "<html><body><h1>Bad gateway</h1></body></html>"
_K: Final = ErrorKind

# ── the rows ───────────────────────────────────────────────────────────────────────────────────────────────────────

LIMITS: Final = (
    Row("429 with Retry-After in seconds", limited(retry_after="2"), _K.RATE_LIMIT),
    Row("429 with Retry-After as a date", dated(3), _K.RATE_LIMIT),
    Row("429 with Retry-After as a past date", dated(-3600), _K.RATE_LIMIT),
    Row("429 with a date of a clock that is years off", dated(2, clock=1.5e9), _K.RATE_LIMIT),
    Row("429 with retry-after-ms", limited(retry_after_ms="250"), _K.RATE_LIMIT),
    Row("429 with unreadable ms beside good seconds", limited(retry_after_ms="500ms", retry_after="1"), _K.RATE_LIMIT),
    Row("429 with the reset of a limit", limited(x_ratelimit_reset_requests="1s"), _K.RATE_LIMIT),
    *(
        Row(f"429 with Retry-After {value}", limited(retry_after=value), _K.RATE_LIMIT)
        for value in ("-5", "nan", "inf", "soon", "1e400", "9" * 40)
    ),
    Row("429 with a wait of years", limited(retry_after="999999999"), _K.RATE_LIMIT, moves=True),
    Row(
        "429 without money left",
        refused(429, {"type": "exceeded_current_quota_error", "message": "no money"}),
        _K.QUOTA,
        moves=True,
    ),
)

STATUSES: Final = (
    Row("503 overloaded", refused(503, {"message": "busy"}), _K.OVERLOADED),
    Row("529 overloaded", refused(529, {"message": "busy"}), _K.OVERLOADED, UNRECONCILED),
    Row("500", refused(500, {"message": "internal"}), _K.SERVER),
    Row("500 as HTML", refused(500, _HTML), _K.SERVER),
    Row("502 as HTML", refused(502, _HTML), _K.SERVER),
    Row("504 as HTML", refused(504, _HTML), _K.TIMEOUT, UNRECONCILED),
    Row("520 as HTML", refused(520, _HTML), _K.SERVER, UNRECONCILED),
    Row("522 as HTML", refused(522, _HTML), _K.TIMEOUT, UNRECONCILED),
    Row("524 as HTML", refused(524, _HTML), _K.TIMEOUT, UNRECONCILED),
    Row("408", refused(408, {"message": "timeout"}), _K.TIMEOUT, UNRECONCILED),
    Row("409", refused(409, {"message": "conflict"}), _K.SERVER),
    Row("401 with the key in it", refused(401, {"message": f"no such key: {CANARY}"}), _K.AUTHENTICATION, moves=True),
    Row("403", refused(403, {"message": "forbidden"}), _K.AUTHENTICATION, moves=True),
    Row("402", refused(402, {"message": "pay"}), _K.QUOTA, moves=True),
    Row("404 of a model", refused(404, {"message": "no such model"}), _K.UNKNOWN_MODEL, moves=True),
    Row("400 of a parameter", refused(400, {"message": "unknown field"}), _K.BAD_REQUEST, moves=True),
    Row("422", refused(422, {"message": "unprocessable"}), _K.BAD_REQUEST, moves=True),
    Row(
        "400 of a context window",
        refused(400, {"message": "exceeded model token limit"}),
        _K.CONTEXT_LENGTH,
        moves=True,
    ),
    Row("413", refused(413, {"message": "too large"}), _K.CONTEXT_LENGTH, moves=True),
    Row("400 of a filter", refused(400, {"type": "content_filter", "message": "no"}), _K.CONTENT_FILTER, moves=True),
    Row(
        "307 to another host",
        refused(307, {}, {"location": "http://127.0.0.2:9/"}),
        _K.BAD_REQUEST,
        UNRECONCILED,
        moves=True,
    ),
)

ANSWERS: Final = (
    Row(
        "an error inside a 200",
        lambda sent: Fault(200, {"error": {"message": "busy", "code": 503}}, billed=True),
        _K.OVERLOADED,
        UNRECONCILED,
        bills=True,
    ),
    Row("no choices", edited(lambda body: body.update(choices=[])), _K.BAD_ANSWER, SETTLED, bills=True),
    Row("choices null", edited(lambda body: body.update(choices=None)), _K.BAD_ANSWER, SETTLED, bills=True),
    Row("no message", edited(lambda body: body["choices"][0].pop("message")), _K.BAD_ANSWER, SETTLED, bills=True),
    Row("content null", edited(message(content=None)), None, SETTLED, bills=True, other=True, mute=True),
    Row("content empty", edited(message(content="")), None, SETTLED, bills=True, other=True, mute=True),
    Row("thinking took the whole limit", finished("length", content=""), None, SETTLED, bills=True, other=True),
    Row("a filter ended it", finished("content_filter", content="No"), _K.CONTENT_FILTER, SETTLED, True, bills=True),
    Row(
        "JSON cut short",
        rewritten(lambda content: content[: len(content) // 2]),
        _K.BAD_ANSWER,
        UNRECONCILED,
        bills=True,
    ),
    Row("an empty body", rewritten(lambda content: b""), _K.BAD_ANSWER, UNRECONCILED, bills=True),
    Row("NaN", rewritten(lambda content: content[:-1] + b', "x": NaN}'), _K.BAD_ANSWER, UNRECONCILED, bills=True),
    Row("deep nesting", rewritten(nested), _K.BAD_ANSWER, UNRECONCILED, bills=True),
    Row(
        "invalid UTF-8",
        rewritten(lambda content: content.replace(b'"content": "', b'"content": "\xff\xfe', 1)),
        _K.BAD_ANSWER,
        UNRECONCILED,
        bills=True,
    ),
    Row(
        "damaged compression", rewritten(bytes, content_encoding="gzip"), _K.BAD_ANSWER, UNRECONCILED, True, bills=True
    ),
    Row("a lone surrogate", edited(message(content='x = "\ud800"\n')), None, SETTLED, bills=True, other=True),
    Row(
        "NUL, ESC and bidi",
        edited(message(content="# \x00\x1b[2J\u202e\nx = 1\n")),
        None,
        SETTLED,
        bills=True,
        other=True,
    ),
)

USAGES: Final = (
    Row("usage missing", edited(lambda body: body.pop("usage")), None, UNRECONCILED, harmless=True, bills=True),
    Row("usage null", edited(lambda body: body.update(usage=None)), None, UNRECONCILED, harmless=True, bills=True),
    Row("usage in words", usage(prompt_tokens="7"), None, UNRECONCILED, harmless=True, bills=True),
    Row("usage in fractions", usage(completion_tokens=1.5), None, UNRECONCILED, harmless=True, bills=True),
    Row("usage negative", usage(prompt_tokens=-1), None, UNRECONCILED, harmless=True, bills=True),
    Row(
        "usage zero",
        usage(prompt_tokens=0, completion_tokens=0, cached_tokens=0, completion_tokens_details=None),
        None,
        UNRECONCILED,
        harmless=True,
        bills=True,
    ),
    Row("usage beyond belief", usage(prompt_tokens=10**18), None, UNRECONCILED, harmless=True, bills=True),
    Row("usage beyond the hold", edited(beyond_the_hold), None, SETTLED, moves=True, beyond=True, bills=True),
)

HARMLESS: Final = (
    Row("duplicate keys", rewritten(duplicated), harmless=True, bills=True),
    Row("a wrong content type", rewritten(bytes, content_type="text/plain"), harmless=True, bills=True),
    Row("no content type", rewritten(bytes, content_type=None), harmless=True, bills=True),
    Row("a byte order mark", rewritten(lambda content: b"\xef\xbb\xbf" + content), harmless=True, bills=True),
    Row("compressed", rewritten(gzip.compress, content_encoding="gzip"), harmless=True, bills=True),
    Row("unknown fields", edited(lambda body: body.update(news={"a": [None]})), harmless=True, bills=True),
    Row(
        "two choices",
        edited(lambda body: body["choices"].append({"message": {"content": "other"}, "finish_reason": "stop"})),
        harmless=True,
        bills=True,
    ),
    Row("content in parts", edited(parts_of_text), harmless=True, bills=True),
    Row("half a second late", broken(stall=0.5), harmless=True, bills=True),
)

CONNECTIONS: Final = (
    Row("closed before the status line", broken(cut=-1), _K.CONNECTION, UNRECONCILED, bills=True),
    Row("reset before the status line", broken(cut=-1, reset=True), _K.CONNECTION, UNRECONCILED, bills=True),
    Row("closed in the body", cut_in_half(), _K.CONNECTION, UNRECONCILED, bills=True),
    Row("reset in the body", cut_in_half(reset=True), _K.CONNECTION, UNRECONCILED, bills=True),
    Row("a bad chunk", chunked(b"zz\r\n{}\r\n"), _K.CONNECTION, UNRECONCILED, bills=True),
    Row("an unfinished chunk", chunked(b'40\r\n{"choices": ['), _K.CONNECTION, UNRECONCILED, bills=True),
    Row("garbage for a status line", broken(raw=b"SMTP ready\r\n\r\n"), _K.CONNECTION, UNRECONCILED, bills=True),
    Row(
        "headers without end",
        broken(raw=b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 60_000),
        _K.CONNECTION,
        UNRECONCILED,
        bills=True,
    ),
    Row(
        "a giant header",
        broken(raw=b"HTTP/1.1 200 OK\r\nx-a: " + b"b" * 2_000_000),
        _K.CONNECTION,
        UNRECONCILED,
        bills=True,
    ),
    Row("silence", broken(stall=60.0), _K.TIMEOUT, UNRECONCILED, bills=True, slow=True),
)

STREAMS: Final = (
    Row("a stream cut in half", rewritten(lambda body: body[: len(body) // 2]), _K.CONNECTION, UNRECONCILED),
    Row("a stream reset", cut_in_half(reset=True), _K.CONNECTION, UNRECONCILED),
    Row("a stream that falls silent", stalled, _K.TIMEOUT, UNRECONCILED),
    Row(
        "overloaded in a stream",
        rewritten(with_event({"error": {"message": "overloaded", "code": 529}})),
        _K.OVERLOADED,
        UNRECONCILED,
    ),
    Row(
        "a damaged event", rewritten(lambda body: body.replace(b"data: {", b"data: {{", 2)), _K.BAD_ANSWER, UNRECONCILED
    ),
    Row("a stream without usage", rewritten(without_usage), None, UNRECONCILED, harmless=True),
    Row("no [DONE]", rewritten(lambda body: body.replace(b"data: [DONE]\n\n", b"")), harmless=True),
    Row("lines end with CR LF", rewritten(lambda body: body.replace(b"\n", b"\r\n")), harmless=True),
    Row("lines end with CR", rewritten(lambda body: body.replace(b"\n", b"\r")), harmless=True),
    Row("comments everywhere", rewritten(lambda body: body.replace(b"data:", b": hold on\n\ndata:")), harmless=True),
    Row("plain JSON for a stream", whole, harmless=True),
    Row("a refusal for a stream", refused(503, {"message": "busy"}), _K.OVERLOADED),
)

ROWS: Final = (
    *(*LIMITS, *STATUSES, *ANSWERS, *USAGES, *HARMLESS, *CONNECTIONS),
    *(evolve(row, stream=True, bills=row.money != RELEASED or row.harmless) for row in STREAMS),
)
