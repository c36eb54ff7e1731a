"""Groups of commands that say what a misspelt command may have meant."""

from collections.abc import Iterable

import click


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


__all__ = ["CommandGroup", "suggestion"]
