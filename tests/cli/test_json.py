"""Every JSON document has a format and a version, and is what the shipped schema of its format says."""

import json
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import click
import jsonschema  # type: ignore[import-untyped]
import pytest
from docs import json_formats

from tests.cli.command import ROOT, Ended, orchestrate, scripted_spec
from tests.cli.test_every_command import LEAVES

ELSEWHERE: Final = {
    "run": "JSON lines: events",
    "resume": "JSON lines: events",
    "build": "JSON lines: events",
    "demo": "JSON lines: events",
    "log tail": "JSON lines: events",
    "log export": "JSON lines: rows of the log, docs/log-format.md",
    "audit records": "JSON lines, docs/auditing.md",
    "spec schema": "a JSON Schema",
    "worker": "JSON lines, docs/fleet.md",
    "eval run": "orchestrator_eval/result.schema.json",
    "eval grade": "orchestrator_eval/result.schema.json",
    "eval retry": "orchestrator_eval/result.schema.json",
    "eval show": "orchestrator_eval/result.schema.json",
}
"""Commands whose output is described elsewhere."""

COMMANDS: Final = (
    "runs list",
    "runs show done",
    "runs show broke",
    "runs show cut",
    "runs show paid",
    "runs diff done broke",
    "explain done",
    "explain broke",
    "explain picky",
    "explain done only --prompts",
    "costs show done --by model",
    "costs show --by team",
    "costs reconcile",
    "costs reconcile paid {call} --amount 0.0001",
    "metrics done",
    "metrics --all --simulated",
    "models list",
    "models show gpt-4o",
    "plugins list",
    "plugins search",
    "plugins install orchestrator-brief --dry-run",
    "plugins info pareto",
    "plugins search --index index.json",
    "doctor",
    "audit verify",
    "audit export done -o done.bundle",
    "audit anchor done --to anchor.jsonl",
    "audit import done.bundle --into received.db",
    "replay done",
    "replay done --verify",
    "whatif done --budget 0.0001",
    "whatif done --policy rules.yaml",
    "log stats",
    "log show done --call v6",
    "log recover done --into recovered",
    "log copy sqlite:recovered sqlite:copied",
    "log archive --older-than 9d --to archive --dry-run",
    "audit archive --older-than 9d --to archive --dry-run",
    "log gc",
    "budget set sim/org 10",
    "budget raise sim/org 1",
    "budget show",
    "limits set openai --requests 5",
    "limits show",
    "cache stats",
    "cache clear",
    "plan spec.json --simulate 10",
    "plan open.json",
    "policy check rules.yaml",
    "policy explain rules.yaml",
    "spec validate spec.json",
    "spec validate bad.json",
    "trust list",
    "config show",
    "fork done --at v6 --project-id twig",
    "pool spec.json --backend greedy --backend pareto",
    "runs delete twig --yes",
    "submit later.json",
    "workers list --all",
    "fleet status",
    "fleet up --workers 0",
    "fleet down",
    "runs show nope",
    "runs show",
    "rnus list",
    "costs --by nothing",
)
"""Command lines that cover the shapes of every document."""

UNTRIED: Final = {"runs-cancel", "runs-take-over", "plugins-check", "answer", "plan-edit", "log-import"}
"""Formats whose documents need a live run, or take long; ``log import`` is ``audit import``."""

INDEX: Final = {
    "plugins": [
        {
            "distribution": "orchestrator-brief",
            "version": "1.2",
            "summary": "Checks that a text is short enough.",
            "plugins": {"validator": ["brief"]},
        }
    ]
}
RULES: Final = "global:\n  - {name: no-south, blocked_models: [gpt-4o], enforcement_mode: soft, max_latency_ms: 5}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that ended well, without money, cut short, with unreconciled money, and without a model; specs, policies."""
    folder = tmp_path_factory.mktemp("json")
    spec = scripted_spec(folder, project_id="done", loop="reviewed")
    assert orchestrate(folder, "budget", "set", "sim/org", "5").code == 0
    assert orchestrate(folder, "run", str(spec)).code == 0
    scripted_spec(folder, name="broke.json", project_id="broke", budget_usd=0.0005)
    assert orchestrate(folder, "run", "broke.json").code == 4
    scripted_spec(
        folder, name="picky.json", project_id="picky", policies=[{"name": "none", "allowed_models": ["south"]}]
    )
    orchestrate(folder, "run", "picky.json", "--set", "evaluate.runs=1")
    lost = [{"role": "critic", "error": "timeout"}]
    scripted_spec(folder, name="paid.json", project_id="paid", answers=lost, limits={"tries": 1})
    orchestrate(folder, "run", "paid.json")
    scripted_spec(folder, name="cut.json", project_id="cut")
    orchestrate(folder, "run", "cut.json", "--time", "0.001")
    scripted_spec(folder, project_id="done")
    scripted_spec(folder, name="open.json")
    scripted_spec(folder, name="later.json", project_id="later")
    assert orchestrate(folder, "worker", "--until-idle").code == 0
    plain = json.loads((folder / "open.json").read_text())
    del plain["tasks"]
    (folder / "open.json").write_text(json.dumps(plain))
    (folder / "bad.json").write_text('{"project": 3}')
    (folder / "rules.yaml").write_text(RULES)
    (folder / "index.json").write_text(json.dumps(INDEX))
    return folder


