"""``orchestrate spec``: check, describe and begin spec files."""

import os
from pathlib import Path

import click

from orchestrator.cli.options import FILE, home_option, json_option
from orchestrator.cli.output import clean, notice, result, result_json
from orchestrator.errors import OrchestrateError, OutputError, SpecError

_INVALID = 2


@click.group()
@home_option
def spec() -> None:
    """Check, describe and begin spec files."""


@spec.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@json_option
@home_option
def validate(files: tuple[Path, ...], as_json: bool) -> int:
    """Check spec files, and the policy files they name; every problem is shown with its line."""
    checked = [(path, _problems(path)) for path in files]
    if as_json:
        result_json([{"file": str(path), "ok": not found, "problems": found} for path, found in checked])
    for path, found in checked:
        if found:
            notice("\n".join(found))
        elif not as_json:
            result(f"{path}: ok")
    return _INVALID if any(found for _, found in checked) else 0


def _problems(path: Path) -> list[str]:
    from orchestrator.cli.given import with_policies
    from orchestrator.plugins import Catalogue
    from orchestrator.spec import read_spec

    try:
        found = read_spec(path)
        if found.policy_files:
            with_policies(found, (), Catalogue.discover())
    except SpecError as error:
        return [clean(problem) for problem in error.problems]
    except OrchestrateError as error:
        return [clean(f"{path}: {error}")]
    return []


@spec.command()
@home_option
def schema() -> int:
    """Print the JSON Schema of a spec file, for editors."""
    from orchestrator.spec import json_schema

    result_json(json_schema())
    return 0


@spec.command()
@click.argument("file", type=FILE, default=Path("spec.yaml"))
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@home_option
def init(file: Path, force: bool) -> int:
    """Write a spec file to begin with; '-' prints it."""
    from orchestrator.spec import SKELETON

    if str(file) == "-":
        result(SKELETON.rstrip("\n"))
        return 0
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with os.fdopen(os.open(file, flags, 0o644), "w", encoding="utf-8") as opened:
            opened.write(SKELETON)
    except FileExistsError as error:
        raise OutputError(f"{file} exists; choose another name, or replace it with --force") from error
    except OSError as error:
        raise OutputError(f"{file}: {error.strerror}") from error
    notice(f"{file} is written; edit it, then: orchestrate run {file}")
    return 0
