"""One run as a Hypothesis state machine: the real ``decide`` and ``apply`` under outcomes that are chosen one by one.

After every step no law of money, order, review or policy is broken, and something can always happen; at the end the
fold and the recomputation agree with what was decided. ``BudgetMachine`` puts such a run under accounts.
"""

from typing import Any, ClassVar

from attrs import evolve
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator import events as e
from orchestrator.decide.approvals import declines
from orchestrator.decide.outcome import reopened_by
from orchestrator.decide.plan_checks import execution_order
from orchestrator.errors import ErrorKind
from orchestrator.models import (
    AnsweredBy,
    ApprovalPoint,
    ModelInfo,
    PairChoice,
    PlannedTask,
    ProbeResult,
    ProjectStatus,
    ReadingProblem,
    Role,
    ScorerProblem,
    Verdict,
    is_comparison,
)
from orchestrator.money import Usage, Usd
from orchestrator.replay import verify
from orchestrator.settings import SECOND, RunSettings
from orchestrator.spi import Backend
from orchestrator.state.fold import fold
from orchestrator.testing.decide_by_hand import Stage
from orchestrator.testing.laws import Laws
from orchestrator.testing.simulation.machine import CheapestFirst
from orchestrator.testing.strategies import catalogues, located, plans, settings_of_runs
from orchestrator.testing.watched_backend import Judged, patient


