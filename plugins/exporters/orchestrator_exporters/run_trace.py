"""A run as a trace: a span per session, in it one per task, in it one per call to a model. No text is in them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.metrics import Meter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orchestrator.spi import RunEvent

_PROVIDERS: Final = {"google": "gcp.gemini"}
"""The names of the conventions, where they differ from the plugins'."""
_SESSION_ENDS: Final = ("run.finished", "run.interrupted", "session.failed")
_DURATIONS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = tuple(float(4**power) for power in range(14))
_NANO: Final = 1_000_000_000
_MOST_UNRECONCILED: Final = 10_000
"""Ended spans kept while a collector takes none."""


class Spans(SpanProcessor):
    """Makes the spans of one run out of its events, and the two histograms of the conventions."""

    def __init__(self, resource: Resource, meter: Meter, parent: str | None = None) -> None:
        self._parent = TraceContextTextMapPropagator().extract({"traceparent": parent} if parent else {})
        self._ids = _Ids()
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        provider.add_span_processor(self)
        self._tracer = provider.get_tracer("multi-llm-orchestrator")
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", explicit_bucket_boundaries_advisory=_DURATIONS
        )
        self._usage = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self._ended: list[ReadableSpan] = []
        self._session: Span | None = None
        self._nodes: dict[str, Span] = {}
        self._calls: dict[int, tuple[Span, Mapping[str, Any]]] = {}

    def on_end(self, span: ReadableSpan) -> None:
        """Take what has ended; the SDK calls this."""
        if len(self._ended) < _MOST_UNRECONCILED:
            self._ended.append(span)

    def ended(self) -> Sequence[ReadableSpan]:
        """What has ended since it was asked last."""
        ended, self._ended = self._ended, []
        return ended

    def keep(self, spans: Sequence[ReadableSpan]) -> None:
        """Give back what could not be sent."""
        self._ended = [*spans, *self._ended][-_MOST_UNRECONCILED:]

    def take(self, event: RunEvent) -> None:
        """Follow one event."""
        match event.type:
            case "session.opened":
                self._ids.begin(event.run)
                about = {"orchestrator.run": event.run, "orchestrator.session": event.data["number"]}
                self._session = self._tracer.start_span(
                    f"run {event.run}", self._parent, attributes=about, start_time=_at(event)
                )
            case "task.started":
                self._node(event.data["task"], event)
            case "call.started":
                self._start_call(event)
            case "call.succeeded" | "call.failed":
                self._end_call(event)
            case "task.finished":
                self._end_task(event)
            case ended if ended in _SESSION_ENDS:
                self._end_session(event)

    def _node(self, name: str, event: RunEvent) -> Span:
        """The span of a task, or of the plan; begun at this event where an earlier session had begun it."""
        found = self._nodes.get(name)
        if found is None:
            about = {"orchestrator.run": event.run, "orchestrator.task": name}
            parent = None if self._session is None else set_span_in_context(self._session)
            found = self._tracer.start_span(f"task {name}", parent, attributes=about, start_time=_at(event))
            self._nodes[name] = found
        return found

    def _start_call(self, event: RunEvent) -> None:
        data = event.data
        identity = f"{data['node']}/{data['role']}/{data['iteration']}/{data['sample']}/{data['attempt']}"
        about = {
            **_conventional(data),
            "gen_ai.request.max_tokens": data["max_tokens"],
            "orchestrator.run": event.run,
            "orchestrator.task": data["node"],
            "orchestrator.role": data["role"],
            "orchestrator.call": identity,
            "orchestrator.hold_usd": data["hold"] / _NANO,
        }
        parent = set_span_in_context(self._node(data["node"], event))
        span = self._tracer.start_span(
            f"chat {data['model']}", parent, SpanKind.CLIENT, attributes=about, start_time=_at(event)
        )
        self._calls[event.version] = span, data

    def _end_call(self, event: RunEvent) -> None:
        data = event.data
        opened = self._calls.pop(data["call"], None)
        if opened is None:
            return  # an earlier session began it
        span, started = opened
        about = _conventional(started)
        span.set_attribute("orchestrator.cost_usd", (data["settled"] + data["unreconciled"]) / _NANO)
        if event.type == "call.failed":
            about["error.type"] = data["kind"]
            span.set_attribute("error.type", data["kind"])
            if data["status"] is not None:
                span.set_attribute("http.response.status_code", data["status"])
            span.set_status(Status(StatusCode.ERROR))
        else:
            span.set_attribute("gen_ai.response.finish_reasons", (data["finish"],))
            self._count_tokens(span, about, data["usage"] or {})
        self._duration.record(data["latency"] / 1_000_000, about)
        span.end(_at(event))

    def _count_tokens(self, span: Span, about: Mapping[str, str], usage: Mapping[str, int]) -> None:
        if not usage:
            return
        token_classes = {
            "input": usage["input"] + usage["cached_input"] + usage["cache_write"],
            "output": usage["output"] + usage["reasoning"],
        }
        for token_class, tokens in token_classes.items():
            span.set_attribute(f"gen_ai.usage.{token_class}_tokens", tokens)
            self._usage.record(tokens, {**about, "gen_ai.token.type": token_class})

    def _end_task(self, event: RunEvent) -> None:
        data, span = event.data, self._node(event.data["task"], event)
        span.set_attribute("orchestrator.task.status", data["status"])
        span.set_attribute("orchestrator.cost_usd", data["cost"] / _NANO)
        if data["score"] is not None:
            span.set_attribute("orchestrator.score", data["score"])
        if data["status"] == "failed":
            span.set_status(Status(StatusCode.ERROR))
        span.end(_at(event))
        del self._nodes[data["task"]]

    def _end_session(self, event: RunEvent) -> None:
        for span in (*(call for call, _ in self._calls.values()), *self._nodes.values()):
            span.end(_at(event))
        self._calls.clear()
        self._nodes.clear()
        if self._session is not None:
            self._session.set_attribute("orchestrator.run.status", event.data.get("status", "interrupted"))
            self._session.end(_at(event))
            self._session = None


class _Ids(RandomIdGenerator):
    """All sessions of a run make one trace."""

    def __init__(self) -> None:
        self._trace = 1

    def begin(self, run: str) -> None:
        """From here on the trace is that of a run."""
        self._trace = int.from_bytes(hashlib.sha256(run.encode()).digest()[:16]) or 1

    def generate_trace_id(self) -> int:
        """The trace of the run."""
        return self._trace


def _conventional(started: Mapping[str, Any]) -> dict[str, str]:
    """The attributes that the conventions want of a call."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(started["provider"], started["provider"]),
        "gen_ai.request.model": started["model"],
    }


def _at(event: RunEvent) -> int:
    """Nanoseconds."""
    return event.at * 1000
