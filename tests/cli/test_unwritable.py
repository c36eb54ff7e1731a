"""What cannot be written: one rule for every command says which exit code that has."""

import errno
import os
import sys
from pathlib import Path

import pytest

from orchestrator.cli.exit_codes import code_of
from orchestrator.errors import LogError, OutputError, UsageError
from tests.cli.conftest import Finished
from tests.cli.in_process import command

REFUSING = Path("/sys")
"""A folder in which Linux lets no one make a file, the administrator included."""

WRITING = (
    "report done -o {}/page.html",
    "runs export done -o {}",
    "spec init {}/spec.yaml",
    "audit keygen {}/auditor.key",
    "audit export done -o {}/done.tar",
    "audit anchor done --to {}/heads.jsonl",
    "audit verify done --junit {}/junit.xml",
    "log export done --as-script {}/script.json",
    "plugins new validator tidy -o {}",
)
"""Commands that write where they are told."""


def ended(capsys: pytest.CaptureFixture[str], words: str, folder: Path) -> tuple[int, list[str]]:
    """The exit code of a command on a folder, and its lines on stderr."""
    found = command(capsys, *(each.format(folder) for each in words.split()))
    return found.code, found.err.splitlines()


@pytest.mark.parametrize("words", WRITING)
def test_a_path_that_cannot_be_used_is_usage(
    words: str, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below a file there is no folder."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(finished.home))
    (tmp_path / "file").write_text("mine")
    code, lines = ended(capsys, words, tmp_path / "file")
    assert (code, len(lines)) == (2, 1), lines
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that refuses the administrator, too, is Linux's")
@pytest.mark.parametrize("words", WRITING)
def test_what_the_machine_refuses_is_a_failure_of_the_system(
    words: str, finished: Finished, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No permission, or a read-only file system."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(finished.home))
    folder = REFUSING / "refused" if words.endswith("-o {}") else REFUSING
    code, lines = ended(capsys, words, folder)
    assert (code, len(lines)) == (3, 1), lines


@pytest.mark.parametrize(
    ("kind", "number", "code"),
    [
        (OutputError, errno.ENOENT, 2),
        (OutputError, errno.EISDIR, 2),
        (OutputError, errno.ENOSPC, 3),
        (OutputError, errno.EROFS, 3),
        (LogError, errno.EEXIST, 2),
        (LogError, errno.EACCES, 3),
        (UsageError, errno.EACCES, 2),  # what cannot be read
    ],
)
def test_the_cause_decides(kind: type[Exception], number: int, code: int) -> None:
    """A path of the user's is usage; what the machine refuses is not."""
    error = kind("it cannot be")
    error.__cause__ = OSError(number, os.strerror(number))
    assert code_of(error) == code  # type: ignore[arg-type]


def test_without_a_cause_it_is_usage() -> None:
    """A command looked before it wrote."""
    assert code_of(OutputError("it exists")) == 2
