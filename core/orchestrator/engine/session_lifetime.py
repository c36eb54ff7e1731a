"""One session of a run: what it works with, its way to its end, and what is put away after it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from attrs import Factory, define, evolve, field, frozen

from orchestrator import events as e
from orchestrator.engine import accounts
from orchestrator.engine.applications import Application, application
from orchestrator.engine.backend_guard import guard, runner_of
from orchestrator.engine.checks import Checks, selector_for
from orchestrator.engine.command_validators import seconds_of_commands
from orchestrator.engine.delivering import export
from orchestrator.engine.exporting import Exporting
from orchestrator.engine.loop import Loop, Observer
from orchestrator.engine.mailbox import heed, kept_edits
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.engine.outputs.folder_writing import OutputFolder
from orchestrator.engine.outputs.verification import FolderVerifier, Verifier
from orchestrator.engine.ports import Ports
from orchestrator.engine.questions import Asker
from orchestrator.engine.resources import OnText, Resources
from orchestrator.engine.session import RunLog, Session
from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.session_providers import Connected, client_of
from orchestrator.errors import LogError
from orchestrator.ledger import stored_calls
from orchestrator.ledger.accounts import stream_of
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.history_sizes import Growth
from orchestrator.log import Texts, append_head
from orchestrator.plugins import Catalogue
from orchestrator.spec import Spec
from orchestrator.spi import Backend, Sandbox, to_stdout
from orchestrator.state.model_health import ModelRecord
from orchestrator.state.run import RunState
from orchestrator.telemetry import measured, priors
from orchestrator.trust import Admission, stricter

T = TypeVar("T")

_ASIDE: Final = ThreadPoolExecutor(2, thread_name_prefix="orchestrate-start")
"""Where runs are prepared: with more threads an event loop would wait longer for each of its rounds."""


@define
class Watchers:
    """Who looks on: all optional, none can harm the run."""

    observers: list[Observer] = Factory(list)
    on_session: Callable[[Session, Loop], None] = lambda session, loop: None
    """Called once before the first step: to show what is used, and to install signal handlers."""
    on_text: OnText = lambda call, text: None
    """Live text of a call; shown, never recorded."""
    asker: Asker | None = None
    """How a person is asked; None where none can be asked."""
    write: Callable[[str], None] = to_stdout
    """Shows what an exporter without a file has to say; called in its thread."""


@frozen
class RunEnd:
    """How a call of ``start`` or ``resume`` left the run."""

    run: str
    state: RunState = field(repr=False)  # asyncio shows what a task returned, and a state can be long
    head: str
    texts: Texts = field(repr=False)
    played: bool
    """Whether a session was opened; False: there was nothing left to do."""
    folder: Path | None
    notice: str = ""
    """What to print for the user, such as that an existing run was resumed."""
    warnings: tuple[str, ...] = ()


@define
class DataFolder:
    """What all runs of a data folder share: the log, the installed plugins and the user's environment."""

    folder: Path
    log: EventLog
    catalogue: Catalogue
    environment: Environment
    ports: Ports
    admission: Admission
    """What a spec has to pass before anything that it names is read, called or run."""
    backend: Backend | None = None
    """Ranks in place of the backend of the specs, which have its qualified name."""
    asks_above: bool = True
    """Whether a forecast above ``ask_above_usd`` of the configuration is asked about; not where a ceiling is agreed."""
    learns: bool = True
    """Whether new runs begin with what earlier ones measured; without it, runs do not depend on each other."""
    is_worker: bool = False
    """Whether runs that others began are gone on with: the configuration here has to agree to all that they want, what
    this process lacks keeps them from being opened, and their folders are another machine's."""

    def texts(self, run: str) -> Texts:
        """The texts of a run."""
        return Texts(self.log, run, self.ports.random_bytes, self.log.redactor)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do in a thread what would hold the event loop up; here where the terminal may be asked: Ctrl-C ends that."""
        if self.admission.ask is not None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(_ASIDE, work)


def session_of(
    here: DataFolder,
    run: str,
    spec: Spec,
    state: RunState,
    connected: Connected,
    writer: OutputFolder | None,
    watchers: Watchers,
) -> Session:
    """The session of a run, with everything it works with."""

    async def end_dead_runs(refused: e.AccountRefused) -> None:
        stream = stream_of(refused.account, connected.simulated)
        await accounts.end_dead_runs(here.log, here.ports.clock, stream)

    names = state.settings.accounts if state.start is not None else ()
    selector = selector_for(stricter(spec.validators.sandbox, here.admission.configuration.sandbox))
    texts = here.texts(run)
    built = None if spec.app is None else application(spec.app, cache(connected.catalogue.scaffold))
    return Session(
        stream=RunLog(here.log, run, texts, names, connected.simulated, end_dead_runs),
        state=state,
        ports=here.ports,
        rank=guard(connected.backend, runner_of(connected.plugins)),
        resources=Resources(
            connected=connected,
            validator=cache(connected.catalogue.validator),
            writer=writer,
            http=None if connected.simulated else client_of(spec, here.environment),
            on_text=watchers.on_text,
            checks=evolve(Checks(selector, spec.validators.settings), limits=seconds_of_commands(spec)),
            task_paths=spec.task_paths,
            verify_cmd=spec.verify_cmd,
            verifier=_verifier(state, writer, selector, built, texts),
            application=built,
            asker=watchers.asker,
        ),
        observers=[*watchers.observers, Growth(run)],
    )


def _verifier(
    state: RunState,
    writer: OutputFolder | None,
    selector: Sandbox,
    built: Application | None,
    texts: Texts,
) -> Verifier | None:
    """What judges the result as a whole; there is nothing to judge without an output folder."""
    if writer is None or built is None:
        return None if writer is None else FolderVerifier(writer, selector)
    return built.verifier(writer, selector, state, texts.get, Placement(state, texts.get).placed)


async def _exporting(
    here: DataFolder, session: Session, spec: Spec, watchers: Watchers, strict: bool
) -> Exporting | None:
    """Open the spec's exporters; what a resumed run lacks of them is no reason not to go on."""
    if not spec.exporters:
        return None
    exporting = Exporting(session.stream.run)
    exporting.recall(here.log.read(session.stream.run))
    redactor = here.log.redactor
    await exporting.open(
        session.connected.catalogue,
        spec.exporters,
        here.environment,
        redactor,
        watchers.write,
        strict=strict,
        home=here.folder,
    )
    session.observers = [*session.observers, exporting.observe]
    return exporting


