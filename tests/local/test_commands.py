"""Command validators: words of a spec, the sandbox, an exit status, and the output as details."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.command_validators import CommandValidator, argv_of
from orchestrator.errors import SandboxError
from orchestrator.models import TaskType, Verdict
from orchestrator.spec.command_validators import CommandSpec
from orchestrator.spi import Candidate, Ran, ValidatorContext
from tests.cli.command import orchestrate, scripted_spec

TASK = {"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["house"]}


def _run(folder: Path, command: dict[str, Any], *arguments: str) -> Any:
    spec = scripted_spec(folder / "spec", tasks=[TASK], validators={"commands": {"house": command}}, project_id="cmd")
    return orchestrate(folder / "home", "run", str(spec), *arguments)


def test_a_command_that_ends_as_it_should_passes(tmp_path: Path) -> None:
    """It sees the output's files by name."""
    done = _run(tmp_path, {"run": "grep -q x {files}", "pass": 0, "timeout": 60})
    assert done.code == 0, done.err


def test_what_a_failing_command_prints_is_shown(tmp_path: Path) -> None:
    """The output is the details, to people and to the next draft."""
    done = _run(tmp_path, {"run": "sh -c 'echo no good: {files}; exit 3'"})
    assert done.code == 1
    assert "no good:" in done.err
    prompts = orchestrate(tmp_path / "home", "explain", "cmd", "only", "--prompts")
    assert "no good:" in prompts.out


def test_another_status_may_be_the_one_that_passes(tmp_path: Path) -> None:
    """``pass`` is an exit status."""
    assert _run(tmp_path, {"run": "sh -c 'exit 3'", "pass": 3}).code == 0


def test_a_program_that_is_not_there_skips(tmp_path: Path) -> None:
    """As every missing tool; ``missing_tool: fail`` makes it a failure."""
    done = _run(tmp_path, {"run": "no-such-program {files}"})
    assert done.code == 0
    assert "no-such-program is not installed" in done.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ({"run": "sh -c 'unclosed"}, "it is no command"),
        ({"run": "''"}, "it names no program"),
        ({"run": "true", "pass": 256}, "pass"),
        ({"run": "true", "timeout": 0}, "timeout"),
        ({"run": "true", "passes": 1}, "unknown key"),
        ({"pass": 0}, "'run' is required"),
    ],
)
def test_a_senseless_command_is_a_line(tmp_path: Path, command: dict[str, Any], said: str) -> None:
    """Exit code 2, with the key."""
    done = _run(tmp_path, command)
    assert done.code == 2
    assert "validators.commands.house" in done.err
    assert said in done.err


def test_without_a_sandbox_a_command_is_agreed_to_by_its_words(tmp_path: Path) -> None:
    """Both the missing sandbox and the command."""
    spec = scripted_spec(
        tmp_path / "spec",
        tasks=[TASK],
        validators={"sandbox": "none", "commands": {"house": {"run": "true {files}"}}},
    )
    done = orchestrate(tmp_path / "home", "run", str(spec))
    assert done.code == 2
    assert "command=true {files}" in done.err


def test_it_runs_nowhere_but_in_the_sandbox() -> None:
    """Where there is none it does not run: the error goes through, which makes the verdict unknown."""
    validator = CommandValidator(CommandSpec(run="true"))
    with pytest.raises(SandboxError):
        validator(Candidate("t", TaskType.CODE_GEN, "x", "x", files={"a.py": "x"}), ValidatorContext())


def test_a_command_that_is_ended_is_unknown() -> None:
    """It neither passed nor failed."""
    lent = ValidatorContext(run=lambda argv, files, **options: Ran(None, "half", ended="time"))
    found = CommandValidator(CommandSpec(run="true"))(Candidate("t", TaskType.CODE_GEN, "x", "x"), lent)
    assert found.verdict is Verdict.UNKNOWN
    assert "time" in found.details


@given(st.lists(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1)))
def test_names_stay_names(names: list[str]) -> None:
    """Whatever a model calls its files: one word each, no option among them, and quoted inside a longer word."""
    alone = argv_of("tool --flag {files}", names)
    assert alone[:2] == ("tool", "--flag")
    assert [word.removeprefix("./") for word in alone[2:]] == [name.removeprefix("./") for name in names]
    assert not any(word.startswith("-") for word in alone[2:])
    inside = argv_of("sh -c 'tool {files}'", names)
    assert shlex.split(inside[2])[1:] == list(alone[2:])
