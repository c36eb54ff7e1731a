"""Streams over real sockets: pieces, silence, cuts, errors, and what is shown while they last."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.vendors.http import make_client
from orchestrator.errors import Billed, ErrorKind, ProviderError
from orchestrator.models import Finish
from orchestrator.money import Usage
from orchestrator.spi import Reply
from orchestrator_providers.event_stream import EventSplitter
from orchestrator_providers.live_answer import LiveAnswer
from orchestrator_providers.one_call import Vendor
from tests.plugins.providers.calls import a_context, a_request
from tests.plugins.providers.vendors import CANARY, VENDORS, built, slot_model

OWN: Final = Path(__file__).parents[2] / "data" / "wire"
EVENT_STREAM: Final = "content-type: text/event-stream\r\n"


def whole_request(connection: socket.socket) -> bytes:
    """All bytes of one request: a socket closed with some unread would reset the connection."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(1 << 16)
    head, _, body = found.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        piece = connection.recv(missing)
        found, missing = found + piece, missing - len(piece)
    return found


@contextmanager
def speaking(
    *pieces: bytes | float, head: str = EVENT_STREAM, status: str = "200 OK"
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers one request with pieces of a body, waiting where a number of seconds stands."""
    asked: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            asked.append(whole_request(connection))
            connection.sendall(f"HTTP/1.1 {status}\r\n{head}connection: close\r\n\r\n".encode())
            for piece in pieces:
                if isinstance(piece, float):
                    done.wait(piece)
                else:
                    connection.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", asked
        finally:
            done.set()
            thread.join(10)


def ask(name: str, base_url: str, shown: list[str] | None = None, **options: Any) -> Reply:
    """One streamed call of a vendor."""
    reached = VENDORS[name]
    vendor = built(name, {reached.key: CANARY, reached.address: base_url}, {"stream": True, **options})
    model = slot_model(vendor, reached.slots[0])

    async def call() -> Reply:
        async with make_client() as http:
            context = evolve(a_context(http), on_text=(shown if shown is not None else []).append)
            return await vendor.call(vendor.encode(a_request(model=model)), context)

    return asyncio.run(call())


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One event of OpenAI's chat format."""
    delta = {} if text is None else {"content": text}
    event = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return f"data: {json.dumps(event)}\n\n".encode()


USAGE: Final = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def own(vendor: str, case: str) -> str:
    """The body of one of the project's own streams."""
    return next(str(each["body"]) for each in json.loads((OWN / f"{vendor}.json").read_text()) if each["case"] == case)


@pytest.mark.parametrize("name", VENDORS)
def test_a_stream_of_every_vendor_is_read_and_shown_as_it_comes(name: str) -> None:
    """Text arrives piece by piece, thinking is not shown, and the key travels in its header."""
    body = own(name, "stream").encode()
    shown: list[str] = []
    with speaking(*[body[at : at + 40] for at in range(0, len(body), 40)]) as (base_url, asked):
        reply = ask(name, base_url, shown)

    assert (reply.text, reply.finish) == ("Nine.", Finish.STOP)
    assert reply.usage is not None
    assert shown == ["Ni", "ne."]
    head, _, sent = asked[0].partition(b"\r\n\r\n")
    assert CANARY.encode() in head
    assert CANARY.encode() not in head.split(b"\r\n")[0]
    assert CANARY.encode() not in sent


@pytest.mark.parametrize("name", VENDORS)
def test_a_stream_that_is_cut_keeps_the_money(name: str) -> None:
    """An end without a finish reason is a broken connection: worth another try, and possibly billed."""
    with speaking(own(name, "stream-cut").encode()) as (base_url, _), pytest.raises(ProviderError) as caught:
        ask(name, base_url)

    error = caught.value
    assert (error.kind, error.retryable, error.billed, error.usage) == (
        ErrorKind.CONNECTION,
        True,
        Billed.UNKNOWN,
        None,
    )


@pytest.mark.parametrize("name", VENDORS)
def test_a_stream_that_falls_silent_is_noticed(name: str) -> None:
    """Once it has begun, a stream may not be silent for long; the money is unreconciled."""
    begun = own(name, "stream-cut").encode()
    with speaking(begun, 30.0) as (base_url, _), pytest.raises(ProviderError, match="silent for") as caught:
        ask(name, base_url, idle_seconds=0.1)

    assert (caught.value.kind, caught.value.retryable, caught.value.billed) == (ErrorKind.TIMEOUT, True, Billed.UNKNOWN)


def test_before_its_first_piece_a_stream_may_be_silent() -> None:
    """Thinking before the first word is no stall; only the deadline of the call counts then."""
    with speaking(0.4, chunk("Nine.", "stop", usage=USAGE)) as (base_url, _):
        assert ask("deepseek", base_url, idle_seconds=0.1).text == "Nine."


def test_comments_keep_a_stream_alive() -> None:
    """A queue that says it is alive is no silence."""
    pieces = [each for _ in range(6) for each in (b": keep-alive\n\n", 0.1)]
    with speaking(*pieces, chunk("Nine.", "stop", usage=USAGE)) as (base_url, _):
        assert ask("deepseek", base_url, idle_seconds=0.4).text == "Nine."


def test_the_deadline_of_the_call_ends_a_stream_that_never_ends() -> None:
    """A byte now and then does not outlast the deadline, and what cancels the call is not swallowed."""
    pieces = [each for _ in range(200) for each in (b": keep-alive\n\n", 0.05)]
    vendor = built("deepseek", {"DEEPSEEK_API_KEY": "k"}, {"stream": True})

    async def call(base_url: str) -> None:
        made = built("deepseek", {"DEEPSEEK_API_KEY": "k", "DEEPSEEK_BASE_URL": base_url}, {"stream": True})
        async with make_client() as http, asyncio.timeout(0.3):
            await made.call(made.encode(a_request(model=vendor.models()[0])), a_context(http))

    with speaking(*pieces) as (base_url, _), pytest.raises(TimeoutError):
        asyncio.run(call(base_url))


def test_a_connection_that_breaks_after_the_end_of_the_answer_does_no_harm() -> None:
    """The text is whole; only the usage that was to follow is unknown."""
    head = EVENT_STREAM + "content-length: 9999\r\n"
    with speaking(chunk("Nine."), chunk(None, "stop"), head=head) as (base_url, _):
        assert ask("deepseek", base_url) == Reply("Nine.", None, Finish.STOP, "c")


def test_a_connection_that_breaks_before_is_an_error() -> None:
    """A short body with a false length is a broken connection."""
    head = EVENT_STREAM + "content-length: 9999\r\n"
    with speaking(chunk("Ni"), head=head) as (base_url, _), pytest.raises(ProviderError) as caught:
        ask("deepseek", base_url)
    assert (caught.value.kind, caught.value.billed) == (ErrorKind.CONNECTION, Billed.UNKNOWN)


def test_plain_json_where_a_stream_was_asked_for_is_read() -> None:
    """A server that does not stream, with the right content type or with none."""
    answer = {"choices": [{"finish_reason": "stop", "message": {"content": "Nine."}}], "usage": USAGE}
    for head in ("content-type: application/json\r\n", ""):
        with speaking(json.dumps(answer, indent=1).encode(), head=head) as (base_url, _):
            assert ask("zhipu", base_url).usage == Usage(input=5, output=2)


def test_a_stream_where_none_was_asked_for_is_read() -> None:
    """A server that streams anyway, and a stream under a wrong content type."""
    for head, stream in ((EVENT_STREAM, False), ("content-type: application/json\r\n", False), ("", True)):
        with speaking(chunk("Nine.", "stop", usage=USAGE), head=head) as (base_url, _):
            assert ask("zhipu", base_url, stream=stream).text == "Nine."


def test_a_refusal_where_a_stream_was_asked_for_is_a_refusal() -> None:
    """A status of failure is read as such, whatever the content type says."""
    body = json.dumps({"error": {"code": "1113", "message": "no money"}}).encode()
    with speaking(body, status="429 Too Many Requests") as (base_url, _), pytest.raises(ProviderError) as caught:
        ask("zhipu", base_url)
    assert (caught.value.kind, caught.value.billed) == (ErrorKind.QUOTA, Billed.NO)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b"data: {not json\n\n", ErrorKind.BAD_ANSWER),
        (b"data: []\n\n", ErrorKind.BAD_ANSWER),
        (b"data: " + b"[" * 100_000 + b"\n\n", ErrorKind.BAD_ANSWER),
        (b'data: {"error": {"message": "overloaded", "code": 503}}\n\n', ErrorKind.OVERLOADED),
        (b'data: {"error": "slow down"}\n\n', ErrorKind.SERVER),
    ],
)
def test_an_event_that_is_damaged_or_an_error_ends_the_stream(event: bytes, kind: ErrorKind) -> None:
    """What came before it is discarded, and its money unreconciled."""
    with speaking(chunk("Ni"), event, chunk("ne.", "stop")) as (base_url, _), pytest.raises(ProviderError) as caught:
        ask("deepseek", base_url)
    assert (caught.value.kind, caught.value.billed) == (kind, Billed.UNKNOWN)


