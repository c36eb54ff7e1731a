"""The examples at the end of each command's help are lines that the command takes."""

import shlex

import click
import pytest

from orchestrator.cli.command_groups import ShowGroup
from orchestrator.cli.examples import EXAMPLES
from orchestrator.cli.part_commands import PartCommand
from orchestrator.cli.root import root


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_taken_as_it_stands(words: str) -> None:
    """It reaches its command, has what that needs, and nothing that it does not know; its help fits 80 columns."""
    given = shlex.split(EXAMPLES[words].partition(" > ")[0])
    command, arguments = _reached(given)
    assert not isinstance(command, click.Group) or command.invoke_without_command, f"{words}: it stops at a group"
    with click.Context(command, info_name=words) as context:
        values, left, _ = command.make_parser(context).parse_args(list(arguments))
    missing = [each.name for each in command.params if each.required and values.get(each.name or "") in (None, ())]
    assert (missing, left) == ([], [])
    assert len(f"  orchestrate {EXAMPLES[words]}") <= 80


def _reached(arguments: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = root
    while isinstance(command, click.Group):
        if isinstance(command, ShowGroup) and (not arguments or arguments[0] not in command.commands):
            arguments = ["show", *arguments]
        if not arguments or arguments[0].startswith("-"):
            break
        with click.Context(command) as context:
            found = command.get_command(context, arguments[0])
        if found is None:
            break
        command, arguments = found.loaded() if isinstance(found, PartCommand) else found, arguments[1:]
    return command, arguments
