"""Groups of commands that say what a misspelt command may have meant."""

from collections.abc import Iterable
from typing import ClassVar

import click
from click.shell_completion import CompletionItem


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean 'runs'?`` for the known word most like this one, or an empty text."""
    from orchestrator.documents.nearest import nearest

    found = nearest(word, known)
    return "" if found is None else f"did you mean {found!r}?"


class CommandGroup(click.Group):
    """A group of commands; a misspelt command is a usage error that names the likeliest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            close = suggestion(name, self.list_commands(ctx))
            raise click.UsageError(f"there is no command {name!r}" + (f"; {close}" if close else ""), ctx)
        return super().resolve_command(ctx, args)


class ShowGroup(CommandGroup):
    """A group whose command ``show`` need not be named."""

    own_options: ClassVar[tuple[str, ...]] = ()
    """The options that are the group's, and not those of ``show``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what is no command for the arguments of ``show``."""
        is_asked_by_shell = ctx.resilient_parsing and not args
        if not is_asked_by_shell and (not args or args[0] not in (*self.commands, *self.own_options)):
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands, and what ``show`` takes as its first word."""
        shown = self.commands["show"]
        context = shown.make_context("show", [], parent=ctx, resilient_parsing=True)
        argument = next((each for each in shown.params if isinstance(each, click.Argument)), None)
        takes = shown if argument is None or incomplete.startswith("-") else argument
        return [*super().shell_complete(ctx, incomplete), *takes.shell_complete(context, incomplete)]


__all__ = ["CommandGroup", "ShowGroup", "suggestion"]
