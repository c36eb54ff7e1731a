"""Starting, resuming and exporting runs on a data folder: what the front doors and the commands share."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import Factory, define, evolve, frozen

from orchestrator import events as e
from orchestrator.documents import load_json
from orchestrator.engine.connect import Connected, connect
from orchestrator.engine.environment import Environment
from orchestrator.engine.loop import Loop, Observer
from orchestrator.engine.outputs import OutputFolder, readme_text, render, summary_text
from orchestrator.engine.ports import Ports, real_ports
from orchestrator.engine.rank import guard, run_in_thread
from orchestrator.engine.results import file_of, summary
from orchestrator.engine.session import RunLog, Session, append_remedies, raised_budget, raised_time
from orchestrator.errors import SpecError, UsageError
from orchestrator.log import EventLog, Redactor, Texts, append_head
from orchestrator.models import PlannedTask, ProjectStatus
from orchestrator.money import Usd
from orchestrator.plugins import Catalogue
from orchestrator.settings import SECOND
from orchestrator.spec import Spec, differences, parse_spec
from orchestrator.spi import Validator
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState

if TYPE_CHECKING:
    import httpx

_SEED_BYTES: Final = 7


@define
class Watchers:
    """Who looks on: all optional, none can harm the run."""

    observers: list[Observer] = Factory(list)
    on_session: Callable[[Session, Loop], None] = lambda session, loop: None
    """Called once before the first step: to show what is used, and to install signal handlers."""
    on_text: Callable[[str, str], None] = lambda node, text: None
    """Live text of a node's call; shown, never recorded."""


@frozen
class Outcome:
    """How a call of ``start`` or ``resume`` left the run."""

    run: str
    state: RunState
    head: str
    texts: Texts
    played: bool
    """Whether a session was opened; False: there was nothing left to do."""
    folder: Path | None
    notice: str = ""
    """What the user should be told, such as that an existing run was resumed."""
    warnings: tuple[str, ...] = ()


