"""A transport that bounds what an answer may cost in memory. Imports httpx; import it late."""

import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httpcore2
import httpx

from orchestrator.engine.vendors.addresses import is_loopback

_CHUNK: Final = 64 * 1024
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
        self._keepalive = keepalive
        self._idle: dict[_Place, deque[_Connection]] = {}
        self._busy: set[_Connection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the body of the answer is still to be read."""
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"{request.url.scheme or 'a URL without a scheme'} cannot be called")
        assert isinstance(request.stream, httpx.AsyncByteStream)
        place = (request.url.raw_scheme, request.url.raw_host, request.url.port)
        url = httpcore2.URL(scheme=place[0], host=place[1], port=place[2], target=request.url.raw_path)
        with _errors_of_httpx():
            connection = await self._take(place, url)
            try:
                response = await connection.handle_async_request(
                    httpcore2.Request(
                        method=request.method,
                        url=url,
                        headers=request.headers.raw,
                        content=request.stream,
                        extensions=dict(request.extensions),
                    )
                )
            except BaseException:
                await self.give_back(place, connection)
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
        self, direct: httpx.AsyncBaseTransport, proxied: httpx.AsyncBaseTransport | None, max_body: int
    ) -> None:
        self._direct = direct
        self._proxied = proxied
        self._max_body = max_body

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the answer's body is decoded while it is read.

        Raises:
            httpx.DecodingError: while reading: the body is too large, damaged, or in an unexpected encoding.
        """
        way = self._direct if self._proxied is None or is_loopback(request.url.host) else self._proxied
        response = await way.handle_async_request(request)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        headers = httpx.Headers(response.headers)
        for name in ("content-encoding", "content-length"):
            headers.pop(name, None)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpx.Response(
            status_code=response.status_code,
            headers=headers,
            stream=_BoundedStream(response.stream, encoding, self._max_body),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._direct.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()


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
        raise httpx.DecodingError(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")
    inflate = zlib.decompressobj(_WINDOW_BITS[encoding])

    def decode(piece: bytes) -> Iterator[bytes]:
        part = b""
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
