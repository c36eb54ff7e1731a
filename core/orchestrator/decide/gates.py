"""What checks mean: which are due, whether an answer passes its gate, and when two answers are one.

Equal answers share their verdicts, and a verdict that cannot change holds for every answer of its task. The tests that
a planner wrote are votes until candidates of two models have passed them.
"""

from typing import Final

from attrs import frozen

from orchestrator.decide.due_validators import holds_for_others, next_checks
from orchestrator.events import CheckStarted
from orchestrator.models import Verdict
from orchestrator.settings import MissingTool
from orchestrator.state.calls import Answer
from orchestrator.state.equal_answers import checks_of, first_equal, written
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Check, TaskState

TESTS: Final = "pytest"
"""The validator that runs a task's tests."""


@frozen
class Gate:
    """How an answer stands to the checks of its task, once all that are due have ended."""

    passed: bool
    """Whether every check passed, or was skipped where the settings allow that."""
    failed: bool
    """Whether a check failed. Neither: one could not be made."""
    lasting: bool
    """Whether no other answer can pass: a check that did not pass cannot be made at all."""
    share: float | None
    """The share of the given tests that passed; None where none were run."""


def due(state: RunState, task: TaskState, answer: Answer) -> tuple[str, ...]:
    """The validators to start now on an answer. Its own verdicts hold; those it shares, within their session."""
    if not task.planned.validators:
        return ()
    own = first_equal(task, answer).version == answer.version and task.checks.get(answer.version, {})
    known = {
        name: _as_gate(state, check)
        for name, check in checks_of(task, answer).items()
        if (own and name in own) or holds_for_others(state, check)
    }
    return next_checks(task.planned.validators, known)


def next_check(state: RunState, task: TaskState, iteration: int, answer: Answer) -> CheckStarted | None:
    """The check to start next on an answer of an iteration; None: none is due."""
    missing = due(state, task, answer)
    if not missing:
        return None
    vote = is_vote(state, task, missing[0])
    return CheckStarted(task.name, iteration, missing[0], first_equal(task, answer).version, vote)


def gate_of(state: RunState, task: TaskState, answer: Answer) -> Gate | None:
    """How an answer stands, or None while a check of it is due or at work."""
    checks = checks_of(task, answer)
    if due(state, task, answer) or any(check.verdict is None for check in checks.values()):
        return None
    counted = {name: _as_gate(state, check) for name, check in checks.items() if not check.vote}
    failed = Verdict.FAILED in counted.values()
    passed = not failed and all(verdict is Verdict.PASSED for verdict in counted.values())
    lasting = any(checks[name].permanent for name, verdict in counted.items() if verdict is not Verdict.PASSED)
    return Gate(passed, failed, lasting, share_of(state, task, answer))


def has_given_tests(state: RunState, task: TaskState) -> bool:
    """Whether the spec brings tests for the task; those that a planner wrote are none."""
    given = state.first.given_plan is not None and task.planned.tests is not None
    return given and TESTS in task.planned.validators


def share_of(state: RunState, task: TaskState, answer: Answer) -> float | None:
    """The share of the given tests that an answer passed; None where none were run."""
    check = checks_of(task, answer).get(TESTS)
    if check is None or not has_given_tests(state, task):
        return None
    if check.verdict is Verdict.PASSED:
        return 1.0
    if check.verdict is not Verdict.FAILED:
        return None
    return check.passed_tests / check.total_tests if check.passed_tests and check.total_tests else 0.0


def is_vote(state: RunState, task: TaskState, validator: str) -> bool:
    """Whether a verdict of this validator is a vote now: the planner's tests, not passed by two models' candidates."""
    if validator != TESTS or state.first.given_plan is not None:
        return False
    passed = {
        answer.model
        for _, answer in written(task)
        if (check := task.checks.get(first_equal(task, answer).version, {}).get(TESTS)) is not None
        and check.verdict is Verdict.PASSED
    }
    return len(passed) < 2


def standing(task: TaskState, answer: Answer) -> tuple[bool, bool, float]:
    """What ranks the results of one iteration: whether no check objects, whether all passed, the share of tests."""
    checks = checks_of(task, answer)
    counted = [
        checks[name].verdict if name in checks else None
        for name in task.planned.validators
        if name not in checks or not checks[name].vote
    ]
    clean = all(verdict in (Verdict.PASSED, Verdict.SKIPPED) for verdict in counted)
    tests = checks.get(TESTS)
    counts = tests is not None and not tests.vote and bool(tests.total_tests)
    share = (tests.passed_tests or 0) / (tests.total_tests or 1) if counts and tests is not None else 0.0
    return clean, all(verdict is Verdict.PASSED for verdict in counted), share


def _as_gate(state: RunState, check: Check) -> Verdict | None:
    """What a verdict means for the gate; a vote means nothing, a skipped one what the settings say."""
    if check.vote:
        return Verdict.PASSED if check.verdict is not None else None
    if check.verdict is not Verdict.SKIPPED:
        return check.verdict
    return Verdict.FAILED if state.settings.missing_tool is MissingTool.FAIL else Verdict.PASSED
