import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.errors import SpecError
from orchestrator.money import Usd
from orchestrator.plugins import Catalogue
from orchestrator.spi import Exporter, ExporterConfig, Metrics
from orchestrator_exporters.exposition import bounded_exposition, exposition
from tests.plugins.exporters import promlint

SPECIFIED: Final = {
    "calls_total": 11.0,
    "success_rate": 0.9,
    "latency_avg_ms": 120.5,
    "latency_p95_ms": 300.0,
    "quality_score": 0.85,
    "trust_factor": 0.95,
    "cost_avg_usd": 0.000048,
    "validator_failures_total": 2.0,
}
"""Every metric that the specification names, with its value for the model ``north``."""


def build(name: str, written: list[str] | None = None, **options: Any) -> Exporter:
    """The exporter of a name; what it shows is collected."""
    write = (lambda text: None) if written is None else written.append
    return Catalogue.discover().exporter(name, ExporterConfig(name, options, write=write))


def series(text: str) -> dict[tuple[str, str], float]:
    """Samples of Prometheus's text by name and by the model or run they are about, as its own parser reads them."""
    families = list(text_string_to_metric_families(text))
    assert families
    found = {}
    for sample in (sample for family in families for sample in family.samples):
        subject = next(sample.labels[name] for name in ("model", "run", "project") if name in sample.labels)
        found[sample.name, subject + sample.labels.get("status", "")] = sample.value
    return found


def test_the_table_has_every_metric_of_the_specification(metrics: Metrics) -> None:
    """The console shows a column for each, what was never measured as a dash, and a line for the run."""
    written: list[str] = []
    build("console", written).export(metrics)
    heads, rule, north, *_ = written[0].splitlines()
    assert heads.split() == ["model", *SPECIFIED]
    assert set(rule) == {"-", " "}
    assert north.split() == ["north", "11", "0.900", "120", "300", "0.850", "0.950", "0.000048", "2"]
    assert written[0].splitlines()[-1] == "r: running, 3 of 5 tasks, 12 calls, $0.0123 of $8.0000"


def test_the_document_has_every_metric(metrics: Metrics, tmp_path: Path) -> None:
    """The JSON file has models and runs by name, null for what was never measured, and is replaced as a whole."""
    path = tmp_path / "new" / "metrics.json"
    exporter = build("json", path=str(path))
    exporter.export(Metrics(0))
    assert json.loads(path.read_text()) == {
        "format": "orchestrate-metrics",
        "format_version": 1,
        "at": 0,
        "runs": {},
        "models": {},
    }
    exporter.export(metrics)
    found = json.loads(path.read_text())
    assert {name: found["models"]["north"][name] for name in SPECIFIED} == SPECIFIED
    assert found["models"]['so"uth\\\n']["latency_avg_ms"] is None
    assert found["runs"]["r"]["settled_usd"] == 0.012345678
    assert found["runs"]["r"]["tasks"]["completed"] == 3
    assert [each.name for each in path.parent.iterdir()] == ["metrics.json"]


def test_prometheus_reads_every_metric(metrics: Metrics, tmp_path: Path) -> None:
    """Prometheus's parser finds every metric, every label as it was, and no sample where nothing was measured."""
    path = tmp_path / "metrics.prom"
    build("prometheus", path=str(path)).export(metrics)
    found = series(path.read_text())
    in_seconds = {"latency_avg_ms": "latency_avg_seconds", "latency_p95_ms": "latency_p95_seconds"}
    for name, value in SPECIFIED.items():
        scale = 1000 if name in in_seconds else 1
        assert found[f"orchestrator_{in_seconds.get(name, name)}", "north"] * scale == pytest.approx(value)
    assert found["orchestrator_calls_total", 'so"uth\\\n'] == 0
    assert ("orchestrator_success_rate", 'so"uth\\\n') not in found
    assert found["orchestrator_run_in_flight_usd", "r"] == 0.5
    assert found["orchestrator_run_tasks", "rcompleted"] == 3
    assert found["orchestrator_run_status", "rrunning"] == 1
    families = {family.name: family for family in text_string_to_metric_families(path.read_text())}
    assert families["orchestrator_calls"].type == "counter"
    assert families["orchestrator_calls"].samples[0].labels["run"] == "r"
    assert families["orchestrator_trust_factor"].type == "gauge"
    assert all(family.documentation for family in families.values())
    two = evolve(metrics, runs=(*metrics.runs, evolve(metrics.runs[0], run="s", settled_usd=Usd.ZERO)), run=None)
    written: list[str] = []
    build("prometheus", written).export(two)
    assert series(written[0])["orchestrator_run_settled_usd", "s"] == 0
    assert 'orchestrator_calls_total{model="north",provider="scripted",vendor="n"} 11' in written[0]


