"""The quickstart, run once for all tests that look at what it left."""

from pathlib import Path

import pytest
from attrs import frozen

from tests.cli.command import QUICKSTART, Ended, orchestrate


@frozen
class Quickstart:
    """The data folder and the output folder of a quickstart that has ended."""

    home: Path
    out: Path
    ended: Ended
    run: str


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Quickstart:
    """The quickstart, with no key and no network, run to its end."""
    folder = tmp_path_factory.mktemp("quickstart")
    home, out = folder / "home", folder / "out"
    ended = orchestrate(home, "run", str(QUICKSTART), "-o", str(out))
    assert ended.code == 0, ended.err
    (run,) = orchestrate(home, "runs", "list", "--json").json
    return Quickstart(home, out, ended, run["run_id"])
