"""The user's command over a copy of the output folder."""

import asyncio
import os
from pathlib import Path

import pytest

from orchestrator.engine.checks import selector_for
from orchestrator.engine.outputs import verification
from orchestrator.engine.outputs.folder_writing import OutputFolder
from orchestrator.engine.outputs.verification import FolderVerifier, TooLargeError, Verified, copied, verified
from orchestrator.engine.ports import in_place
from orchestrator.models import Verdict
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Sandbox, SandboxLevel
from orchestrator_sandbox import LevelSelector


@pytest.fixture
def folder(tmp_path: Path) -> OutputFolder:
    """An output folder with two files."""
    made = OutputFolder(tmp_path / "out", "run")
    made.write("a.txt", "one\n")
    made.write("sub/b.txt", "two\n")
    return made


@pytest.fixture(params=[SandboxChoice.BWRAP, SandboxChoice.LANDLOCK])
def selector(request: pytest.FixtureRequest) -> Sandbox:
    """Each selector of one sandbox level that holds on this machine."""
    found = selector_for(request.param)
    if found.level() is None:
        pytest.skip(f"{request.param.value} does not hold on this machine")
    return found


def test_the_command_sees_the_files_and_decides_by_its_status(folder: OutputFolder, selector: Sandbox) -> None:
    """It is a shell's command, started in a copy of the folder."""
    judge = FolderVerifier(folder, selector)
    passed = judge("cat a.txt sub/b.txt && test ! -e .orchestrate-run", {}, 10.0)
    level = selector.level()
    assert level is not None
    assert passed == Verified(Verdict.PASSED, 0, None, "one\ntwo\n", level.value)
    failed = judge("echo no >&2; exit 3", {}, 10.0)
    assert (failed.verdict, failed.code, failed.output) == (Verdict.FAILED, 3, "no\n")


def test_the_command_cannot_change_the_folder(folder: OutputFolder, selector: Sandbox) -> None:
    """It may write into its copy; what is delivered stays as it is."""
    done = FolderVerifier(folder, selector)("echo changed > a.txt && rm -r sub && touch new && cat a.txt", {}, 10.0)
    assert done.output == "changed\n"
    assert sorted(path.name for path in folder.path.iterdir()) == [".orchestrate-run", "a.txt", "sub"]
    assert (folder.path / "a.txt").read_text() == "one\n"


