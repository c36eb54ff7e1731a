"""One finished run for all tests that only read."""

import shutil
from pathlib import Path

import pytest
from attrs import frozen

from tests.cli.command import Ended, orchestrate, scripted_spec


@frozen
class Finished:
    """A data folder with one run that has ended well."""

    home: Path
    spec: Path
    ended: Ended
    run: str = "done"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished run, to be read only."""
    folder = tmp_path_factory.mktemp("finished")
    spec = scripted_spec(folder, project_id="done")
    ended = orchestrate(folder / "home", "run", str(spec), "-o", "out")
    assert ended.code == 0, ended.err
    return Finished(folder / "home", spec, ended)


@pytest.fixture
def own_copy(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished run's data folder, to be changed."""
    return shutil.copytree(finished.home, tmp_path / "home")
