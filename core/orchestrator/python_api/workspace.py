"""``Workspace``: a data folder for programs: start runs, list them, follow them, go on with them."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field

from orchestrator.documents import expanded
from orchestrator.engine.live_text import LiveTextFile
from orchestrator.engine.questions import Agreeing, Asker
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.engine.vendors.environment import data_folder
from orchestrator.errors import SpecError, UsageError
from orchestrator.log.codec import prepare
from orchestrator.models import Budget
from orchestrator.money import Usd
from orchestrator.past_runs.run_list import RunFilter, RunSummaries, known_status, runs_in, summaries
from orchestrator.past_runs.run_names import found_run
from orchestrator.plugins.handed_objects import objects_only
from orchestrator.plugins.plugin_status import Plugin
from orchestrator.policy_dsl import bind
from orchestrator.python_api.answering_questions import WaitingAsker
from orchestrator.python_api.following_runs import LiveSession, settled
from orchestrator.python_api.python_messages import python_words
from orchestrator.python_api.run_handle import RunHandle
from orchestrator.spec import Spec, parse_spec, read_spec, spec_from, usual_models, with_models

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_CLOSED: Final = "closed"
"""Why sessions were interrupted whose workspace was left."""

Begin = Callable[[Watchers], Coroutine[Any, Any, RunEnd]]
"""Starts or resumes a run with these watchers."""


@define(eq=False)
class Workspace:
    """A data folder, opened with ``async with``, with ``await`` (then ``close`` it), or with ``with`` to read only.

    Leaving it interrupts the runs that it has going on; they can be resumed. One workspace serves a whole program:
    any number of runs side by side, on the event loop it was opened on.
    """

    home: Path
    allow: tuple[str, ...] = ()
    live: dict[str, LiveSession] = field(factory=dict, init=False, repr=False)
    """The sessions that go on here, by run."""
    failures: dict[str, Exception] = field(factory=dict, init=False, repr=False)
    """What ended the last session that was begun here, by run, where that was an error."""
    _engine: Engine | None = field(default=None, init=False, repr=False)
    _objects: dict[str, tuple[Plugin, ...]] = field(factory=dict, init=False, repr=False)
    """The objects that runs were given as plugins, by run."""
    _sessions: set[LiveSession] = field(factory=set, init=False, repr=False)

    @classmethod
    def open(cls, home: str | PathLike[str] | None = None, *, allow: Sequence[str] = ()) -> "Workspace":
        """A workspace on a data folder; ``async with`` opens it.

        Args:
            home: the data folder; None: ``$ORCHESTRATE_HOME``, else the platform's user data folder.
            allow: what specs may do beyond calling models, as ``--allow KIND=VALUE`` takes it.
        """
        return cls(data_folder(None if home is None else expanded(Path(home)), os.environ), tuple(allow))

    @property
    def engine(self) -> Engine:
        """What plays runs.

        Raises:
            UsageError: the workspace is not open.
        """
        if self._engine is None:
            raise UsageError("the workspace is not open; write: async with Workspace.open(home) as ws")
        return self._engine

    @property
    def ceiling_usd(self) -> Usd | None:
        """What the user's configuration lets a spec spend at most, in US dollars; None: it names nothing."""
        return self.engine.admission.configuration.ceiling_usd

    def _opened(self) -> Engine:
        engine = Engine.open(self.home)
        prepare()
        try:
            engine.admission.allow(self.allow)
        except BaseException:
            engine.close()
            raise
        return engine

    def __enter__(self) -> "Self":
        self._engine = self._opened()
        return self

    def __exit__(self, *raised: object) -> None:
        engine, self._engine = self.engine, None
        engine.close()

    async def __aenter__(self) -> "Self":
        opening = asyncio.ensure_future(asyncio.to_thread(self._opened))
        try:
            with python_words():
                self._engine = await settled(opening)
        except asyncio.CancelledError:
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()
            raise
        return self

    def __await__(self) -> "Generator[Any, None, Self]":
        """Open it where there is no block to leave, as in a notebook; ``close`` it at the end."""
        return self.__aenter__().__await__()

    async def close(self) -> None:
        """What leaving ``async with`` does: interrupt what goes on, wait until it is recorded, and close the log."""
        await self.__aexit__(None, None, None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: "TracebackType | None"
    ) -> None:
        """Interrupt what goes on, wait until it is recorded, and close the log."""
        engine, self._engine = self.engine, None
        try:
            await self._end_all()
        finally:
            engine.close()

    async def _end_all(self) -> None:
        """End every session; a cancellation meanwhile is raised once that is done."""
        ending = []
        for session in tuple(self._sessions):
            if session.task is not None:
                ending.append(session.task)
                session.task.cancel() if session.loop is None else session.loop.interrupt(_CLOSED)
        if ending:
            await settled(_all(ending))

    async def start(
        self,
        spec: str | PathLike[str] | Mapping[str, Any] | Spec,
        *,
        budget: Budget | None = None,
        output: str | PathLike[str] | None = None,
        force: bool = False,
        new_project: bool = False,
        ask: bool = False,
        yes: bool = False,
        source: str | None = None,
        **objects: Any,
    ) -> RunHandle:
        """Start a run, and return once it has begun: its first events are durable. It goes on in the background.

        Args:
            spec: the path of a spec file, its keys as a dict, or a ``Spec``.
            budget: the ceiling in dollars and the seconds of active time, in the place of the spec's; what the run
                used is filled in at its end.
            output: the folder that gets the results; None: the one the spec names, else none.
            force: whether files there that are no run's may be replaced.
            new_project: whether a new run begins though there is one of the spec's ``project_id``; else that goes on.
            ask: whether questions wait for ``run.answer(…)``; else nothing is asked, as where no person is.
            yes: whether all of them are answered with yes.
            source: where a dict comes from that is not your program's own word: it is trusted as little as a file.
            objects: plugins that are objects of this program, by kind, as ``Orchestrator`` takes them:
                ``validators={"house": function}``, ``providers={"mine": object}``, ``exporters=[object]``, and
                ``backends``, ``policy_loaders``, ``scaffolds``, ``scorers`` by name. Providers and exporters are used
                beside those that the spec names, the others where it names them.

        Raises:
            KeywordError: there is no such argument.
            SpecError: the spec, or an argument, makes no sense; every problem is named.
            NotAllowedError: it wants what its user has not agreed to.
            NoProviderError: there is neither key nor address nor script.
            UsageError: there is a run of this id with another spec.
            OrchestrateError: whatever else keeps it from starting; nothing is recorded then.
        """
        keys, plugins = objects_only("start", objects)
        engine = self._engine_with(plugins)
        folder = None if output is None else expanded(Path(output))

        def prepared() -> tuple[Spec, Path | None]:
            read = with_budget(with_models(read_any(spec, source), usual_models()), budget)
            where = folder or (expanded(read.output_dir) if read.output_dir else None)
            named = with_objects(read, keys)
            return bind(named, engine.admission, (), engine.catalogue.loader_for_suffix, where), where

        with python_words():
            bound, where = await asyncio.to_thread(prepared)

        async def begin(watchers: Watchers) -> RunEnd:
            return await engine.start(bound, output=where, force=force, new_project=new_project, watchers=watchers)

        run = await self.begun(begin, budget=budget, asker=asker_for(ask, yes))
        return self._remembered(run, plugins)

    def _remembered(self, run: RunHandle, plugins: tuple[Plugin, ...]) -> RunHandle:
        if plugins:
            self._objects[run.id] = plugins
        return run

    def _engine_with(self, plugins: tuple[Plugin, ...]) -> Engine:
        """The engine of a run that is given these plugins; other runs do not have them."""
        engine = self.engine
        return evolve(engine, catalogue=engine.catalogue.with_local(plugins)) if plugins else engine

    async def resume(
        self,
        run: RunHandle,
        *,
        add_budget: float | None = None,
        add_time: float | None = None,
        ask: bool = False,
        yes: bool = False,
        **objects: Any,
    ) -> RunHandle:
        """See ``RunHandle.resume``."""
        plugins = objects_only("resume", objects)[1] or self._objects.get(run.id, ())
        engine = self._engine_with(plugins)
        money = None if add_budget is None else Usd.rounded(add_budget)

        async def begin(watchers: Watchers) -> RunEnd:
            return await engine.resume(run.id, add_budget=money, add_time=add_time, watchers=watchers)

        again = await self.begun(begin, budget=run.budget, asker=asker_for(ask, yes), run=run.id)
        return self._remembered(again, plugins)

    async def begun(
        self,
        begin: Begin,
        *,
        watchers: Watchers | None = None,
        budget: Budget | None = None,
        asker: Asker | None = None,
        run: str = "",
    ) -> RunHandle:
        """The run of a session that has begun, or has ended already; what keeps it from beginning is raised."""
        session = LiveSession(run)
        given = watchers or Watchers()
        live = LiveTextFile(self.engine.folder, self.engine.log.redactor.values)
        joined = session.watchers(evolve(given, asker=asker or given.asker), self._join, live)
        task = session.task = asyncio.create_task(self._played(session, begin(joined)), name="orchestrate-run")
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # result() raises it
        beginning = asyncio.create_task(session.began.wait())
        try:
            await asyncio.wait({task, beginning}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            beginning.cancel()
            await settled(_all([beginning, task] if task.cancelling() else [beginning]))
        if not session.began.is_set():
            with python_words():
                session.run = task.result().run
        return RunHandle(self, session.run, budget, session)

    def _join(self, session: LiveSession) -> None:
        self.live[session.run] = session
        self.failures.pop(session.run, None)

    async def _played(self, session: LiveSession, play: Coroutine[Any, Any, RunEnd]) -> RunEnd:
        self._sessions.add(session)
        try:
            return await play
        except Exception as error:
            if session.loop is not None:
                self.failures[session.run] = error
            raise
        finally:
            self._sessions.discard(session)
            if self.live.get(session.run) is session:
                del self.live[session.run]
            session.end()

    def runs(
        self,
        status: str | None = None,
        limit: int | None = None,
        *,
        project: str | None = None,
        since: str | None = None,
    ) -> RunSummaries:
        """The runs of the data folder, newest first.

        Args:
            status: such as ``SUCCESS``, ``BUDGET_EXHAUSTED``, ``running`` or ``interrupted``; None: any.
            limit: at most so many.
            project: what the title has.
            since: when they began at the earliest: ISO 8601 in UTC.

        Raises:
            UsageError: there is no such status, or the limit is below zero.
            LogError: the log cannot be read.
        """
        if limit is not None and limit < 0:
            raise UsageError(f"runs(limit={limit}): a limit is 0 or more; None lists all")
        wanted = RunFilter(None if status is None else known_status(status), since, limit, project)
        return wanted.among(summaries(self.engine.log))

    def run(self, run: str = "last") -> RunHandle:
        """A run by its id, a unique beginning of it, ``last`` or ``last~1``.

        Raises:
            UsageError: there is none, or several begin so.
        """
        log = self.engine.log
        with python_words():
            found = found_run(runs_in(log), run)
        if log.last(found) is None:
            raise UsageError(f"there is no run {run!r} in {self.home}; see ws.runs()")
        return RunHandle(self, found)


def asker_for(ask: bool, yes: bool) -> Asker | None:
    """Who answers questions: the program, or a yes given beforehand; None: nothing is asked."""
    if ask and yes:
        raise UsageError("ask=True and yes=True exclude each other: say who answers")
    return Agreeing() if yes else WaitingAsker() if ask else None


def read_any(spec: str | PathLike[str] | Mapping[str, Any] | Spec, source: str | None = None) -> Spec:
    """The spec in a file, in a dict, or itself.

    Raises:
        SpecError: it cannot be used; all problems together.
    """
    if isinstance(spec, Spec):
        return spec
    if isinstance(spec, Mapping):
        if source is not None:
            return evolve(parse_spec(dict(spec), source), source=source)
        texts = {name: spec.get(name) for name in ("project", "criteria")}
        if any(value is None for value in texts.values()):
            return parse_spec(dict(spec), "spec")
        others = {name: value for name, value in spec.items() if name not in texts}
        return spec_from(str(texts["project"]), str(texts["criteria"]), **others)
    if isinstance(spec, (str, PathLike)):
        return read_spec(expanded(Path(spec)))
    raise SpecError([f"a spec is a path, a dict or a Spec, not {type(spec).__name__}"])


def with_budget(spec: Spec, budget: Budget | None) -> Spec:
    """The spec with this ceiling, which is its user's own word."""
    if budget is None:
        return spec
    given = spec_from("-", "-", budget_usd=budget.max_usd, time_seconds=budget.max_time_seconds)
    return evolve(spec, budget_usd=given.budget_usd, time_seconds=given.time_seconds, as_read=_as_read(spec))


def with_objects(spec: Spec, keys: Mapping[str, Any]) -> Spec:
    """The spec that also names the providers and exporters which are objects, which is its user's own word."""
    if not keys:
        return spec
    given = spec_from("-", "-", **keys)
    return evolve(
        spec,
        providers={**spec.providers, **given.providers},
        exporters={**spec.exporters, **given.exporters},
        as_read=_as_read(spec),
    )


def _as_read(spec: Spec) -> Spec:
    return spec if spec.as_read is None else spec.as_read


def _all(tasks: "Sequence[asyncio.Task[Any]]") -> "asyncio.Future[list[Any]]":
    return asyncio.gather(*tasks, return_exceptions=True)


__all__ = ["Workspace", "read_any", "with_budget"]
