"""Why a connection could not be made, in one line that names the address and what to do. Imports httpx; import late."""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import httpx

from orchestrator.engine.vendors.environment import CA_BUNDLE, Network
from orchestrator.errors import Billed, ErrorKind, ProviderError

_PROXY_ASKS: Final = 407
_NO_PASSWORD: Final = "asks for a user name and a password (HTTP 407)"
_BINARY: Final = "illegal request line"
"""What h11 says of an answer that begins with a control character."""


class UnreachableError(httpx.ConnectError):
    """Nothing was sent: neither the host nor anything that stands before it took the request.

    Attributes:
        lasting: whether trying again in a moment cannot change that.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class UnreadableError(httpx.DecodingError):
    """The host answers in an encoding that was not asked for: so it will for every model.

    Attributes:
        lasting: trying again cannot change that.
    """

    lasting: Final = True


def explained(error: Exception, url: httpx.URL, network: Network, *, proxied: bool) -> UnreachableError | None:
    """An error of the connection, as the user can act on it; None where something may have been sent.

    Args:
        error: what the transport raised.
        url: where the request was to go.
        network: how hosts are reached.
        proxied: whether it went by the proxy.
    """
    place = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
    proxy = f"the proxy {network.shown_proxy}"
    if isinstance(error, ImportError):
        text = f"{proxy} needs a package that is not installed: pip install socksio; or name an http:// proxy"
        return UnreachableError(f"{text} in {network.proxy_variable}", lasting=True)
    if isinstance(error, httpx.ProxyError):
        return _refused_by_proxy(str(error), place, proxy, network)
    if isinstance(error, httpx.RemoteProtocolError) and _BINARY in str(error):
        other = "TLS (then write https://) or HTTP/2 only" if url.scheme == "http" else "HTTP/2 only"
        text = f"{place} does not answer in HTTP/1.1: it speaks {other}; put a gateway before it"
        return UnreachableError(text, lasting=True)
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return None
    tls = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    if tls is not None:
        return _without_tls(tls, place)
    if proxied:
        return UnreachableError(f"{proxy} {_reason(error)}; correct or unset {network.proxy_variable}")
    return UnreachableError(f"{place} {_reason(error)}; {_cure(error)}")


def as_unreachable(error: ProviderError) -> ProviderError:
    """The error of a provider that says only that there was no connection, as what the client knows of it."""
    cause = error.__cause__
    if (
        error.kind is not ErrorKind.CONNECTION
        or error.billed is not Billed.NO
        or not isinstance(cause, UnreachableError)
    ):
        return error
    return ProviderError(str(cause), kind=ErrorKind.UNREACHABLE, retryable=not cause.lasting, billed=Billed.NO)


def asking_proxy(network: Network) -> UnreachableError:
    """A proxy answered in place of the host that it wants a password."""
    named = "the proxy on the way" if network.proxy is None else f"the proxy {network.shown_proxy}"
    variable = network.proxy_variable
    return UnreachableError(f"{named} {_NO_PASSWORD}; set {variable}=http://USER:PASSWORD@HOST:PORT", lasting=True)


def _refused_by_proxy(said: str, place: str, proxy: str, network: Network) -> UnreachableError:
    if said.startswith(str(_PROXY_ASKS)):
        return asking_proxy(network)
    text = f"{proxy} does not connect to {place} ({said}); correct {network.proxy_variable}, or the address"
    return UnreachableError(text)


def _without_tls(error: ssl.SSLError, place: str) -> UnreachableError:
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        why, cure = error.verify_message, f"set {CA_BUNDLE} or SSL_CERT_FILE to the PEM file of its authority"
        return UnreachableError(f"the certificate of {place} is not trusted ({why}); {cure}", lasting=True)
    if "no application protocol" in reason:
        return UnreachableError(f"{place} speaks HTTP/2 only; put a gateway before it", lasting=True)
    if "wrong version" in reason or "record layer" in reason or "http request" in reason:
        return UnreachableError(f"{place} does not speak TLS; write http:// if that is meant", lasting=True)
    return UnreachableError(f"TLS with {place} cannot be agreed on ({reason}); check the address")


def _reason(error: Exception) -> str:
    causes = list(_causes(error))
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "does not answer in time"
    if any(isinstance(each, socket.gaierror) for each in causes):
        return "cannot be reached: its name is not known"
    if any(isinstance(each, ConnectionRefusedError) for each in causes):
        return "cannot be reached: the connection is refused"
    said = next((each.strerror for each in reversed(causes) if isinstance(each, OSError) and each.strerror), str(error))
    return f"cannot be reached: {said or type(error).__name__}"


def _cure(error: Exception) -> str:
    if any(isinstance(each, ConnectionRefusedError) for each in _causes(error)):
        return "start the server there, or correct the address"
    return "check the address and the network, and whether a proxy is needed (HTTPS_PROXY)"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it comes from, the first cause last."""
    found: BaseException | None = error
    for _ in range(10):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__
