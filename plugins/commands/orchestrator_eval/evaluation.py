"""One evaluation from its beginning to its result: what the commands share."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve

from orchestrator.cli.kit import bound, notice, prepare
from orchestrator.engine import accounts
from orchestrator.engine.checks import selector_for
from orchestrator.engine.route_preview import outlook
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd
from orchestrator.engine.vendors.session_providers import Connected, connect
from orchestrator.errors import MissingError, UsageError, present
from orchestrator.log import append_head
from orchestrator.models import CellOutcome, CellProblem
from orchestrator.money import Usd
from orchestrator.reading import events as e
from orchestrator.spec import Spec
from orchestrator.spi import Job, Scorer
from orchestrator_eval.arms import Arm, best_model, with_controls
from orchestrator_eval.cell_matrix import Cell, EvalPlan, spec_of
from orchestrator_eval.evaluation_state import (
    EvalStream,
    existing,
    folded,
    names,
    open_cells,
    open_stream,
    plan_of,
    stream_name,
)
from orchestrator_eval.graders import Bench
from orchestrator_eval.grading_rules import SECONDS, GraderKind
from orchestrator_eval.preflight import check_arms
from orchestrator_eval.results import EvalResult, result_of
from orchestrator_eval.runner import CellGrade, Runner
from orchestrator_eval.suite_file import Suite

_PROGRAM: Final = "multi-llm-orchestrator"
"""The distribution whose plugins refuse what they do not know."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@define
class Evaluation:
    """An evaluation on an open data folder; its lock is held while cells run.

    Attributes:
        workspace: where runs are made.
        name: of the evaluation.
        plan: what it does.
        simulated: whether its providers are.
    """

    workspace: Engine
    name: str
    plan: EvalPlan
    simulated: bool
    bench: Bench

    def result(self) -> EvalResult:
        """The result as far as it has come."""
        stream = self._stream()
        return result_of(self.workspace.log, self.name, stream.state, self.plan, stream.texts)

    def _stream(self) -> EvalStream:
        ports = self.workspace.ports
        return open_stream(self.workspace.log, self.name, ports.clock, ports.random_bytes)

    async def play(
        self,
        budget: Usd | None,
        jobs: int,
        report: Callable[[Cell, CellGrade], None],
        *,
        again: Sequence[CellOutcome] = (),
    ) -> str:
        """Run the cells that have no grade, and those with one of the outcomes of ``again``.

        Returns:
            Why cells are left; empty: none is.

        Raises:
            RunLockedError: another process works on it.
            UsageError: the budget is below what is spent.
        """
        log = self.workspace.log
        lock = log.locks.acquire(stream_name(self.name))
        try:
            stream = self._stream()
            await self._begin(stream, budget)
            cells = open_cells(self.plan, stream.state, again)
            cells += [cell for cell in _refused(stream) if cell not in cells]
            runner = Runner(self.workspace, stream, self.plan, self.bench, self.simulated, jobs, report)
            with _stopping(runner):
                await runner.run(cells)
            await self._finish(stream)
            return (
                runner.stopped if runner.stopped == "signal" or open_cells(self.plan, stream.state) else _left(stream)
            )
        finally:
            lock.release()

    async def _begin(self, stream: EvalStream, budget: Usd | None) -> None:
        log, account = self.workspace.log, stream_name(self.name)
        is_new = stream.state.started is None
        cap = budget if budget is not None else self.plan.suite.budget if is_new else None
        if cap is not None:
            await accounts.open_accounts(log, {account: cap}, self.workspace.ports.clock(), self.simulated)
        if is_new:
            cap = present(cap, "cap")
            await stream.append([self._started(stream, cap)])

    def _started(self, stream: EvalStream, cap: Usd) -> e.EvalStarted:
        level = self.bench.selector.level()
        return e.EvalStarted(
            plan=stream.texts.put(self.plan.text()),
            cells=self.plan.size,
            cap=cap,
            seed=self.plan.seed,
            simulated=self.simulated,
            sandbox=None if level is None else level.value,
            memory=Job(()).memory,
            timeout=round(SECONDS * 1_000_000),
        )

    async def _finish(self, stream: EvalStream) -> None:
        state = stream.state
        if state.finished is not None or open_cells(self.plan, state):
            return
        counts = (state.count(each) for each in (CellOutcome.SOLVED, CellOutcome.FAILED, CellOutcome.ERROR))
        await stream.append([e.EvalFinished(*counts)])
        append_head(self.workspace.folder, stream_name(self.name), stream.head, state.version)

    async def teach(self, on: bool) -> None:
        """Let its grades count in what later runs know of the models, or no longer.

        Raises:
            RunLockedError: another process works on it.
        """
        lock = self.workspace.log.locks.acquire(stream_name(self.name))
        try:
            stream = self._stream()
            if stream.state.taught != on:
                await stream.append([e.EvalTaught(on)])
        finally:
            lock.release()

    async def regrade(self, suite: Suite, report: Callable[[Cell, CellGrade], None]) -> int:
        """Grade the recorded answers by the graders of a suite, without any call; returns how many grades changed.

        Raises:
            UsageError: a case is graded by a judge, which costs money.
        """
        judged = [case.id for case in suite.cases if any(each.kind is GraderKind.JUDGE for each in case.grade)]
        if judged:
            raise UsageError(f"the case {judged[0]} is graded by a model, which costs money: leave it out with --case")
        lock = self.workspace.log.locks.acquire(stream_name(self.name))
        try:
            stream = self._stream()
            known = {case.id for case in suite.cases}
            plan = evolve(self.plan, suite=suite)
            runner = Runner(self.workspace, stream, plan, self.bench, self.simulated)
            changed = 0
            for cell, state in list(stream.state.cells.items()):
                grade = await self._graded_again(runner, cell, state.run) if cell.case in known else None
                if grade is None:
                    continue
                if grade.outcome is not state.outcome:
                    changed += 1
                    report(cell, grade)
                await runner.record(cell, state, grade)
            await self._finish(stream)
            return changed
        finally:
            lock.release()

    async def _graded_again(self, runner: Runner, cell: Cell, run: str) -> CellGrade | None:
        if self.workspace.log.last(run) is None:
            return None
        state = self.workspace.load(run)
        if state.finished is None:
            return None
        return await runner.grade(cell, RunEnd(run, state, "", self.workspace.texts(run), False, None))


