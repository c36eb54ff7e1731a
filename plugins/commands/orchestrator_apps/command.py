"""Build an application from a sentence."""

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.kit import (
    AMOUNT,
    FILE,
    OUTPUT,
    SECONDS,
    allow_option,
    exact_option,
    force_option,
    home_option,
    json_option,
    log_format_option,
    loop_option,
    models_option,
    plugin_option,
    quiet_option,
    verbose_option,
    yes_option,
)
from orchestrator.spi import hookimpl


@click.command()
@click.argument("description")
@click.option("--output-dir", "-o", type=OUTPUT, required=True, help="The folder of the application.")
@click.option(
    "--criteria", "-c", help="What a good result is. [default: the spec's, else: it does what the description asks]"
)
@click.option(
    "--type",
    "app_type",
    metavar="TYPE",
    help="The application's type, such as fastapi. [default: the spec's, else the advisor's]",
)
@click.option("--spec", "spec_file", type=FILE, metavar="FILE", help="A spec file with more keys, such as providers.")
@click.option("--project-id", help="The run's id. The same id again resumes the build.")
@click.option("--budget", "-b", type=AMOUNT, help="The ceiling, in US dollars. [default: 8.0]")
@click.option("--time", "-t", type=SECONDS, help="The time limit, in seconds of active time. [default: 5400]")
@models_option
@loop_option
@force_option
@yes_option
@allow_option
@plugin_option
@verbose_option
@quiet_option
@log_format_option
@json_option
@exact_option
@home_option
def build(
    description: str,
    output_dir: Path,
    criteria: str | None,
    app_type: str | None,
    spec_file: Path | None,
    models: Path | None,
    project_id: str | None,
    budget: Any,
    time: float | None,
    loop: str | None,
    force: bool,
    yes: bool,
    allow: tuple[str, ...],
    verbose: bool,
    quiet: bool,
    log_format: str | None,
    as_json: bool,
) -> int:
    """Build an application: choose the architecture, write the files, test and start it.

    Exit codes are those of run; 1 also where the application did not pass its trial.
    """
    from orchestrator.cli.kit import RunSession, bound, line, result, with_loop
    from orchestrator.errors import UsageError
    from orchestrator.models import Verdict
    from orchestrator_apps.builder import assembly_of

    if not description.strip():
        raise UsageError("the description is empty: say in a sentence what the application is to do")
    given = {
        "project": description,
        "criteria": criteria or None,
        "app": app_type or None,
        "project_id": project_id,
        "budget_usd": budget,
        "time_seconds": time,
    }
    spec = _spec(spec_file, {key: value for key, value in given.items() if value is not None}, models)
    spec = with_loop(spec, loop)
    with RunSession(
        as_json=as_json, verbose=verbose, quiet=quiet, log_format=log_format, yes=yes, allow=allow
    ) as session:
        engine = session.engine
        admitted = bound(spec, engine.admission, engine.catalogue, output=output_dir)
        code = session.play(engine.start(admitted, output=output_dir, force=force, watchers=session.watchers))
    if session.outcome is not None and not as_json:
        assembly = assembly_of(session.outcome.state, session.outcome.texts.get)
        for step in assembly.steps:
            why = "" if step.verdict is Verdict.PASSED else ": " + (step.details.strip().splitlines() or ["?"])[-1]
            result(line(f"{step.name} {step.verdict.value}{why}", 200))
        for problem in assembly.problems:
            result(line(f"problem: {problem}"))
    return code


def _spec(path: Path | None, given: dict[str, Any], models: Path | None) -> Any:
    """A spec of the command line's keys, over those of a file, over what holds where neither says anything."""
    from attrs import evolve

    from orchestrator.cli.kit import DEFAULT_CRITERIA, spec_from, spec_of_file, with_flags, with_models
    from orchestrator.models import AUTO

    if path is None:
        return with_models(with_flags(spec_from(given["project"], DEFAULT_CRITERIA, app=AUTO), given), models)
    spec = spec_of_file(path, (), given, models)
    return spec if spec.app else evolve(spec, app=AUTO)


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return build
