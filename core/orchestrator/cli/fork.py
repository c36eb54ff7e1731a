"""``orchestrate fork``: go on from an earlier point of a run, under other settings."""

import click

from orchestrator.cli.logs import open_log
from orchestrator.cli.options import command, existing_run, home, home_option, json_option
from orchestrator.cli.output import line, notice, result, result_json


class Place(click.ParamType[tuple[int | None, int | None]]):
    """A position of the log, or ``v`` and a version: (position, version)."""

    name = "place"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, int | None]:
        """Read it, or fail with a usage error."""
        text = str(value)
        digits = text.removeprefix("v")
        if not digits.isascii() or not digits.isdigit() or len(digits) > 18 or int(digits) < 1:
            self.fail(f"{text!r} is neither a position such as 120 nor a version such as v57", param, ctx)
        return (None, int(digits)) if text.startswith("v") else (int(digits), None)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--at",
    type=Place(),
    required=True,
    metavar="POSITION|vVERSION",
    help="The last event to share, as log show numbers them; the end of its step, or of the one before.",
)
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a key of the spec, such as budget_usd=2."
)
@click.option("--project-id", help="The new run's id. [default: RUN-fork]")
@json_option
@home_option
def fork(
    run_id: str, at: tuple[int | None, int | None], sets: tuple[str, ...], project_id: str | None, as_json: bool
) -> int:
    """Make a run that shares the past of another up to an event; resume goes on with it.

    Calls that are open there stay the parent's, and so does what was spent: the fork counts only its own.
    """
    import asyncio

    from orchestrator.engine.forks import cut_of
    from orchestrator.engine.forks import fork as forked
    from orchestrator.engine.runs import Workspace
    from orchestrator.errors import UsageError
    from orchestrator.policy_dsl import with_policies

    existing_run(open_log(run_id), run_id)
    if project_id == "":
        raise UsageError("--project-id is empty; give the new run a name, or leave it out")
    workspace = Workspace.open(home())
    try:
        position, version = at
        cut = cut_of(workspace.log, run_id, position, version)

        async def make() -> object:
            return await forked(
                workspace,
                run_id,
                cut,
                sets,
                name=project_id,
                bind=lambda spec: with_policies(spec, (), workspace.catalogue.loader_for_suffix),
            )

        made = asyncio.run(make())
    finally:
        workspace.close()
    from orchestrator.engine.forks import Forked

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
    if cut.moved:
        notice(f"that is inside a step: the fork begins at the end of the one before, at event {cut.position}")
    elif (position or 0) > cut.position or (version or 0) > cut.version:
        notice(f"{cut.parent} has no event there: the fork begins at the last before it, event {cut.position}")
    result(line(f"{made.run}: shares {cut.parent} up to version {cut.version} (event {cut.position})"))
    for change in made.changes:
        result(f"  {line(change, 160)}")
    notice(f"go on with it: {command(f'resume {made.run}')}")
    return 0
