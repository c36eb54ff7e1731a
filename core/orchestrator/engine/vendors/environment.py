"""What the user's environment holds: keys, addresses, the data folder."""

import codecs
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import Factory, define, frozen

from orchestrator.documents import expanded, read_bytes
from orchestrator.errors import SpecError
from orchestrator.models import SHORTEST_SECRET
from orchestrator.trust.addresses import is_loopback
from orchestrator.trust.user_configuration import read_configuration

_LOGGER: Final = logging.getLogger("orchestrator.environment")
_LINE: Final = re.compile(r"(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*(.*)")
_QUOTED: Final = re.compile(r"([\"'])(.*?)\1\s*(?:#.*)?")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_KEY_NAME: Final = re.compile(r"[A-Z0-9_]*(?:_API_KEY|_KEY|_TOKEN)")

_HTTPS: Final = 443

HOMELESS: Final = "orchestrate-data"
"""The data folder in the working folder of a user who has no home folder."""

PROXY: Final = "ORCHESTRATE_PROXY"
"""The variable that names the proxy for every host but this machine."""

COMMON_PROXY: Final = ("https_proxy", "HTTPS_PROXY")
"""The variables, for other programs too, that name a proxy for https addresses; the first one that is set counts."""

NO_PROXY: Final = ("no_proxy", "NO_PROXY")
"""The variables that name the hosts for which that proxy is not used."""

CA_BUNDLE: Final = "ORCHESTRATE_CA_BUNDLE"
"""The variable that names a PEM file with certificate authorities to trust beside the built-in ones."""

COMMON_BUNDLE: Final = "SSL_CERT_FILE"
"""The variable, for other programs too, that names such a file."""


@frozen
class Network:
    """How hosts other than this machine are reached."""

    proxy: str | None = None
    """The URL of a proxy; it may hold a password."""
    proxy_variable: str = PROXY
    """Where it comes from."""
    direct: str | None = None
    """The hosts that are reached without it, as ``NO_PROXY`` writes them, where it is for https addresses only."""
    ca_bundle: str | None = None
    """A PEM file of authorities to trust beside the built-in ones."""
    common_bundle: str | None = None
    """Another one, which may be missing: it is meant for other programs too."""

    def is_proxied(self, scheme: str, host: str, port: int | None) -> bool:
        """Whether a host is reached by the proxy."""
        if self.proxy is None or is_loopback(host):
            return False
        if self.direct is None:
            return True
        return scheme == "https" and not _is_named(host, port or _HTTPS, self.direct)

    @property
    def shown_proxy(self) -> str | None:
        """The proxy without user name and password."""
        if self.proxy is None:
            return None
        scheme, _, rest = self.proxy.rpartition("://")
        return f"{scheme or 'http'}://{rest.rpartition('@')[2]}"


def _is_named(host: str, port: int, names: str) -> bool:
    """Whether a list such as ``NO_PROXY`` has a host: by name, as a subdomain, by address or its network."""
    bare = host.strip("[]").rstrip(".").lower()
    return any(_covers(each, bare, port) for name in names.split(",") if (each := name.strip().lower()))


def _covers(name: str, host: str, port: int) -> bool:
    with suppress(ValueError):
        return ip_address(host) in ip_network(name.strip("[]"), strict=False)
    place, _, number = name.rpartition(":")
    if place and number.isdecimal():
        name = place if int(number) == port else ""
    domain = name.removeprefix("*").strip(".")
    return name == "*" or (domain != "" and (host == domain or host.endswith(f".{domain}")))


BY: Final = "ORCHESTRATE_BY"
"""The variable in which an application says that it calls this program for its user; a word such as ``view``."""
_WORD: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def called_by(variables: Mapping[str, str]) -> str:
    """The application that calls this program, as the log says it; empty where none does."""
    return application_word(variables.get(BY, ""))


def application_word(given: object) -> str:
    """The word of an application as the log says it; empty where it is none."""
    return given if isinstance(given, str) and _WORD.fullmatch(given) else ""


