"""How the verification of the whole result bears on how a run ends."""

import pytest

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import ProjectStatus, Role, Verdict, VerificationProblem
from orchestrator.settings import SECOND, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.laws import broken_laws


def verified(stage: Stage, verdict: Verdict) -> list[e.Event]:
    """The outcome of the open verification, and the decisions that follow."""
    version = stage.open(e.VerificationStarted)[0][0]
    code = {Verdict.PASSED: 0, Verdict.FAILED: 1}.get(verdict)
    problem = VerificationProblem.NO_SANDBOX if code is None else None
    return stage.step(e.ResultVerified(version, verdict, "0" * 64, code, problem, None, 1000))


def staged(score: float = 0.95, verify: bool = True, **settings: object) -> Stage:
    """A run of one task that got this score, up to the point where nothing is left but to judge the whole."""
    stage = Stage(
        RunSettings(verify=verify, simulated=True, **settings),  # type: ignore[arg-type]
        [model("a", slots=("deepseek-chat",)), model("b", "south")],
        [task("one")],
    )
    stage.begin()
    while stage.state.unfinished:
        stage.prepare()
        started = stage.open(e.CallStarted)[0][1]
        stage.answer(score=score if started.role is Role.EVALUATOR else None)
    return stage


@pytest.mark.parametrize(
    ("score", "verdict", "status", "reason"),
    [
        (0.95, Verdict.PASSED, ProjectStatus.SUCCESS, None),
        (0.95, Verdict.FAILED, ProjectStatus.PARTIAL_SUCCESS, "verification"),
        (0.95, Verdict.UNKNOWN, ProjectStatus.PARTIAL_SUCCESS, "verification"),
        (0.10, Verdict.PASSED, ProjectStatus.PARTIAL_SUCCESS, None),
        (0.10, Verdict.FAILED, ProjectStatus.PARTIAL_SUCCESS, "verification"),
    ],
)
def test_only_a_pass_leaves_a_success(
    score: float, verdict: Verdict, status: ProjectStatus, reason: str | None
) -> None:
    """The result is judged once, when every task has ended; a pass makes nothing better than its tasks are."""
    stage = staged(score)
    assert len(stage.all(e.VerificationStarted)) == 1
    assert stage.state.finished is None
    finished = verified(stage, verdict)
    assert [type(event) for event in finished] == [e.RunFinished]
    assert (stage.last(e.RunFinished).status, stage.last(e.RunFinished).reason) == (status, reason)
    assert broken_laws(stage.history) == []


def test_nothing_is_judged_unless_asked_for() -> None:
    """Without the command the run ends in the step of its last task."""
    stage = staged(verify=False)
    assert stage.all(e.VerificationStarted) == []
    assert stage.last(e.RunFinished).status is ProjectStatus.SUCCESS


def test_a_run_without_an_output_is_not_judged() -> None:
    """There is nothing to run the command on; the run fails as it would."""
    stage = Stage(RunSettings(verify=True, simulated=True), [model("a")], [task("one")])
    stage.begin()
    finished = stage.play(lambda started: ErrorKind.CONTENT_FILTER)
    assert (finished.status, stage.all(e.VerificationStarted)) == (ProjectStatus.SYSTEM_FAILURE, [])


def test_a_verification_that_died_with_its_session_is_open_again() -> None:
    """The next session finds it pending, under the version that it had; no second one is decided."""
    stage = staged()
    version = stage.open(e.VerificationStarted)[0][0]
    stage.now += SECOND
    assert stage.step(stage.opening()) == []
    assert [v for v, _ in stage.open(e.VerificationStarted)] == [version]
    verified(stage, Verdict.PASSED)
    assert stage.last(e.RunFinished).status is ProjectStatus.SUCCESS
    assert broken_laws(stage.history) == []


def test_its_time_is_bounded_by_the_runs() -> None:
    """The engine ends it after its own limit, or 30 seconds after the deadline of the run."""
    assert staged().last(e.VerificationStarted).timeout == 600 * SECOND
    assert staged(time_limit=100 * SECOND).last(e.VerificationStarted).timeout <= 130 * SECOND


def test_with_no_time_left_the_run_halts_and_more_time_lets_it_go_on() -> None:
    """At the deadline nothing new starts; the tasks stay as they are."""
    stage = Stage(
        RunSettings(verify=True, simulated=True, time_limit=100 * SECOND),
        [model("a", slots=("deepseek-chat",)), model("b", "south")],
        [task("one")],
        files=True,
    )
    stage.begin()
    while not stage.open(e.OutputChosen):
        stage.prepare()
        started = stage.open(e.CallStarted)[0][1]
        stage.answer(score=0.95 if started.role is Role.EVALUATOR else None)
    stage.now += 200 * SECOND
    stage.step(e.FileWritten(stage.open(e.OutputChosen)[0][0], 10, None))
    assert (stage.last(e.RunFinished).status, stage.last(e.RunFinished).reason) == (ProjectStatus.TIMEOUT, "time")
    stage.step(e.TimeRaised(900 * SECOND))
    stage.step(stage.opening())
    verified(stage, Verdict.PASSED)
    assert stage.last(e.RunFinished).status is ProjectStatus.SUCCESS
    assert len(stage.all(e.TaskFinished)) == 1
    assert broken_laws(stage.history) == []
