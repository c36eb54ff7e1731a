"""Runs by project: what keeps the series of an endpoint and of a collector bounded, however many runs there are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from orchestrator.spi import RunMetrics

UNNAMED: Final = "unnamed"
"""The project of runs whose user named neither them nor the project."""

_GENERATED: Final = re.compile(r"run-[0-9a-f]{6,}(-[0-9]+)?")
_AGAIN: Final = re.compile(r"-[0-9]+$")
_SUMMED: Final = (
    "active_seconds",
    "sessions_total",
    "calls_total",
    "calls_failed_total",
    "calls_in_flight",
    "answers_reused_total",
    "input_tokens_total",
    "output_tokens_total",
    "cap_usd",
    "settled_usd",
    "unreconciled_usd",
    "in_flight_usd",
    "budget_warnings_total",
)


@frozen
class ProjectMetrics:
    """The runs of one project together.

    Attributes:
        project: its name.
        total: the sums over its runs.
        standing: how many of them stand how, by status and whether they are simulated.
    """

    project: str
    total: RunMetrics
    standing: Mapping[tuple[str, bool], int]


def project_of(run: str, given: str | None) -> str:
    """The project of a run: as the options say, else the id that its user gave it, without a number at its end."""
    if given is not None:
        return given
    return UNNAMED if _GENERATED.fullmatch(run) else _AGAIN.sub("", run)


def by_project(runs: Iterable[RunMetrics], given: str | None) -> Sequence[ProjectMetrics]:
    """The projects of the runs, in the order of their first run."""
    groups: dict[str, list[RunMetrics]] = {}
    for each in runs:
        groups.setdefault(project_of(each.run, given), []).append(each)
    return [ProjectMetrics(name, _sum(own), _standing(own)) for name, own in groups.items()]


def _sum(runs: Sequence[RunMetrics]) -> RunMetrics:
    total = runs[0]
    for each in runs[1:]:
        sums = {name: getattr(total, name) + getattr(each, name) for name in _SUMMED}
        tasks = {name: total.tasks.get(name, 0) + count for name, count in each.tasks.items()}
        total = evolve(total, **sums, tasks={**total.tasks, **tasks})
    return total


def _standing(runs: Sequence[RunMetrics]) -> Mapping[tuple[str, bool], int]:
    found: dict[tuple[str, bool], int] = {}
    for each in runs:
        found[each.status, each.simulated] = found.get((each.status, each.simulated), 0) + 1
    return found
