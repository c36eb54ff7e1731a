"""Serve runs as tools to programs that speak the Model Context Protocol."""

import asyncio

import click

from orchestrator.cli.kit import allow_option, home, home_option
from orchestrator.errors import UsageError
from orchestrator.spi import hookimpl


@click.command()
@allow_option
@home_option
def mcp(allow: tuple[str, ...]) -> int:
    """Serve the tools run_spec, status, explain, costs and answer over stdin and stdout, until stdin ends.

    Your ceiling and what you agreed to hold for every call: the ceiling_usd of your configuration, its rules, --allow.
    What a client writes is no word of yours. Runs that go on at the end are interrupted, and can be resumed.
    """
    try:
        from orchestrator_mcp.server import serve
    except ImportError as error:
        raise UsageError(f"{error}: install the extra with: pip install 'multi-llm-orchestrator[mcp]'") from error
    asyncio.run(serve(home(), allow))
    return 0


# The SDK keeps stdout for the protocol, and lets what else is written to it go to stderr, as other commands do.
mcp.callback.keeps_stdout = True  # type: ignore[union-attr]


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return mcp
