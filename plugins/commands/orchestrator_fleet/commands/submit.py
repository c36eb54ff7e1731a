"""Submit specs: workers play them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.kit import (
    AMOUNT,
    CONCURRENCY,
    FILE,
    SECONDS,
    advise_option,
    allow_option,
    approve_option,
    backend_option,
    code_of,
    command,
    context_option,
    home_option,
    json_option,
    loop_option,
    models_option,
    notice,
    plugin_option,
    policy_option,
    result,
    result_json,
)
from orchestrator.errors import OrchestrateError, UsageError
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from orchestrator.cli.kit import Spec, Submission


@click.command()
@click.argument("spec_files", metavar="SPEC...", nargs=-1, required=True, type=FILE)
@click.option("--project-id", help="The run's id; for one spec.")
@click.option("--budget", type=AMOUNT, help="The ceiling of each run, in US dollars.")
@click.option("--time", type=SECONDS, help="The time limit of each run, in seconds of active time.")
@click.option("--concurrency", type=CONCURRENCY, help="Simultaneous API calls of each run.")
@models_option
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a key of each spec.")
@policy_option
@context_option
@backend_option
@loop_option
@advise_option
@approve_option
@allow_option
@plugin_option
@click.option("--new-project", "-N", is_flag=True, help="Begin a new run even where the id exists.")
@click.option("--no-cache", is_flag=True, help="Do not reuse answers of earlier runs.")
@json_option
@home_option
def submit(
    spec_files: tuple[Path, ...],
    project_id: str | None,
    models: Path | None,
    sets: tuple[str, ...],
    policies: tuple[Path, ...],
    context: tuple[str, ...],
    backend: str | None,
    loop: str | None,
    approve: tuple[str, ...],
    allow: tuple[str, ...],
    new_project: bool,
    no_cache: bool,
    as_json: bool,
    budget: Any,
    time: float | None,
    **flags: Any,
) -> int:
    """Begin a run of each spec without playing it: a worker does, on this machine or on another. Prints the ids.

    Files that the specs name are read now, and what they want has to be agreed to now; a worker goes on only with
    what its own configuration allows, too. The results are in the log: orchestrate runs export RUN -o DIR.
    """
    import asyncio

    from orchestrator.cli.kit import Engine, home, prepare, spec_of_file, with_approvals, with_backend, with_loop

    if project_id is not None and len(spec_files) > 1:
        raise UsageError("--project-id is the id of one run, and there are several specs; name them in the specs")
    keys = {"project_id": project_id, "budget_usd": budget, "time_seconds": time, **flags}
    keys |= {"cache": False} if no_cache else {}

    def read(path: Path) -> "Spec":
        spec = with_backend(spec_of_file(path, sets, keys, models, context), backend)
        return with_approvals(with_loop(spec, loop), approve)

    specs = [read(path) for path in spec_files]
    engine = Engine.open(home())
    prepare(engine.admission, allow)

    submitted: list[Submission] = []

    async def all_of_them() -> None:
        from orchestrator.cli.kit import bound, named_output
        from orchestrator.cli.kit import submit as write

        admitted = [bound(each, engine.admission, engine.catalogue, policies, named_output(each)) for each in specs]
        for spec, own in zip(admitted, specs, strict=True):
            submitted.append(await write(engine, spec, output=named_output(own), new_project=new_project))

    try:
        asyncio.run(all_of_them())
    except OrchestrateError as error:
        if submitted:  # these are in the log, and workers play them
            _show(submitted, as_json)
        if not submitted or not as_json:
            raise
        for problem in getattr(error, "problems", ()) or (str(error),):  # JSON is one document
            notice(f"orchestrate: {problem}")
        return code_of(error)
    finally:
        engine.close()
    _show(submitted, as_json)
    return 0


def _show(submitted: "list[Submission]", as_json: bool) -> None:
    if as_json:
        result_json([{"run_id": each.run, "new": each.is_new} for each in submitted])
        return
    for each in submitted:
        if not each.is_new:
            notice(f"{each.run} was submitted before, with this spec")
        result(each.run)
    notice(f"workers play them: {command('worker')}; results: {command('runs export RUN -o DIR')}")


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return submit
