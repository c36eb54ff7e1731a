import re
from pathlib import Path

import pytest

from orchestrator.plugins import Catalogue
from orchestrator.spi import ExporterConfig, Metrics, RunEvent
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.plugins.exporters.collector import Collector, attributes
from tests.plugins.exporters.test_formats import SPECIFIED

FAILING = {"role": "critic", "model": "south", "error": "server", "message": "the whole server is down"}


def test_a_run_arrives_as_traces_and_metrics(tmp_path: Path) -> None:
    """A collector gets a span per session, task and call, nested, by the conventions, and every metric; no text."""
    home = tmp_path / "home"
    with Collector() as collector:
        exporters = {"opentelemetry": {"endpoint": collector.endpoint, "attributes": {"team": "blue"}}}
        spec = scripted_spec(tmp_path, project_id="traced", exporters=exporters, answers=[FAILING])
        done = orchestrate(home, "run", str(spec), "--set", "limits.tries=1")
        assert done.code == 0, done.err
        spans = {span.span_id: span for span in collector.spans}
        points = collector.points
    calls = rows(home, "SELECT call_id, outcome, input_tokens, output_tokens, settled_nano FROM calls")
    (session,) = (span for span in spans.values() if span.name == "run traced")
    (task,) = (span for span in spans.values() if span.name == "task only")
    assert not session.parent_span_id
    assert task.parent_span_id == session.span_id
    assert len({span.trace_id for span in spans.values()}) == 1
    assert attributes(session)["orchestrator.run.status"] == "SUCCESS"
    found = [span for span in spans.values() if span.name.startswith("chat ")]
    assert {span.parent_span_id for span in found} == {task.span_id}
    assert sorted(attributes(span)["orchestrator.call"] for span in found) == sorted(call for call, *_ in calls)
    by_call = {attributes(span)["orchestrator.call"]: span for span in found}
    for call, outcome, read, written, settled in calls:
        said = attributes(by_call[call])
        assert said["gen_ai.operation.name"] == "chat"
        assert said["gen_ai.provider.name"] == "scripted"
        assert by_call[call].name == f"chat {said['gen_ai.request.model']}"
        assert by_call[call].end_time_unix_nano > by_call[call].start_time_unix_nano
        if outcome == "answered":
            assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (read, written)
            assert said["gen_ai.response.finish_reasons"] == ["stop"]
            assert said["orchestrator.cost_usd"] == pytest.approx(settled / 1e9)
        else:
            assert said["error.type"] == "server"
            assert by_call[call].status.code == 2
    assert {outcome for _, outcome, *_ in calls} == {"answered", "failed"}
    assert {f"orchestrator.{name}" for name in SPECIFIED} <= points.keys()
    asked = {attributes(each)["gen_ai.request.model"]: each for each in points["orchestrator.calls_total"]}
    assert asked.keys() == {"north", "south"}
    durations = points["gen_ai.client.operation.duration"]
    assert sum(each.count for each in durations) == len(calls)
    counted = map(attributes, points["gen_ai.client.token.usage"])
    tokens = {(each["gen_ai.request.model"], each["gen_ai.token.type"]) for each in counted}
    assert {("north", "input"), ("north", "output")} <= tokens
    (cap,) = points["orchestrator.run.cap_usd"]
    assert cap.as_double == 8.0
    sent = b"".join(collector.bodies)
    assert b"team" in sent
    for text in (b"Write x", b"whole server is down", b"Name x better"):
        assert text not in sent


def test_what_a_collector_did_not_take_is_sent_again() -> None:
    """A refused export raises, so that it is warned of; the spans come with the next one."""
    event = RunEvent("r", 1, 1_000_000, "session.opened", {"number": 1})
    end = RunEvent("r", 2, 2_000_000, "run.finished", {"status": "SUCCESS"})
    with Collector() as collector:
        config = ExporterConfig("opentelemetry", {"endpoint": collector.endpoint})
        exporter = Catalogue.discover().exporter("opentelemetry", config)
        exporter.observe(event)
        exporter.observe(end)
        collector.status = 400
        with pytest.raises(ConnectionError, match="did not take the traces"):
            exporter.export(Metrics(0))
        collector.status = 200
        exporter.export(Metrics(0))
        exporter.close()
        first, second = collector.traces
    assert first == second
    assert [span.name for span in collector.spans] == ["run r", "run r"]


def test_old_metrics_can_be_sent_later(tmp_path: Path) -> None:
    """`metrics RUN --format opentelemetry` sends to the address of the environment."""
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="old"))).code == 0
    with Collector() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        done = orchestrate(home, "metrics", "old", "--format", "opentelemetry", environ=environ)
        assert (done.code, done.err) == (0, "")
        (point, *_) = collector.points["orchestrator.run.calls_total"]
    assert attributes(point) == {"orchestrator.project": "old"}
    counted = orchestrate(home, "metrics", "old", "--format", "json").json["runs"]["old"]["calls_total"]
    assert (point.as_double or point.as_int) == counted


def test_the_standard_variables_name_the_service_and_the_trace(tmp_path: Path) -> None:
    """The OTEL_ variables describe what is sent; with TRACEPARENT a run is a span of its trace."""
    home, trace, parent = tmp_path / "home", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with Collector() as collector:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_SERVICE_NAME": "nightly-builds",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=ci,team=blue%20sky",
            "TRACEPARENT": f"00-{trace}-{parent}-01",
        }
        spec = scripted_spec(tmp_path, project_id="inside", exporters={"opentelemetry": {}})
        allowed = [f"--allow=address={collector.endpoint}"]
        done = orchestrate(home, "run", str(spec), *allowed, environ=environ)
        assert done.code == 0, done.err
        spans = collector.spans
        about = attributes(collector.traces[0].resource_spans[0].resource)
        again = orchestrate(home, "metrics", "inside", "--format", "opentelemetry", environ=environ)
        assert again.code == 0, again.err
        later = collector.spans[len(spans) :]
    assert about["service.name"] == "nightly-builds"
    assert (about["deployment.environment"], about["team"]) == ("ci", "blue sky")
    assert {span.trace_id.hex() for span in spans} == {trace}
    (session,) = (span for span in spans if span.name == "run inside")
    assert session.parent_span_id.hex() == parent
    assert sorted(span.name for span in later) == sorted(span.name for span in spans)
    assert {span.trace_id.hex() for span in later} == {trace}


@pytest.mark.parametrize("how", ["answers 503", "is not there"])
def test_a_failed_collector_is_named_with_address_and_status(tmp_path: Path, how: str) -> None:
    """A run warns, once, and goes on; ``metrics`` fails with the same words."""
    home = tmp_path / "home"
    with Collector() as collector:
        collector.status = 503
        endpoint = collector.endpoint if how == "answers 503" else "http://127.0.0.1:9"
        spec = scripted_spec(tmp_path, project_id="unseen", exporters={"opentelemetry": {"endpoint": endpoint}})
        done = orchestrate(home, "run", str(spec), "--allow", f"address={endpoint}")
        after = orchestrate(home, "metrics", "unseen", "--format", "opentelemetry", "--set", f"endpoint={endpoint}")
    what = "answered 503" if how == "answers 503" else "cannot be reached"
    said = rf"did not take the (traces|metrics): {re.escape(endpoint)}/v1/(traces|metrics) {what}"
    assert done.code == 0
    assert re.search(said, done.err), done.err
    assert after.code == 3
    assert re.search(said, after.err), after.err