def data_folder(given: Path | None, variables: Mapping[str, str]) -> Path:
    """``--home``, else ``$ORCHESTRATE_HOME``, else that of the user's configuration, else the platform's.

    A user without a home folder, as in many containers, has it in the working folder.

    Raises:
        SpecError: the configuration cannot be used (also UsageError).
    """
    named = given or variables.get("ORCHESTRATE_HOME")
    if named:
        return expanded(named)
    configuration = read_configuration(variables)
    if configuration.data_folder:
        return configuration.named(configuration.data_folder)
    from platformdirs import user_data_path

    try:
        return user_data_path("orchestrate", appauthor=False).expanduser()
    except RuntimeError:
        return Path.cwd() / HOMELESS


def read_dotenv(folder: Path) -> dict[str, str]:
    """The key variables of ``.env`` in a folder; nothing else in it counts, base URLs least of all."""
    found = {}
    for line in _text_of(folder / ".env").splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None and _KEY_NAME.fullmatch(match[1]):
            found[match[1]] = _unquoted(match[2])
    return found


def _text_of(path: Path) -> str:
    """A text in whichever form an editor saved it; empty, with a warning, where there is a file that cannot be read."""
    if not path.is_file():
        return ""
    try:
        data = read_bytes(path)
    except SpecError as error:
        _LOGGER.warning("%s; no key is taken from it", error)
        return ""
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_wide else "utf-8-sig", "replace")


def _unquoted(value: str) -> str:
    """A value without its quotes, or without the comment behind it."""
    quoted = _QUOTED.fullmatch(value)
    return quoted[2] if quoted is not None else _COMMENT.sub("", value).strip()


@define
class Environment:
    """The variables a run may see. Every key that is looked up is made known to the redaction."""

    variables: Mapping[str, str]
    dotenv: Mapping[str, str]
    on_secret: Callable[[str], None]
    asked: list[str] = Factory(list)
    """The names of the variables that were looked for, in order."""
    _short: list[str] = Factory(list)

    @classmethod
    def of_process(cls, on_secret: Callable[[str], None]) -> "Environment":
        """The process's variables, and the ``.env`` of the working folder."""
        return cls(dict(os.environ), read_dotenv(Path()), on_secret)

    def secret(self, name: str) -> str | None:
        """A key: from the environment, else from ``.env``."""
        self._note(name)
        value = self.variables.get(name) or self.dotenv.get(name) or None
        if value is not None:
            self.on_secret(value)
            self._warn_of_short(name, value)
        return value

    def _warn_of_short(self, name: str, value: str) -> None:
        """Say once of a key that is too short to be told from ordinary words."""
        if len(value.strip()) < SHORTEST_SECRET and name not in self._short:
            self._short.append(name)
            text = "%s has fewer than %d characters: it cannot be taken out of the log and of messages"
            _LOGGER.warning(text, name, SHORTEST_SECRET)

    def variable(self, name: str) -> str | None:
        """Any other variable, from the environment only."""
        self._note(name)
        return self.variables.get(name) or None

    def network(self) -> Network:
        """The proxy and the certificate authorities, from the environment only: the program's own variables win.

        Raises:
            UsageError: the file of authorities is in a home folder that there is not.
        """
        variable = next((name for name in (PROXY, *COMMON_PROXY) if self.variables.get(name)), PROXY)
        proxy = self.variables.get(variable) or None
        if proxy is not None:
            proxy = proxy if "://" in proxy else f"http://{proxy}"
            self.on_secret(_password(proxy))
        bundle = self.variables.get(CA_BUNDLE)
        return Network(
            proxy,
            variable,
            None if variable == PROXY else next(filter(None, map(self.variables.get, NO_PROXY)), ""),
            str(expanded(bundle)) if bundle else None,
            self.variables.get(COMMON_BUNDLE) or None,
        )

    def _note(self, name: str) -> None:
        if name not in self.asked:
            self.asked.append(name)


def _password(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""