@define
class Workspace:
    """A data folder, its log, the installed plugins and the user's environment."""

    folder: Path
    log: EventLog
    catalogue: Catalogue
    environment: Environment
    ports: Ports

    @classmethod
    def open(cls, folder: Path) -> "Workspace":
        """Open a data folder for running.

        Raises:
            LogError: it cannot be used.
        """
        redactor = Redactor()
        ports = real_ports()
        log = EventLog.open(folder, redactor=redactor, offload=ports.offload)
        return cls(folder, log, Catalogue.discover(), Environment.of_process(redactor.add), ports)

    def close(self) -> None:
        """Close the log."""
        self.log.close()

    # ── starting ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(
        self,
        spec: Spec,
        *,
        output: Path | None = None,
        force: bool = False,
        new_project: bool = False,
        watchers: Watchers | None = None,
    ) -> Outcome:
        """Run a spec: a new run, or the one of its ``project_id`` where there is one.

        Raises:
            UsageError: there is a run of this id with another spec; the message says what differs and the ways on.
            OrchestrateError: whatever keeps the run from starting; nothing is recorded then.
        """
        run = spec.project_id or f"run-{self.ports.random_bytes(4).hex()}"
        watchers = watchers or Watchers()
        if self.log.last(run) is not None:
            if not new_project:
                return await self._again(spec, run, output, force, watchers)
            run = self._next_id(run)
        lock = self.log.locks.acquire(run)
        try:
            connected = connect(self.catalogue, spec, self.environment)
            _check_validators(spec, connected)
            writer = OutputFolder(output, run, force) if output is not None else None
            state = RunState()
            session = self._session(run, spec, state, connected, writer, watchers)
            started = self._started(spec, session.stream.texts, output, connected.simulated)
            return await self._play(session, [started], watchers, "")
        finally:
            lock.release()

    async def _again(self, spec: Spec, run: str, output: Path | None, force: bool, watchers: Watchers) -> Outcome:
        """The same id once more: the same spec goes on, another one is refused."""
        given = self._stored(run)
        changes = differences(given["spec"], spec.canonical())
        if changes:
            raise UsageError(
                f"run {run} exists with another spec:\n  "
                + "\n  ".join(changes)
                + f"\ngo on with it: orchestrate resume {run}; start anew: --new-project, or another project_id"
            )
        return await self.resume(run, output=output, force=force, watchers=watchers)

    def _next_id(self, run: str) -> str:
        number = 2
        while self.log.last(f"{run}-{number}") is not None:
            number += 1
        return f"{run}-{number}"

    def _started(self, spec: Spec, texts: Texts, output: Path | None, simulated: bool) -> e.RunStarted:
        stored = {
            "spec": spec.canonical(),
            "folder": str(Path(spec.folder).absolute()),
            "output": None if output is None else str(output.absolute()),
        }
        return e.RunStarted(
            seed=int.from_bytes(self.ports.random_bytes(_SEED_BYTES)),
            settings=spec.settings(simulated),
            spec=texts.put(json.dumps(stored, ensure_ascii=False, sort_keys=True)),
            project=texts.put(spec.project),
            criteria=texts.put(spec.criteria),
            given_plan=tuple(_planned(task, texts) for task in spec.tasks) if spec.tasks else None,
        )

    # ── resuming ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def resume(
        self,
        run: str,
        *,
        output: Path | None = None,
        force: bool = False,
        add_budget: Usd | None = None,
        add_time: float | None = None,
        watchers: Watchers | None = None,
    ) -> Outcome:
        """Go on with a run, after a crash, an interruption, or with more money or time (seconds).

        Raises:
            UsageError: there is no such run, or it has ended for good and should get more money or time.
            DamagedLogError: its history is damaged.
            RunLockedError: another process has it.
        """
        watchers = watchers or Watchers()
        if self.log.last(run) is None:
            raise UsageError(f"there is no run {run!r} in {self.folder}; see: orchestrate runs list")
        lock = self.log.locks.acquire(run)
        try:
            self.log.check(run)
            state, stored = self.load(run), self._stored(run)
            folder = output or (Path(stored["output"]) if stored["output"] else None)
            remedies = _remedies(run, state, add_budget, add_time)
            if _is_over(state) and not remedies:
                return self._nothing_to_do(run, state, folder, force)
            source = f"the spec of {run}"
            spec = evolve(parse_spec(load_json(stored["spec"], source).value, source), folder=stored["folder"])
            connected = connect(self.catalogue, spec, self.environment)
            if connected.simulated != state.settings.simulated:
                raise UsageError(
                    f"run {run} was {'' if state.settings.simulated else 'not '}simulated; it cannot change"
                )
            writer = OutputFolder(folder, run, force) if folder is not None else None
            session = self._session(run, spec, state, connected, writer, watchers)
            await append_remedies(session.stream, state, self.ports, remedies)
            return await self._play(session, [], watchers, f"resuming {run}")
        finally:
            lock.release()

    def load(self, run: str, upto: int | None = None) -> RunState:
        """The state a run's history amounts to, up to a version."""
        return fold((record.at, record.event) for record in self.log.read(run, upto=upto))

    def texts(self, run: str) -> Texts:
        """The texts of a run."""
        return Texts(self.log, run, self.ports.random_bytes, self.log.redactor)

    def _stored(self, run: str) -> dict[str, Any]:
        first = next(iter(self.log.read(run, upto=1))).event
        assert isinstance(first, e.RunStarted)
        return cast("dict[str, Any]", json.loads(self.texts(run).get(first.spec)))

    def _nothing_to_do(self, run: str, state: RunState, folder: Path | None, force: bool) -> Outcome:
        """A run that has ended: write what is missing of its outputs, and say how it could go on."""
        assert state.finished is not None
        status, texts = state.finished.status, self.texts(run)
        head = self._head(run)
        warnings = export(state, run, head, texts, OutputFolder(folder, run, force)) if folder is not None else ()
        notice = f"run {run} has ended with {status.value}; nothing is left to do"
        if status is ProjectStatus.BUDGET_EXHAUSTED:
            notice = f"run {run} needs more money: orchestrate resume {run} --add-budget USD"
        elif status is ProjectStatus.TIMEOUT:
            notice = f"run {run} needs more time: orchestrate resume {run} --add-time SECONDS"
        return Outcome(run, state, head, texts, False, folder, notice, warnings)

    def _head(self, run: str) -> str:
        last = self.log.last(run)
        assert last is not None
        return str(last.hash)

    # ── playing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _session(
        self,
        run: str,
        spec: Spec,
        state: RunState,
        connected: Connected,
        writer: OutputFolder | None,
        watchers: Watchers,
    ) -> Session:
        return Session(
            stream=RunLog(self.log, run, self.texts(run), simulated=connected.simulated),
            state=state,
            connected=connected,
            ports=self.ports,
            rank=guard(connected.backend, run_in_thread),
            validator=_remembering(self.catalogue.validator),
            writer=writer,
            http=_client(spec, connected),
            observers=watchers.observers,
            on_text=watchers.on_text,
        )

    async def _play(self, session: Session, opening: Sequence[e.Outcome], watchers: Watchers, notice: str) -> Outcome:
        """Run one session to its end, and write what follows from it."""
        loop = session.loop()
        watchers.on_session(session, loop)
        try:
            await loop.run([*opening, session.opening()])
        finally:
            if session.http is not None:
                await session.http.aclose()
        stream, writer = session.stream, session.writer
        warnings: tuple[str, ...] = ()
        if session.state.finished is not None:
            append_head(self.folder, stream.run, stream.head, session.state.version)
            if isinstance(writer, OutputFolder):
                warnings = export(session.state, stream.run, stream.head, stream.texts, writer)
        folder = writer.path if isinstance(writer, OutputFolder) else None
        return Outcome(stream.run, session.state, stream.head, stream.texts, True, folder, notice, warnings)


