"""Patterns that agree to capabilities, ``KIND=VALUE`` with ``*``: how they are written, and what each covers."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from orchestrator.errors import UsageError
from orchestrator.models import CapabilityKind
from orchestrator.trust.capabilities import Capability

_EXACT: Final = (CapabilityKind.COMMAND, CapabilityKind.OPTION)
"""Kinds in whose values a ``*`` is what it is for a shell."""


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