async def run_to_end(
    here: DataFolder, session: Session, spec: Spec, opening: Sequence[e.Outcome], watchers: Watchers, notice: str
) -> RunEnd:
    """Run one session to its end, and write what follows from it."""
    exporting: Exporting | None = None
    mailbox: asyncio.Task[None] | None = None
    try:
        exporting = await _exporting(here, session, spec, watchers, strict=bool(opening) or here.is_worker)
        loop = session.loop()
        mailbox = asyncio.create_task(heed(session, loop))
        watchers.on_session(session, loop)
        caps = accounts.caps_of(here.log, session.stream.accounts, session.stream.simulated)
        is_first = session.state.session is None
        known = await here.aside(lambda: _measured(here, session)) if is_first and here.learns else {}
        secret = b"" if session.stream.simulated else await here.log.draw_secret(session.ports.random_bytes)
        opened = session.opening(caps, priors(known, session.connected.models), secret)
        await loop.run([*opening, opened, *kept_edits(session)])
    finally:
        if mailbox is not None:
            mailbox.cancel()
            await asyncio.wait([mailbox])
        await session.connected.close()
        if session.resources.http is not None:
            await session.resources.http.aclose()
        if exporting is not None:
            await exporting.finish()
    stream, writer = session.stream, session.resources.writer
    await here.aside(lambda: stored_calls.keep(here.log.store, stream.run))
    warnings: tuple[str, ...] = ()
    if session.state.finished is not None:
        warnings = await here.aside(lambda: _handed_over(here, session))
    folder = writer.path if isinstance(writer, OutputFolder) else None
    return RunEnd(stream.run, session.state, stream.head, stream.texts, True, folder, notice, warnings)


def _measured(here: DataFolder, session: Session) -> Mapping[str, ModelRecord]:
    return measured(here.log).of(session.stream.simulated)


def _handed_over(here: DataFolder, session: Session) -> tuple[str, ...]:
    """Keep the head of a run that has ended, and write its files; a warning for each that cannot be written."""
    stream, writer = session.stream, session.resources.writer
    warnings: tuple[str, ...] = ()
    try:
        append_head(here.folder, stream.run, stream.head, session.state.version)
    except LogError as error:  # the run has ended all the same
        warnings = (str(error),)
    if isinstance(writer, OutputFolder):
        warnings += export(session.state, stream.run, stream.head, stream.texts, writer).warnings
    return warnings
