"""What the tests' vendors share: an HTTP server on this machine, and every way to answer wrongly."""

import json
import socket
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from attrs import Factory, frozen


@frozen
class Fault:
    """An answer that is none. Without ``status``, ``body`` is sent in place of the usual JSON with status 200.

    Attributes:
        status: the HTTP status.
        body: what is sent; an object as JSON.
        headers: further headers; one without a value (None) is left out.
        stall: seconds before anything is sent; the server's end wakes it.
        pieces: what follows the body, waiting where a number of seconds stands; may be endless. Then no length is sent.
        cut: close the connection after so many bytes of the body; -1 before the status line.
        reset: whether a connection that is cut is reset instead of closed.
        raw: bytes sent in place of any HTTP.
        billed: whether the vendor charges all the same, as if it had answered ``worked``.
        worked: the text whose tokens are charged.
    """

    status: int = 200
    body: str | bytes | Mapping[str, Any] = b""
    headers: Mapping[str, str | None] = Factory(dict)
    stall: float = 0.0
    pieces: Iterable[bytes | float] = ()
    cut: int | None = None
    reset: bool = False
    raw: bytes | None = None
    billed: bool = False
    worked: str = "lost"

    @property
    def content(self) -> bytes:
        """The bytes of the body."""
        body = self.body if isinstance(self.body, str | bytes) else json.dumps(self.body)
        return body.encode() if isinstance(body, str) else body


@frozen
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class LocalServer:
    """Serves 127.0.0.1 while its ``with`` block lasts, each connection in a thread; its end cuts what is still open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self.connections = 0
        """How many were opened so far."""
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
    def address(self) -> str:
        """The URL of the server, without a path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def respond(self, received: Received) -> Fault:
        """What to send for a request. Called in the thread of the connection."""
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the server lives."""
        self._closing.wait(seconds)

    @property
    def is_closing(self) -> bool:
        """Whether the block has ended."""
        return self._closing.is_set()

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, to be cut when the server ends."""
        with self._lock:
            self.connections += 1
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.discard(connection)


def _handler(server: LocalServer) -> type[BaseHTTPRequestHandler]:
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

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(server.respond(Received(self.command, self.path, headers, body)))

        def _send(self, fault: Fault) -> None:
            if fault.stall:
                server.wait(fault.stall)
            if fault.raw is not None or fault.cut == -1:
                self.wfile.write(fault.raw or b"")
                self._end(fault)
                return
            content = fault.content
            given: dict[str, str | None] = {"content-type": "application/json"}
            given |= {"connection": "close"} if fault.pieces else {"content-length": str(len(content))}
            given |= fault.headers
            head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value is not None)
            status = f"HTTP/1.1 {fault.status} {self.responses.get(fault.status, ('Fault',))[0]}\r\n"
            self.wfile.write((status + head + "\r\n").encode("latin-1") + content[: fault.cut])
            for piece in fault.pieces:
                if server.is_closing:
                    break
                if isinstance(piece, bytes):
                    self.wfile.write(piece)
                else:
                    server.wait(piece)
            if fault.cut is not None or fault.pieces:
                self._end(fault)

        def _end(self, fault: Fault) -> None:
            self.close_connection = True
            if fault.reset:
                # with a linger of no time the kernel sends RST, and what is still unsent is thrown away
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    return Handler
