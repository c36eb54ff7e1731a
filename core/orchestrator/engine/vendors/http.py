"""The one HTTP client of the program: every byte to or from a vendor passes through here."""

import logging
from typing import TYPE_CHECKING, Final

from orchestrator.engine.vendors.environment import COMMON_BUNDLE, Network
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    import ssl

    import httpx

_LOGGER: Final = logging.getLogger("orchestrator.network")

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""The most decoded bytes of one answer that are read."""

CONNECT_SECONDS: Final = 10.0
"""How long connecting may take; the deadline of the whole call is the engine's."""

# Shorter than any server's usual idle limit (5 s): a call lost on a socket the server is closing keeps its hold.
_KEEPALIVE_SECONDS: Final = 3.0


def make_client(
    *,
    concurrency: int = 3,
    network: Network = Network(),  # noqa: B008 - frozen
    max_body: int = MAX_BODY_BYTES,
    transport: "httpx.AsyncBaseTransport | None" = None,
) -> "httpx.AsyncClient":
    """A client that follows no redirect, retries nothing, keeps no cookie and reads no environment variable.

    Args:
        concurrency: calls in flight at most; so many idle connections stay open.
        network: how hosts are reached; this machine always directly.
        max_body: decoded bytes of one body beyond which reading it raises ``httpx.DecodingError``.
        transport: what carries the requests in place of the network, for recordings and simulations.

    Raises:
        UsageError: the proxy's URL or the file of authorities cannot be used.
    """
    import httpx

    from orchestrator.engine.vendors.bounded_transport import BoundedTransport

    client = httpx.AsyncClient(
        transport=BoundedTransport(
            _direct(concurrency, network) if transport is None else transport,
            _proxied(concurrency, network) if transport is None and network.proxy is not None else None,
            max_body,
            network,
        ),
        headers={"Accept-Encoding": "identity", "User-Agent": "multi-llm-orchestrator"},
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )
    _refuse_cookies(client)
    return client


def _direct(concurrency: int, network: Network) -> "httpx.AsyncBaseTransport":
    from orchestrator.engine.vendors.bounded_transport import PoolTransport

    return PoolTransport(_context(network), concurrency, _KEEPALIVE_SECONDS, None)


def _proxied(concurrency: int, network: Network) -> "httpx.AsyncBaseTransport":
    """The way by the proxy; one that is named for other programs, and makes no sense, fails where it is used."""
    import httpx

    from orchestrator.engine.vendors.bounded_transport import NoWay, PoolTransport

    try:
        return PoolTransport(_context(network), concurrency, _KEEPALIVE_SECONDS, network.proxy)
    except (ValueError, ImportError, RuntimeError, httpx.InvalidURL) as error:
        text = f"the proxy {network.shown_proxy!r} cannot be used ({error}); give it as http://HOST:PORT"
        if network.direct is None:
            raise UsageError(text) from error
        return NoWay(f"{text} in {network.proxy_variable}")


def _context(network: Network) -> "ssl.SSLContext":
    """How TLS is spoken: the built-in authorities are trusted, and those the user adds."""
    import httpx

    context = httpx.create_ssl_context(trust_env=False)
    try:
        if network.ca_bundle is not None:
            context.load_verify_locations(cafile=network.ca_bundle)
    except OSError as error:
        text = f"the certificate file {network.ca_bundle} cannot be used ({error}); name a PEM file"
        raise UsageError(text) from error
    try:
        if network.common_bundle is not None:
            context.load_verify_locations(cafile=network.common_bundle)
    except OSError as error:
        _LOGGER.warning(
            "%s=%s cannot be used (%s); the other authorities are", COMMON_BUNDLE, network.common_bundle, error
        )
    return context


def _refuse_cookies(client: "httpx.AsyncClient") -> None:
    from http.cookiejar import DefaultCookiePolicy

    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
