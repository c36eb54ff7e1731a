"""A capability: one thing a spec may want that its user has to agree to, as ``KIND=VALUE``."""

import hashlib
import shlex
from typing import Final

from attrs import frozen

from orchestrator.events import Grant
from orchestrator.models import CapabilityKind, GrantedBy
from orchestrator.money import Usd
from orchestrator.trust.consent_sentences import DOING

_LONGEST: Final = 200


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
        value = Usd.parse(self.value).trimmed if self.kind is CapabilityKind.BUDGET else self.value
        text = DOING[self.kind].format(value=value, variable=variable, host=host)
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
