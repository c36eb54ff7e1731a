"""``orchestrate metrics`` on runs that have ended."""

import json
import shutil
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.command import orchestrate, rows, scripted_spec
from tests.cli.conftest import Finished

SPECIFIED = (
    "calls_total",
    "success_rate",
    "latency_avg_ms",
    "latency_p95_ms",
    "quality_score",
    "trust_factor",
    "cost_avg_usd",
    "validator_failures_total",
)


def test_an_old_run_is_shown_as_a_table(finished: Finished) -> None:
    """The default prints the specification's metrics of every model that was asked, and the run's totals."""
    done = orchestrate(finished.home, "metrics", finished.run)
    assert (done.code, done.err) == (0, "")
    assert done.lines[0].split() == ["model", *SPECIFIED]
    assert [line.split()[0] for line in done.lines[2:4]] == ["north", "south"]
    assert done.lines[-1].startswith("done: SUCCESS, 1 of 1 tasks, 5 calls, $0.0006")


def test_the_formats_agree_with_the_log(finished: Finished, tmp_path: Path) -> None:
    """JSON and Prometheus's text say what the view of calls says, on stdout or in a file."""
    asked = "SELECT model, count(*), sum(settled_nano), sum(input_tokens) FROM calls GROUP BY model"
    stored = {model: tuple(rest) for model, *rest in rows(finished.home, asked)}
    path = tmp_path / "m.json"
    done = orchestrate(finished.home, "metrics", "done", "--format", "json", "--set", f"path={path}")
    assert (done.code, done.out) == (0, "")
    models = json.loads(path.read_text())["models"]
    reported = {
        name: (each["calls_total"], round(each["cost_usd_total"] * 1e9), each["input_tokens_total"])
        for name, each in models.items()
    }
    assert reported == stored
    text = orchestrate(finished.home, "metrics", "done", "--format", "prometheus").out
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    calls = {each.labels["model"]: each.value for each in samples if each.name == "orchestrator_calls_total"}
    assert calls == {model: count for model, (count, *_) in stored.items()}


def test_all_runs_together(finished: Finished, tmp_path: Path) -> None:
    """--all counts models over all runs; simulated and real ones are not mixed."""
    home = shutil.copytree(finished.home, tmp_path / "home")
    broken = {"role": "generator", "text": "```python\nx = (\n```"}
    spec = scripted_spec(tmp_path, project_id="other", answers=[broken])
    assert orchestrate(home, "run", str(spec)).code == 1
    together = orchestrate(home, "metrics", "--all", "--simulated", "--format", "json").json
    alone = [orchestrate(home, "metrics", run, "--format", "json").json["models"] for run in ("done", "other")]
    assert list(together["runs"]) == ["done", "other"]
    for model, each in together["models"].items():
        for name in ("calls_total", "validator_failures_total", "output_tokens_total"):
            assert each[name] == sum(one[model][name] for one in alone), (model, name)
    assert sum(each["validator_failures_total"] for each in together["models"].values()) == 1
    real = orchestrate(home, "metrics", "--all", "--format", "json")
    assert (real.json["runs"], real.json["models"]) == ({}, {})
    assert "2 simulated runs left out; see them with --simulated" in real.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["done", "--format", "tabel"], 2, "no exporter 'tabel' is installed; there are: console"),
        (["done", "--set", "width=3"], 2, "exporters.console.width: unknown option"),
        (["done", "--format", "json", "--set", "path=/dev/null/x"], 3, "the exporter 'json' failed"),
        (["unknown"], 2, "there is no run 'unknown'"),
        (["done", "--all"], 2, "name one RUN, or say --all"),
    ],
)
def test_what_cannot_be_done_is_said(finished: Finished, arguments: list[str], code: int, said: str) -> None:
    """A wrong name, option or place is one line, with the exit code of its kind."""
    done = orchestrate(finished.home, "metrics", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert said in done.err
