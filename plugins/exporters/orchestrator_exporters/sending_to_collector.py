"""Sending traces and metrics to a collector with the OpenTelemetry SDK; nothing of the SDK is set up globally."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from orchestrator.spi import Exporter, Metrics, RunEvent, Usd
from orchestrator_exporters.run_trace import Spans
from orchestrator_exporters.runs_by_project import by_project

_SECONDS: Final = 3.0
"""How long one request may take, tries included."""
_MODEL: Final = {
    "calls_total": "{call}",
    "success_rate": "1",
    "latency_avg_ms": "ms",
    "latency_p95_ms": "ms",
    "quality_score": "1",
    "trust_factor": "1",
    "cost_avg_usd": "USD",
    "validator_failures_total": "{failure}",
    "failures_total": "{call}",
    "input_tokens_total": "{token}",
    "output_tokens_total": "{token}",
    "cost_usd_total": "USD",
}
_RUN: Final = {
    "active_seconds": "s",
    "sessions_total": "{session}",
    "calls_total": "{call}",
    "calls_failed_total": "{call}",
    "calls_in_flight": "{call}",
    "answers_reused_total": "{answer}",
    "input_tokens_total": "{token}",
    "output_tokens_total": "{token}",
    "cap_usd": "USD",
    "settled_usd": "USD",
    "unreconciled_usd": "USD",
    "in_flight_usd": "USD",
    "budget_warnings_total": "{warning}",
}
_Callback = Callable[[CallbackOptions], Iterable[Observation]]


class _Session(requests.Session):
    """Remembers where the last request went, and what came of it: the SDK says only that it failed.

    Attributes:
        last: such as ``http://127.0.0.1:4318/v1/traces answered 503``.
    """

    last = "no request was made"

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request."""
        where = _address(request.url or "")
        self.last = f"{where} gave no answer"
        try:
            answer = super().send(request, **options)
        except requests.ConnectionError:
            self.last = f"{where} cannot be reached"
            raise
        self.last = f"{where} answered {answer.status_code}"
        return answer


def _address(url: str) -> str:
    """A URL without user, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


class OpenTelemetryExporter(Exporter):
    """Follows a run as spans, and sends what has ended, with the metrics, at every export.

    Args:
        endpoint: the collector's base URL; None: as the environment says.
        resource: attributes of everything sent.
        parent: the span that a run belongs to, as W3C's ``traceparent``; None: each run is a trace of its own.
        project: what the metrics of runs are labelled with; None: the ids that users gave their runs.
    """

    def __init__(
        self, endpoint: str | None, resource: Mapping[str, str], parent: str | None = None, project: str | None = None
    ) -> None:
        # The SDK tells what goes wrong in log lines of its own; here it is raised.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        traces, metrics, session = None, None, _Session()
        if endpoint is not None:
            session.trust_env = False  # no password out of a .netrc goes where a spec says
            traces, metrics = (f"{endpoint.rstrip('/')}/v1/{signal}" for signal in ("traces", "metrics"))
        self._session = session
        self._to_traces = OTLPSpanExporter(traces, timeout=_SECONDS, session=session)
        self._to_metrics = OTLPMetricExporter(metrics, timeout=_SECONDS, session=session)
        self._latest = Metrics(0)
        self._project = project
        self._reader = InMemoryMetricReader()
        about = Resource.create(dict(resource))
        provider = MeterProvider([self._reader], about, shutdown_on_exit=False)
        meter = provider.get_meter("multi-llm-orchestrator")
        for name, unit in _MODEL.items():
            make = meter.create_observable_counter if name.endswith("_total") else meter.create_observable_gauge
            make(f"orchestrator.{name}", [partial(self._of_models, name)], unit)
        for name, unit in _RUN.items():
            make = meter.create_observable_counter if name.endswith("_total") else meter.create_observable_gauge
            make(f"orchestrator.run.{name}", [partial(self._of_runs, name)], unit)
        meter.create_observable_gauge("orchestrator.run.tasks", [self._tasks], "{task}")
        meter.create_observable_gauge("orchestrator.run.status", [self._status], "{run}")
        self._spans = Spans(about, meter, parent)

    def observe(self, event: RunEvent) -> None:
        """Follow the run."""
        self._spans.take(event)

    def export(self, metrics: Metrics) -> None:
        """Send the spans that have ended, and every metric.

        Raises:
            ConnectionError: the collector did not take them; the spans are sent again with the next ones.
        """
        self._latest = metrics
        spans = self._spans.ended()
        if spans and self._to_traces.export(spans) is not SpanExportResult.SUCCESS:
            self._spans.keep(spans)
            raise ConnectionError(f"the collector did not take the traces: {self._session.last}")
        found = self._reader.get_metrics_data()
        if found is not None and self._to_metrics.export(found) is not MetricExportResult.SUCCESS:
            raise ConnectionError(f"the collector did not take the metrics: {self._session.last}")

    def close(self) -> None:
        """Let go of the connections."""
        self._to_traces.shutdown()  # type: ignore[no-untyped-call]
        self._to_metrics.shutdown()

    def _of_models(self, name: str, options: CallbackOptions) -> Iterable[Observation]:
        for each in self._latest.models:
            value = _number(getattr(each, name))
            if value is not None:
                about = {"gen_ai.request.model": each.model, "gen_ai.provider.name": each.provider}
                yield Observation(value, {**about, "orchestrator.vendor": each.vendor})

    def _of_runs(self, name: str, options: CallbackOptions) -> Iterable[Observation]:
        for each in by_project(self._latest.runs, self._project):
            value = _number(getattr(each.total, name))
            if value is not None:
                yield Observation(value, {"orchestrator.project": each.project})

    def _tasks(self, options: CallbackOptions) -> Iterable[Observation]:
        for each in by_project(self._latest.runs, self._project):
            for status, count in each.total.tasks.items():
                yield Observation(count, {"orchestrator.project": each.project, "orchestrator.task.status": status})

    def _status(self, options: CallbackOptions) -> Iterable[Observation]:
        for each in by_project(self._latest.runs, self._project):
            for (status, simulated), count in each.standing.items():
                about = {"orchestrator.project": each.project, "orchestrator.run.status": status}
                yield Observation(count, {**about, "orchestrator.simulated": simulated})


def _number(value: float | Usd | None) -> float | None:
    return float(value) if isinstance(value, Usd) else value