def test_the_command_has_no_network_and_no_key(
    folder: OutputFolder, selector: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the private loopback of an app that is started."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    listen = "import socket; socket.create_server((chr(49)+'27.0.0.1', 0))"
    done = FolderVerifier(folder, selector)(f'env; python -c "{listen}"', {}, 10.0)
    assert done.verdict is Verdict.FAILED
    assert "sk-secret" not in done.output
    assert "Error" in done.output


def test_what_is_missing_is_written_before(folder: OutputFolder, selector: Sandbox) -> None:
    """Outputs of an earlier session without a folder come into it; what is there is not written again."""
    outputs = {"late.txt": "late\n", "a.txt": "another\n", "../out.txt": "x"}
    with pytest.raises(ValueError, match="climbs"):
        FolderVerifier(folder, selector)("true", outputs, 10.0)
    del outputs["../out.txt"]
    assert FolderVerifier(folder, selector)("cat late.txt a.txt", outputs, 10.0).output == "late\none\n"
    assert (folder.path / "late.txt").read_text() == "late\n"


def test_a_command_without_an_end_says_nothing(folder: OutputFolder, selector: Sandbox) -> None:
    """It is ended at its deadline, and that is no pass."""
    done = FolderVerifier(folder, selector)("echo begun; sleep 60", {}, 0.5)
    assert (done.verdict, done.code, done.problem, done.output) == (Verdict.UNKNOWN, None, "time", "begun\n")


def test_what_comes_out_is_bounded(folder: OutputFolder, selector: Sandbox) -> None:
    """Endless output neither fills the log nor keeps the command from its end."""
    done = FolderVerifier(folder, selector)("yes | head -c 3000000; exit 4", {}, 20.0)
    assert done.code == 4
    assert len(done.output) < 70_000


def test_without_a_sandbox_nothing_is_run(folder: OutputFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install; it is no pass, and the command has not run."""
    selector = LevelSelector(SandboxChoice.BWRAP)
    selector._probed[SandboxLevel.BWRAP] = (None, "bwrap is not installed")
    marker = folder.path / "marker"
    done = FolderVerifier(folder, selector)(f"touch {marker}", {}, 5.0)
    assert (done.verdict, done.problem, done.sandbox) == (Verdict.UNKNOWN, "no_sandbox", None)
    assert "install bubblewrap" in done.output
    assert not marker.exists()


def test_links_and_what_is_no_output_are_not_copied(folder: OutputFolder, tmp_path: Path) -> None:
    """Nothing from outside the folder gets in; unfinished files and the folders of tools stay out."""
    (tmp_path / "secret").write_text("treasure")
    (folder.path / "link").symlink_to(tmp_path / "secret")
    (folder.path / "linked").symlink_to(tmp_path)
    os.mkfifo(folder.path / "pipe")
    (folder.path / ".c.txt.part").write_text("un")
    (folder.path / ".git").mkdir()
    (folder.path / ".git" / "config").write_text("x")
    assert copied(folder.path) == {"a.txt": b"one\n", "sub/b.txt": b"two\n"}


def test_a_folder_that_is_too_large_is_not_copied(folder: OutputFolder) -> None:
    """Too many files or bytes: nothing is verified, and the reason is said."""
    with pytest.raises(TooLargeError, match="1 files"):
        copied(folder.path, most_files=1)
    with pytest.raises(TooLargeError):
        copied(folder.path, most_bytes=7)
    assert len(copied(folder.path, most_files=2, most_bytes=8)) == 2


def test_whatever_goes_wrong_is_unknown() -> None:
    """No command, no folder, an error: each with its reason, none a pass."""

    def broken(command: str, outputs: object, seconds: float) -> Verified:
        raise RuntimeError("boom")

    def problem(verifier: verification.Verifier | None, command: str | None) -> tuple[Verdict, str | None]:
        found = asyncio.run(verified(verifier, command, {}, 1.0, in_place))
        return found.verdict, found.problem

    assert problem(broken, None) == (Verdict.UNKNOWN, "no_command")
    assert problem(None, "true") == (Verdict.UNKNOWN, "no_folder")
    assert problem(broken, "true") == (Verdict.UNKNOWN, "raised")


FALSE = "import sys\nif __name__ == '__main__':\n    sys.exit(0)\ndef main(*rest, **more):\n    sys.exit(0)\n"
TESTS = "def test_a():\n    assert 1 == 2\n"
SUITE = "import unittest\nclass TestA(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(1, 2)\n"
IN_ITS_PLACE = {
    "pytest": ("pytest.py", FALSE, "python -m pytest -q"),
    "a package": ("pytest/__main__.py", FALSE, "python -m pytest -q"),
    "what pytest needs": ("_pytest/__init__.py", "import os\nos._exit(0)\n", "python -m pytest -q"),
    "unittest": ("unittest.py", FALSE, "python -m unittest test_suite"),
    "unittest as a package": ("unittest/__main__.py", FALSE, "cd . && python -Bm unittest test_suite"),
    "a configuration": ("pytest.ini", "[pytest]\naddopts = -q --collect-only\n", "python -m pytest"),
    "a configuration in TOML": ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["-q", "--co"]\n', "pytest -q"),
}


@pytest.mark.parametrize("trick", IN_ITS_PLACE)
def test_no_file_of_the_result_takes_the_place_of_what_judges_it(
    folder: OutputFolder, selector: Sandbox, trick: str
) -> None:
    """Tests that fail make the command fail, whatever lies beside them."""
    name, content, command = IN_ITS_PLACE[trick]
    for path, text in ((name, content), ("test_a.py", TESTS), ("test_suite.py", SUITE)):
        folder.write(path, text)
    assert FolderVerifier(folder, selector)(command, {}, 30.0).verdict is Verdict.FAILED


HONEST_PLACES = {
    "a module called like one of the standard library": ("statistics.py", "python -m pytest -q"),
    "a program of its own": ("app/__main__.py", "python -m app && python -m pytest -q"),
    "a test of its own package pytest": ("app/pytest.py", "python -m pytest -q"),
}


@pytest.mark.parametrize("case", HONEST_PLACES)
def test_what_is_the_results_own_is_there(folder: OutputFolder, selector: Sandbox, case: str) -> None:
    """Only what judges it is kept clean; modules of its own are found, and a configuration of its own counts."""
    name, command = HONEST_PLACES[case]
    folder.write(name, "mine = 1\n")
    folder.write("app/__init__.py", "")
    folder.write("pytest.ini", "[pytest]\naddopts = --import-mode=importlib\npythonpath = .\n")
    folder.write("test_own.py", "import statistics, app\n\ndef test_a():\n    assert app and statistics\n")
    done = FolderVerifier(folder, selector)(command, {}, 30.0)
    assert done.verdict is Verdict.PASSED, done.output
