"""``orchestrate doctor``: what of this machine the program can use."""

import click

from orchestrator.cli.options import home_option, json_option
from orchestrator.cli.output import line, result_json
from orchestrator.cli.tables import print_table

_TOOLS = ("pytest", "ruff", "pdflatex", "bwrap")


@click.command()
@json_option
@home_option
def doctor(as_json: bool) -> int:
    """Show which sandboxes hold, as each proves by a probe, and which tools are there."""
    from orchestrator.engine.sandbox import Ladder
    from orchestrator.spi import find_tool

    ladder = Ladder()
    surveys, rung = ladder.surveys(), ladder.rung()
    tools = {name: find_tool(name) for name in _TOOLS}
    if as_json:
        found = [{"sandbox": each.rung.value, "holds": each.holds, "detail": each.detail} for each in surveys]
        result_json({"in_force": rung.value if rung else None, "sandboxes": found, "tools": tools})
        return 0
    rows = [(each.rung.value, _word(each.rung == rung, each.holds), line(each.detail, 300)) for each in surveys]
    print_table(("sandbox", "state", "probe"), rows)
    print_table(("tool", "where"), [(name, where or "not installed") for name, where in tools.items()])
    return 0


def _word(in_force: bool, holds: bool) -> str:
    return "in force" if in_force else "holds" if holds else "not usable"
