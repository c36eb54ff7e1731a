"""The example projects can be read and run, and each is what its place promises."""

import json
from pathlib import Path

import pytest

from orchestrator.documents import load_yaml
from orchestrator.spec import read_spec
from tests.cli.command import ANSWERS, MODELS, ROOT, orchestrate, rows

PROJECTS = ROOT / "examples" / "projects"
FLAT = {
    "project",
    "criteria",
    "budget_usd",
    "time_seconds",
    "concurrency",
    "verbose",
    "project_id",
    "output_dir",
    "quality_targets",
    "policies",
    "enhance",
    "advise",
}
"""The keys that a project usually needs."""


def test_there_is_a_minimal_a_full_and_a_large_one() -> None:
    """Three keys; every key a project usually needs; many parts with criteria that can be checked."""
    simple, full, large = (
        read_spec(PROJECTS / f"{name}.yaml") for name in ("example_simple", "example_full", "tide_tables")
    )
    assert set(load_yaml((PROJECTS / "example_simple.yaml").read_text(), "f").value) == {
        "project",
        "criteria",
        "budget_usd",
    }
    shown = set(load_yaml((PROJECTS / "example_full.yaml").read_text(), "f").value)
    assert shown >= FLAT
    assert len(large.project.split()) > 200
    assert len(large.criteria.splitlines()) >= 5
    assert simple.budget_usd < full.budget_usd < large.budget_usd


@pytest.mark.parametrize("path", sorted(PROJECTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_project_runs(path: Path, tmp_path: Path) -> None:
    """With scripted answers it comes to its end, advised on where it says so."""
    plan = {"tasks": [{"id": "a", "type": "code_generation", "prompt": "Write x."}]}
    advice = {"structural_pattern": "script", "topology": "library"}
    answers = [{"role": "decomposer", "text": json.dumps(plan)}, {"role": "advisor", "text": json.dumps(advice)}]
    (tmp_path / "answers.json").write_text(
        json.dumps({"models": MODELS, "delay_ms": 0, "answers": [*ANSWERS, *answers]})
    )
    spec = tmp_path / path.name
    scripted = json.dumps({"scripted": {"answers": "answers.json"}})
    spec.write_text(f"{path.read_text()}\nproviders: {scripted}\n")
    done = orchestrate(tmp_path / "home", "run", str(spec))
    assert done.code == 0, done.err
    advised = rows(tmp_path / "home", "SELECT count(*) FROM events WHERE type = 'architecture.decided'")
    assert advised == [(int(read_spec(path).advise is True),)]