def _schema(form: str) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads((files("orchestrator.cli") / "schemas" / f"{form}.json").read_text())
    return loaded


def _strict(schema: Any) -> Any:
    """The schema without its promise that fields may be added."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(each) for name, each in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def _checked(shown: Ended, form: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = shown.document
    assert (document["format"], document["format_version"]) == (f"orchestrate-{form}", 1)
    jsonschema.validate(document, _strict(_schema(form)), format_checker=jsonschema.FormatChecker())
    return document


def test_every_command_prints_what_its_schema_says(home: Path) -> None:
    """Nothing that is not described, nothing missing; amounts are exact texts."""
    seen = set()
    unreconciled = orchestrate(home, "costs", "reconcile", "--json").json
    call = f"v{next(each['version'] for each in unreconciled if each['run'] == 'paid')}"
    for line in COMMANDS:
        words = line.format(call=call).split()
        shown = orchestrate(home, *words, "--json", cwd=home)
        named = " ".join(words[:2]) if " ".join(words[:2]) in LEAVES else words[0]
        form = "error" if shown.code == 2 and "error" in shown.document else named.replace(" ", "-")
        form = f"{form}-show" if form in ("costs", "plan") else form
        _checked(shown, form)
        seen.add(form)
    wanted = {words for words, found in LEAVES.items() if _takes_json(found)} - ELSEWHERE.keys()
    assert {words.replace(" ", "-") for words in wanted} - seen == UNTRIED
    assert seen <= {path.stem for path in json_formats.SCHEMAS.glob("*.json")}


AMOUNTS: Final = """\
global:
  - {name: cheap, max_cost_per_task_usd: 0.012, rate_limit: {cost_usd_per_hour: 5, tokens_per_day: 9}}
"""


def test_amounts_of_policies_are_texts(home: Path) -> None:
    """Whole ones, too; other numbers stay numbers."""
    (home / "cheap.yaml").write_text(AMOUNTS)
    shown = orchestrate(home, "policy", "explain", "cheap.yaml", "--json", cwd=home)
    (policy,) = _checked(shown, "policy-explain")["items"]
    assert policy["max_cost_per_task_usd"] == "0.012000000"
    assert policy["rate_limit"] == {"cost_usd_per_hour": "5.000000000", "tokens_per_day": 9}


def test_amounts_of_the_configuration_are_texts(home: Path) -> None:
    """Whole ones, too; one that is not set is null."""
    (home / "amounts.toml").write_text("ceiling_usd = 0.5\n")
    shown = orchestrate(
        home, "config", "show", "--json", environ={"ORCHESTRATE_CONFIG": str(home / "amounts.toml")}, cwd=home
    )
    found = _checked(shown, "config-show")
    assert (found["ceiling_usd"], found["ask_above_usd"]) == ("0.500000000", None)


def _takes_json(found: click.Command) -> bool:
    return any("--json" in parameter.opts for parameter in found.params)


def test_lines_are_events_and_an_end(home: Path) -> None:
    """Every line has a type and the number of its schema."""
    shown = orchestrate(home, "run", "spec.json", "--new-project", "--json", cwd=home)
    lines = [json.loads(each) for each in shown.lines]
    assert all(line["schema"] >= 1 for line in lines)
    assert (lines[-1]["type"], lines[-1]["status"]) == ("done", "SUCCESS")
    (tail, *_) = map(json.loads, orchestrate(home, "log", "tail", "done", "--json").lines)
    assert {"version", "at", "type", "schema", "data"} <= tail.keys()


def test_the_shipped_schemas_are_those_of_the_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``docs/json_formats.py`` writes them, and the table of the page."""
    shutil.copy(ROOT / "docs" / "json.md", tmp_path)
    monkeypatch.setattr(json_formats, "SCHEMAS", tmp_path / "schemas")
    monkeypatch.setattr(json_formats, "DOCS", tmp_path)
    json_formats.write()
    shipped = ROOT / "core" / "orchestrator" / "cli" / "schemas"
    assert {path.name: path.read_text() for path in (tmp_path / "schemas").iterdir()} == {
        path.name: path.read_text() for path in shipped.iterdir()
    }
    assert (tmp_path / "json.md").read_text() == (ROOT / "docs" / "json.md").read_text()
    for path in shipped.iterdir():
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))
