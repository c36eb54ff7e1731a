"""The specification's flags on the bare command: ``--project``, ``--file``, ``--resume``, ``--list-projects``."""

from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from orchestrator.cli.terminal.terminal_output import on_terminal
from orchestrator.errors import present

DEFAULT_CRITERIA: Final = "the result does what the description asks"
"""The criteria of a result where none are given."""


def carry_out(
    *,
    project: str | None,
    criteria: str | None,
    file: Path | None,
    resume: str | None,
    list_projects: bool,
    output_dir: Path | None,
    verbose: bool,
    new_project: bool,
    yes: bool,
    models: Path | None = None,
    context: tuple[str, ...] = (),
    **flags: Any,
) -> int:
    """Do what the flags ask for, and give the exit code."""
    wanted = {"--project": project, "--file": file, "--resume": resume, "--list-projects": list_projects or None}
    given = [name for name, value in wanted.items() if value is not None]
    if len(given) != 1:
        found = f"{' and '.join(given)} exclude each other" if given else "nothing to do"
        raise click.UsageError(f"{found}; give one of {', '.join(wanted)}")
    if criteria is not None and project is None:
        raise click.UsageError("--criteria belongs to --project")
    if list_projects:
        from orchestrator.cli.commands.runs import print_runs

        return print_runs(as_json=False)

    from orchestrator.cli.commands.run import resume_run, run_spec, spec_keys

    if resume is not None:
        named = click.get_current_context().get_parameter_source("models")
        if named is ParameterSource.COMMANDLINE:
            raise click.UsageError("a run keeps its models; start a run with others: orchestrate fork ID --models FILE")
        if context:
            raise click.UsageError("a run keeps its files; start another one with --context")
        if any(value is not None for value in flags.values()):
            raise click.UsageError(
                "a run keeps its limits; raise them with: orchestrate resume ID --add-budget, --add-time"
            )
        return resume_run(resume, output=output_dir, verbose=verbose, yes=yes)

    from orchestrator.cli.running.spec_from_options import spec_of_file, with_context, with_flags
    from orchestrator.spec import spec_from, with_models

    keys = spec_keys(**flags)
    if file is not None:
        spec = spec_of_file(file, (), keys, models, context)
    else:
        project = present(project, "project")
        spec = with_flags(spec_from(project, criteria or ask_for_criteria()), keys)
        spec = with_models(with_context(spec, context), models)
    if spec.project_id is None and not new_project and on_terminal():
        from orchestrator.cli.running.auto_resume import run_to_resume

        similar = run_to_resume(spec)
        if similar is not None:
            return resume_run(similar, output=output_dir, verbose=verbose, yes=yes)
    return run_spec(spec, output=output_dir, new_project=new_project, verbose=verbose, yes=yes, input_stage=True)


def ask_for_criteria() -> str:
    """On a terminal the user is asked; elsewhere, and on an empty answer, the default holds."""
    if not on_terminal():
        return DEFAULT_CRITERIA
    answer: str = click.prompt("When is the result good?", default=DEFAULT_CRITERIA, err=True)
    return answer
