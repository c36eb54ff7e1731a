"""A transport that bounds what an answer may cost in memory. Imports httpx; import it late."""

import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore2
import httpx

from orchestrator.engine.vendors.connection_errors import UnreachableError, UnreadableError, asking_proxy, explained
from orchestrator.engine.vendors.environment import Network
from orchestrator.errors import MissingError

_PROXY_ASKS: Final = 407
_CHUNK: Final = 64 * 1024
_HEADER_BYTES: Final = 2
_CHECK: Final = 31
"""The two bytes before data in zlib's format are a multiple of it."""
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


_Connection = httpcore2.AsyncConnectionInterface
_Place = tuple[bytes, bytes, int | None]
"""Scheme, host and port."""


class PoolTransport(httpx.AsyncBaseTransport):
    """Carries requests over connections of ``httpcore2``; whatever it raises is an error of httpx.

    The pools of httpx and httpcore2 look at all their connections at every change, which costs more than the calls
    once many are in flight. Here the connection used last is used next, and nothing is looked at but it and the oldest.

    Args:
        context: how TLS is spoken.
        keepalive: the most idle connections that stay open.
        keepalive_seconds: how long they do.
        proxy: the URL of a proxy.
    """

    def __init__(self, context: ssl.SSLContext, keepalive: int, keepalive_seconds: float, proxy: str | None) -> None:
        self._maker = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            keepalive_expiry=keepalive_seconds,
            retries=0,
            proxy=None if proxy is None else _proxy(proxy, context),
        )
        self._is_proxied = proxy is not None
        self._keepalive = keepalive
        self._idle: dict[_Place, deque[_Connection]] = {}
        self._busy: set[_Connection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body of the answer is still to be read."""
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"{request.url.scheme or 'a URL without a scheme'} cannot be called")
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise MissingError("AsyncByteStream")
        place = (request.url.raw_scheme, request.url.raw_host, request.url.port)
        url = httpcore2.URL(scheme=place[0], host=place[1], port=place[2], target=request.url.raw_path)
        extensions, tunnel = dict(request.extensions), _Tunnel()
        if self._is_proxied:
            extensions["trace"] = tunnel.trace
        with _errors_of_httpx():
            connection = await self._take(place, url)
            try:
                response = await connection.handle_async_request(
                    httpcore2.Request(
                        method=request.method,
                        url=url,
                        headers=request.headers.raw,
                        content=request.stream,
                        extensions=extensions,
                    )
                )
            except BaseException as error:
                await self.give_back(place, connection)
                if self._is_proxied and not tunnel.is_through and isinstance(error, httpcore2.ProtocolError):
                    raise httpx.ProxyError(f"{error}".rstrip(".") or type(error).__name__) from error
                raise
        stream = _PoolStream(response, lambda: self.give_back(place, connection))
        return httpx.Response(response.status, headers=response.headers, stream=stream, extensions=response.extensions)

    async def _take(self, place: _Place, url: httpcore2.URL) -> _Connection:
        """A connection for one request: an idle one that the server has not closed, or a new one."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.is_idle() and not connection.has_expired():
                break
            await connection.aclose()
        else:
            connection = self._maker.create_connection(url.origin)
        self._busy.add(connection)
        return connection

    async def give_back(self, place: _Place, connection: _Connection) -> None:
        """Keep a connection that can serve again, and close it otherwise."""
        self._busy.discard(connection)
        idle = self._idle.setdefault(place, deque())
        while idle and (idle[0].has_expired() or len(idle) >= self._keepalive):
            await idle.popleft().aclose()
        if connection.is_idle():
            idle.append(connection)
        elif not connection.is_closed():
            await connection.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        connections = [*self._busy, *(each for idle in self._idle.values() for each in idle)]
        self._busy.clear()
        self._idle.clear()
        for connection in connections:
            await connection.aclose()


class _Tunnel:
    """Whether a request was sent itself, and not only asked a proxy for the way to its host."""

    def __init__(self) -> None:
        self.is_through = False

    async def trace(self, name: str, info: dict[str, Any]) -> None:
        """Hear of a step of the connection."""
        if name == "http11.send_request_headers.started":
            self.is_through = self.is_through or info["request"].method != b"CONNECT"


class _PoolStream(httpx.AsyncByteStream):
    def __init__(self, response: httpcore2.Response, done: Callable[[], Awaitable[None]]) -> None:
        self._response = response
        self._done: Callable[[], Awaitable[None]] | None = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        with _errors_of_httpx():
            try:
                await self._response.aclose()
            finally:
                await done()


def _proxy(url: str, context: ssl.SSLContext) -> httpcore2.Proxy:
    given = httpx.Proxy(url)
    return httpcore2.Proxy(
        url=str(given.url),
        auth=given.raw_auth,
        ssl_context=context if given.url.scheme == "https" else None,
    )


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    """Raise errors of the pool as the errors of httpx of the same name."""
    try:
        yield
    except (httpcore2.ConnectionNotAvailable, *_RAISED) as error:
        name = next((each.__name__ for each in type(error).__mro__ if hasattr(httpx, each.__name__)), "NetworkError")
        raise getattr(httpx, name)(str(error)) from error


_RAISED: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)


