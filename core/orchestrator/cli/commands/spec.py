"""``orchestrate spec``: check, describe and begin spec files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.options.shared_options import always_json_option, home_option, json_option
from orchestrator.cli.options.value_types import FILE, OUTPUT_OR_STDOUT, STDOUT
from orchestrator.cli.terminal.json_output import result_json, write_json
from orchestrator.cli.terminal.terminal_output import clean, notice, result
from orchestrator.errors import NotAllowedError, OrchestrateError, OutputError, SpecError

if TYPE_CHECKING:
    from orchestrator.engine.vendors.provider_survey import Offers
    from orchestrator.spec import Spec
    from orchestrator.trust import Weighed

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
    """Check spec files, and the files they name. Every problem is shown with its line. '-' is stdin.

    Policy files are read; other files have to be there. Outside the spec's folder none is looked for that its user has
    not agreed to.

    Policies that contradict each other or leave no model, and a ' #' that may have cut a text, are shown as a warning.
    What a spec wants beside calling models is listed.
    """
    from orchestrator.cli.running.spec_from_options import STDIN

    checked = [(STDIN if str(path) == "-" else str(path), _checked(path)) for path in files]
    if as_json:
        result_json([{"file": path, **each.plain} for path, each in checked])
    for path, each in checked:
        if not as_json:
            for text in each.warnings:
                notice(f"{text if text.startswith(f'{path}:') else f'{path}: {text}'} [warning]")
        if each.problems:
            notice("\n".join(each.problems))
        elif not as_json:
            result("\n".join([f"{path}: ok", *each.wanted]))
    return _INVALID if any(each.problems for _, each in checked) else 0


@frozen
class _Checked:
    """A spec file: what is wrong with it, what its policies contradict, and what it wants."""

    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()
    weighed: "Weighed | None" = None

    @property
    def wanted(self) -> list[str]:
        """What it wants, for people."""
        from orchestrator.trust import listed

        return [] if self.weighed is None else listed("it", self.weighed)

    @property
    def plain(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "ok": not self.problems,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "capabilities": [] if self.weighed is None else self.weighed.plain,
        }


def _checked(path: Path) -> _Checked:
    from orchestrator.cli.policy_findings import known_offers, may_build_providers, weighed_here
    from orchestrator.cli.running.spec_from_options import spec_given
    from orchestrator.engine.reading_given_files import check_given_files
    from orchestrator.engine.spec_checks import check_names
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.plugins import Catalogue
    from orchestrator.policy_dsl import with_policies

    try:
        found, catalogue = spec_given(path), Catalogue.discover()
        environment = Environment.of_process(lambda secret: None)
        weighed = weighed_here(found, catalogue, environment)
        found = evolve(found, grants=weighed.granted)
        check_given_files(found)
        if found.policy_files:
            found = with_policies(found, (), catalogue.loader_for_suffix)
        offers = None
        if may_build_providers(weighed):
            check_names(found, catalogue, environment)
            if found.policies or found.node_policies:
                offers = known_offers(catalogue, environment, found)
    except NotAllowedError as error:
        return _Checked([], [clean(f"{error}; it is not read")], weighed)
    except SpecError as error:
        return _Checked([clean(problem) for problem in error.problems])
    except OrchestrateError as error:
        return _Checked([clean(f"{path}: {error}")])
    return _Checked([], [clean(text) for text in (*found.hints, *_contradictions(found, offers))], weighed)


def _contradictions(found: "Spec", offers: "Offers | None") -> list[str]:
    """What is wrong with the policies that bind the run, or one of its nodes; each once."""
    from orchestrator.cli.policy_findings import findings

    groups = [found.policies, *((*found.policies, *own) for own in found.node_policies.values())]
    reports = [findings(group, offers) for group in groups]
    return list(dict.fromkeys(text for report in reports for text in (*report.errors, *report.warnings)))


@spec.command()
@always_json_option
@home_option
def schema() -> int:
    """Print the JSON Schema of a spec file, for editors."""
    from orchestrator.spec import json_schema

    write_json(json_schema())
    return 0


@spec.command()
@click.argument("file", type=OUTPUT_OR_STDOUT, default=Path("spec.yaml"))
@click.option("--demo", is_flag=True, help="Write a spec that runs without a key, and its file of answers.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@home_option
def init(file: Path, demo: bool, force: bool) -> int:
    """Write a spec file to start from. '-' prints it."""
    from orchestrator.spec import SKELETON, demo_files

    if file == STDOUT:
        if demo:
            raise click.UsageError("--demo writes two files; name the spec's")
        result(SKELETON.rstrip("\n"), as_is=True)
        return 0
    if not demo:
        _write_new({file: SKELETON}, force)
        notice(f"{file} is written; edit it, then: orchestrate run {file}")
        return 0
    answers = file.with_name(f"{file.stem}.answers.yaml")
    _write_new({file: demo_files.SPEC.format(answers=answers.name), answers: demo_files.ANSWERS}, force)
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
