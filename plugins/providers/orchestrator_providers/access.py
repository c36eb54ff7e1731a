"""Where a vendor is reached and with which key: from a spec's options and the environment, by the rules for keys.

A key of the environment goes to the vendor's own host, or to a base URL of the environment. A base URL that a spec
sets gets a key only from the variable that the spec names in ``api_key_env``.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from orchestrator.spi import ProviderConfig, SpecError

REACHING: Final = ("base_url", "api_key_env")
"""The options that say where and with which key."""

CALLING: Final = ("stream", "idle_seconds", "effort")
"""The options that say how a call is made."""


@frozen
class Access:
    """A base URL without a slash at its end, and the key to send there, if any."""

    base_url: str
    key: str | None


@frozen
class Manner:
    """How calls are made. None leaves the choice to the vendor's own rule."""

    stream: bool | None = None
    """Whether answers are streamed."""
    idle_seconds: float | None = None
    """How long a stream may be silent once it has begun."""
    effort: str | None = None
    """How much models that take such a setting should think."""


def check_options(config: ProviderConfig, known: Sequence[str]) -> None:
    """Refuse options that the provider does not take.

    Raises:
        SpecError: each of them, with those it takes.
    """
    where = f"providers.{config.name}"
    unknown = [str(name) for name in config.options if name not in known]
    if unknown:
        raise SpecError([f"{where}: unknown option {name!r}; it takes {', '.join(known)}" for name in unknown])


def read_manner(config: ProviderConfig) -> Manner:
    """How the spec wants calls to be made.

    Raises:
        SpecError: a value makes no sense.
    """
    where = f"providers.{config.name}"
    stream, idle, effort = (config.options.get(name) for name in CALLING)
    if stream is not None and not isinstance(stream, bool):
        raise SpecError([f"{where}.stream: say true or false"])
    if idle is not None and not (isinstance(idle, int | float) and not isinstance(idle, bool) and 0 < idle <= 3600):
        raise SpecError([f"{where}.idle_seconds: give seconds above 0 and up to 3600"])
    if effort is not None and not (isinstance(effort, str) and re.fullmatch(r"[a-z]{1,16}", effort)):
        raise SpecError([f"{where}.effort: give the vendor's word for it, such as low, medium or high"])
    return Manner(stream, None if idle is None else float(idle), effort)


def find_access(
    config: ProviderConfig, *, keys: Iterable[str], addresses: Iterable[str], default: str | None
) -> Access | None:
    """Where to call and with which key, or None where the environment lacks what is needed.

    Args:
        config: the user's options and variables.
        keys: the variables that may hold the key, the usual one first.
        addresses: the variables that may hold a base URL.
        default: the vendor's own base URL; None: there is none, a base URL is needed and a key is not.

    Raises:
        SpecError: an address or a key that cannot be used.
    """
    where = f"providers.{config.name}"
    named = config.options.get("api_key_env")
    if named is not None and not (isinstance(named, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", named)):
        raise SpecError([f"{where}.api_key_env: give the name of an environment variable, not the key itself"])
    given = config.options.get("base_url")
    if given is not None:
        address = checked_url(given, f"{where}.base_url")
        key = None if named is None else _key(config, named)
        return Access(address, key) if named is None or key is not None else None
    variable, value = _first(addresses, config.variable)
    if value is None and default is None:
        return None
    key = next((found for name in ([named] if named else keys) if (found := _key(config, name)) is not None), None)
    if key is None and (named is not None or default is not None):
        return None
    return Access(default or "" if value is None else checked_url(value, variable), key)


def _first(names: Iterable[str], look: Any) -> tuple[str, str | None]:
    for name in names:
        value = look(name)
        if value is not None:
            return name, value
    return "", None


def checked_url(value: object, source: str) -> str:
    """A base URL that can be called, without a slash at its end.

    Raises:
        SpecError: it cannot; the message begins with ``source``.
    """
    if not isinstance(value, str):
        raise SpecError([f"{source}: the base URL must be text such as http://127.0.0.1:8080/v1"])
    try:
        parts = urlsplit(value.strip())
        parts.port  # noqa: B018 - raises where it is not a number
    except ValueError as error:
        raise SpecError([f"{source}: the base URL cannot be read: {error}"]) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SpecError([f"{source}: the base URL must start with http:// or https:// and name a host"])
    if parts.username is not None or parts.password is not None:
        raise SpecError([f"{source}: the base URL must hold no user name or password; a key comes from a variable"])
    if parts.query or parts.fragment:
        raise SpecError([f"{source}: the base URL must end with its path, such as /v1"])
    return value.strip().rstrip("/")


def _key(config: ProviderConfig, variable: str) -> str | None:
    key = config.secret(variable)
    key = None if key is None else key.strip()
    if key and not (key.isascii() and key.isprintable()):
        raise SpecError([f"{variable}: the key has characters that no header can carry; copy it again"])
    return key or None


def choose_region(config: ProviderConfig, hosts: dict[str, str]) -> str:
    """The region a spec names, or the first of ``hosts``.

    Raises:
        SpecError: there is no such region.
    """
    region = config.options.get("region", next(iter(hosts)))
    if not isinstance(region, str) or region not in hosts:
        raise SpecError([f"providers.{config.name}.region: say {' or '.join(hosts)}"])
    return region
