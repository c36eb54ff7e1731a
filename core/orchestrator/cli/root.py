"""The group of all commands, and the specification's flags on it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from orchestrator.cli import plugin_commands
from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.commands import COMMANDS
from orchestrator.cli.examples import with_examples
from orchestrator.cli.logs.run_ids import RUN
from orchestrator.cli.options.shared_options import (
    advise_option,
    context_option,
    enhance_option,
    home_option,
    models_option,
    plugin_option,
    yes_option,
)
from orchestrator.cli.options.value_types import AMOUNT, CONCURRENCY, FILE, OUTPUT, SECONDS
from orchestrator.cli.terminal.stdout import keep_stdout, keeping_stdout


class LazyGroup(CommandGroup):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the help."""
        return [name for name, _ in self._lines()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None where there is none of the name."""
        if cmd_name not in COMMANDS:
            found = plugin_commands.load(cmd_name, [*COMMANDS])
            return None if found is None else keep_stdout(with_examples(found, cmd_name))
        own = getattr(import_module(f"orchestrator.cli.commands.{COMMANDS[cmd_name][0]}"), cmd_name)
        if not isinstance(own, click.Command):
            from orchestrator.errors import MissingError

            raise MissingError("Command")
        return keep_stdout(with_examples(own, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(self._lines())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing any."""
        words = [CompletionItem(name, help=text) for name, text in self._lines() if name.startswith(incomplete)]
        return [*words, *click.Command.shell_complete(self, ctx, incomplete)]

    def _lines(self) -> list[tuple[str, str]]:
        """Every command with its line: the kernel's, then those of plugins."""
        own = [(name, text) for name, (_, text) in COMMANDS.items()]
        return own + [(each["name"], _line(each)) for each in plugin_commands.listed([*COMMANDS])]


def _line(each: plugin_commands.Listed) -> str:
    return f"broken: {each['problem']}; see: plugins info {each['name']}" if each["problem"] else each["text"]


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
            click.option("--criteria", "-c", help="What a good result is."),
            click.option("--file", "-f", "file", type=FILE, help="A spec file instead of --project."),
            click.option("--budget", "-b", type=AMOUNT, help="The ceiling, in US dollars. [default: 8.0]"),
            click.option("--time", "-t", type=SECONDS, help="The time limit, in seconds. [default: 5400]"),
            click.option("--project-id", help="The run's id. The same id again resumes the run."),
            click.option("--resume", metavar="ID", type=RUN, help="Resume a run."),
            click.option("--list-projects", is_flag=True, help="List the runs."),
            click.option("--concurrency", type=CONCURRENCY, help="Simultaneous API calls. [default: 3]"),
            click.option("--output-dir", "-o", type=OUTPUT, help="Write the results into this folder."),
            click.option("--verbose", "-v", is_flag=True, help="Print every event."),
            click.option("--new-project", "-N", is_flag=True, help="Start a new run; do not look for one to resume."),
            context_option,
            models_option,
            plugin_option,
            enhance_option,
            advise_option,
            yes_option,
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
    usual = {name for name in flags if context.get_parameter_source(name) is ParameterSource.ENVIRONMENT}
    given = sorted(name for name, value in flags.items() if value not in (None, False, ()) and name not in usual)
    if context.invoked_subcommand is not None:
        if given:
            option = "--" + given[0].replace("_", "-")
            raise click.UsageError(f"put {option} after the command {context.invoked_subcommand!r}")
        return None
    if not given:
        click.echo(context.get_help(), err=True)
        return 2
    from orchestrator.cli.specification_flags import carry_out

    code: int | None = keeping_stdout(carry_out)(**flags)
    return code


__all__ = ["LazyGroup", "root"]
