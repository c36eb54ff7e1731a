"""The tutorial, the recipes and the references say what is true."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.spec import json_schema, parse_spec
from tests.cli.command import ROOT, orchestrate
from tests.pages import page, run_all

DASHBOARD = ROOT / "examples" / "grafana" / "dashboard.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tutorial was followed."""
    made = tmp_path_factory.mktemp("tutorial")
    assert run_all(page("tutorial.md"), made, {}) == 13
    return made


def test_the_tutorial_can_be_followed(folder: Path) -> None:
    """Every command prints what it shows, and the files are there."""
    assert "def mean" in (folder / "out" / "mean.py").read_text()
    assert (folder / "first.html").stat().st_size > 10_000


def test_the_recipes_work(folder: Path) -> None:
    """The schema is printed, the spec with its first line is read, and the program reads the log's views."""
    text = page("recipes.md")
    assert run_all(text, folder / "recipes", {}) == 1
    (spec,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (folder / "spec.yaml").write_text(spec)
    assert orchestrate(folder / "home", "spec", "validate", "spec.yaml", cwd=folder).code == 0
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert re.search(r"^north\s+\d+ \$0\.\d{6}$", done.stdout, re.MULTILINE)


def test_the_queries_for_duckdb_and_datasette_name_what_there_is(folder: Path) -> None:
    """DuckDB's query runs on the log, where DuckDB is installed."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    (query,) = re.findall(r'duckdb -c "(.*?)"\n```', page("recipes.md"), re.DOTALL)
    try:
        found = duckdb.sql(query.replace("events.db", str(folder / "home" / "events.db")))
    except duckdb.Error as error:  # its extension for SQLite is downloaded on first use
        pytest.skip(f"DuckDB cannot read SQLite here: {str(error)[:80]}")
    assert found is None or len(found.fetchall()) == 2


def test_the_dashboard_shows_what_is_exported(folder: Path) -> None:
    """Every series that a panel asks for is in an export, with the labels of its legend."""
    text = orchestrate(folder / "home", "metrics", "first", "--format", "prometheus").out
    series: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series.setdefault(sample.name, set()).update(sample.labels)
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for target in (target for each in panels for target in each["targets"]):
        names = set(re.findall(r"\borchestrator_\w+", target["expr"]))
        legend = target["legendFormat"].replace("project", "run")  # what is scraped has a project where files have runs
        labels = set(re.findall(r"{{(\w+)}}", legend))
        assert names
        assert names <= set(series), target["expr"]
        assert all(labels <= series[name] for name in names), target


def test_the_keys_of_a_spec_are_those_of_the_classes() -> None:
    """``python docs/spec_reference.py`` has written the page; a default that it shows is the one that counts."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "spec_reference.py")], capture_output=True, text=True, check=True
    )
    assert page("spec-keys.md") == done.stdout
    defaults = {name: value["default"] for name, value in json_schema()["properties"].items() if "default" in value}
    least = {"project": "p", "criteria": "c"}
    assert defaults["concurrency"] == 3
    assert parse_spec({**least, **defaults}, "a") == parse_spec(least, "a")


def test_every_variable_of_the_program_is_on_its_page() -> None:
    """The names that its modules use, and no other ones with its prefix."""
    sources = [path.read_text() for part in ("core", "plugins") for path in (ROOT / part).rglob("*.py")]
    inner = {"ORCHESTRATE_PROBE"}
    used = {name for text in sources for name in re.findall(r'"(ORCHESTRATE_[A-Z_]+)"', text)} - inner
    shown = set(re.findall(r"`(ORCHESTRATE_[A-Z_]+)`", page("environment.md")))
    assert shown == used


SYSTEMS = ["orchestrate", "LangGraph", "LiteLLM proxy", "Inspect", "promptfoo", "OpenHands", "Bernstein"]


def test_the_comparison_names_every_project_twelve_times_and_our_commands_exist() -> None:
    """No row leaves a project out, and a command of ours that is named can be given."""
    text = page("comparison.md")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(sections) == 12
    for section in sections:
        rows = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)
        assert rows[-len(SYSTEMS) :] == SYSTEMS, section
    commands = {tuple(each.split()) for each in re.findall(r"`orchestrate ([^`]+)`", text)}
    assert len(commands) > 8
    for words in commands:
        group = words[: 2 if len(words) > 1 and words[1].islower() and not words[1].startswith("-") else 1]
        shown = orchestrate(ROOT, *group, "--help")
        assert shown.code == 0, words
        assert all(option in shown.out for option in words if option.startswith("--")), words
