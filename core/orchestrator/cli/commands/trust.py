"""``orchestrate trust`` and ``orchestrate config``: what this user has agreed to, and has set for every spec."""

import os
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.options.shared_options import home, home_option, json_option
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_facts, print_table
from orchestrator.cli.terminal.terminal_output import notice, result


@click.group(cls=CommandGroup)
@home_option
def trust() -> None:
    """Show and revoke what specs were allowed beside calling models."""


@trust.command("list")
@json_option
@home_option
def list_(as_json: bool) -> int:
    """List the grants that are remembered, by spec."""
    from orchestrator.trust import GrantStore

    known = GrantStore(home()).read()
    rows = [(spec, each) for spec, own in sorted(known.items()) for each in sorted(own)]
    if as_json:
        result_json([{"spec": spec, "capability": each} for spec, each in rows])
    elif rows:
        print_table(("spec", "capability"), rows)
    else:
        notice("nothing is remembered; a run asks on a terminal, or takes --allow KIND=VALUE")
    return 0


@trust.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.argument("capability", required=False, metavar="[KIND=VALUE]")
@click.option("--all", "of_all", is_flag=True, help="Revoke the grants of every spec.")
@home_option
def revoke(spec: Path | None, capability: str | None, of_all: bool) -> int:
    """Revoke the grants of a spec file, or one of them; the next run asks again."""
    from orchestrator.errors import UsageError
    from orchestrator.trust import GrantStore

    if (spec is None) is not of_all:
        raise UsageError("name a spec file, or give --all")
    named = None if spec is None else os.path.realpath(spec)
    count = GrantStore(home()).revoke(named, capability)
    if not count:
        raise UsageError(
            f"there is no such grant{'' if named is None else f' of {named}'}; see: orchestrate trust list"
        )
    result(f"{count} {'grant' if count == 1 else 'grants'} revoked")
    return 0


@click.group(cls=CommandGroup)
@home_option
def config() -> None:
    """Show the configuration of this user."""


@config.command("show")
@json_option
@home_option
def show(as_json: bool) -> int:
    """Show where the configuration is, and what it says; keys it leaves out have their defaults."""
    from orchestrator.trust import CONFIGURATION, configuration_path, read_configuration

    configuration = read_configuration(os.environ)
    values = {name: entry.kind.output(held) if (held := getattr(configuration, name)) is not None else None
              for name, entry in CONFIGURATION.keys.items()}  # fmt: skip
    path = configuration_path(os.environ)
    if as_json:
        result_json({"file": str(path), "exists": configuration.path is not None, **values, "data": str(home())})
        return 0
    remark = "" if configuration.path is not None else " (there is none)"
    rows = [("file", f"{path}{remark}"), *((name, _shown(value)) for name, value in values.items())]
    print_facts([*rows, ("data folder in use", str(home()))])
    return 0


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "–"
    return "–" if value is None else str(value)
