"""The group of all commands, and the specification's flags on it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import click

from orchestrator.cli.options import (
    AMOUNT,
    CONCURRENCY,
    FILE,
    SECONDS,
    advise_option,
    enhance_option,
    home_option,
    yes_option,
)
from orchestrator.cli.stdout import keep_stdout, keeping_stdout

_COMMANDS: Final = {
    "run": ("run", "Run a spec file."),
    "resume": ("run", "Go on with a run."),
    "build": ("build", "Build an application from a sentence."),
    "pool": ("pool", "Run several specs, or one with several backends, side by side."),
    "plan": ("plan", "Show who would be asked for each task, and spend nothing."),
    "runs": ("runs", "List, show and export runs."),
    "explain": ("explain", "Why this model? Every choice of a run, from its log."),
    "watch": ("watch", "Watch a run go on, whoever runs it."),
    "costs": ("costs", "What was spent on whom and on what."),
    "report": ("report", "Write a run as one page: spend, graph, timeline, drafts."),
    "metrics": ("metrics", "What was measured of models and runs, for people and for tools."),
    "whatif": ("whatif", "What other rules would have done with a run."),
    "replay": ("replay", "Rebuild a run from its log; check every decision."),
    "fork": ("fork", "Go on from an earlier point of a run, under other settings."),
    "log": ("log", "Read the event log, and keep it small."),
    "audit": ("audit", "Prove what happened: verify and bundle runs."),
    "budget": ("budget", "Cap what runs may spend together."),
    "cache": ("cache", "What the response cache holds, and emptying it."),
    "policy": ("policy", "Check policy files, and show what binds."),
    "spec": ("spec", "Check, describe and begin spec files."),
    "models": ("models", "List models, with prices, slots and facts."),
    "plugins": ("plugins", "List, check and begin plugins."),
    "doctor": ("doctor", "Show what this machine has: keys, addresses, sandboxes, tools."),
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
        return keep_stdout(found)

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
            click.option("--new-project", "-N", is_flag=True, help="Start anew; look for no run to go on with."),
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

    code: int | None = keeping_stdout(carry_out)(**flags)
    return code


__all__ = ["LazyGroup", "root"]
