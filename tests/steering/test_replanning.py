"""``replan: on_failure`` through the front door: a planner is asked for other tasks where one failed, and no more."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import count, finish, orchestrate, rows, scripted_spec, start, wait_until
from tests.steering.test_approvals import answered, proven

TASKS = [
    {"id": "done", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]},
    {"id": "broken", "type": "summarization", "prompt": "Fail here.", "dependencies": ["done"]},
    {"id": "last", "type": "summarization", "prompt": "Say what there is.", "dependencies": ["broken"]},
]
FAILS = {"role": "generator", "task": "broken", "error": "bad_request"}
PATCH = {
    "tasks": [
        {"file": "part.md", "prompt": "a short text on x, one sentence", "needs": ["done"], "replaces": "broken"},
        {
            "file": "rest.md",
            "prompt": "the rest of the text on x, one page",
            "needs": ["part.md"],
            "replaces": "broken",
        },
    ]
}


def _spec(folder: Path, *answers: dict[str, Any], patch: Any = PATCH, **more: Any) -> Path:
    planner = {"role": "decomposer", "text": patch if isinstance(patch, str) else json.dumps(patch)}
    fields = {"replan": "on_failure", "tasks": TASKS, "project_id": "a", **more}
    return scripted_spec(folder, answers=[FAILS, planner, *answers], **fields)


def _ends(home: Path) -> dict[str, tuple[str, str | None]]:
    found = rows(
        home,
        "SELECT json_extract(data, '$.task'), json_extract(data, '$.status'), json_extract(data, '$.reason') "
        "FROM events WHERE type = 'task.finished'",
    )
    return {task: (status, reason) for task, status, reason in found}


def test_a_failed_task_is_replaced_and_the_run_succeeds(tmp_path: Path) -> None:
    """Finished work stays; what waited for the failed task waits for those in its place."""
    home = tmp_path / "home"
    ended = orchestrate(home, "run", str(_spec(tmp_path)))
    assert ended.code == 0, ended.err + ended.out
    assert "plan patched: 2 new tasks in the place of broken" in ended.err
    ends = _ends(home)
    assert ends["broken"] == ("failed", "failed")
    assert {ends[each] for each in ("done", "task_004", "task_005", "last")} == {("completed", None)}
    prompt = orchestrate(home, "explain", "a", "last", "--prompts").out
    assert "RESULT OF task_005" in prompt
    planned = orchestrate(home, "explain", "a", "plan", "--prompts").out
    assert "no model gave an answer" in planned
    proven(home, "a")


def test_without_the_key_nothing_is_asked(tmp_path: Path) -> None:
    """Off by default: the run ends as it did."""
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(_spec(tmp_path, replan="off"))).code == 1
    assert count(home, "plan.patched") == 0
    assert _ends(home)["last"] == ("failed", "dependency")
    proven(home, "a")


@pytest.mark.parametrize(
    "patch",
    [
        "I know of nothing.",
        {"tasks": []},
        {"tasks": [{"file": "x.md", "prompt": "in the place of what is done", "needs": [], "replaces": "done"}]},
    ],
    ids=["no plan", "no tasks", "what is finished"],
)
def test_a_patch_that_is_none_leaves_the_run_as_it_is(tmp_path: Path, patch: Any) -> None:
    """It is refused, asked for once more, and then the blocked task ends."""
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(_spec(tmp_path, patch=patch))).code == 1
    ends = _ends(home)
    assert (ends["done"][0], ends["last"]) == ("completed", ("failed", "dependency"))
    patched = rows(home, "SELECT json_array_length(data, '$.tasks') FROM events WHERE type = 'plan.patched'")
    assert patched == [(0,)]
    proven(home, "a")


def test_a_task_in_place_may_fail_too_and_two_patches_are_all(tmp_path: Path) -> None:
    """The planner is asked twice at most."""
    home = tmp_path / "home"
    patch = {"tasks": [{"file": "x.md", "prompt": "another try at the text on x", "needs": ["done"]}]}
    fails = [{**FAILS, "task": f"task_{number:03d}"} for number in (4, 5, 6)]
    assert orchestrate(home, "run", str(_spec(tmp_path, *fails, patch=patch))).code == 1
    assert count(home, "plan.patched") == 2
    assert _ends(home)["last"] == ("failed", "dependency")
    proven(home, "a")


def test_the_planner_is_asked_within_the_budget(tmp_path: Path) -> None:
    """Where the ceiling has nothing left for the patch, the run ends without one, and never beyond it."""
    home = tmp_path / "home"
    spec = _spec(tmp_path, budget_usd=0.004, limits={"max_tokens": {"decomposer": 100_000}})
    ended = orchestrate(home, "run", str(spec))
    assert ended.code in (1, 4), ended.err
    show = orchestrate(home, "runs", "show", "a", "--json").json
    assert float(show["settled_usd"]) + float(show["held_usd"]) <= 0.004
    assert rows(home, "SELECT json_array_length(data, '$.tasks') FROM events WHERE type = 'plan.patched'") == [(0,)]
    proven(home, "a")


def test_killed_in_the_middle_of_a_replan_it_goes_on(tmp_path: Path) -> None:
    """The attempt's hold is unreconciled; the planner is asked again, and the run succeeds."""
    home = tmp_path / "home"
    slow = {"role": "decomposer", "text": json.dumps(PATCH), "delay_ms": 60_000}
    process = start(home, "run", str(_spec(tmp_path, slow)), "-q")
    planner = "SELECT count(*) FROM events WHERE type = 'call.started' AND json_extract(data, '$.node') = 'plan'"
    wait_until(lambda: count(home, "run.started") and rows(home, planner)[0][0], process)
    process.kill()
    process.communicate()
    _spec(tmp_path)  # its answers come at once now
    resumed = orchestrate(home, "resume", "a")
    assert resumed.code == 0, resumed.err
    assert count(home, "plan.patched") == 1
    proven(home, "a")


def test_a_patched_plan_is_approved_again(tmp_path: Path) -> None:
    """With ``approve: plan`` no new task starts before a second yes."""
    home = tmp_path / "home"
    process = start(home, "run", str(_spec(tmp_path, approve="plan")))
    wait_until(lambda: count(home, "question.asked") == 1, process)
    answered(home, "a", "yes")
    wait_until(lambda: count(home, "question.asked") == 2, process)
    assert count(home, "plan.patched") == 1
    answered(home, "a", "yes")
    assert finish(process).code == 0
    proven(home, "a")