class RunMachine(RuleBasedStateMachine):
    """One run: whatever comes from outside, in whatever order, no decision breaks a law.

    Override ``make_backend`` to put a backend of your own under the laws, and the strategies for other worlds.
    """

    generated_settings: ClassVar[st.SearchStrategy[RunSettings]] = settings_of_runs()
    """The rules of the run."""
    generated_models: ClassVar[st.SearchStrategy[tuple[ModelInfo, ...]]] = catalogues() | catalogues().map(located)
    """The models of a session."""
    generated_plans: ClassVar[st.SearchStrategy[tuple[PlannedTask, ...] | None]] = st.none() | plans(
        4, validators=("one", "python_syntax", "pytest")
    )
    """The plan that is given; None: it is asked for."""
    most_sessions: ClassVar[int] = 1000
    """How many processes may take the run, one after the other."""

    stage: Stage
    judged: Judged

    def __init__(self) -> None:
        super().__init__()
        self.laws = self.make_laws()
        self.checked = 0

    def make_backend(self) -> Backend:
        """A backend that has ranked nothing yet; asked for again and again."""
        return CheapestFirst()

    def make_laws(self) -> Laws:
        """What every event is checked against."""
        return Laws()

    @initialize(data=st.data(), files=st.booleans(), person=st.booleans())
    def begin(self, data: st.DataObject, files: bool, person: bool) -> None:
        """Start the run."""
        settings = data.draw(self.generated_settings, label="settings")
        models = data.draw(self.generated_models, label="models")
        self.start(settings, models, data.draw(self.generated_plans, label="plan"), files=files, person=person)

    def start(
        self,
        settings: RunSettings,
        models: tuple[ModelInfo, ...],
        plan: tuple[PlannedTask, ...] | None,
        *,
        files: bool = False,
        person: bool = False,
    ) -> None:
        """Start the run of a given world."""
        self.judged = Judged(self.make_backend)
        self.stage = Stage(settings, models, plan, patient(self.judged), files, can_ask=person)
        self.stage.slots = {slot: model.id for model in models for slot in model.slots}
        self.set_up()
        self.stage.begin()

    def set_up(self) -> None:
        """Change the stage before the run begins."""

    def _is_open(self) -> bool:
        return self.stage.state.is_open

    @property
    def _number(self) -> int:
        session = self.stage.state.session
        return 0 if session is None else session.number

    def _has(self, kind: type[e.Event]) -> bool:
        return self._is_open() and bool(self.stage.open(kind))

    @precondition(lambda self: self._has(e.ModelSelected))
    @rule(size=st.integers(1, 20_000), problem=st.sampled_from([None, None, None, "not_encoded"]), data=st.data())
    def prepare(self, size: int, problem: str | None, data: st.DataObject) -> None:
        """One of the bodies is shaped, or cannot be."""
        version, _ = data.draw(st.sampled_from(self.stage.open(e.ModelSelected)))
        self.stage.step(e.CallPrepared(version, "0" * 64, 0 if problem else size, problem))

    @precondition(lambda self: self._has(e.CallStarted))
    @rule(
        score=st.sampled_from([None, 0.3, 0.79, 0.8, 0.95, 1.0]),
        share=st.floats(0, 1),
        problem=st.sampled_from([None, None, None, ReadingProblem.EMPTY]),
        defects=st.none() | st.lists(st.booleans(), max_size=2),
        form=st.sampled_from([None, None, "1", "2"]),
        choice=st.sampled_from([None, *PairChoice, PairChoice.A, PairChoice.B]),
        beyond=st.sampled_from([1, 1, 1, 1, 50]),
        tasks=plans(4),
        data=st.data(),
    )
    def answer(
        self,
        score: float | None,
        share: float,
        problem: ReadingProblem | None,
        defects: list[bool] | None,
        form: str | None,
        choice: PairChoice | None,
        beyond: int,
        tasks: tuple[PlannedTask, ...],
        data: st.DataObject,
    ) -> None:
        """A call is answered, for a price within its bound or far beyond it."""
        version, call = data.draw(st.sampled_from(self.stage.open(e.CallStarted)))
        usage = Usage(input=max(1, int(call.body_bytes * share)), output=max(1, int(call.max_tokens * share)) * beyond)
        if call.role is Role.EVALUATOR and is_comparison(call.sample):
            unread = e.Reading(problem=ReadingProblem.NO_CHOICE)
            self.stage.answer(version, usage=usage, reading=unread if choice is None else e.Reading(choice=choice))
        elif call.role is Role.EVALUATOR:
            self.stage.answer(version, score, usage)
        elif call.role is Role.DECOMPOSER and problem is None:
            plan = tasks if call.iteration == 1 else self._patch(tasks, call.iteration, data)
            self.stage.answer(version, usage=usage, reading=e.Reading(plan=plan))
        else:
            found = None if defects is None else tuple(e.Defect("2" * 64, named) for named in defects)
            read = e.Reading(problem=problem, defects=found if call.role is Role.CRITIC else None)
            is_result = call.role in (Role.GENERATOR, Role.REVISER) and problem is None
            self.stage.answer(version, usage=usage, reading=evolve(read, equivalence=form if is_result else None))

    @precondition(lambda self: self._has(e.CallStarted))
    @rule(
        kind=st.sampled_from(list(ErrorKind)),
        retryable=st.booleans(),
        outage=st.booleans(),
        keeps=st.booleans(),
        retry_after=st.sampled_from([None, 0, SECOND, 90 * SECOND]),
        data=st.data(),
    )
    def fail(
        self, kind: ErrorKind, retryable: bool, outage: bool, keeps: bool, retry_after: int | None, data: st.DataObject
    ) -> None:
        """A call fails in any of the ways there are."""
        version, call = data.draw(st.sampled_from(self.stage.open(e.CallStarted)))
        more: dict[str, Any] = {"retry_after": retry_after, "by_vendor": kind is not ErrorKind.CANCELLED}
        if keeps or kind is ErrorKind.CANCELLED:
            more["unreconciled"] = call.hold
        elif kind is ErrorKind.UNREACHABLE and self.stage.state.models[call.model].host is not None:
            more["by_vendor"] = outage = False
        self.stage.fail(version, kind, retryable=retryable, outage=outage, **more)

    @precondition(lambda self: self._has(e.QuestionAsked))
    @rule(accepted=st.booleans(), extra=st.sampled_from([0, 1, 10**10]), person=st.booleans())
    def approve(self, accepted: bool, extra: int, person: bool) -> None:
        """A person says whether the tasks may start; after a no the run is resumed, perhaps with more money."""
        stage = self.stage
        version, asked = stage.open(e.QuestionAsked)[0]
        raised = asked.node == ApprovalPoint.CEILING and accepted
        cap = Usd(stage.state.cap.nano + (asked.amount or Usd.ZERO).nano + extra) if raised else None
        answer = e.QuestionAnswered(version, accepted, AnsweredBy.PERSON, False, cap=cap)
        if accepted or not declines(stage.state, answer):
            stage.step(answer)
            return
        stage.step(answer, e.RunInterrupted(e.DECLINED))
        if extra:
            stage.step(e.BudgetRaised(Usd(stage.state.cap.nano + extra), reopened_by(stage.state, "budget")))
        stage.can_ask = person
        stage.step(stage.opening())

    def _patch(self, tasks: tuple[PlannedTask, ...], iteration: int, data: st.DataObject) -> tuple[PlannedTask, ...]:
        """Tasks with ids of their own, some of which need, or stand in the place of, tasks that there are."""
        known = st.sampled_from([*self.stage.state.tasks])
        ids = {task.id: f"p{iteration}-{task.id}" for task in tasks}
        return tuple(
            evolve(
                task,
                id=ids[task.id],
                dependencies=(*(ids[each] for each in task.dependencies), *data.draw(st.lists(known, max_size=1))),
                replaces=data.draw(st.none() | known),
            )
            for task in tasks
        )

    @precondition(lambda self: self._is_open() and self.stage.state.planned and not self.stage.state.begun)
    @rule(tasks=plans(4), rarely=st.integers(0, 3))
    def edit(self, tasks: tuple[PlannedTask, ...], rarely: int) -> None:
        """A person changes the plan before its first task."""
        if rarely == 0:
            self.stage.step(e.PlanEdited(tasks, execution_order(tasks), 1))

    @precondition(lambda self: self._has(e.CheckStarted))
    @rule(
        verdict=st.sampled_from(list(Verdict)),
        permanent=st.sampled_from([False, False, True]),
        tests=st.sampled_from([(None, None), (1, 2), (3, 5), (0, 1)]),
    )
    def validate(self, verdict: Verdict, permanent: bool, tests: tuple[int | None, int | None]) -> None:
        """A validator comes to a verdict."""
        lasting = permanent and verdict in (Verdict.FAILED, Verdict.UNKNOWN)
        passed, total = tests
        passed = total if verdict is Verdict.PASSED else passed
        self.stage.validate(verdict, permanent=lasting, passed_tests=passed, total_tests=total)

    @precondition(lambda self: self._has(e.ProbeStarted))
    @rule(results=st.lists(st.sampled_from(list(ProbeResult)), min_size=2, max_size=2))
    def probe(self, results: list[ProbeResult]) -> None:
        """The counterexamples of a critique are run."""
        _, opened = self.stage.open(e.ProbeStarted)[0]
        call = self.stage.state.tasks[opened.task].call(Role.CRITIC, opened.iteration)
        assert call is not None
        assert call.answer is not None
        self.stage.probe(*results[: len(call.answer.reading.defects or ())])

    @precondition(lambda self: self._has(e.ScoringStarted))
    @rule(score=st.one_of(st.floats(0, 1), st.sampled_from(list(ScorerProblem))))
    def score(self, score: "float | ScorerProblem") -> None:
        """A scorer gives a score, or none."""
        version, _ = self.stage.open(e.ScoringStarted)[0]
        problem = score if isinstance(score, ScorerProblem) else None
        self.stage.step(e.Scored(version, None if problem else float(score), problem, None, 1000))

    @precondition(lambda self: self._has(e.OutputChosen))
    @rule(problem=st.sampled_from([None, "ENOSPC"]))
    def write(self, problem: str | None) -> None:
        """A file is written, or not."""
        self.stage.step(e.FileWritten(self.stage.open(e.OutputChosen)[0][0], 1, problem))

    @rule(seconds=st.sampled_from([0, 1, 5, 61, 4000]))
    def pass_time(self, seconds: int) -> None:
        """Time passes, after the end of a run too."""
        self.stage.now += seconds * SECOND
        self.stage.step()

    @precondition(lambda self: self._is_open() and self.may_wake())
    @rule()
    def wake(self) -> None:
        """The time comes that decide waits for."""
        self.stage.wait()

    def may_wake(self) -> bool:
        """Whether the time may come that decide waits for."""
        return self.stage.waits_until is not None

    @precondition(lambda self: self._is_open() and self._number < self.most_sessions)
    @rule(how=st.sampled_from(["killed", "lost", "interrupted", "failed"]), data=st.data())
    def die(self, how: str, data: st.DataObject) -> None:
        """The process ends, and another takes the run, perhaps with other models."""
        stage = self.stage
        opening = stage.opening()
        if how == "lost":
            stage.step(e.SessionLost(self._number, opening.ended))
        elif how == "interrupted":
            for version, call in stage.open(e.CallStarted):
                stage.fail(version, ErrorKind.CANCELLED, outage=False, by_vendor=False, unreconciled=call.hold)
            stage.step(e.RunInterrupted("SIGINT")) if stage.state.is_open and not stage.state.in_flight else None
        elif how == "failed":
            stage.step(e.SessionFailed("0" * 64))
        if data.draw(st.booleans()):
            stage.models = data.draw(self.generated_models)
        if stage.state.finished is None:
            stage.step(stage.opening())

    @precondition(lambda self: self.stage.state.finished is not None and not self.stage.state.finished.status.is_closed)
    @rule(extra=st.integers(1, 10**9))
    def reopen(self, extra: int) -> None:
        """What halted the run is removed."""
        stage, state = self.stage, self.stage.state
        assert state.finished is not None
        if state.finished.status is ProjectStatus.BUDGET_EXHAUSTED:
            stage.step(e.BudgetRaised(Usd(state.cap.nano + extra), reopened_by(state, "budget")))
        elif state.finished.status is ProjectStatus.TIMEOUT:
            stage.step(e.TimeRaised(state.time_limit + extra, reopened_by(state, "time")))
        stage.step(stage.opening())

    @invariant()
    def no_law_is_broken(self) -> None:
        """Every event so far keeps the laws, the backend is one, and something can always happen."""
        if not hasattr(self, "stage"):
            return
        assert not self.judged.problem, self.judged.problem
        for at, event in self.stage.history[self.checked :]:
            self.laws.take(at, event)
        self.checked = len(self.stage.history)
        assert not self.laws.problems, "; ".join(self.laws.problems[:5])
        state = self.stage.state
        if state.is_open:
            assert state.pending or self.stage.waits_until is not None, "nothing can happen any more"

    def teardown(self) -> None:
        """The fold and the recomputation agree with what was decided."""
        if not hasattr(self, "stage") or self.is_broken:
            return
        history = self.stage.history
        assert fold(history) == self.stage.state
        found = verify(history, lambda session: patient(self.make_backend()))
        assert found.differences == (), "computed again with a backend built anew, decisions are others"
        super().teardown()

    @property
    def is_broken(self) -> bool:
        """Whether something was found already, which is to be reported first."""
        return bool(self.judged.problem or self.laws.problems)


RunMachine.TestCase.settings = profile(stateful_step_count=60, deadline=None)
