"""A file of Python is a plugin: by a flag, by the user's configuration, and in a spec by the trust list."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import orchestrate, rows, scripted_spec

CHECK = '''"""Loud answers fail."""

from orchestrator.spi import Candidate, Finding, ValidatorContext, hookimpl

WORD = "{word}"


def quiet(candidate: Candidate, context: ValidatorContext) -> Finding:
    return Finding.failed("too loud") if WORD in candidate.text else Finding.passed("calm")


@hookimpl
def orchestrator_validator():
    return quiet
'''
TASK = {"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["check"]}


def _file(folder: Path, name: str = "check.py", word: str = "never said") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(CHECK.replace("{word}", word))
    return path


def _spec(folder: Path, **more: Any) -> Path:
    return scripted_spec(folder, **{"tasks": [TASK], "project_id": "filed", **more})


def _used(home: Path, name: str = "check") -> dict[str, Any]:
    """The plugin as the log's first session has it."""
    (data,) = rows(home, "SELECT data FROM events WHERE type = 'session.opened'")[0]
    return next(each for each in json.loads(data)["plugins"] if each["name"] == name)


def _verdicts(home: Path) -> list[str]:
    return [
        json.loads(data)["verdict"] for (data,) in rows(home, "SELECT data FROM events WHERE type LIKE '%alidated'")
    ]


def test_a_flag_brings_a_check_and_the_log_names_its_source(tmp_path: Path) -> None:
    """The check decides, the log has its name and the digest of its bytes, and every decision is recomputed."""
    file = _file(tmp_path)
    done = orchestrate(tmp_path / "home", "run", str(_spec(tmp_path / "spec")), "--plugin", "../check.py")
    assert done.code == 0, done.err
    used = _used(tmp_path / "home")
    assert (used["kind"], used["distribution"], used["version"]) == ("validator", "", "")
    assert used["qualified_name"] == "check.py"
    assert used["source_digest"] == sha256(file.read_bytes()).hexdigest()
    assert _verdicts(tmp_path / "home")
    assert set(_verdicts(tmp_path / "home")) == {"passed"}
    assert orchestrate(tmp_path / "home", "replay", "filed", "--verify").code == 0


def test_what_the_check_says_holds(tmp_path: Path) -> None:
    """An answer it objects to is not completed, and its words are shown."""
    _file(tmp_path, word="x")
    done = orchestrate(tmp_path / "home", "run", str(_spec(tmp_path / "spec")), "--plugin", "../check.py")
    assert done.code == 1
    assert "too loud" in done.err


def test_without_the_flag_there_is_no_such_check(tmp_path: Path) -> None:
    """A file that nothing names is no plugin, even beside the spec."""
    _file(tmp_path / "spec")
    done = orchestrate(tmp_path / "home", "run", str(_spec(tmp_path / "spec")))
    assert done.code == 2
    assert "there is no validator 'check'" in done.err


def test_the_users_configuration_names_files_from_its_folder(tmp_path: Path) -> None:
    """Every command has them, ``plugins list`` too."""
    _file(tmp_path / "config" / "own")
    config = tmp_path / "config" / "config.toml"
    config.write_text('plugins = ["own/check.py"]\n')
    environ = {"ORCHESTRATE_CONFIG": str(config)}
    done = orchestrate(tmp_path / "home", "run", str(_spec(tmp_path / "spec")), environ=environ)
    assert done.code == 0, done.err
    listed = orchestrate(tmp_path / "home", "plugins", "list", environ=environ)
    assert "check.py" in listed.out
    config.write_text('plugins = ["own/gone.py"]\n')
    gone = orchestrate(tmp_path / "home", "run", str(_spec(tmp_path / "spec", project_id="gone")), environ=environ)
    assert gone.code == 2
    assert "gone.py: No such file" in gone.err
    assert orchestrate(tmp_path / "home", "--help", environ=environ).code == 0


