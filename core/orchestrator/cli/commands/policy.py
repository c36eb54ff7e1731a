"""``orchestrate policy``: check policy files, and show what binds a run."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.options.shared_options import home_option, json_option
from orchestrator.cli.options.value_types import FILE
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import clean, notice, result

if TYPE_CHECKING:
    from orchestrator.engine.vendors.provider_survey import Offers
    from orchestrator.policy import Policy
    from orchestrator.policy_dsl import AnalysisReport, PolicyFile
    from orchestrator.spec import Spec

_INVALID = 2
_MOST_SETS: Final = 2_000
"""So many combinations of a team, a job and a task are checked."""
_FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)


@click.group(cls=CommandGroup)
@home_option
def policy() -> None:
    """Check policy files, and show what binds a run."""


@policy.command()
@_FILES
@click.option("--spec", "spec_file", type=FILE, metavar="FILE", help="A spec whose own models the policies may name.")
@json_option
@home_option
def check(files: tuple[Path, ...], spec_file: Path | None, as_json: bool) -> int:
    """Check policy files together for errors, misspelt names, contradictions, and rules that leave no model.

    Exit code 2 where there are errors; warnings and information do not count.
    """
    from orchestrator.cli.running.spec_from_options import spec_given

    spec = None if spec_file is None else spec_given(spec_file)
    read, problems = _read(files)
    misspelt = _misspelt(read, spec)
    offers = None if problems or misspelt else _offers(spec)
    errors, warnings, info = ([*problems], [], []) if problems else _analysed(read, offers)
    errors = [*misspelt, *errors]
    if as_json:
        report = {"errors": errors, "warnings": warnings, "info": info}
        result_json({"ok": not errors, **{kind: [clean(text) for text in texts] for kind, texts in report.items()}})
    else:
        for kind, texts in (("error", errors), ("warning", warnings), ("info", info)):
            for text in texts:
                notice(f"{text} [{kind}]")
        if not errors and not warnings:
            result(f"{', '.join(str(path) for path in files)}: ok")
    return _INVALID if errors else 0


def _read(files: Sequence[Path]) -> tuple[list["PolicyFile"], list[str]]:
    """The files, and what cannot be read in them."""
    from orchestrator.plugins import Catalogue
    from orchestrator.policy_dsl import PolicyFileError, read_policy_file

    loader_for = Catalogue.discover().loader_for_suffix
    read: list[PolicyFile] = []
    problems: list[str] = []
    for path in files:
        try:
            read.append(read_policy_file(path, loader_for))
        except PolicyFileError as error:
            problems.extend(error.problems)
    return read, problems


def _misspelt(files: Sequence["PolicyFile"], spec: "Spec | None") -> list[str]:
    """The names in them that are nothing's."""
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.engine.vendors.known_names import unknown_names
    from orchestrator.plugins import Catalogue

    uses = [use for file in files for use in file.uses]
    return unknown_names(uses, Catalogue.discover(), Environment.of_process(lambda secret: None), spec)


def _offers(spec: "Spec | None") -> "Offers | None":
    """The models that policies are applied to; None where the spec has not been let look for them."""
    from orchestrator.cli.policy_findings import known_offers, may_build_providers, weighed_here
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.plugins import Catalogue

    catalogue, environment = Catalogue.discover(), Environment.of_process(lambda secret: None)
    if spec is not None and not may_build_providers(weighed_here(spec, catalogue, environment)):
        return None
    return known_offers(catalogue, environment, spec)


