"""A small vendor on this machine: real sockets, OpenAI's chat format, and a ledger of what it bills."""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from attrs import Factory, frozen

from orchestrator.money import Price, Usage, Usd

BYTES_PER_TOKEN: Final = 4
DEFAULT_PRICE: Final = Price(Usd.parse("0.25"), Usd.parse("1.25"))


@frozen
class Fault:
    """An answer that is none. Without ``status``, ``body`` is sent in place of the usual JSON with status 200.

    Attributes:
        status: the HTTP status.
        body: what is sent; an object as JSON.
        headers: further headers.
        stall: seconds before anything is sent; the server's end wakes it.
        cut: close the connection after so many bytes of the body; -1 before the status line.
        raw: bytes sent in place of any HTTP.
        billed: whether the vendor charges all the same, as if it had answered ``worked``.
        worked: the text whose tokens are charged.
    """

    status: int = 200
    body: str | bytes | Mapping[str, Any] = b""
    headers: Mapping[str, str] = Factory(dict)
    stall: float = 0.0
    cut: int | None = None
    raw: bytes | None = None
    billed: bool = False
    worked: str = "lost"


@frozen
class Served:
    """One request as the vendor saw it, and what it charges for it."""

    body: bytes
    request: Mapping[str, Any]
    """The parsed body; empty where it is no JSON object."""
    headers: Mapping[str, str]
    """Names in lower case."""
    status: int
    usage: Usage
    billed: Usd
    text: str
    """What it answered, before any fault on the way."""

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.request.get("model", ""))

    @property
    def max_tokens(self) -> int | None:
        """The limit that was sent."""
        limit = self.request.get("max_tokens")
        return limit if isinstance(limit, int) else None

    @property
    def role(self) -> str:
        """The role in the first line of the system prompt, or an empty text."""
        return role_of(self.request)

    @property
    def idempotency_key(self) -> str:
        """The header of that name, or an empty text."""
        return self.headers.get("idempotency-key", "")


AnswerFunction = Callable[[Mapping[str, Any]], str | Fault]
"""From the parsed request to a text, or to a fault. Called in the thread of the connection."""


def role_of(request: Mapping[str, Any]) -> str:
    """The role a request asks for: ``X`` where its system prompt starts with ``Role: X``."""
    first = text_of(request, "system").partition("\n")[0]
    return first.removeprefix("Role:").strip().lower() if first.startswith("Role:") else ""


def text_of(request: Mapping[str, Any], author: str) -> str:
    """The text of the request's messages by one author."""
    messages = request.get("messages")
    found = messages if isinstance(messages, list) else []
    return "\n".join(str(each.get("content", "")) for each in found if each.get("role") == author)


class OpenAIServer:
    """Serves ``/v1/chat/completions`` on 127.0.0.1 while its ``with`` block lasts.

    Tokens are counted as four bytes each, input by the bytes of the body. Prices are by model name.
    """

    def __init__(
        self,
        answer: AnswerFunction | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        price: Price = DEFAULT_PRICE,
    ) -> None:
        if answer is None:
            from tests.servers.roles import play

            answer = play
        self.answer = answer
        self._prices = dict(prices or {})
        self._price = price
        self._ledger: list[Served] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._http.shutdown()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        self._http.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """What belongs into ``base_url``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def ledger(self) -> tuple[Served, ...]:
        """Every request so far, in order of arrival of its last byte."""
        with self._lock:
            return tuple(self._ledger)

    @property
    def billed(self) -> Usd:
        """The sum of all that was charged."""
        return sum((each.billed for each in self.ledger), Usd.ZERO)

    def serve(self, body: bytes, headers: Mapping[str, str]) -> tuple[Fault, Served]:
        """Decide on one request, enter it into the ledger, and say what to send."""
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        request: Mapping[str, Any] = parsed if isinstance(parsed, dict) else {}
        malformed = Fault(400, {"error": {"message": "not a JSON object", "type": "invalid_request_error"}})
        answer = self._answered(request) if request else malformed
        limit = request.get("max_tokens")
        limit = limit if isinstance(limit, int) else 1_000_000
        whole = answer.worked if isinstance(answer, Fault) else answer
        text = whole.encode()[: BYTES_PER_TOKEN * limit].decode(errors="ignore")
        usage = Usage(input=_tokens(body), output=_tokens(text.encode()))
        charged = not isinstance(answer, Fault) or answer.billed
        price = self._prices.get(str(request.get("model")), self._price)
        sent = answer if isinstance(answer, Fault) else Fault(200, _completion(request, text, usage, text != whole))
        served = Served(body, request, headers, sent.status, usage, price.cost(usage) if charged else Usd.ZERO, text)
        with self._lock:
            self._ledger.append(served)
        return sent, served

    def _answered(self, request: Mapping[str, Any]) -> str | Fault:
        try:
            return self.answer(request)
        except Exception as error:
            return Fault(500, {"error": {"message": f"the test's answer function raised {error!r}", "type": "bug"}})

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the server lives."""
        self._closing.wait(seconds)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, to be cut when the server ends."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.discard(connection)


def _tokens(content: bytes) -> int:
    return -(-len(content) // BYTES_PER_TOKEN)


def _completion(request: Mapping[str, Any], text: str, usage: Usage, cut: bool) -> Mapping[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "length" if cut else "stop",
    }
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model"),
        "choices": [choice],
        "usage": {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
        },
    }


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            server.opened(self.request)
            super().setup()

        def finish(self) -> None:
            server.closed(self.request)
            try:
                super().finish()
            except OSError:
                return

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            return

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.path != "/v1/chat/completions":
                self._send(Fault(404, {"error": {"message": f"no such path: {self.path}", "type": "not_found"}}))
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent, _ = server.serve(body, headers)
            self._send(sent)

        def _send(self, fault: Fault) -> None:
            if fault.stall:
                server.wait(fault.stall)
            if fault.raw is not None or fault.cut == -1:
                self.wfile.write(fault.raw or b"")
                self.close_connection = True
                return
            body = fault.body if isinstance(fault.body, str | bytes) else json.dumps(fault.body)
            content = body.encode() if isinstance(body, str) else body
            given = {"content-type": "application/json", "content-length": str(len(content)), **fault.headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
            status = f"HTTP/1.1 {fault.status} {self.responses.get(fault.status, ('Fault',))[0]}\r\n"
            self.wfile.write((status + head + "\r\n").encode("latin-1") + content[: fault.cut])
            if fault.cut is not None:
                self.close_connection = True

    return Handler
