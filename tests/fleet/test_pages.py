"""docs/fleet.md says what is true: its commands work, in their order."""

import shutil
from pathlib import Path

from tests.cli.command import orchestrate
from tests.pages import page
from tests.steering.test_pages import QUICKSTART, _lines


def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    """On the quickstart's spec."""
    home = tmp_path / "home"
    for each in QUICKSTART.iterdir():
        shutil.copy(each, tmp_path / each.name)
    submit, work, *others = _lines(page("fleet.md"))
    begun = orchestrate(home, *submit, cwd=tmp_path)
    assert len(begun.lines) == 3, begun.err
    assert orchestrate(home, *work, cwd=tmp_path).code == 0
    assert ["workers", "list", "--all"] in others
    for words in others:
        done = orchestrate(home, *words, cwd=tmp_path)
        assert done.code == 0, done.err
    assert (tmp_path / "results" / "summary.json").is_file()
