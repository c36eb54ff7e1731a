"""``orchestrate demo``: the quickstart, from the files that the program brings with it."""

from pathlib import Path
from typing import Final

import click

from orchestrator.cli.options.shared_options import (
    command,
    exact_option,
    force_option,
    home_option,
    json_option,
    output_option,
    quiet_option,
)
from orchestrator.cli.terminal.terminal_output import notice

_PACKAGED: Final = "quickstart"
"""The folder in the installed package; a clone has it among its examples."""


@click.command()
@output_option
@force_option
@quiet_option
@json_option
@exact_option
@home_option
def demo(output_dir: Path | None, force: bool, quiet: bool, as_json: bool) -> int:
    """Run the quickstart: a project of seven tasks with scripted answers. No key, no network, no money."""
    from orchestrator.cli.commands.run import run_spec
    from orchestrator.cli.running.spec_from_options import spec_of_file

    spec = spec_of_file(quickstart() / "spec.yaml", (), {}, None)
    code = run_spec(spec, output=output_dir, force=force, quiet=quiet, as_json=as_json)
    if not (quiet or as_json):
        notice(_next_commands())
    return code


def quickstart() -> Path:
    """The folder with the quickstart's spec and answers."""
    package = Path(__file__).parents[2]
    packaged = package / _PACKAGED
    return packaged if packaged.is_dir() else package.parents[1] / "examples" / _PACKAGED


def _next_commands() -> str:
    ways = (
        (command("explain last"), "why each model was chosen"),
        (command("report last"), "the run as one HTML page"),
        ("orchestrate spec init --demo my.yaml", "a spec of your own to edit"),
        (command("run my.yaml"), "with the key of a vendor, or with the demo's answers"),
    )
    return "\n".join(["", "next:", *(f"  {words}\n      {what}" for words, what in ways)])