def test_thinking_inside_the_text_is_not_shown() -> None:
    """A model that writes its thoughts into its text is heard from their end on; the reply has them for the engine."""
    shown: list[str] = []
    words = ["<thi", "nk>\n4 + 5", " is</th", "ink>\n\nNi", "ne."]
    with speaking(*map(chunk, words), chunk(None, "stop", usage=USAGE)) as (base_url, _):
        reply = ask("minimax", base_url, shown)
    assert reply.text == "<think>\n4 + 5 is</think>\n\nNine."
    assert "".join(shown) == "Nine."


def test_the_list_of_models_is_asked_for_with_the_key_in_a_header() -> None:
    """A check of address and key that costs nothing."""

    async def served(base_url: str) -> tuple[str, ...]:
        vendor = built("google", {"GOOGLE_API_KEY": CANARY, "GOOGLE_BASE_URL": base_url})
        async with make_client() as http:
            return await vendor.served(http)

    body = b'{"models": [{"name": "models/gemini-1"}]}'
    with speaking(body, head="content-type: application/json\r\n") as (base_url, asked):
        assert asyncio.run(served(base_url)) == ("gemini-1",)
    first, *headers = asked[0].split(b"\r\n")
    assert first == b"GET /v1/models?pageSize=1000 HTTP/1.1"
    assert f"x-goog-api-key: {CANARY}".encode() in headers


# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1, max_size=3), max_size=5
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(1, 30), max_size=30),
)
def test_events_come_through_in_whatever_pieces_they_arrive(
    events: Sequence[Sequence[str]], end: str, sizes: Sequence[int]
) -> None:
    """The data of every event, its lines joined, whatever the line ends and wherever the body is cut into pieces."""
    body = "".join(
        f": note{end}event: x{end}" + "".join(f"data: {line}{end}" for line in lines) + end for lines in events
    )
    raw, splitter, found = body.encode(), EventSplitter(), []
    for size in [*sizes, len(raw)]:
        found += splitter.feed(raw[:size])
        raw = raw[size:]

    assert found == ["\n".join(lines).encode() for lines in events]
    assert splitter.rest() is None


@given(st.sampled_from(sorted(VENDORS)), st.lists(st.integers(1, 60), max_size=60))
def test_a_stream_is_the_same_in_whatever_pieces_it_arrives(name: str, sizes: Sequence[int]) -> None:
    """Cutting the bytes elsewhere changes neither the reply nor the shown text."""
    vendor = _vendor(name)
    raw = own(name, "stream").encode()
    shown: list[str] = []
    live = LiveAnswer(vendor, shown.append, False)
    for size in [*sizes, len(raw)]:
        live.feed(raw[:size], 200)
        raw = raw[size:]
    reply = live.finish(200, {})

    assert reply == vendor.read_answer(200, {}, own(name, "stream").encode())
    assert "".join(shown) == reply.text == "Nine."


_BUILT: dict[str, Vendor] = {}


def _vendor(name: str) -> Vendor:
    if name not in _BUILT:
        _BUILT[name] = built(name)
    return _BUILT[name]
