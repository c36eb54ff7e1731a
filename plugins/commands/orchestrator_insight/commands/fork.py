"""Start a run from an earlier point of another run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.kit import (
    EVENT,
    EVENT_HELP,
    FILE,
    RUN,
    EventId,
    allow_option,
    command,
    exact_option,
    existing_run,
    home,
    home_option,
    json_option,
    line,
    notice,
    open_log,
    plugin_option,
    result,
    result_json,
)
from orchestrator.reading import event_name
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from orchestrator.cli.kit import Engine
    from orchestrator_insight.forks import Cut, Forked


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
@plugin_option
@json_option
@exact_option
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

    from orchestrator.cli.kit import Engine, prepare
    from orchestrator.errors import UsageError
    from orchestrator_insight.forks import cut_of

    existing_run(open_log(run_id), run_id)
    if project_id == "":
        raise UsageError("--project-id is empty; give the new run a name, or leave it out")
    workspace = Engine.open(home())
    prepare(workspace.admission, allow)
    try:
        cut = cut_of(workspace.log, run_id, at.position, at.version)
        made = asyncio.run(_made(workspace, run_id, cut, sets, project_id, models))
    finally:
        workspace.close()
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
        result(f"  {line(change)}")
    notice(f"resume with: {command(f'resume {made.run}')}")
    return 0


async def for_programs(
    engine: "Engine", run: str, at: EventId, sets: Sequence[str], project_id: str | None, models: Path | None
) -> str:
    """Make the run, for programs; its id.

    Raises:
        UsageError: there is no such event, a key cannot be changed, or the id is taken.
    """
    import asyncio

    from orchestrator_insight.forks import cut_of

    cut = await asyncio.to_thread(cut_of, engine.log, run, at.position, at.version)
    return (await _made(engine, run, cut, sets, project_id, models)).run


async def _made(
    engine: "Engine", run: str, cut: "Cut", sets: Sequence[str], project_id: str | None, models: Path | None
) -> "Forked":
    from orchestrator.cli.kit import bound
    from orchestrator_insight.forks import fork as forked

    return await forked(
        engine,
        run,
        cut,
        sets,
        name=project_id,
        models=models,
        bind=lambda spec: bound(spec, engine.admission, engine.catalogue),
    )


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return fork
