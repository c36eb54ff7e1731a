"""Commands in groups of the kernel that packages beside the core bring."""

from copy import copy
from typing import Any

import click

from orchestrator.cli.terminal.stdout import keep_stdout


class PartCommand(click.Command):
    """A command that is a part of another package: listed by its first sentence, imported when it is called.

    Args:
        name: what is typed.
        part: the name of the part, which is a click command.
        sentence: the first sentence of its help, which is all that the group's help shows.
    """

    def __init__(self, name: str, part: str, sentence: str) -> None:
        super().__init__(name, help=sentence)
        self._part = part

    def loaded(self) -> click.Command:
        """The command itself.

        Raises:
            PluginError: the package is not installed, switched off or broken.
        """
        from orchestrator.plugins import part

        own: click.Command = copy(part(self._part))
        own.epilog = self.epilog
        return keep_stdout(own)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Import the command, and let it read its arguments."""
        return self.loaded().make_context(info_name, args, parent, **extra)


__all__ = ["PartCommand"]
