"""The review loop through the front door: a spec, a run with real checks, and the log it left.

In each run a model is played that would spoil the result, or waste calls, without the mechanism.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator import events as e
from orchestrator.models import Role, ScoredBy, SkipReason, TaskStatus
from orchestrator.testing.played_run import Played, play_spec
from tests.cli.command import orchestrate

RIGHT: Final = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG: Final = "```python\ndef double(x):\n    return x\n```"
WORSE: Final = "```python\ndef double(x):\n    return None\n```"
BROKEN: Final = "```python\ndef double(x:\n```"
TESTS: Final = """
from double import double


def test_two():
    assert double(2) == 4


def test_zero():
    assert double(0) == 0
"""
TASK: Final[Mapping[str, Any]] = {
    "id": "only",
    "type": "code_generation",
    "prompt": "Write double.py with double(x).",
    "hard_validators": ["python_syntax", "pytest"],
    "tests": TESTS,
}
OBJECTS: Final = json.dumps({"defects": [{"where": "double", "problem": "It is too short.", "counterexample": None}]})
ACCEPTS: Final = json.dumps({"defects": []})


def says(role: str, text: str, **more: Any) -> dict[str, Any]:
    """An answer of a role."""
    return {"role": role, "text": text, **more}


def played(
    folder: Path, *answers: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]] = (TASK,), **keys: Any
) -> Played:
    """A run of one task with given tests, or of others: each decision is computed again, and no law is broken."""
    return proved(play_spec(folder, answers, tasks=list(tasks), **{"cache": False, **keys}))


def proved(run: Played) -> Played:
    """The run, once its log has been verified and audited."""
    for command in (("replay", run.run, "--verify", "--strict"), ("audit", "verify", run.run)):
        ended = orchestrate(run.home, *command)
        assert ended.code == 0, ended.out + ended.err
    return run


def called(run: Played) -> list[str]:
    """Role and iteration of every call, in order."""
    return [f"{each.role.value} {each.iteration}" for each in run.all(e.CallStarted)]


def delivered(run: Played) -> str:
    """The file that the run left."""
    (path,) = run.output.rglob("*.py")
    return path.read_text(encoding="utf-8")


def test_a_right_answer_that_imports_itself_as_its_tests_do_is_right(tmp_path: Path) -> None:
    """A model that copies the import of the tests loses nothing by it, and needs no second draft."""
    copied = RIGHT.replace("def double", "from double import double\n\n\ndef double")
    run = played(tmp_path, says("generator", copied), loop="plain")
    assert called(run) == ["generator 1"]
    assert run.task().status is TaskStatus.COMPLETED
    assert delivered(run) == "def double(x):\n    return 2 * x\n"


def test_right_first_time_is_three_calls(tmp_path: Path) -> None:
    """A critic with nothing to say, and one evaluation, which a low score of does not degrade."""
    run = played(tmp_path, says("generator", RIGHT), says("critic", ACCEPTS), says("evaluator", '{"score": 1}'))
    assert called(run) == ["generator 1", "critic 1", "evaluator 1"]
    scored = run.all(e.Evaluated)[0]
    assert (scored.score, scored.scored_by, scored.judged) == (1.0, ScoredBy.TESTS, 0.1)
    assert run.task().status is TaskStatus.COMPLETED


def test_a_right_draft_survives_a_bad_reviser(tmp_path: Path) -> None:
    """The delivered file is the draft's."""
    run = played(tmp_path, says("generator", RIGHT), says("critic", OBJECTS), says("reviser", WRONG))
    assert "reviser 1" in called(run)
    assert "2 * x" in delivered(run)
    assert run.task().status is TaskStatus.COMPLETED


def test_the_best_of_failed_iterations_is_delivered(tmp_path: Path) -> None:
    """One of two tests passed in the second try, none in the others, an apology included."""
    run = played(
        tmp_path,
        says("generator", WORSE, iteration=1),
        says("generator", WRONG, iteration=2),
        says("generator", "I am sorry, I cannot do that.", iteration=3),
    )
    assert called(run) == ["generator 1", "generator 2", "generator 3"]
    assert [scored.share for scored in run.all(e.Evaluated)][:2] == [0.0, 0.5]
    assert "return x" in delivered(run)
    assert (run.task().status, run.task().reason) == (TaskStatus.DEGRADED, "gate")


