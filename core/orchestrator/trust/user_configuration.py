"""The user's configuration: what holds for every spec this user runs, in one ``config.toml``."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Factory, evolve, field, frozen

from orchestrator.documents import expanded, read_text
from orchestrator.errors import SpecError, UsageError
from orchestrator.money import Usd
from orchestrator.policy import Retention
from orchestrator.settings import SandboxChoice
from orchestrator.spec.container_kinds import ListOf, Record, key
from orchestrator.spec.policy_keys import RETENTION
from orchestrator.spec.value_kinds import PATH, Choice, Kind, Money, Place, Refused, Text
from orchestrator.trust.grant_patterns import checked_patterns

VARIABLE: Final = "ORCHESTRATE_CONFIG"
"""The variable that names the file."""
_NAME: Final = "config.toml"
_NAMES: Final = ListOf(Text(longest=1000), unique=True, most=1000)


class _Patterns(Kind[tuple[str, ...]]):
    """A list of capabilities, each ``KIND=VALUE``; ``*`` in a value is any text."""

    def read(self, value: Any, at: Place) -> tuple[str, ...]:
        """See ``Kind``."""
        try:
            return checked_patterns(_NAMES.read(value, at), "")
        except UsageError as error:
            raise at.refuse(str(error).strip()) from None

    def dump(self, value: tuple[str, ...]) -> list[str]:
        """A list of texts."""
        return list(value)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return _NAMES.schema()


PATTERNS: Final = _Patterns()
"""How a list of patterns is read from a document."""


class _Floor(Choice[SandboxChoice]):
    """A sandbox that a user can ask for in general: not the word that switches it off."""

    def read(self, value: Any, at: Place) -> SandboxChoice:
        """See ``Kind``."""
        found = super().read(value, at)
        if found is SandboxChoice.NONE:
            raise at.refuse("only a single spec can be run without a sandbox; give it --allow sandbox=none")
        return found


@frozen(kw_only=True)
class Configuration:
    """What a user has set for all specs."""

    ceiling_usd: Usd | None = field(
        default=None, metadata=key(Money(), "The most a spec may spend in a run without asking, in US dollars.")
    )
    ask_above_usd: Usd | None = field(
        default=None,
        metadata=key(Money(), "The most a run may be expected to cost without asking first, in US dollars."),
    )
    sandbox: SandboxChoice = field(
        default=SandboxChoice.AUTO,
        metadata=key(_Floor(SandboxChoice), "The weakest sandbox for checks that run code: auto, landlock or bwrap."),
    )
    allow_hosts: tuple[str, ...] = field(
        default=(), metadata=key(_NAMES, "Hosts, such as gateway.example.com or *.example.com, reached with https.")
    )
    allow_variables: tuple[str, ...] = field(
        default=(), metadata=key(_NAMES, "Variables whose value may be sent to a host that is allowed.")
    )
    allow: tuple[str, ...] = field(default=(), metadata=key(PATTERNS, "Capabilities that every spec has."))
    deny: tuple[str, ...] = field(default=(), metadata=key(PATTERNS, "Capabilities that no spec has."))
    models_files: tuple[str, ...] = field(
        default=(), metadata=key(ListOf(PATH, unique=True, most=100), "Files of models to add to every spec.")
    )
    policy_files: tuple[str, ...] = field(
        default=(), metadata=key(ListOf(PATH, unique=True, most=100), "Files of policies that bind every run.")
    )
    retention: Retention = field(
        default=Retention(), metadata=key(RETENTION, 'How long texts of runs are kept, such as keep = "180d".')
    )
    plugins: tuple[str, ...] = field(
        default=(),
        metadata=key(ListOf(PATH, unique=True, most=100), "Files of plugins that every command has, from its folder."),
    )
    data_folder: str | None = field(
        default=None,
        metadata=key(PATH, "The data folder, unless --home or ORCHESTRATE_HOME names another.", blank=True),
    )
    store: str | None = field(
        default=None,
        metadata=key(PATH, "The address of the store, unless --store or ORCHESTRATE_STORE names another.", blank=True),
    )
    path: Path | None = field(default=None, eq=False)
    """The file it was read from; None: there is none."""
    sources: Mapping[str, Any] = field(default=Factory(dict), eq=False)
    """The keys as the file has them."""

    def named(self, name: str) -> Path:
        """A path of the file: relative to its folder, with ``~`` for the home folder.

        Raises:
            UsageError: there is no such home folder.
        """
        return (Path() if self.path is None else self.path.parent) / expanded(name)

    @property
    def allowed(self) -> tuple[str, ...]:
        """All patterns of what every spec may do."""
        hosts = tuple(f"address=https://{host}" for host in self.allow_hosts)
        return (*self.allow, *hosts, *(f"key={variable}@*" for variable in self.allow_variables))


CONFIGURATION: Final = Record(Configuration)


def configuration_path(variables: Mapping[str, str]) -> Path:
    """Where the file is: ``$ORCHESTRATE_CONFIG``, else ``config.toml`` in the platform's folder for configuration.

    A user without a home folder has none there: then it is where no file can be.

    Raises:
        UsageError: the variable names a home folder that there is not.
    """
    named = variables.get(VARIABLE)
    if named:
        return expanded(named)
    from platformdirs import user_config_path

    try:
        return user_config_path("orchestrate", appauthor=False).expanduser() / _NAME
    except RuntimeError:
        return Path(os.devnull) / _NAME


def read_configuration(variables: Mapping[str, str]) -> Configuration:
    """The user's configuration; the defaults where there is no file and the environment names none.

    Raises:
        SpecError: the file cannot be used; all problems together.
        UsageError: the environment names a file that there is not.
    """
    path = configuration_path(variables)
    if not path.is_file():
        if variables.get(VARIABLE):
            raise UsageError(f"{VARIABLE}={path}: there is no such file")
        return Configuration()
    try:
        value = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SpecError([f"{path}: {error}"]) from error
    place = Place(str(path))
    try:
        return evolve(CONFIGURATION.read(value, place), path=path, sources=value)
    except Refused:
        raise place.error() from None


def stricter(chosen: SandboxChoice, floor: SandboxChoice) -> SandboxChoice:
    """What a spec chooses, unless its user has set a sandbox that contains more.

    ``none`` is a capability of its own: where it is chosen, its user has agreed to it for this spec.
    """
    return floor if floor is SandboxChoice.BWRAP and chosen is not SandboxChoice.NONE else chosen
