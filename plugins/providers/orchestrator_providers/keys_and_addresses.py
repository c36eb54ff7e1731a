"""Where a vendor is reached and with which key: from a spec's options and the environment, by the rules for keys.

A key of the environment goes to the vendor's own host, or to a base URL of the environment. A base URL that a spec
sets gets a key only from the variable that the spec names in ``api_key_env``. A header whose value is ``env:NAME`` has
the value of that variable.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import Factory, frozen

from orchestrator.spi import ProviderConfig, SpecError

REACHING: Final = ("base_url", "api_key_env", "headers")
"""The options that say where, with which key and with which further headers."""

CALLING: Final = ("stream", "idle_seconds", "effort")
"""The options that say how a call is made."""


@frozen
class Access:
    """A base URL without a slash at its end, and the key to send there, if any."""

    base_url: str
    key: str | None
    headers: Mapping[str, str] = Factory(dict)
    """What is sent beside the vendor's own headers; one of the same name replaces the vendor's."""
    is_elsewhere: bool = False
    """Whether it is a vendor's provider at an address that is not the vendor's."""


_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SECRET: Final = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_PROGRAMS_OWN: Final = ("host", "content-type", "content-length", "transfer-encoding", "connection", "idempotency-key")
_FROM_ENVIRONMENT: Final = "env:"


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
    config: ProviderConfig,
    *,
    keys: Iterable[str],
    addresses: Iterable[str],
    default: str | None,
    own: Iterable[str] = (),
) -> Access | None:
    """Where to call and with which key, or None where the environment lacks what is needed.

    Args:
        config: the user's options and variables.
        keys: the variables that may hold the key, the usual one first.
        addresses: the variables that may hold a base URL.
        default: the vendor's own base URL; None: there is none, a base URL is needed and a key is not.
        own: further base URLs of the vendor's own.

    Raises:
        SpecError: an address, a key or a header that cannot be used.
    """
    where = f"providers.{config.name}"
    named = config.options.get("api_key_env")
    if named is not None and not (isinstance(named, str) and _VARIABLE.fullmatch(named)):
        raise SpecError([f"{where}.api_key_env: give the name of an environment variable, not the key itself"])
    headers = read_headers(config)
    given, hosts = config.options.get("base_url"), () if default is None else (default, *own)
    if given is not None:
        address = checked_url(given, f"{where}.base_url")
        key = None if named is None else _key(config, named)
    else:
        variable, value = _first(addresses, config.variable)
        if value is None and default is None:
            return None
        key = next((found for name in ([named] if named else keys) if (found := _key(config, name)) is not None), None)
        if key is None and default is not None:
            return None
        address = default or "" if value is None else checked_url(value, variable)
    if headers is None or (named is not None and key is None):
        return None
    return Access(address, key, headers, bool(hosts) and not _is_of(address, hosts))


def _is_of(address: str, hosts: Iterable[str]) -> bool:
    """Whether an address is at one of the hosts, or below one, such as a vendor's host of a region."""
    host = urlsplit(address).hostname or ""
    return any(host == own or host.endswith(f".{own}") for own in (urlsplit(each).hostname for each in hosts))


def read_headers(config: ProviderConfig) -> dict[str, str] | None:
    """The headers of the spec, those of the environment with their values; None where a variable is not set.

    Raises:
        SpecError: they are no headers, or hold a key.
    """
    where, given = f"providers.{config.name}.headers", config.options.get("headers", {})
    if not isinstance(given, Mapping):
        raise SpecError([f'{where}: give names and values, such as X-Org: "env:MY_ORG"'])
    values = {str(name): _header(config, f"{where}.{name}", str(name), value) for name, value in given.items()}
    found = {name: value for name, value in values.items() if value is not None}
    return found if len(found) == len(values) else None


def _header(config: ProviderConfig, where: str, name: str, value: Any) -> str | None:
    if not _HEADER.fullmatch(name) or not isinstance(value, str):
        raise SpecError([f"{where}: this is no header; its name has no spaces and its value is a text"])
    if name.lower() in _PROGRAMS_OWN:
        raise SpecError([f"{where}: the program sets this header itself"])
    if value.startswith(_FROM_ENVIRONMENT):
        variable = value.removeprefix(_FROM_ENVIRONMENT)
        if not _VARIABLE.fullmatch(variable):
            raise SpecError([f"{where}: after env: comes the name of an environment variable"])
        return _key(config, variable)
    if _SECRET.search(name):
        raise SpecError([f'{where}: a key has no place in a spec; name a variable that holds it: "env:NAME"'])
    if not (value.isascii() and value.isprintable()):
        raise SpecError([f"{where}: a header holds printable ASCII only"])
    return value


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