def test_no_slower_check_follows_a_syntax_error(tmp_path: Path) -> None:
    """And no critic, reviser or judge works on what does not parse."""
    run = played(tmp_path, says("generator", BROKEN, iteration=1), says("generator", RIGHT), says("critic", ACCEPTS))
    checks = [(each.iteration, each.validator) for each in run.all(e.CheckStarted)]
    assert checks == [(1, "python_syntax"), (2, "python_syntax"), (2, "pytest")]
    assert called(run)[:2] == ["generator 1", "generator 2"]
    assert run.task().few_tests == 2


def test_equal_code_is_not_judged_again(tmp_path: Path) -> None:
    """The same syntax tree with other comments: one run of the tests for three drafts."""
    again = "```python\n# once more\ndef double(x):\n    return x  # here\n```"
    run = played(tmp_path, says("generator", WRONG, iteration=1), says("generator", again))
    assert len([each for each in run.all(e.CheckStarted) if each.validator == "pytest"]) == 1
    assert len(run.all(e.Evaluated)) == 3


def test_impossible_tests_end_at_once(tmp_path: Path) -> None:
    """They skip themselves, whatever is written: one draft, and the end says why."""
    skipped = "import pytest\n\n\n@pytest.mark.skip\ndef test_it():\n    assert False\n"
    task = {**TASK, "tests": skipped}
    run = played(tmp_path, says("generator", RIGHT), tasks=[task])
    assert [call for call in called(run) if call.startswith("generator")] == ["generator 1"]
    assert (run.task().status, run.task().reason) == (TaskStatus.DEGRADED, "gate")


def test_a_planners_wrong_test_does_not_fail_right_code(tmp_path: Path) -> None:
    """The plan is a model's: its tests are a vote."""
    wrong = {**TASK, "tests": TESTS.replace("== 4", "== 5"), "title": "", "dependencies": []}
    plan = says("decomposer", json.dumps({"tasks": [wrong]}))
    run = play_spec(tmp_path, [plan, says("generator", RIGHT), says("critic", ACCEPTS)], tasks=None, cache=False)
    assert [(each.validator, each.vote) for each in run.all(e.CheckStarted)] == [
        ("python_syntax", False),
        ("pytest", True),
    ]
    assert proved(run).task("task_001").status is TaskStatus.COMPLETED


def test_a_text_does_get_its_revision(tmp_path: Path) -> None:
    """Nothing executes: the critic works on the draft, and the revision is delivered."""
    task = {"id": "only", "type": "summarization", "prompt": "Sum it up."}
    run = played(
        tmp_path,
        says("generator", "A draft."),
        says("critic", OBJECTS),
        says("reviser", "A revision."),
        tasks=[task],
    )
    chosen = run.all(e.OutputChosen)[0]
    assert chosen.call == next(
        version
        for version, each in enumerate(run.events, 1)
        if isinstance(each, e.CallStarted) and each.role is Role.REVISER
    )
    assert run.task().status is TaskStatus.COMPLETED


def test_strategies_are_named_in_a_spec_and_recorded(tmp_path: Path) -> None:
    """``plain`` is one call; the log says under which strategy it was made."""
    run = played(tmp_path, says("generator", RIGHT), loop="plain")
    assert called(run) == ["generator 1"]
    assert {each.name for each in run.all(e.RunStarted)[0].settings.loop.values()} == {"plain"}
    assert [step.reason for step in run.all(e.StepSkipped)] == [SkipReason.STRATEGY]
    assert run.task().status is TaskStatus.COMPLETED


def test_the_cheapest_model_that_cannot_plan_is_no_system_failure(tmp_path: Path) -> None:
    """It is called once more, then the next one plans; where no model can, the project is the only task."""
    task = {**TASK, "title": "", "dependencies": []}
    plan = json.dumps({"tasks": [task]})
    chatty = says("decomposer", "What a nice project!")
    run = play_spec(
        tmp_path / "one",
        [chatty, says("decomposer", plan, model="south"), says("generator", RIGHT), says("critic", ACCEPTS)],
        tasks=None,
        cache=False,
    )
    assert [each.model for each in run.all(e.CallStarted) if each.role is Role.DECOMPOSER] == [
        "north",
        "north",
        "south",
    ]
    assert run.status is not None
    assert run.status.value == "SUCCESS"
    none = play_spec(
        tmp_path / "none", [chatty, says("generator", RIGHT), says("critic", ACCEPTS)], tasks=None, cache=False
    )
    assert (none.status.value if none.status else None) == "PARTIAL_SUCCESS"
    assert none.all(e.RunFinished)[0].reason == "fallback_plan"
    assert none.all(e.PlanMade)[0].fallback
    for each in (run, none):
        proved(each)
