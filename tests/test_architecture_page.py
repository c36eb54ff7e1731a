"""The page about the architecture: its files exist, its packages are all there are, its example of an event works."""

import re
import shutil
import textwrap
from pathlib import Path
from typing import Final

from tests.plugins.conftest import run_python

ROOT: Final = Path(__file__).parents[1]
CORE: Final = ROOT / "core" / "orchestrator"
PAGE: Final = (ROOT / "docs" / "architecture.md").read_text()


def test_every_package_is_on_the_page_and_every_file_of_the_page_exists() -> None:
    """The table has each child of the core once; what is followed can be opened."""
    table = PAGE.partition("| package | what is in it |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = [name.strip("`") for cell in cells for name in cell.split(", ")]
    inside = [path for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    assert sorted(named) == sorted(path.name for path in inside if not path.name.startswith("__"))
    followed = PAGE.partition("## One run, followed")[2].partition("\n## ")[0]
    paths = re.findall(r"`((?:cli|engine|log|state|decide|spec)/[\w/]+(?:\.py)?)`", followed)
    assert len(paths) > 12
    assert [path for path in paths if not (CORE / path).exists()] == []


def test_an_event_is_added_in_the_four_places_that_the_page_names(tmp_path: Path) -> None:
    """A copy with the page's edits writes, reads and folds the new event."""
    chapter = PAGE.partition("### An event\n")[2].partition("\n### ")[0]
    blocks = re.findall(r"^   ```\w+\n(.*?)^   ```$", chapter, re.MULTILINE | re.DOTALL)
    cls, name, handler, row = map(textwrap.dedent, blocks)
    core = shutil.copytree(CORE, tmp_path / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    events, fold = core / "events" / "tasks.py", core / "state" / "fold" / "tasks.py"
    events.write_text(f"{events.read_text()}\n\n{cls}")
    registry = core / "events" / "stored_names.py"
    registry.write_text(registry.read_text().replace('    "run.finished"', f'    {name}    "run.finished"'))
    init = core / "events" / "__init__.py"
    text = init.read_text().replace("    TaskStarted,\n", "    TaskPutOff,\n    TaskStarted,\n", 1)
    init.write_text(text.replace('    "TaskStarted",\n', '    "TaskPutOff",\n    "TaskStarted",\n', 1))
    before, mark, after = fold.read_text().partition("HANDLERS: Final[Handlers] = {\n")
    fold.write_text(f"{before}{handler}\n\n{mark}    {row}{after}")
    script = """
from orchestrator import events as e
from orchestrator.log import decode, encode
from orchestrator.state.fold import apply
from orchestrator.testing import Scenario, simulate
stored = encode(e.TaskPutOff("t1"))
assert stored[0] == "task.put_off"
assert decode(*stored) == e.TaskPutOff("t1")
(state, *_) = simulate(Scenario.draw(0)).states.values()
apply(state, state.at + 1, e.TaskPutOff(next(iter(state.tasks))))
print("works")
"""
    done = run_python("-c", script, environ={"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "works\n", done.stderr[-2000:]
