"""``orchestrate plugins``: what is installed."""

import click

from orchestrator.cli.options import home_option, json_option
from orchestrator.cli.output import line, result_json
from orchestrator.cli.tables import print_table


@click.group()
@home_option
def plugins() -> None:
    """List the installed plugins."""


@plugins.command("list")
@json_option
@home_option
def list_(as_json: bool) -> int:
    """List every plugin; each is imported, so that a broken one shows with its reason."""
    from orchestrator.plugins import Catalogue

    found = Catalogue.discover().probe_all()
    if as_json:
        result_json(
            [
                {
                    "kind": each.kind,
                    "name": each.name,
                    "distribution": each.distribution,
                    "version": each.version,
                    "module": each.module,
                    "status": each.status.value,
                    "reason": each.reason,
                }
                for each in found
            ]
        )
        return 0
    print_table(
        ("kind", "name", "distribution", "version", "status", "reason"),
        [
            (each.kind, each.name, each.distribution, each.version, each.status.value, line(each.reason, 200))
            for each in found
        ],
    )
    return 0