def _remembering(make: Callable[[str], Validator]) -> Callable[[str], Validator]:
    """Validators by name, each made once per session."""
    made: dict[str, Validator] = {}

    def validator(name: str) -> Validator:
        if name not in made:
            made[name] = make(name)
        return made[name]

    return validator


def _client(spec: Spec, connected: Connected) -> "httpx.AsyncClient":
    if connected.simulated:
        return cast("httpx.AsyncClient", None)  # a provider that only pretends opens no connection
    from orchestrator.engine.http import make_client

    return make_client(concurrency=spec.concurrency)


def _check_validators(spec: Spec, connected: Connected) -> None:
    """A given plan may only name validators that are installed."""
    unknown = sorted({name for task in spec.tasks for name in task.hard_validators} - set(connected.validators))
    if unknown:
        known = ", ".join(connected.validators)
        raise SpecError([f"tasks: no validator is called {', '.join(map(repr, unknown))}; installed are {known}"])


def _planned(task: Any, texts: Texts) -> PlannedTask:
    return PlannedTask(
        id=task.id,
        type=task.type,
        prompt=texts.put(task.prompt),
        prompt_bytes=len(task.prompt.encode()),
        title=texts.put(task.title) if task.title else None,
        dependencies=task.dependencies,
        validators=task.hard_validators,
        schema=texts.put(json.dumps(_plain(task.schema))) if task.schema is not None else None,
    )


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    return dict(schema)


def _is_over(state: RunState) -> bool:
    """The run has ended, and resuming it as it is would change nothing."""
    return state.finished is not None and state.finished.status is not ProjectStatus.SYSTEM_FAILURE


def _remedies(run: str, state: RunState, add_budget: Usd | None, add_time: float | None) -> list[e.Outcome]:
    remedies: list[e.Outcome] = []
    if state.finished is not None and state.finished.status.is_closed and (add_budget or add_time):
        raise UsageError(f"run {run} has ended with {state.finished.status.value}; it needs neither money nor time")
    if add_budget is not None:
        remedies.append(raised_budget(state, add_budget))
    if add_time is not None:
        remedies.append(raised_time(state, round(add_time * SECOND)))
    return remedies


def export(state: RunState, run: str, head: str, texts: Texts, folder: OutputFolder) -> tuple[str, ...]:
    """Write a run's outputs, summary and table; returns a warning per file that could not be written."""
    warnings = []
    result = summary(state, run, head, texts.get)
    files: dict[str, str] = {"summary.json": summary_text(result), "README.md": readme_text(result)}
    for name in state.execution_order:
        task = state.tasks[name]
        if task.output is not None:
            text = texts.get(task.output.answer)
            target = file_of(task, text)
            if folder.is_missing(target):
                files[target] = render(task.planned.type, text)[1]
    for target, content in files.items():
        try:
            folder.write(target, content)
        except OSError as error:
            warnings.append(
                f"{folder.path / target}: {error.strerror}; write it later with: orchestrate runs export {run}"
            )
    return tuple(warnings)
