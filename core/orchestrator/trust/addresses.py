"""Addresses as a capability has them, and which of them are this machine's own."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

_PORTS: Final = {"https": 443, "http": 80}


@frozen
class Address:
    """Where something is sent."""

    text: str
    """``SCHEME://HOST[:PORT]``; what cannot be read stands as it was given, after ``unreadable:``."""
    host: str
    """``HOST[:PORT]``, the port where it is not the usual one."""
    is_secure: bool = False
    is_loopback: bool = False


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, so that no proxy may see it."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def address_of(value: object) -> Address:
    """The address that a URL leads to; one that cannot be read is no loopback and is not encrypted."""
    raw = f"unreadable:{str(value).strip()}"
    try:
        parts = urlsplit(str(value).strip())
        scheme, name, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return Address(raw, raw)
    if not scheme or not name or parts.username is not None or "\\" in parts.netloc:
        return Address(raw, raw)
    host = f"[{name}]" if ":" in name else name
    if port is not None and port != _PORTS.get(scheme):
        host = f"{host}:{port}"
    return Address(f"{scheme}://{host}", host, scheme == "https", is_loopback(name))


def is_local(url: object) -> bool:
    """Whether a provider's ``base_url`` leads to this machine; no for whatever is no URL."""
    try:
        return isinstance(url, str) and is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