class BoundedTransport(httpx.AsyncBaseTransport):
    """Chooses the direct way or the proxy by host, and hands on bodies decoded and bounded.

    Bodies are decoded here, in pieces, because a client that decodes a whole piece first has the memory of a
    gzip bomb already spent when it can count.
    """

    def __init__(
        self,
        direct: httpx.AsyncBaseTransport,
        proxied: httpx.AsyncBaseTransport | None,
        max_body: int,
        network: Network = Network(),  # noqa: B008 - frozen
    ) -> None:
        self._direct = direct
        self._proxied = proxied
        self._max_body = max_body
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the answer's body is decoded while it is read.

        Raises:
            UnreachableError: nothing was sent, as no connection could be made.
            httpx.DecodingError: while reading: the body is too large, damaged, or in an unexpected encoding.
        """
        response = await self._sent(request)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        headers = httpx.Headers(response.headers)
        for name in ("content-encoding", "content-length"):
            headers.pop(name, None)
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise MissingError("AsyncByteStream")
        return httpx.Response(
            status_code=response.status_code,
            headers=headers,
            stream=_BoundedStream(response.stream, encoding, self._max_body),
            extensions=response.extensions,
        )

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        proxied = self._proxied is not None and self._network.is_proxied(url.scheme, url.host, url.port)
        way = self._proxied if proxied and self._proxied is not None else self._direct
        try:
            response = await way.handle_async_request(request)
        except UnreachableError:
            raise
        except (httpx.TransportError, ImportError) as error:
            found = explained(error, url, self._network, proxied=proxied)
            if found is None:
                raise
            raise found from error
        if response.status_code == _PROXY_ASKS:
            await response.aclose()
            raise asking_proxy(self._network)
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self._direct.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()


class NoWay(httpx.AsyncBaseTransport):
    """Stands for a way that cannot be used, and says why."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Refuse."""
        raise UnreachableError(self._why, lasting=True)


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, raw: httpx.AsyncByteStream, encoding: str, max_body: int) -> None:
        self._raw = raw
        self._encoding = encoding
        self._max_body = max_body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        decode = _decoder(self._encoding)
        received = decoded = 0
        async for piece in self._raw:
            received += len(piece)
            for part in decode(piece):
                decoded += len(part)
                if decoded > self._max_body:
                    break
                yield part
            if max(received, decoded) > self._max_body:
                raise httpx.DecodingError(f"the answer is longer than {self._max_body} bytes")

    async def aclose(self) -> None:
        await self._raw.aclose()


def _decoder(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    if encoding in ("", "identity"):
        return lambda piece: iter((piece,))
    if encoding not in _WINDOW_BITS:
        text = f"the answer is encoded as {encoding[:40]!r}, which was not asked for"
        raise UnreadableError(f"{text}; switch compression off there, or in the proxy before it")
    inflate = zlib.decompressobj(_WINDOW_BITS[encoding])
    begun = encoding != "deflate"

    def decode(piece: bytes) -> Iterator[bytes]:
        nonlocal inflate, begun
        part = b""
        if piece and not begun:
            begun = True
            if not _has_header(piece):
                inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        # A full part may leave more inside zlib although all input is consumed.
        while not inflate.eof and (piece or len(part) == _CHUNK):
            try:
                part = inflate.decompress(piece, _CHUNK)
            except zlib.error as error:
                raise httpx.DecodingError(f"the answer's {encoding} encoding is damaged: {error}") from error
            if part:
                yield part
            piece = inflate.unconsumed_tail

    return decode


def _has_header(piece: bytes) -> bool:
    """Whether a body called ``deflate`` begins as zlib's format does; many servers send the bare data instead."""
    if len(piece) < _HEADER_BYTES:
        return piece[0] & 0x0F == zlib.DEFLATED
    return piece[0] & 0x0F == zlib.DEFLATED and int.from_bytes(piece[:_HEADER_BYTES]) % _CHECK == 0
