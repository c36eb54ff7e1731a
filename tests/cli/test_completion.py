"""What a shell completes, asked as bash asks."""

from pathlib import Path

import pytest

from tests.cli.command import orchestrate
from tests.cli.conftest import Finished


def _completed(home: Path, words: str) -> list[str]:
    """What bash is offered for the last word, which may be empty."""
    given = words.split(" ")
    environ = {
        "_ORCHESTRATE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(given) - 1),
    }
    ended = orchestrate(home, environ=environ)
    assert ended.err == "", ended.err
    return [line.partition(",")[2] or line.partition(",")[0] for line in ended.lines if line]


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ("orchestrate ex", ["explain"]),
        ("orchestrate runs sh", ["show"]),
        ("orchestrate explain ", ["last", "done"]),
        ("orchestrate runs diff d", ["done"]),
        ("orchestrate explain done ", ["only", "plan"]),
        ("orchestrate explain last o", ["only"]),
        ("orchestrate models show gpt-4o", ["gpt-4o", "gpt-4o-mini"]),
        ("orchestrate run spec.yaml --backend ", ["greedy", "pareto", "weighted_sum"]),
        ("orchestrate whatif last --backend p", ["pareto"]),
        ("orchestrate run spec.yaml --loop ", ["reviewed", "best_of"]),
        ("orchestrate plugins info par", ["pareto"]),
        ("orchestrate metrics --format pro", ["prometheus"]),
        ("orchestrate runs list --status SU", ["SUCCESS"]),
        ("orchestrate policy check ", ["file"]),
        ("orchestrate run spec.yaml --policy ", ["file"]),
        ("orchestrate run ", ["file"]),
        ("orchestrate plan ed", ["edit"]),
        ("orchestrate plan --sim", ["--simulate"]),
        ("orchestrate costs rec", ["reconcile"]),
        ("orchestrate costs d", ["done"]),
    ],
)
def test_names_are_completed(finished: Finished, words: str, some: list[str]) -> None:
    """Commands, runs, tasks, models, backends, strategies, plugins, statuses; files of specs and policies."""
    found = _completed(finished.home, words)
    assert set(some) <= set(found), found
    last = words.rpartition(" ")[2]
    assert all(name == "file" or name.startswith(last) for name in found)


@pytest.mark.parametrize("words", ["orchestrate explain ", "orchestrate explain x ", "orchestrate budget raise "])
def test_completion_says_nothing_where_there_is_no_log(tmp_path: Path, words: str) -> None:
    """No error, no file: a shell would show both between its own lines."""
    assert [name for name in _completed(tmp_path / "home", words) if name not in ("last", "plan")] == []
    assert [*tmp_path.rglob("defect-*")] == []


def test_accounts_are_completed(own_copy: Path) -> None:
    """As budget show names them."""
    assert orchestrate(own_copy, "budget", "set", "team/web", "5").code == 0
    assert _completed(own_copy, "orchestrate budget raise te") == ["team/web"]
