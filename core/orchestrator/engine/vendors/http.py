"""The one HTTP client of the program: every byte to or from a vendor passes through here."""

from typing import TYPE_CHECKING, Final

from orchestrator.engine.vendors.environment import Network
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""The most decoded bytes of one answer that are read."""

CONNECT_SECONDS: Final = 10.0
"""How long connecting may take; the deadline of the whole call is the engine's."""

# Shorter than any server's usual idle limit (5 s): a call lost on a socket the server is closing keeps its hold.
_KEEPALIVE_SECONDS: Final = 3.0


def make_client(
    *,
    concurrency: int = 3,
    proxy: str | None = None,
    ca_bundle: str | None = None,
    max_body: int = MAX_BODY_BYTES,
    transport: "httpx.AsyncBaseTransport | None" = None,
) -> "httpx.AsyncClient":
    """A client that follows no redirect, retries nothing, keeps no cookie and reads no environment variable.

    Args:
        concurrency: calls in flight at most; so many idle connections stay open.
        proxy: the URL of a proxy for every host but this machine.
        ca_bundle: a PEM file with the certificate authorities to trust, in place of the built-in ones.
        max_body: decoded bytes of one body beyond which reading it raises ``httpx.DecodingError``.
        transport: what carries the requests in place of the network, for recordings and simulations.

    Raises:
        UsageError: the proxy's URL or the file of authorities cannot be used.
    """
    import httpx

    from orchestrator.engine.vendors.transport import BoundedTransport

    client = httpx.AsyncClient(
        transport=BoundedTransport(
            _network(concurrency, None, ca_bundle) if transport is None else transport,
            _network(concurrency, proxy, ca_bundle) if transport is None and proxy is not None else None,
            max_body,
        ),
        headers={"Accept-Encoding": "identity", "User-Agent": "multi-llm-orchestrator"},
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )
    _refuse_cookies(client)
    return client


def _network(concurrency: int, proxy: str | None, ca_bundle: str | None) -> "httpx.AsyncBaseTransport":
    import ssl

    import httpx

    from orchestrator.engine.vendors.transport import PoolTransport

    try:
        context = (
            httpx.create_ssl_context(trust_env=False)
            if ca_bundle is None
            else ssl.create_default_context(cafile=ca_bundle)
        )
    except OSError as error:
        raise UsageError(f"the certificate file {ca_bundle} cannot be used ({error}); name a PEM file") from error
    try:
        return PoolTransport(context, concurrency, _KEEPALIVE_SECONDS, proxy)
    except (ValueError, ImportError, RuntimeError, httpx.InvalidURL) as error:
        shown = Network(proxy).shown_proxy
        raise UsageError(f"the proxy {shown!r} cannot be used ({error}); give it as http://HOST:PORT") from error


def _refuse_cookies(client: "httpx.AsyncClient") -> None:
    from http.cookiejar import DefaultCookiePolicy

    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
