"""Files that a spec names are looked for before anything is called, and missing ones are named with their line."""

from pathlib import Path
from typing import Final

import pytest

from tests.cli.command import count, orchestrate, scripted_spec

BASE: Final = "project: p\ncriteria: c\nproject_id: r\n"
NOTHING: Final = "there is no such file or folder"


@pytest.mark.parametrize("command", [("spec", "validate"), ("plan",), ("run",)])
@pytest.mark.parametrize(
    ("key", "where", "name"),
    [
        ("providers: {scripted: {answers: absent.yaml}}", "providers.scripted.answers", "absent.yaml"),
        ("providers: {mine: {type: scripted, answers: absent.yaml}}", "providers.mine.answers", "absent.yaml"),
        ("context: absent.txt", "context[0]", "absent.txt"),
        ("context: [., absent.txt]", "context[1]", "absent.txt"),
        ("context: ['*.absent']", "context[0]", "*.absent"),
        ("tasks: [{id: a, type: code_review, prompt: x, context: [absent]}]", "tasks[0].context[0]", "absent"),
        ("prompts: absent", "prompts", "absent"),
        ("policy_files: [absent.yaml]", "policy_files[0]", "absent.yaml"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_its_line(
    tmp_path: Path, command: tuple[str, ...], key: str, where: str, name: str
) -> None:
    """The spec's line and key, the same by whatever command; nothing is begun."""
    (tmp_path / "spec.yaml").write_text(f"{BASE}{key}\n")
    ended = orchestrate(tmp_path / "home", *command, "spec.yaml", cwd=tmp_path)
    said = "no file is like that" if "*" in name else NOTHING
    assert (ended.code, f"spec.yaml:4: {where}: {name}: {said}" in ended.err) == (2, True), ended.err
    assert "absent.yaml:1" not in ended.err
    assert not (tmp_path / "home" / "events.db").exists() or count(tmp_path / "home", "run.started") == 0


def test_all_that_is_missing_is_told_in_the_order_of_the_lines(tmp_path: Path) -> None:
    """What is there is not told."""
    (tmp_path / "there.txt").write_text("x")
    (tmp_path / "spec.yaml").write_text(f"{BASE}prompts: one\ncontext: [there.txt, '*.txt', two, '-']\n")
    ended = orchestrate(tmp_path / "home", "spec", "validate", "spec.yaml", cwd=tmp_path)
    assert ended.err.splitlines() == [
        f"spec.yaml:4: prompts: one: {NOTHING}",
        f"spec.yaml:5: context[2]: two: {NOTHING}",
    ]


def test_nothing_is_looked_for_that_the_user_has_not_agreed_to(tmp_path: Path) -> None:
    """Whether a file outside the spec's folder is there is no business of a spec that was not let read it."""
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "spec.yaml").write_text(f"{BASE}context: [../absent.txt]\npolicy_files: [../absent.yaml]\n")
    validated = orchestrate(tmp_path / "home", "spec", "validate", "spec.yaml", cwd=folder)
    assert NOTHING not in validated.err + validated.out
    wanted = [f"read={tmp_path / name}" for name in ("absent.txt", "absent.yaml")]
    allowed = [word for each in wanted for word in ("--allow", each)]
    ended = orchestrate(tmp_path / "home", "run", "spec.yaml", *allowed, cwd=folder)
    assert f"spec.yaml:5: policy_files[0]: ../absent.yaml: {NOTHING}" in ended.err


def test_a_file_of_an_option_is_told_by_the_option(tmp_path: Path) -> None:
    """Of ``--context`` and ``--set``."""
    spec = scripted_spec(tmp_path)
    given = orchestrate(tmp_path / "home", "run", str(spec), "--context", "absent.md", cwd=tmp_path)
    assert f"--context: context[0]: absent.md: {NOTHING}" in given.err
    set_ = orchestrate(tmp_path / "home", "run", str(spec), "--set", "prompts=absent", cwd=tmp_path)
    assert f"--set: prompts: absent: {NOTHING}" in set_.err
