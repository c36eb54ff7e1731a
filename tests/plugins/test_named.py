"""A spec that names an installed but unusable plugin is refused with the reason, before anything is spent."""

from pathlib import Path
from typing import Final

import pytest

from tests.cli.command import orchestrate, scripted_spec
from tests.plugins.installed import installed

PASSING: Final = """
from orchestrator.spi import Finding, hookimpl

@hookimpl
def orchestrator_validator():
    return lambda candidate, context: Finding.passed("mine")
"""


def site_of(folder: Path) -> Path:
    """Two distributions with one word, one of them that of a built-in validator, and one for another interface."""
    group = "orchestrator.validators"
    installed(folder, "orchestrator-own", "2.5", {group: {"length": "orchestrator_own"}}, {"orchestrator_own": PASSING})
    later = {"orchestrator_later": 'orchestrator_interface = ">=2"'}
    installed(folder, "orchestrator-later", "1.0", {group: {"later": "orchestrator_later"}}, later)
    return folder


@pytest.mark.parametrize(
    ("name", "disabled", "said"),
    [
        ("length", "", "several distributions offer the validator 'length': say multi-llm-orchestrator:length or"),
        ("later", "", "it is made for version >=2 of the plugin interface; this program has 1.0"),
        ("ruff", "ruff", "is switched off: named in ORCHESTRATE_DISABLE_PLUGINS"),
        ("unknown", "", "there is no validator 'unknown'; installed are "),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(name: str, disabled: str, said: str, tmp_path: Path) -> None:
    """In conflict, made for another interface, switched off, or not there at all."""
    spec = scripted_spec(
        tmp_path, tasks=[{"id": "a", "type": "creative_writing", "prompt": "x", "hard_validators": [name]}]
    )
    environ = {"PYTHONPATH": str(site_of(tmp_path / "site")), "ORCHESTRATE_DISABLE_PLUGINS": disabled}
    done = orchestrate(tmp_path / "home", "run", str(spec), environ=environ)
    assert (done.code, said in done.err) == (2, True), done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_name_with_its_distribution_chooses(tmp_path: Path) -> None:
    """Of two validators with one name, the one named with its distribution judges; the log says whose it is."""
    task = {"id": "a", "type": "creative_writing", "prompt": "x", "hard_validators": ["orchestrator-own:length"]}
    spec = scripted_spec(tmp_path, tasks=[task])
    environ = {"PYTHONPATH": str(site_of(tmp_path / "site"))}
    done = orchestrate(tmp_path / "home", "run", str(spec), "--project-id", "own", environ=environ)
    assert done.code == 0, done.err
    shown = orchestrate(tmp_path / "home", "log", "show", "own", environ=environ)
    assert "validator:length@2.5" in shown.out
    assert "validator=orchestrator-own:length" in shown.out
