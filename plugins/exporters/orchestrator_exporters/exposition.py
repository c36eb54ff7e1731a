"""Metrics in the text format of Prometheus, version 0.0.4, as ``promtool check metrics`` wants them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from orchestrator.spi import Metrics, ModelMetrics, RunMetrics, Usd
from orchestrator_exporters.runs_by_project import by_project

_MODELS: Final = {
    "calls_total": "Calls the vendor has ended.",
    "success_rate": "Part of the last ten calls that were answered.",
    "latency_avg_ms": "Exponential average of the time to an answer, in seconds.",
    "latency_p95_ms": "95th percentile of the last 50 times to an answer, in seconds.",
    "quality_score": "Exponential average of the scores of what the model wrote.",
    "trust_factor": "Falls with every outage, rises slowly with every answer.",
    "cost_avg_usd": "Exponential average of what a call cost, in US dollars.",
    "validator_failures_total": "Checks that failed on what the model wrote.",
    "failures_total": "Calls that ended without an answer.",
    "input_tokens_total": "Tokens read.",
    "output_tokens_total": "Tokens written.",
    "cost_usd_total": "Spent on the model, in US dollars.",
}
_RUNS: Final = {
    "active_seconds": "Time the run was at work.",
    "sessions_total": "Processes that have taken the run.",
    "calls_total": "Calls that have ended.",
    "calls_failed_total": "Calls that ended without an answer.",
    "calls_in_flight": "Calls without an end.",
    "answers_reused_total": "Answers that came out of the cache.",
    "input_tokens_total": "Tokens read.",
    "output_tokens_total": "Tokens written.",
    "cap_usd": "The ceiling of the run, in US dollars.",
    "settled_usd": "Spent and known, in US dollars.",
    "unreconciled_usd": "Counted at its worst case, in US dollars.",
    "in_flight_usd": "Held for calls in flight, in US dollars.",
    "budget_warnings_total": "Warnings about a phase of the budget.",
}
_MILLISECONDS: Final = "_ms"
_Sample = tuple[Mapping[str, str], object]
_Owner = tuple[Mapping[str, str], RunMetrics]
"""The labels of a run, or of a project, and its metrics."""


def exposition(metrics: Metrics) -> str:
    """The text for a file. Metrics of one run have its id in every series: the files of several do not collide."""
    of_run = {} if metrics.run is None else {"run": metrics.run}
    status = [(_status({"run": each.run}, each.status, each.simulated), 1) for each in metrics.runs]
    return _text(metrics.models, of_run, [({"run": each.run}, each) for each in metrics.runs], status)


def bounded_exposition(metrics: Metrics, project: str | None) -> str:
    """The text for scraping: series by project, so that they do not become more with every run.

    Args:
        metrics: what to write.
        project: the project's name; None: by the ids that users gave their runs.
    """
    found = by_project(metrics.runs, project)
    status = [
        (_status({"project": each.project}, *stands), count)
        for each in found
        for stands, count in each.standing.items()
    ]
    own = {"project": found[0].project} if len(found) == 1 else {}
    return _text(metrics.models, own, [({"project": each.project}, each.total) for each in found], status)


def _text(
    models: Sequence[ModelMetrics], beside: Mapping[str, str], owners: Sequence[_Owner], status: Sequence[_Sample]
) -> str:
    lines: list[str] = []
    for name, about in _MODELS.items():
        samples = [(_labels(each, beside), _in_seconds(name, getattr(each, name))) for each in models]
        lines.extend(_family(f"orchestrator_{_unit_named(name)}", about, samples))
    for name, about in _RUNS.items():
        lines.extend(_family(f"orchestrator_run_{name}", about, [(own, getattr(run, name)) for own, run in owners]))
    lines.extend(_family("orchestrator_run_tasks", "Tasks by how they stand.", _tasks(owners)))
    lines.extend(_family("orchestrator_run_status", "Runs by how they stand.", status))
    return "".join(f"{line}\n" for line in lines)


def _unit_named(name: str) -> str:
    """The name with the base unit, which is what Prometheus wants."""
    return f"{name.removesuffix(_MILLISECONDS)}_seconds" if name.endswith(_MILLISECONDS) else name


def _in_seconds(name: str, value: float | None) -> float | None:
    return value / 1000 if value is not None and name.endswith(_MILLISECONDS) else value


def is_exposition(text: str) -> bool:
    """Whether a text holds metrics of this program and nothing else."""
    ours = ("# HELP orchestrator_", "# TYPE orchestrator_", "orchestrator_")
    return all(line.startswith(ours) for line in text.split("\n") if line)


def _labels(model: ModelMetrics, beside: Mapping[str, str]) -> Mapping[str, str]:
    return {"model": model.model, "provider": model.provider, "vendor": model.vendor, **beside}


def _status(own: Mapping[str, str], status: str, simulated: bool) -> Mapping[str, str]:
    return {**own, "status": status, "simulated": "true" if simulated else "false"}


def _tasks(owners: Sequence[_Owner]) -> Sequence[_Sample]:
    return [({**own, "status": name}, count) for own, run in owners for name, count in run.tasks.items()]


def _family(name: str, about: str, samples: Iterable[_Sample]) -> Iterable[str]:
    """The lines of one metric; what was never measured has no sample."""
    known = [(labels, value) for labels, value in samples if value is not None]
    if not known:
        return
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
    for labels, value in known:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{pairs}}} {value if isinstance(value, Usd) else repr(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