def _analysed(files: Sequence["PolicyFile"], offers: "Offers | None") -> tuple[list[str], list[str], list[str]]:
    """The findings of every set that can bind a run or a node together; each once.

    Which job is of which team is not known: what is wrong with both counts where it is so for every team.
    """
    teams, jobs, nodes = (
        sorted({name for file in files for name in getattr(file.hierarchy, level)}) for level in ("team", "job", "node")
    )
    reports: list[AnalysisReport] = []
    wanting: list[set[str]] = []
    for team, job, node in _alone(teams, jobs, nodes):
        reports.append(_found(files, offers, team, job, node))
        wanting.append(set(reports[-1].unrestricted))
    combinations = (len(teams) + 1) * (len(jobs) + 1) * (len(nodes) + 1)
    is_whole = combinations <= _MOST_SETS or not (teams or jobs)
    if teams and jobs and is_whole:
        for job, node in product(jobs, ("", *nodes)):
            together = [_found(files, offers, team, job, node) for team in teams]
            reports += together if all(report.warnings for report in together) else []
    missing = [text for text in reports[0].unrestricted if all(text in each for each in wanting)]
    info = dict.fromkeys((*missing, *(text for report in reports for text in report.raised)))
    if not is_whole:
        info[f"not every one of {combinations:,} combinations of team, job and task is checked"] = None
    errors = dict.fromkeys(text for report in reports for text in report.errors)
    warnings = dict.fromkeys(text for report in reports for text in report.warnings)
    return [*errors], [*warnings], [*info]


def _alone(teams: list[str], jobs: list[str], nodes: list[str]) -> list[tuple[str, str, str]]:
    """The sets without a team and a job at once: team, job and node of each."""
    levels = [("", ""), *((team, "") for team in teams), *(("", job) for job in jobs)]
    if len(levels) * (len(nodes) + 1) <= _MOST_SETS:
        return [(team, job, node) for team, job in levels for node in ("", *nodes)]
    return [(team, job, "") for team, job in levels] + [("", "", node) for node in nodes]


def _found(files: Sequence["PolicyFile"], offers: "Offers | None", team: str, job: str, node: str) -> "AnalysisReport":
    from orchestrator.cli.policy_findings import findings

    binding = _binding(files, team, job, node)
    return findings([each for _, _, each in binding], offers, [place for _, place, _ in binding])


def _binding(files: Sequence["PolicyFile"], team: str, job: str, node: str = "") -> list[tuple[str, str, "Policy"]]:
    """The policies that bind a node of a job of a team: level, place and policy, in the order they are applied."""
    found: list[tuple[str, str, Policy]] = []
    for file in files:
        hierarchy = file.hierarchy
        levels = (("org", "", hierarchy.org), ("team", team, hierarchy.team.get(team, ())))
        below = (("job", job, hierarchy.job.get(job, ())), ("node", node, hierarchy.node.get(node, ())))
        for level, name, policies in (*levels, *below):
            places = file.places(level, name)
            found += [(f"{level} {name}".rstrip(), *pair) for pair in zip(places, policies, strict=True)]
    return found


@policy.command()
@_FILES
@click.option("--team", default="", help="The team of the run.")
@click.option("--job", default="", help="The job of the run.")
@click.option("--node", default="", help="A task of the run by its id, or plan.")
@json_option
@home_option
def explain(files: tuple[Path, ...], team: str, job: str, node: str, as_json: bool) -> int:
    """Show which policies apply to a run or to one of its tasks, where each is defined, and what each requires."""
    from orchestrator.errors import SpecError

    read, problems = _read(files)
    if problems:
        raise SpecError(problems)
    found = _binding(read, team, job, node)
    if as_json:
        from orchestrator.spec.policy_keys import POLICY

        result_json([{"level": level, "place": place, **POLICY.output(each)} for level, place, each in found])
    elif not found:
        notice("no policy binds such a run")
    else:
        heads = ("policy", "level", "mode", "requires", "defined at")
        print_table(
            heads,
            [(each.name, level, each.enforcement_mode.value, _asked(each), place) for level, place, each in found],
        )
    return 0


def _fields(policy: "Policy") -> dict[str, Any]:
    from orchestrator.spec.policy_keys import POLICY

    dumped: dict[str, Any] = POLICY.dump(policy)
    return dumped


def _asked(policy: "Policy") -> str:
    """What a policy restricts, as ``field=value``."""
    fields = {name: value for name, value in _fields(policy).items() if name not in ("name", "enforcement_mode")}
    limits = fields.pop("rate_limit", None) or {}
    return " ".join(f"{name}={_value(value)}" for name, value in (*fields.items(), *limits.items())) or "nothing"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value).lower() if isinstance(value, bool) else str(value)
