"""The group of all commands, and the specification's flags on it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import click

from orchestrator.cli.options import AMOUNT, CONCURRENCY, FILE, SECONDS, home_option

_COMMANDS: Final = {
    "run": ("run", "Run a spec file."),
    "resume": ("run", "Go on with a run."),
    "plan": ("plan", "Show who would be asked for each task, and spend nothing."),
    "runs": ("runs", "List, show and export runs."),
    "explain": ("explain", "Why this model? Every choice of a run, from its log."),
    "costs": ("costs", "What was spent on whom and on what."),
    "replay": ("replay", "Rebuild a run from its log; check every decision."),
    "log": ("log", "Read the event log."),
    "audit": ("audit", "Verify that the log was not changed."),
    "budget": ("budget", "Cap what runs may spend together."),
    "policy": ("policy", "Check policy files, and show what binds."),
    "spec": ("spec", "Check, describe and begin spec files."),
    "plugins": ("plugins", "List the installed plugins."),
    "doctor": ("doctor", "Show which sandboxes hold here, and which tools are there."),
}
"""Command to the module that has it, and its line in the help."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        found = getattr(import_module(f"orchestrator.cli.{_COMMANDS[cmd_name][0]}"), cmd_name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from orchestrator.engine.session import VERSION

        click.echo(f"orchestrate {VERSION}")
        context.exit()


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """The specification's flags."""
    for option in reversed(
        (
            click.option("--project", "-p", help="What to build."),
            click.option("--criteria", "-c", help="When it is good."),
            click.option("--file", "-f", "file", type=FILE, help="A spec file instead of --project."),
            click.option("--budget", "-b", type=AMOUNT, help="The most to spend, in USD. [default: 8.0]"),
            click.option("--time", "-t", type=SECONDS, help="Seconds it may take. [default: 5400]"),
            click.option("--project-id", help="The run's id; running it again resumes it."),
            click.option("--resume", metavar="ID", help="Go on with a run."),
            click.option("--list-projects", is_flag=True, help="List the runs."),
            click.option("--concurrency", type=CONCURRENCY, help="Calls at once. [default: 3]"),
            click.option("--output-dir", "-o", type=FILE, help="Write the results into this folder."),
            click.option("--verbose", "-v", is_flag=True, help="Print every event."),
            click.option("--new-project", is_flag=True, help="Start anew where the id exists."),
            click.option("--no-enhance", is_flag=True, help="Take the project as it is described."),
        )
    ):
        function = option(function)
    return function


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command: --project TEXT or --file FILE runs, --resume ID resumes, --list-projects lists.",
)
@_flags
@home_option
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.pass_context
def root(context: click.Context, /, **flags: Any) -> int | None:
    """Break a project into tasks, give each to the best model for the money, and keep every decision in a log."""
    given = sorted(name for name, value in flags.items() if value not in (None, False))
    if context.invoked_subcommand is not None:
        if given:
            option = "--" + given[0].replace("_", "-")
            raise click.UsageError(
                f"{option} stands before the command {context.invoked_subcommand!r}; put it after it"
            )
        return None
    if not given:
        click.echo(context.get_help(), err=True)
        return 2
    from orchestrator.cli.flags import carry_out

    return carry_out(**flags)


__all__ = ["LazyGroup", "root"]