def test_a_spec_has_its_files_by_agreement_to_their_content_only(tmp_path: Path) -> None:
    """Nothing of the file runs before; what is agreed to is this content, unless the flag names the file."""
    file = _file(tmp_path / "spec")
    ran = tmp_path / "ran"
    file.write_text(f"open({str(ran)!r}, 'w').close()\n" + file.read_text())
    spec = _spec(tmp_path / "spec", plugins=["check.py"])
    refused = orchestrate(tmp_path / "home", "run", str(spec))
    assert refused.code == 2
    digest = sha256(file.read_bytes()).hexdigest()
    allowed = f"plugin={file}@{digest}"
    assert f"--allow {allowed}" in refused.err
    orchestrate(tmp_path / "home", "spec", "validate", str(spec))
    orchestrate(tmp_path / "home", "plan", str(spec))
    assert not ran.exists()
    done = orchestrate(tmp_path / "home", "run", str(spec), "--allow", allowed)
    assert done.code == 0, done.err
    assert ran.exists()
    assert _used(tmp_path / "home")["source_digest"] == digest
    file.write_text(file.read_text() + "\n# another\n")
    again = _spec(tmp_path / "spec", plugins=["check.py"], project_id="again")
    assert orchestrate(tmp_path / "home", "run", str(again), "--allow", allowed).code == 2
    assert orchestrate(tmp_path / "home", "run", str(again), "--allow", f"plugin={file}").code == 0


def test_a_file_hides_an_installed_plugin_of_its_name(tmp_path: Path) -> None:
    """It is the user's own word; the listing says what is hidden."""
    _file(tmp_path, "ruff.py", word="x")
    task = {**TASK, "hard_validators": ["ruff"]}
    done = orchestrate(
        tmp_path / "home", "run", str(_spec(tmp_path / "spec", tasks=[task])), "--plugin", str(tmp_path / "ruff.py")
    )
    assert "too loud" in done.err
    environ = {"ORCHESTRATE_PLUGINS": str(tmp_path / "ruff.py")}
    assert "hidden by ruff.py" in orchestrate(tmp_path / "home", "plugins", "list", environ=environ).out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (\n", "line 1 is no Python"),
        ("def check(candidate, context): ...\n", "it defines no hook"),
        (None, "No such file"),
        ("\0", "it is no Python"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    """Exit code 2, and nothing is recorded."""
    if text is not None:
        (tmp_path / "check.py").write_text(text)
    spec = _spec(tmp_path / "spec")
    done = orchestrate(tmp_path / "home", "run", str(spec), "--plugin", str(tmp_path / "check.py"))
    assert done.code == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which one counts would depend on the order of flags."""
    one, two = _file(tmp_path / "a"), _file(tmp_path / "b")
    done = orchestrate(
        tmp_path / "home", "run", str(_spec(tmp_path / "spec")), "--plugin", str(one), "--plugin", str(two)
    )
    assert done.code == 2
    assert "two plugin files offer the validator 'check'" in done.err


def test_a_backend_in_a_file_is_recomputed_with_it_and_not_without(tmp_path: Path) -> None:
    """``replay --verify --plugin`` ranks again; another content is another backend."""
    file = tmp_path / "backwards.py"
    file.write_text(
        "from orchestrator.spi import Ranked, hookimpl\n\n\nclass Backwards:\n"
        "    def rank(self, candidates, telemetry, draw):\n"
        "        return [Ranked(each.model, float(each.place)) for each in reversed(candidates)]\n\n\n"
        "@hookimpl\ndef orchestrator_backend(parameters):\n    return Backwards()\n"
    )
    spec = scripted_spec(tmp_path / "spec", project_id="ranked")
    done = orchestrate(tmp_path / "home", "run", str(spec), "--backend", "backwards", "--plugin", str(file))
    assert done.code == 0, done.err
    strict = ("replay", "ranked", "--verify", "--strict")
    assert orchestrate(tmp_path / "home", *strict, "--plugin", str(file)).code == 0
    assert orchestrate(tmp_path / "home", *strict).code == 6
    file.write_text(file.read_text() + "# changed\n")
    assert orchestrate(tmp_path / "home", *strict, "--plugin", str(file)).code == 6


def test_a_file_that_fails_is_named(tmp_path: Path) -> None:
    """Its warning says the file where that of an installed plugin says the distribution."""
    (tmp_path / "noisy.py").write_text(
        "from orchestrator.spi import Exporter, hookimpl\n\n\nclass Noisy(Exporter):\n"
        "    def export(self, metrics):\n        raise RuntimeError('boom')\n\n\n"
        "@hookimpl\ndef orchestrator_exporter(config):\n    return Noisy()\n"
    )
    spec = scripted_spec(tmp_path / "spec", exporters={"noisy": {}})
    done = orchestrate(tmp_path / "home", "run", str(spec), "--plugin", str(tmp_path / "noisy.py"))
    assert done.code == 0, done.err
    assert "the exporter 'noisy' (noisy.py) failed (export): RuntimeError: boom" in done.err
