"""``orchestrate run`` and ``orchestrate resume``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.logs.run_ids import RUN
from orchestrator.cli.options.shared_options import (
    advise_option,
    allow_option,
    approve_option,
    backend_option,
    context_option,
    disable_option,
    enhance_option,
    exact_option,
    force_option,
    home_option,
    json_option,
    log_format_option,
    loop_option,
    models_option,
    output_option,
    plugin_option,
    policy_option,
    quiet_option,
    set_option,
    strict_plugins_option,
    verbose_option,
    yes_option,
)
from orchestrator.cli.options.value_types import AMOUNT, CONCURRENCY, FILE, SECONDS
from orchestrator.cli.progress.build_server_output import Pipeline, github_option, junit_option

if TYPE_CHECKING:
    from orchestrator.spec import Spec


@click.command()
@click.argument("spec_files", metavar="SPEC...", nargs=-1, type=FILE)
@output_option
@click.option("--jobs", type=click.IntRange(1, 1000), help="With several specs: runs at once. [default: 4]")
@click.option("--project-id", help="The run's id. The same id again resumes the run.")
@click.option("--budget", type=AMOUNT, help="The ceiling, in US dollars.")
@click.option("--time", type=SECONDS, help="The time limit, in seconds of active time.")
@click.option("--concurrency", type=CONCURRENCY, help="Simultaneous API calls.")
@models_option
@set_option
@policy_option
@context_option
@backend_option
@loop_option
@enhance_option
@advise_option
@yes_option
@approve_option
@allow_option
@plugin_option
@click.option("--new-project", "-N", is_flag=True, help="Start a new run even where the id exists.")
@click.option("--no-cache", is_flag=True, help="Do not reuse answers of earlier runs.")
@force_option
@junit_option
@github_option
@disable_option
@strict_plugins_option
@verbose_option
@quiet_option
@log_format_option
@json_option
@exact_option
@home_option
def run(
    spec_files: tuple[Path, ...],
    output_dir: Path | None,
    jobs: int | None,
    models: Path | None,
    sets: tuple[str, ...],
    policies: tuple[Path, ...],
    context: tuple[str, ...],
    approve: tuple[str, ...],
    backend: str | None,
    loop: str | None,
    yes: bool,
    allow: tuple[str, ...],
    new_project: bool,
    no_cache: bool,
    force: bool,
    junit: Path | None,
    github: bool,
    verbose: bool,
    quiet: bool,
    log_format: str | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Run a spec file ('-': stdin). If its project_id names an open run, resume that run.

    Several specs are runs side by side, in this process; -o is then the folder of their folders, and the exit code
    that of the worst. To have other processes run them: orchestrate submit.

    Exit codes: 0 success, 1 finished but not good enough, 2 usage or spec, 3 system failure, 4 budget exhausted,
    5 time is up, 70 a defect of the program, 130 interrupted.
    """
    from orchestrator.cli.running.spec_from_options import spec_of_file, with_approvals, with_backend, with_loop

    if not spec_files:
        raise click.UsageError("Missing argument 'SPEC'.", click.get_current_context())
    if no_cache:
        flags["cache"] = False

    def read(file: Path) -> "Spec":
        spec = with_backend(spec_of_file(file, sets, spec_keys(**flags), models, context), backend)
        return with_approvals(with_loop(spec, loop), approve)

    if len(spec_files) > 1:
        from orchestrator.cli.running.several_specs import JOBS, named_specs, run_several

        _refuse_for_several(project_id=flags["project_id"], junit=junit, github=github, log_format=log_format)
        specs = named_specs(spec_files, [read(file) for file in spec_files], output_dir)
        settings = {"force": force, "new_project": new_project, "agrees": yes, "as_json": as_json, "quiet": quiet}
        return run_several(specs, policies, allow, jobs=jobs or JOBS, **settings)
    [spec] = map(read, spec_files)
    return run_spec(
        spec,
        output=output_dir,
        policies=policies,
        force=force,
        new_project=new_project,
        verbose=verbose,
        quiet=quiet,
        log_format=log_format,
        as_json=as_json,
        yes=yes,
        allow=allow,
        pipeline=Pipeline(junit, github),
    )


