"""A transport that bounds what an answer may cost in memory. Imports httpx; import it late."""

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address
from typing import Final

import httpx

_CHUNK: Final = 64 * 1024
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, so that no proxy may see it."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


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
            httpx.DecodingError: while reading: the body is too large, damaged, or in an encoding nobody asked for.
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
