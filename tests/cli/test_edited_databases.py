"""Commands that read a database which another program has edited: one line that says so, and no endless wait."""

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd
from orchestrator.spec import Spec
from tests.cli.command import orchestrate
from tests.log.project import in_workspace, spec_of, unguarded, write_project

EDITS = {
    "an event without its fields": "UPDATE events SET data = '{}' WHERE version = 1",
    "a time that is a text": "UPDATE events SET at = 'x' WHERE version = 1",
    "a schema that is a fraction": "UPDATE events SET schema = 1.5 WHERE version = 1",
    "data that are bytes": "UPDATE events SET data = x'ff00' WHERE version = 1",
    "forks of each other": (
        "UPDATE events SET type = 'run.forked', data = json_object('version', 3, 'hash', 'x', 'parent', "
        "CASE stream WHEN 'one' THEN 'two' ELSE 'one' END) WHERE version = 1"
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two runs."""
    folder = tmp_path_factory.mktemp("edited")
    for run in ("one", "two"):
        in_workspace(folder / "home", _started(spec_of(write_project(folder / run, run=run))))
    return folder / "home"


def _started(spec: Spec) -> Callable[[Engine], Awaitable[RunEnd]]:
    return lambda workspace: workspace.start(spec)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_database_is_said_to_be_damaged(whole: Path, tmp_path: Path, edit: str) -> None:
    """On one line, with the exit code of a log that is damaged or cannot be read, if what is asked needs the event."""
    home = tmp_path / "home"
    shutil.copytree(whole, home)
    connection = unguarded(home)
    connection.execute(EDITS[edit])
    connection.close()
    codes = set()
    for words in (("runs", "list"), ("costs", "--all", "--simulated"), ("explain", "one"), ("runs", "show", "one")):
        done = orchestrate(home, *words)
        assert done.code in (0, 3, 6), (words, done.err)
        assert done.code == 0 or done.err.count("\n") == 1, (words, done.err)
        codes.add(done.code)
    assert codes & {3, 6}


@pytest.mark.parametrize("words", [("runs", "list"), ("audit", "verify"), ("costs", "--all")])
def test_a_pipe_in_the_place_of_the_database_is_not_waited_for(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A file of that name that is no file is refused."""
    os.mkfifo(tmp_path / "events.db")
    done = orchestrate(tmp_path, *words)
    assert done.code == (6 if words[0] == "audit" else 3), done.err
    assert "it is no file" in done.out + done.err