def _refuse_for_several(**options: object) -> None:
    """Refuse options that are about one run.

    Raises:
        UsageError: one is given.
    """
    from orchestrator.errors import UsageError

    given = [name for name, value in options.items() if value]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} is for one run, and there are several specs")


def spec_keys(budget: Any, time: float | None, **others: Any) -> dict[str, Any]:
    """The spec's keys that flags stand for."""
    return {"budget_usd": budget, "time_seconds": time, **others}


def run_spec(
    spec: "Spec",
    *,
    output: Path | None,
    policies: tuple[Path, ...] = (),
    force: bool = False,
    new_project: bool = False,
    verbose: bool = False,
    quiet: bool = False,
    log_format: str | None = None,
    as_json: bool = False,
    yes: bool = False,
    allow: tuple[str, ...] = (),
    input_stage: bool = False,
    pipeline: Pipeline | None = None,
) -> int:
    """Run a spec in front of the user, and give the exit code.

    ``input_stage``: what comes before the plan is wanted, unless the spec says otherwise.
    """
    from orchestrator.cli.running.run_session import RunSession
    from orchestrator.cli.running.spec_from_options import bound, named_output

    folder = output or named_output(spec)
    loud = verbose or (spec.verbose and not quiet)
    with RunSession(
        as_json=as_json,
        verbose=loud,
        quiet=quiet,
        log_format=log_format,
        yes=yes,
        allow=allow,
        pipeline=pipeline,
    ) as session:
        engine = session.engine
        admitted = bound(spec, engine.admission, engine.catalogue, policies, folder)
        return session.play(
            engine.start(
                admitted,
                output=folder,
                force=force,
                new_project=new_project,
                watchers=session.watchers,
                input_stage=input_stage,
            )
        )


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@output_option
@force_option
@click.option("--add-budget", type=AMOUNT, help="US dollars to add to the ceiling.")
@click.option("--add-time", type=SECONDS, help="Seconds to add to the time limit.")
@yes_option
@allow_option
@plugin_option
@junit_option
@github_option
@disable_option
@strict_plugins_option
@verbose_option
@quiet_option
@log_format_option
@json_option
@exact_option
@home_option
def resume(
    run_id: str,
    output_dir: Path | None,
    force: bool,
    add_budget: Any,
    add_time: float | None,
    yes: bool,
    allow: tuple[str, ...],
    junit: Path | None,
    github: bool,
    verbose: bool,
    quiet: bool,
    log_format: str | None,
    as_json: bool,
) -> int:
    """Resume a run after a crash or an interruption, or with more money or time.

    A run that is closed stays as it is; missing output files are written.
    """
    return resume_run(
        run_id,
        output=output_dir,
        force=force,
        add_budget=add_budget,
        add_time=add_time,
        verbose=verbose,
        quiet=quiet,
        log_format=log_format,
        as_json=as_json,
        yes=yes,
        allow=allow,
        pipeline=Pipeline(junit, github),
    )


def resume_run(
    run_id: str,
    *,
    output: Path | None = None,
    force: bool = False,
    add_budget: Any = None,
    add_time: float | None = None,
    verbose: bool = False,
    quiet: bool = False,
    log_format: str | None = None,
    as_json: bool = False,
    yes: bool = False,
    allow: tuple[str, ...] = (),
    pipeline: Pipeline | None = None,
) -> int:
    """Go on with a run in front of the user, and give the exit code."""
    from orchestrator.cli.running.run_session import RunSession

    with RunSession(
        as_json=as_json,
        verbose=verbose,
        quiet=quiet,
        log_format=log_format,
        yes=yes,
        allow=allow,
        pipeline=pipeline,
    ) as session:
        return session.play(
            session.engine.resume(
                run_id,
                output=output,
                force=force,
                add_budget=add_budget,
                add_time=add_time,
                watchers=session.watchers,
            )
        )
