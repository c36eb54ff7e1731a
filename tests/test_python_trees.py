"""Trees of Python source, made by several threads at the same moment."""

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator import python_trees
from orchestrator.python_trees import tree_of

_ROOT = Path(__file__).parents[1]


@pytest.fixture
def collecting() -> Iterator[None]:
    """Threads change places as often as can be, in the middle of a tree, too: where a collection calls Python code."""
    before, interval = gc.get_threshold(), sys.getswitchinterval()

    def work(phase: str, info: object) -> None:
        sum(range(200))

    gc.callbacks.append(work)
    gc.set_threshold(50)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*before)
    gc.callbacks.remove(work)


@pytest.mark.usefixtures("collecting")
def test_threads_that_make_trees_at_once_all_get_them() -> None:
    """With ``ast.parse`` alone CPython 3.11 raises a SystemError here."""
    source = Path(python_trees.__file__).read_text() * 20
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: tree_of(source), range(60)))
    assert len({len(tree.body) for tree in made}) == 1


def test_every_tree_is_made_there() -> None:
    """One that is made elsewhere could meet another."""
    found = [
        path.relative_to(_ROOT).as_posix()
        for folder in ("core", "plugins")
        for path in (_ROOT / folder).rglob("*.py")
        if "testing" not in path.parts and ("ast.parse(" in path.read_text() or "PyCF_ONLY_AST" in path.read_text())
    ]
    assert found == ["core/orchestrator/python_trees.py"]