def test_the_text_is_what_promtool_wants(metrics: Metrics, tmp_path: Path) -> None:
    """By the rules of ``promtool check metrics``, in the file and for scraping, with one run and with several."""
    other = evolve(metrics.runs[0], run="r-2", status="SUCCESS")
    several = evolve(metrics, runs=(*metrics.runs, other), run=None)
    for each in (Metrics(0), metrics, several):
        for text in (exposition(each), bounded_exposition(each, None), bounded_exposition(each, "shop")):
            assert promlint.problems(text) == []
    assert promlint.problems("# HELP a_ms x\n# TYPE a_ms counter\na_ms 1\na_ms 2") == [
        "line 4: a_ms{} stands twice",
        "the text does not end with a line feed",
        "a_ms: a counter ends in _total",
        "a_ms: abbreviated unit 'ms'",
    ]


def test_series_for_scraping_do_not_become_more_with_runs(metrics: Metrics) -> None:
    """By project: the runs of one are summed, and no run's id is in the text."""
    runs = tuple(evolve(metrics.runs[0], run=f"nightly-{number}") for number in range(1, 40))
    one = bounded_exposition(evolve(metrics, runs=runs[:1], run=runs[0].run), None)
    all_of_them = bounded_exposition(evolve(metrics, runs=runs, run=None), None)
    labels = [re.sub(r" \S+$", "", line) for line in one.splitlines()]
    assert [re.sub(r" \S+$", "", line) for line in all_of_them.splitlines()] == labels
    assert "nightly-" not in all_of_them
    assert 'orchestrator_run_settled_usd{project="nightly"} 0.481481442' in all_of_them
    assert 'orchestrator_run_status{project="nightly",status="running",simulated="false"} 39' in all_of_them
    unnamed = bounded_exposition(evolve(metrics, runs=(evolve(metrics.runs[0], run="run-0a1b2c3d"),)), None)
    assert 'project="unnamed"' in unnamed
    assert "0a1b2c3d" not in unnamed


def test_the_endpoint_serves_what_was_exported_last(metrics: Metrics) -> None:
    """It opens with the first export on this machine only, answers only /metrics, and is gone after close."""
    exporter = build("prometheus", port=0)
    exporter.export(Metrics(0))
    address = getattr(exporter, "address")  # noqa: B009 - not of the contract
    assert address[0] == "127.0.0.1"
    url = f"http://127.0.0.1:{address[1]}"
    exporter.export(metrics)
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert series(answer.read().decode())["orchestrator_calls_total", "north"] == 11
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(f"{url}/secrets", timeout=10)
    refused.value.close()
    exporter.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/metrics", timeout=10)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("console", {"width": 3}, "exporters.console.width: unknown option; it takes no options"),
        ("json", {"file": "x"}, "exporters.json.file: unknown option; known are path"),
        ("json", {"path": 3}, "exporters.json.path: expected a text, found 3"),
        ("prometheus", {"port": 99999}, "exporters.prometheus.port: expected a whole number between 0 and 65535"),
        ("prometheus", {"host": "0.0.0.0"}, "exporters.prometheus: host belongs to port; say which port"),
        ("opentelemetry", {"endpoint": "collector"}, "endpoint is the URL of a collector, such as http://127.0.0.1"),
        ("opentelemetry", {"attributes": {"a": 1}}, "exporters.opentelemetry.attributes: expected a mapping of texts"),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, options: dict[str, Any], said: str) -> None:
    """An unknown option, a wrong type and a value out of range are named, before the run begins."""
    with pytest.raises(SpecError, match=said.replace(".", r"\.")):
        build(name, **options)


def test_headers_of_the_environment_go_to_no_address_of_a_spec() -> None:
    """A spec cannot have the user's collector password sent to a server of its choice."""
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer secret"}
    config = ExporterConfig("opentelemetry", {"endpoint": "http://elsewhere"}, secret=variables.get)
    with pytest.raises(SpecError, match="OTEL_EXPORTER_OTLP_HEADERS is for an address of the environment"):
        Catalogue.discover().exporter("opentelemetry", config)
