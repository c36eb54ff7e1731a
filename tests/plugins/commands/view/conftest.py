"""Data folders that several tests look at."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.command import QUICKSTART, orchestrate, scripted_spec

HOSTILE = (
    "```python\nx = 1\n```\n</script><script>document.title='owned'</script></pre></textarea><!-- "
    "<img src=http://127.0.0.1:9/leak onerror=\"document.title='owned'\"><style>*{display:none}</style>"
    "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe\u202c \u2066x\u2069 {{ 7*7 }} {% raw %}"
)


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two runs of the quickstart and a fork that has not begun."""
    home = tmp_path_factory.mktemp("view")
    for run in ("quick", "other"):
        assert orchestrate(home, "run", str(QUICKSTART), "--project-id", run).code == 0
    assert orchestrate(home, "fork", "quick", "--at", "v60", "--set", "budget_usd=2").code == 0
    return home


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose models, and whose spec, try to get out of the page; one answer is a megabyte long."""
    home = tmp_path_factory.mktemp("hostile")
    tasks = [
        {"id": "only", "type": "code_generation", "prompt": HOSTILE},
        {"id": "long", "type": "creative_writing", "prompt": "Write much."},
    ]
    answers = [{"role": role, "text": HOSTILE} for role in ("generator", "critic", "reviser")]
    answers.append({"role": "generator", "task": "long", "text": "<b>long</b> " * 75_000})
    limits = {"max_tokens": {"creative_writing": 400_000}}
    spec = scripted_spec(home / "spec", answers=answers, tasks=tasks, project=HOSTILE, budget_usd=1000, limits=limits)
    assert orchestrate(home, "run", str(spec), "--project-id", "bad").code in (0, 1)
    return home


@pytest.fixture
def damaged(quick: Path, tmp_path: Path) -> Path:
    """A copy of the quickstart's runs with one event changed behind the program's back."""
    home = shutil.copytree(quick, tmp_path / "home")
    with closing(sqlite3.connect(home / "events.db")) as database:
        database.execute("DROP TRIGGER events_are_never_changed")
        database.execute("UPDATE events SET at = at + 1 WHERE position = 9")
        database.commit()
    return home
