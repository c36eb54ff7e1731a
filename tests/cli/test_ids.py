"""Runs and tasks are named by their beginnings, or counted from the last."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.logs.run_ids import resolved_task
from orchestrator.errors import UsageError
from orchestrator.past_runs.run_names import found_run
from tests.cli.command import orchestrate, scripted_spec

IDS = st.lists(
    st.builds(
        lambda given, name: ("run-" if given else "") + name,
        st.booleans(),
        st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=8,
    unique=True,
)


@given(runs=IDS, data=st.data())
def test_a_beginning_names_the_run_it_begins_alone(runs: list[str], data: st.DataObject) -> None:
    """Whole ids always name themselves; a beginning names a run exactly where no other begins so."""
    run = data.draw(st.sampled_from(runs))
    assert found_run(runs, run) == run
    bare = run.removeprefix("run-")
    word = data.draw(st.sampled_from([bare, *(run[:size] for size in range(1, len(run) + 1))]))
    begun = [each for each in runs if each.startswith((word, f"run-{word}"))]
    if word in runs:
        assert found_run(runs, word) == word
    elif word == "last":
        assert found_run(runs, word) == runs[-1]
    elif len(begun) == 1:
        assert found_run(runs, word) == begun[0]
    else:
        with pytest.raises(UsageError, match="not unique"):
            found_run(runs, word)


@given(runs=IDS, back=st.integers(0, 12))
def test_last_counts_backwards(runs: list[str], back: int) -> None:
    """``last`` is the newest, ``last~1`` the one before; beyond the first there is none."""
    word = f"last~{back}" if back else "last"
    if word in runs:
        return
    if back < len(runs):
        assert found_run(runs, word) == runs[len(runs) - 1 - back]
    else:
        with pytest.raises(UsageError, match=r"there (is|are) \d+ run"):
            found_run(runs, word)


def test_a_name_of_no_run_is_left_as_it_is() -> None:
    """The command says that there is none."""
    assert found_run(["run-1"], "other") == "other"
    assert found_run([], "x") == "x"


def test_tasks_are_shortened_too() -> None:
    """A unique beginning is enough; else the candidates, or what is near, are named."""
    tasks = ["plan", "parse", "total"]
    assert resolved_task("r", tasks, "pars") == "parse"
    with pytest.raises(UsageError, match="'p' is not unique in r: plan, parse"):
        resolved_task("r", tasks, "p")
    with pytest.raises(UsageError, match="no task 'totla'; did you mean 'total'"):
        resolved_task("r", tasks, "totla")


def test_commands_take_them(tmp_path: Path) -> None:
    """Listing is newest first and filtered; showing takes what is unique."""
    home = tmp_path / "home"
    for name in ("alpha", "alpine", "beta"):
        assert orchestrate(home, "run", str(scripted_spec(tmp_path, project_id=name)), "-q").code == 0
    listed = orchestrate(home, "runs", "list", "--json").json
    assert [each["run_id"] for each in listed] == ["beta", "alpine", "alpha"]
    assert [row["run_id"] for row in orchestrate(home, "runs", "list", "-n", "1", "--json").json] == ["beta"]
    assert orchestrate(home, "runs", "list", "--status", "interrupted", "--json").json == []
    assert len(orchestrate(home, "runs", "list", "--status", "success", "--since", "1h", "--json").json) == 3
    assert orchestrate(home, "runs", "list", "--since", "2099-01-01", "--json").json == []
    assert orchestrate(home, "runs", "list", "--project", "write X", "--limit", "2").lines[1].startswith("beta ")
    for word, run in (("last", "beta"), ("last~2", "alpha"), ("b", "beta"), ("alpi", "alpine")):
        assert orchestrate(home, "runs", "show", word, "--json").json["run_id"] == run
    refused = orchestrate(home, "runs", "show", "alp")
    assert (refused.code, "'alp' is not unique: alpine, alpha" in refused.err) == (2, True)
    assert orchestrate(home, "runs", "show", "last~3").code == 2
    for wrong in (("--status", "succes"), ("--since", "yesterday"), ("--limit", "0")):
        assert orchestrate(home, "runs", "list", *wrong).code == 2