def _refused(stream: EvalStream) -> Iterator[Cell]:
    """The cells that the ceiling left without an answer: they are open as soon as there is more."""
    for cell, state in stream.state.cells.items():
        if state.graded is not None and state.graded.problem is CellProblem.BUDGET:
            yield cell


def _left(stream: EvalStream) -> str:
    return "budget" if any(True for _ in _refused(stream)) else ""


@contextmanager
def _stopping(runner: Runner) -> Iterator[None]:
    """Let signals end the sessions of the cells; a second one ends the process."""
    loop = asyncio.get_running_loop()
    taken = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def stop(name: str) -> None:
        if runner.stopped == "signal":
            raise KeyboardInterrupt
        runner.stop(name)

    for number in taken:
        loop.add_signal_handler(number, stop, number.name)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


def bench_of(workspace: Engine, choice: Spec) -> Bench:
    """What grades, in the sandbox that a spec wants."""
    catalogue = workspace.catalogue

    def scorer(name: str, parameters: Mapping[str, Any]) -> Scorer:
        if parameters and catalogue.find("scorer", name).distribution != _PROGRAM:
            text = f"the scorer {name!r} takes no parameters from a suite: nothing is known of what they could name"
            raise UsageError(text)
        return catalogue.scorer(name, parameters)

    return Bench(selector_for(choice.validators.sandbox), cache(catalogue.validator), scorer)


