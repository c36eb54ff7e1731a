"""``RunHandle``: one run of a data folder, for programs: follow it, wait for it, go on with it, and ask why."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from attrs import define

from orchestrator.engine.answers_from_outside import QuestionReply, request_of
from orchestrator.engine.outputs.run_results import project_state
from orchestrator.engine.session_lifetime import RunEnd
from orchestrator.engine.vendors.environment import called_by
from orchestrator.errors import MissingError, UsageError, present
from orchestrator.events import QuestionAnswered, RunForked, RunStarted
from orchestrator.ledger.mailbox_requests import ANSWER, CANCEL
from orchestrator.log import Recorded
from orchestrator.log.event_ids import EventId, read_event_id
from orchestrator.models import AnsweredBy, Budget, ProjectState
from orchestrator.money import Usd
from orchestrator.past_runs.recorded_rankings import rank_of
from orchestrator.past_runs.run_list import RunSummary, summaries
from orchestrator.past_runs.spend_sums import COLUMNS, Row, Sum, spend_of, sums_of
from orchestrator.python_api.answering_questions import OpenQuestion, open_question, open_questions
from orchestrator.python_api.following_runs import PAUSE, LiveSession, TextPiece, committed, settled, text_elsewhere
from orchestrator.replay import Verification
from orchestrator.replay import verify as verify_history
from orchestrator.settings import RunSettings
from orchestrator.state.run import RunState

if TYPE_CHECKING:
    from orchestrator.engine.runs import Engine
    from orchestrator.python_api.workspace import Workspace

T = TypeVar("T")

_PATIENCE: Final = 15.0
"""Seconds for which a run of another process that is to stop is waited for."""


@define(eq=False)
class RunHandle:
    """One run of an open workspace, whichever process has it.

    Every method but ``questions`` and ``summary`` is a coroutine, and does its work beside the event loop. Amounts in
    and out are US dollars, times seconds, unless a description says otherwise.
    """

    workspace: "Workspace"
    id: str
    budget: Budget | None = None
    """Filled in with what the run used, whenever its state is read."""
    session: LiveSession | None = None
    """The session that this handle began."""

    async def events(self, after: int = 0) -> AsyncIterator[Recorded]:
        """Every event of the run with a version above ``after``, in order, each once it is durable.

        It ends once no process has the run and all has been read; follow a run that goes on later by calling again
        with the last ``version``. Breaking off or cancelling loses nothing.

        Yields:
            ``Recorded``: ``name`` (such as ``task.finished``), ``version``, ``position``, ``at`` (microseconds UTC),
            ``event`` (the typed event), ``to_dict()``.

        Raises:
            LogError: the log cannot be read.
            UnknownEventError: a newer program wrote one of them.
        """
        live = self.workspace.live.get(self.id)
        following = committed(self._engine.log, self.id, after, live)
        try:
            async for record in following:
                yield record
        finally:
            await following.aclose()  # type: ignore[attr-defined]  # an asynchronous generator

    async def text(self) -> AsyncIterator[TextPiece]:
        """What models write from now on, piece by piece, with task and role, until the session of the run ends.

        Live text is never recorded. Of a run of another process it comes twice a second, beginning with what the
        calls in flight have written so far, 4,000 characters of each at most and without keys; the last words of its
        session may be missing.
        """
        live = self.workspace.live.get(self.id)
        log, folder = self._engine.log, self._engine.folder
        following = text_elsewhere(log, folder, self.id) if live is None else live.text()
        try:
            async for piece in following:
                yield piece
        finally:
            await following.aclose()  # type: ignore[attr-defined]  # an asynchronous generator

    async def result(self, timeout: float | None = None) -> ProjectState:  # noqa: ASYNC109  # seconds, as everywhere
        """Wait until no process has the run any more, and return how it stands then.

        A run that was interrupted has ``state.is_open``; ``resume`` goes on with it. Cancelling the wait does not
        touch the run.

        Raises:
            TimeoutError: it has not ended within ``timeout`` seconds; it goes on.
            OrchestrateError: what ended the session, where that was an error.
        """
        async with asyncio.timeout(timeout):
            await self._ended()
        failure = self.workspace.failures.get(self.id)
        if failure is not None:
            raise failure
        return await self.state()

    async def ended(self) -> RunEnd:
        """Wait for the session that this handle began; cancelling the wait ends it, and its end is waited for.

        Raises:
            OrchestrateError: what ended the session, where that was an error.
        """
        if self.session is None:
            raise MissingError("session")
        if self.session.task is None:
            raise MissingError("task")
        task = self.session.task
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await settled(asyncio.gather(task, return_exceptions=True))
            raise
        return task.result()

    async def _ended(self) -> None:
        """Wait until no process has the run."""
        live = self.workspace.live.get(self.id, self.session)
        if live is not None and live.task is not None:
            await asyncio.wait({live.task})
        while self._engine.log.locks.is_held(self.id):  # noqa: ASYNC110  # another process wakes no one
            await asyncio.sleep(PAUSE)

    async def state(self) -> ProjectState:
        """How the run stands now, whether it goes on or not.

        Raises:
            LogError: its history cannot be read.
        """
        return await asyncio.to_thread(self._read_state)

    def _read_state(self) -> ProjectState:
        engine = self._engine
        state, texts = engine.load(self.id), engine.texts(self.id)
        last = engine.log.last(self.id)
        return project_state(state, self.id, "" if last is None else last.hash, texts.get, self.budget)

    def summary(self) -> RunSummary:
        """How the run stands, in one line: status, money, tasks."""
        return next(each for each in summaries(self._engine.log) if each.run_id == self.id)

    async def resume(
        self,
        *,
        add_budget: float | None = None,
        add_time: float | None = None,
        ask: bool = False,
        yes: bool = False,
        **objects: Any,
    ) -> "RunHandle":
        """Go on with the run, with more money or time where they are given; returns once its session has begun.

        Args:
            add_budget: dollars to add to the ceiling.
            add_time: seconds to add to the time limit.
            ask: whether questions wait for ``answer``; else nothing is asked, as where no person is.
            yes: whether all of them are answered with yes.
            objects: the plugins that its start was given, as there; left out: those that this workspace gave it.

        Raises:
            KeywordError: there is no such argument.
            UsageError: it has ended for good, or its content was deleted.
            NotAllowedError: its spec wants what its user has not agreed to.
            RunLockedError: a process has it.
        """
        again = await self.workspace.resume(self, add_budget=add_budget, add_time=add_time, ask=ask, yes=yes, **objects)
        self.session = again.session
        return self

    async def cancel(self) -> None:
        """End the session of the run, in whichever process: calls in flight are recorded, and it can be resumed.

        Returns once the session has ended.

        Raises:
            UsageError: no process has the run.
            TimeoutError: the process that has it has not stopped within 15 s.
        """
        live, log = self.workspace.live.get(self.id), self._engine.log
        if live is not None and live.loop is not None and live.task is not None:
            live.loop.interrupt(CANCEL, self._by)
            await asyncio.wait({live.task})
            return
        if not log.locks.is_held(self.id):
            raise UsageError(f"no process has run {self.id}: there is nothing to stop")
        await log.ask(self.id, CANCEL, at=self._engine.ports.clock(), text=self._by)
        async with asyncio.timeout(_PATIENCE):
            while log.locks.is_held(self.id):  # noqa: ASYNC110  # another process wakes no one
                await asyncio.sleep(PAUSE)

    @property
    def _by(self) -> str:
        """The application that this program works for."""
        return called_by(os.environ)

    def questions(self) -> tuple[OpenQuestion, ...]:
        """What the run asks now, in this process or in another; see ``ask`` of ``Workspace.start``."""
        return open_questions(self._state_now())

    def _state_now(self) -> RunState:
        live = self.workspace.live.get(self.id)
        return self._engine.load(self.id) if live is None or live.session is None else live.session.state

    async def answer(
        self, question: OpenQuestion | int | str, accepted: bool = True, *, add_budget: float | None = None
    ) -> None:
        """Answer a question of the run; returns once the answer is in its log.

        A run that no process has takes the answer in once it is resumed; then this returns at once.

        Args:
            question: one of ``questions()``, its version, or its name, such as ``approve_plan/1``.
            accepted: whether it is a yes.
            add_budget: with a yes to a higher ceiling, the dollars to add to it; None: as many as were asked for.

        Raises:
            UsageError: it is not open.
            TimeoutError: the process that has the run has not taken it in within 15 s.
        """
        asked = open_question(self._state_now(), self.id, question)
        amount = None if add_budget is None else Usd.rounded(add_budget)
        reply, log = QuestionReply(accepted, AnsweredBy.ELSEWHERE, amount=amount, by=self._by), self._engine.log
        live = self.workspace.live.get(self.id)
        if live is not None and live.session is not None:
            live.session.resources.replies.put(asked.version, reply)
        else:
            await log.ask(self.id, ANSWER, at=self._engine.ports.clock(), text=request_of(asked.version, reply))
            if not log.locks.is_held(self.id):
                return
        async with asyncio.timeout(_PATIENCE):
            async for event in self.events(after=asked.version):
                if isinstance(event.event, QuestionAnswered) and event.event.question == asked.version:
                    return

    async def fork(
        self, at: int | str, *, sets: Sequence[str] = (), project_id: str | None = None, models: Path | None = None
    ) -> "RunHandle":
        """Make a run that shares this one's past up to an event; ``resume`` of what is returned goes on with it.

        Args:
            at: the version of the event, or ``"v24"``, or its position in the log as ``"275"``; inside a step it is
                the end of the step before.
            sets: changes to keys of the spec, such as ``"budget_usd=2"``.
            project_id: the id of the new run; None: this one's with ``-fork``.
            models: a file with models to add, or with facts to override.

        Raises:
            UsageError: there is no such event, a key cannot be changed, or the id is taken.
            PluginError: the command ``fork`` is not installed, or switched off.
        """
        engine = self._engine
        event = EventId(version=at) if isinstance(at, int) else read_event_id(at)
        command = await asyncio.to_thread(engine.catalogue.module, "command", "fork")
        name: str = await command.for_programs(engine, self.id, event, sets, project_id, models)
        return RunHandle(self.workspace, name)

    async def explain(self, task: str | None = None) -> list[dict[str, Any]]:
        """Why each model was chosen: every candidate and its rejection reason, as ``explain --json`` has it.

        Args:
            task: a task, or ``plan``, ``enhance``, ``advise``, ``verify``; None: all of them.

        Raises:
            UsageError: there is no such task.
            PluginError: the command ``explain`` is not installed, or switched off.
        """
        found: list[dict[str, Any]] = await self._asked("explain", task)
        return found

    async def costs(self, by: str = "model") -> list[Sum]:
        """What the run spent, dearest first.

        Args:
            by: what it is summed by: ``model``, ``phase``, ``task``, ``provider``, ``run`` or ``team``.

        Raises:
            UsageError: ``by`` is none of these.
        """
        if by not in COLUMNS:
            raise UsageError(f"costs(by={by!r}): say one of {', '.join(COLUMNS)}")
        return await asyncio.to_thread(lambda: sums_of(self._spend(by), by, False))

    def _spend(self, by: str) -> Iterator[Row]:
        log = self._engine.log
        first = present(next(log.read_own(self.id), None), "the first event of the run").event
        settings = first.settings if isinstance(first, RunStarted | RunForked) else RunSettings()
        return spend_of(log, self.id, settings, by)

    async def report(self, path: str | PathLike[str], *, force: bool = False) -> Path:
        """Write the run as one HTML page that needs no network; returns its path.

        Raises:
            OutputError: it cannot be written, or is a file that is no report and ``force`` is not said.
            PluginError: the command ``report`` is not installed, or switched off.
        """
        target = Path(path)
        await self._asked("report", target, force)
        return target

    @overload
    async def replay(self, *, verify: Literal[False] = False) -> ProjectState: ...
    @overload
    async def replay(self, *, verify: Literal[True]) -> Verification: ...
    async def replay(self, *, verify: bool = False) -> ProjectState | Verification:
        """Rebuild the run from its log; no model is called, nothing is paid.

        With ``verify`` every decision is computed again: ``differences`` of what is returned is empty where each is
        as it was recorded, ``not_recomputable`` names those whose backend is not here.

        Raises:
            DamagedLogError: its history is not whole.
        """
        return await asyncio.to_thread(self._verified if verify else self._whole)

    def _whole(self) -> ProjectState:
        self._engine.check(self.id)
        return self._read_state()

    def _verified(self) -> Verification:
        engine = self._engine
        engine.check(self.id)
        history = ((each.at, each.event) for each in engine.log.read(self.id))
        return verify_history(history, rank_of(engine.catalogue))

    async def whatif(
        self,
        *,
        policies: Sequence[str | PathLike[str]] = (),
        backend: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        loop: str | None = None,
        prices: str | PathLike[str] | None = None,
        budget: float | None = None,
    ) -> dict[str, Any]:
        """The run played again under other rules on its recorded outcomes, as ``whatif --json`` has it.

        Args:
            policies: policy files.
            backend: the name of an installed backend.
            parameters: what it is built with.
            loop: the name of a strategy of the review loop.
            prices: a models file whose prices replace the run's.
            budget: another ceiling, in dollars.

        Raises:
            UsageError: no decision was made yet, or the budget is negative.
            SpecError: a file cannot be used.
            PluginError: a plugin is not installed, or switched off.
        """
        if budget is not None and budget < 0:
            raise UsageError(f"whatif(budget={budget}): an amount may not be negative")
        found: dict[str, Any] = await self._asked(
            "whatif",
            tuple(map(Path, policies)),
            backend,
            parameters or {},
            loop,
            None if prices is None else Path(prices),
            None if budget is None else Usd.rounded(budget),
        )
        return found

    async def _asked(self, command: str, *arguments: Any) -> Any:
        """What the package of a command says of the run: the function ``for_programs`` beside the command."""

        def ask() -> Any:
            engine = self._engine
            engine.check(self.id)
            return engine.catalogue.module("command", command).for_programs(engine.log, self.id, *arguments)

        return await asyncio.to_thread(ask)

    @property
    def _engine(self) -> "Engine":
        return self.workspace.engine

    def __repr__(self) -> str:
        return f"RunHandle({self.id!r})"

    def _repr_html_(self) -> str:
        return f"<b>{escape(self.id)}</b>{self.summary()._repr_html_()}"
