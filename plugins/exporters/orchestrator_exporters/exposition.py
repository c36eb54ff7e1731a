"""Metrics in the text format of Prometheus, version 0.0.4."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from orchestrator.spi import Metrics, ModelMetrics, RunMetrics, Usd

_MODELS: Final = {
    "calls_total": "Calls the vendor has ended.",
    "success_rate": "Part of the last ten calls that were answered.",
    "latency_avg_ms": "Exponential average of the time to an answer, in milliseconds.",
    "latency_p95_ms": "95th percentile of the last 50 times to an answer, in milliseconds.",
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
_Sample = tuple[Mapping[str, str], object]


def exposition(metrics: Metrics) -> str:
    """The text. Metrics of one run have its name in every series, so that the files of several do not collide."""
    of_run = {} if metrics.run is None else {"run": metrics.run}
    lines: list[str] = []
    for name, about in _MODELS.items():
        samples = [(_labels(each, of_run), getattr(each, name)) for each in metrics.models]
        lines.extend(_family(f"orchestrator_{name}", about, samples))
    for name, about in _RUNS.items():
        samples = [({"run": each.run}, getattr(each, name)) for each in metrics.runs]
        lines.extend(_family(f"orchestrator_run_{name}", about, samples))
    lines.extend(_family("orchestrator_run_tasks", "Tasks by how they stand.", _tasks(metrics.runs)))
    status = [(_status(each), 1) for each in metrics.runs]
    lines.extend(_family("orchestrator_run_status", "How the run stands; always 1.", status))
    return "".join(f"{line}\n" for line in lines)


def is_exposition(text: str) -> bool:
    """Whether a text holds metrics of this program and nothing else."""
    ours = ("# HELP orchestrator_", "# TYPE orchestrator_", "orchestrator_")
    return all(line.startswith(ours) for line in text.split("\n") if line)


def _labels(model: ModelMetrics, of_run: Mapping[str, str]) -> Mapping[str, str]:
    return {"model": model.model, "provider": model.provider, "vendor": model.vendor, **of_run}


def _status(run: RunMetrics) -> Mapping[str, str]:
    return {"run": run.run, "status": run.status, "simulated": "true" if run.simulated else "false"}


def _tasks(runs: Sequence[RunMetrics]) -> Sequence[_Sample]:
    return [({"run": each.run, "status": name}, count) for each in runs for name, count in each.tasks.items()]


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
