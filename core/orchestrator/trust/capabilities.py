"""A capability: one thing a spec may want that its user has to agree to, as ``KIND=VALUE``."""

import hashlib
import shlex
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from attrs import frozen

from orchestrator.errors import UsageError
from orchestrator.events import Grant
from orchestrator.models import CapabilityKind, GrantedBy
from orchestrator.trust.consent_sentences import DOING

_LONGEST: Final = 200
_EXACT: Final = (CapabilityKind.COMMAND, CapabilityKind.OPTION)
"""Kinds in whose values a ``*`` is what it is for a shell."""


@frozen(order=True)
class Capability:
    """One thing a spec wants, and its exact value."""

    kind: CapabilityKind
    value: str

    @property
    def text(self) -> str:
        """``KIND=VALUE``, as ``--allow``, rules and the remembered grants have it."""
        return f"{self.kind.value}={self.value}"

    @property
    def flag(self) -> str:
        """The flag that agrees to it, as a shell takes it."""
        return f"--allow {shlex.quote(self.text)}"

    @property
    def described(self) -> str:
        """What it means, for a person."""
        variable, _, host = self.value.rpartition("@")
        text = DOING[self.kind].format(value=self.value, variable=variable, host=host)
        if self.kind is CapabilityKind.ADDRESS and self.value.startswith("http://"):
            text += ", unencrypted"
        return text

    def granted(self, by: GrantedBy) -> Grant:
        """The grant of it."""
        return Grant(self.kind, self.value, by)


def command_value(command: str) -> str:
    """The value of a command: itself where it is one short printable line, else its beginning and its SHA-256."""
    if len(command) <= _LONGEST and command.isprintable():
        return command
    first = "".join(each for each in command.strip().partition("\n")[0] if each.isprintable())[:60]
    return f"{first} … sha256:{hashlib.sha256(command.encode()).hexdigest()}"


def checked_patterns(texts: Iterable[str], source: str) -> tuple[str, ...]:
    """Patterns of capabilities, each ``KIND=VALUE``; in a value ``*`` is any text.

    Raises:
        UsageError: one is not of this form; the message begins with ``source``.
    """
    return tuple(_checked(text, source) for text in texts)


def _checked(text: str, source: str) -> str:
    kind, equals, value = text.partition("=")
    if not equals or not value or kind not in tuple(CapabilityKind):
        known = ", ".join(CapabilityKind)
        raise UsageError(f"{source} {text}: write it as KIND=VALUE; a kind is one of {known}")
    return text


def covered(capability: Capability, patterns: Iterable[str]) -> bool:
    """Whether a pattern covers a capability: it is equal, or of the same kind with a ``*`` that fits.

    A pattern may name a plugin file without its digest.
    """
    return any(_fits(capability, pattern) for pattern in patterns)


def _fits(capability: Capability, pattern: str) -> bool:
    kind, _, value = pattern.partition("=")
    if kind != capability.kind.value:
        return False
    if value == capability.value or capability.kind in _EXACT:
        return value == capability.value
    if capability.kind is CapabilityKind.PLUGIN and value == capability.value.rpartition("@")[0]:
        return True  # a file is named, whatever is in it
    # only * is special: a command or a path may well hold brackets and question marks
    escaped = value.replace("[", "[[]").replace("?", "[?]")
    return "*" in value and fnmatchcase(capability.value, escaped)
