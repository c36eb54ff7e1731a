"""Start a run from an earlier point of another run."""

from pathlib import Path

import click

from orchestrator.cli.kit import (
    EVENT,
    EVENT_HELP,
    FILE,
    RUN,
    EventId,
    allow_option,
    command,
    existing_run,
    home,
    home_option,
    json_option,
    line,
    notice,
    open_log,
    result,
    result_json,
)
from orchestrator.reading import event_name
from orchestrator.spi import hookimpl


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option(
    "--at",
    type=EVENT,
    required=True,
    metavar="EVENT",
    help=f"The last event to share: {EVENT_HELP}. It is the end of its step, or of the step before.",
)
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a key of the spec, such as budget_usd=2."
)
@click.option("--models", type=FILE, metavar="FILE", help="A models file: models to add, facts to override.")
@click.option("--project-id", help="The new run's id. [default: RUN-fork]")
@allow_option
@json_option
@home_option
def fork(
    run_id: str,
    at: EventId,
    sets: tuple[str, ...],
    models: Path | None,
    project_id: str | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> int:
    """Create a run that shares the past of another run up to an event. Start it with resume.

    Calls in flight at that event and the spend before it stay the parent's; the fork counts only its own.
    """
    import asyncio

    from orchestrator import Workspace
    from orchestrator.cli.kit import bound, prepare
    from orchestrator.errors import UsageError
    from orchestrator_insight.forks import Forked, cut_of
    from orchestrator_insight.forks import fork as forked

    existing_run(open_log(run_id), run_id)
    if project_id == "":
        raise UsageError("--project-id is empty; give the new run a name, or leave it out")
    workspace = Workspace.open(home())
    prepare(workspace.admission, allow)
    try:
        cut = cut_of(workspace.log, run_id, at.position, at.version)

        async def make() -> object:
            return await forked(
                workspace,
                run_id,
                cut,
                sets,
                name=project_id,
                models=models,
                bind=lambda spec: bound(spec, workspace.admission, workspace.catalogue),
            )

        made = asyncio.run(make())
    finally:
        workspace.close()
    assert isinstance(made, Forked)
    if as_json:
        result_json(
            {
                "run_id": made.run,
                "parent": cut.parent,
                "version": cut.version,
                "position": cut.position,
                "hash": cut.hash,
                "moved": cut.moved,
                "changes": list(made.changes),
            }
        )
        return 0
    last = event_name(cut.position, cut.version)
    if cut.moved:
        notice(f"that event is inside a step; the fork begins at the end of the step before, at event {last}")
    elif not at.reached_by(cut.position, cut.version):
        notice(f"{cut.parent} has no such event; the fork begins at the last one before it, event {last}")
    result(line(f"{made.run}: shares {cut.parent} up to event {last}"))
    for change in made.changes:
        result(f"  {line(change, 160)}")
    notice(f"resume with: {command(f'resume {made.run}')}")
    return 0


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return fork