def prepared(
    workspace: Engine, suite: Suite, arms: Sequence[Arm], sets: Sequence[str], repetitions: int, *, controls: bool
) -> tuple[EvalPlan, Connected, Bench]:
    """The plan of an evaluation with its control arms: every arm makes a spec, and has something to call.

    Raises:
        OrchestrateError: what keeps it from being run.
    """
    usual = bound(
        spec_of(suite, suite.cases[0], Arm("", sets=tuple(sets)), "check"), workspace.admission, workspace.catalogue
    )
    if controls:
        connected = connect(workspace.catalogue, usual, workspace.environment)
        arms = with_controls(arms, sets, best_model(connected.models))
    plan = EvalPlan(suite, tuple(arms), repetitions)
    connected = check_arms(plan, workspace)
    return plan, connected, bench_of(workspace, usual)


def forecast(workspace: Engine, plan: EvalPlan) -> list[tuple[str, Usd]]:
    """What each arm is expected to cost, by the rules that its runs follow."""
    found = []
    for arm in plan.arms:
        expected = Usd.ZERO
        connected: Connected | None = None
        for case in plan.suite.cases:
            spec = spec_of(plan.suite, case, arm, "check")
            connected = connected or connect(workspace.catalogue, spec, workspace.environment)
            seen = outlook(spec, connected).forecast
            expected += Usd.ZERO if seen is None else seen.expected
        found.append((arm.name, Usd(expected.nano * plan.repetitions)))
    return found


def name_for(workspace: Engine, suite: Suite, given: str | None, plan: EvalPlan) -> str:
    """The name of the evaluation: the one given; else that of the suite, numbered where an earlier one is finished.

    An unfinished evaluation of the same plan goes on.

    Raises:
        UsageError: the name given is that of another plan.
    """
    text = plan.text()
    if given is not None:
        if not is_same(workspace, given, text):
            raise UsageError(
                f"the evaluation {given} has another suite, arms or number of repetitions: choose another --name"
            )
        return given
    taken = set(names(workspace.log))
    same = [name for name in taken if _stem(name, suite.name) and is_same(workspace, name, text)]
    unfinished = [name for name in same if folded(workspace.log, name).finished is None]
    if unfinished:
        return max(unfinished, key=lambda name: _stem(name, suite.name))
    number = 1
    while (name := suite.name if number == 1 else f"{suite.name}-{number}") in taken:
        number += 1
    return name


def _stem(name: str, suite: str) -> int:
    """Which evaluation of a suite a name is of, from 1; 0: of none."""
    if name == suite:
        return 1
    rest = name.removeprefix(f"{suite}-")
    return int(rest) if rest != name and rest.isdecimal() else 0


def is_same(workspace: Engine, name: str, plan: str) -> bool:
    """Whether an evaluation has this plan, or there is none of the name."""
    ports = workspace.ports
    stream = open_stream(workspace.log, name, ports.clock, ports.random_bytes)
    return stream.state.started is None or stream.state.started.plan == stream.texts.digest(plan)


def known_evaluation(workspace: Engine, name: str, *, grades: bool = True) -> Evaluation:
    """An evaluation that there is; ``grades``: whether answers are to be graded.

    Raises:
        UsageError: there is none of the name.
        NotAllowedError: the user has not agreed to how its graders are contained.
    """
    state = existing(workspace.log, name)
    if state.started is None:
        raise MissingError("first event")
    ports = workspace.ports
    stream = open_stream(workspace.log, name, ports.clock, ports.random_bytes)
    plan = plan_of(state, stream.texts)
    usual = spec_of(plan.suite, plan.suite.cases[0], plan.arms[0], "check")
    if grades:
        usual = bound(usual, workspace.admission, workspace.catalogue)
    return Evaluation(workspace, name, plan, state.started.simulated, bench_of(workspace, usual))


def open_workspace(folder: Path, allow: Sequence[str] = ()) -> Engine:
    """The data folder; runs made on it do not learn from each other. ``allow`` is what ``--allow`` agrees to.

    Raises:
        LogError: it cannot be used.
    """
    workspace = Engine.open(folder)
    workspace.learns = workspace.asks_above = False  # its ceiling is agreed to before its first cell
    said = set[str]()

    def show(text: str) -> None:
        """Every cell wants the same: it is said once."""
        if text not in said:
            said.add(text)
            notice(text)

    prepare(workspace.admission, allow, show=show)
    return workspace
