"""``orchestrate spec``: check, describe and begin spec files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.groups import CommandGroup
from orchestrator.cli.options import FILE, home_option, json_option
from orchestrator.cli.output import clean, notice, result, result_json
from orchestrator.errors import OrchestrateError, OutputError, SpecError

if TYPE_CHECKING:
    from orchestrator.spec import Spec

_INVALID = 2


@click.group(cls=CommandGroup)
@home_option
def spec() -> None:
    """Check, describe and begin spec files."""


@spec.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@json_option
@home_option
def validate(files: tuple[Path, ...], as_json: bool) -> int:
    """Check spec files and the policy files they name. Every problem is shown with its line. '-' is stdin.

    Policies that contradict each other, and a ' #' that may have cut a text, are shown as a warning.
    """
    from orchestrator.cli.given import STDIN

    checked = [(STDIN if str(path) == "-" else path, *_checked(path)) for path in files]
    if as_json:
        result_json(
            [
                {"file": str(path), "ok": not found, "problems": found, "warnings": warnings}
                for path, found, warnings in checked
            ]
        )
    for path, found, warnings in checked:
        if not as_json:
            for text in warnings:
                notice(f"{text if text.startswith(f'{path}:') else f'{path}: {text}'} [warning]")
        if found:
            notice("\n".join(found))
        elif not as_json:
            result(f"{path}: ok")
    return _INVALID if any(found for _, found, _ in checked) else 0


def _checked(path: Path) -> tuple[list[str], list[str]]:
    """What is wrong with a spec file, and what its policies contradict."""
    from orchestrator.cli.given import spec_given, with_policies
    from orchestrator.engine.beginning import check_names
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.plugins import Catalogue

    try:
        found, catalogue = spec_given(path), Catalogue.discover()
        if found.policy_files:
            found = with_policies(found, (), catalogue)
        check_names(found, catalogue, Environment.of_process(lambda secret: None))
    except SpecError as error:
        return [clean(problem) for problem in error.problems], []
    except OrchestrateError as error:
        return [clean(f"{path}: {error}")], []
    return [], [clean(text) for text in (*found.hints, *_contradictions(found))]


def _contradictions(found: "Spec") -> list[str]:
    """What the policies contradict that bind the run, or one of its nodes; each once."""
    from orchestrator.policy_dsl import PolicyAnalyzer

    groups = [found.policies, *((*found.policies, *own) for own in found.node_policies.values())]
    reports = [PolicyAnalyzer.analyze(group) for group in groups]
    return list(dict.fromkeys(text for report in reports for text in (*report.errors, *report.warnings)))


@spec.command()
@home_option
def schema() -> int:
    """Print the JSON Schema of a spec file, for editors."""
    from orchestrator.spec import json_schema

    result_json(json_schema())
    return 0


@spec.command()
@click.argument("file", type=FILE, default=Path("spec.yaml"))
@click.option("--demo", is_flag=True, help="Write a spec that runs without a key, and its file of answers.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@home_option
def init(file: Path, demo: bool, force: bool) -> int:
    """Write a spec file to start from. '-' prints it."""
    from orchestrator.spec import SKELETON, demonstration

    if str(file) == "-":
        if demo:
            raise click.UsageError("--demo writes two files; name the spec's")
        result(SKELETON.rstrip("\n"), as_is=True)
        return 0
    if not demo:
        _write_new({file: SKELETON}, force)
        notice(f"{file} is written; edit it, then: orchestrate run {file}")
        return 0
    answers = file.with_name(f"{file.stem}.answers.yaml")
    _write_new({file: demonstration.SPEC.format(answers=answers.name), answers: demonstration.ANSWERS}, force)
    notice(f"{file} and {answers} are written; run them with: orchestrate run {file}")
    return 0


def _write_new(files: Mapping[Path, str], force: bool) -> None:
    """Write files, or none of them.

    Raises:
        OutputError: one exists and ``force`` is not given, or one cannot be written.
    """
    for file in files:
        if file.exists() and not force:
            raise OutputError(f"{file} exists; choose another name, or replace it with --force")
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    for file, text in files.items():
        try:
            with os.fdopen(os.open(file, flags, 0o644), "w", encoding="utf-8") as opened:
                opened.write(text)
        except OSError as error:
            raise OutputError(f"{file}: {error.strerror}") from error
