"""Validators that are commands of the spec."""

import shlex
from typing import Any, Final

from attrs import field, frozen

from orchestrator.spec.container_kinds import MapOf, Record, key
from orchestrator.spec.value_kinds import Place, Real, Text, Whole

_LONGEST: Final = 10_000


class _Command(Text):
    """A command line as a shell splits it, without anything else that a shell does."""

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        text = super().read(value, at)
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise at.refuse(f"it is no command: {error}") from None
        if not words or not words[0]:
            raise at.refuse("it names no program")
        return text


@frozen(kw_only=True)
class CommandSpec:
    """A check that is a command."""

    run: str = field(
        metadata=key(
            _Command(longest=_LONGEST),
            "The command, split as a shell splits it and run without one; {files}: the names of the output's files.",
        )
    )
    pass_: int = field(default=0, metadata=key(Whole(0, 255), "The exit status that passes."))
    timeout: float = field(
        default=30.0, metadata=key(Real(0, 3600, above=True), "Seconds after which the command is ended.")
    )


COMMANDS: Final[MapOf[str, CommandSpec]] = MapOf(Record(CommandSpec), least=1)
"""Commands by the names under which tasks ask for them."""
