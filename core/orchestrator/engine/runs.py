"""Starting and resuming runs on a data folder: what the front doors and the commands share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, evolve

from orchestrator import events as e
from orchestrator.documents import load_json
from orchestrator.engine import accounts
from orchestrator.engine.delivering import RunPlace, application_of, export, place_of, spec_of
from orchestrator.engine.first_event import gathered_files, run_started, stage_of
from orchestrator.engine.outputs.earlier_folder import take_away_earlier
from orchestrator.engine.outputs.folder_writing import OutputFolder
from orchestrator.engine.ports import real_ports
from orchestrator.engine.session import append_remedies, raised_budget, raised_time
from orchestrator.engine.session_lifetime import DataFolder, RunEnd, Watchers, run_to_end, session_of
from orchestrator.engine.spec_checks import check_able, check_descriptors, check_names, check_spec
from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.session_providers import Connected, connect
from orchestrator.engine.vendors.user_admission import admission_of
from orchestrator.errors import MissingError, UsageError, present
from orchestrator.log import Redactor, read_heads
from orchestrator.models import CapabilityKind, GrantedBy, ProjectStatus
from orchestrator.money import Usd
from orchestrator.plugins import Catalogue
from orchestrator.plugins.store_of_folder import open_log
from orchestrator.settings import SECOND
from orchestrator.spec import Spec, differences, parse_spec
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from orchestrator.trust import files_wanted


@define
class Engine(DataFolder):
    """Starts and resumes the runs of a data folder."""

    @classmethod
    def open(cls, folder: Path) -> "Engine":
        """Open a data folder for running.

        Raises:
            LogError: it cannot be used.
            SpecError: the user's configuration cannot be used (also UsageError).
        """
        check_descriptors()
        redactor = Redactor()
        ports = real_ports()
        log = open_log(folder, redactor=redactor, offload=ports.offload)
        catalogue, environment = Catalogue.discover(), Environment.of_process(redactor.add)
        return cls(folder, log, catalogue, environment, ports, admission_of(catalogue, environment, folder))

    def close(self) -> None:
        """Close the log."""
        self.log.close()

    async def start(
        self,
        spec: Spec,
        *,
        output: Path | None = None,
        force: bool = False,
        new_project: bool = False,
        watchers: Watchers | None = None,
        caps: Mapping[str, Usd] | None = None,
        above: Sequence[str] = (),
        seed: int | None = None,
        input_stage: bool = False,
    ) -> RunEnd:
        """Run a spec: a new run, or the one of its ``project_id`` where there is one.

        Where the spec does not say whether it is to be enhanced and advised on, ``input_stage`` does, unless it brings
        its own plan. Nothing is enhanced where no person can be asked.

        The accounts of the organisation, of the spec's team and of its job bind the run where they exist. ``caps``
        opens accounts, or gives them these caps, before that; then a new run's budget must fit into each of them.
        ``above`` names further accounts that bind the run where they exist, and ``seed`` fixes its random draws.

        Raises:
            CapExceededError: an account has used more than its new cap, or has less left than the run's budget.
            UsageError: there is a run of this id with another spec; the message says what differs and the ways on.
            NotAllowedError: the spec wants what its user has not agreed to.
            OrchestrateError: whatever keeps the run from starting; nothing is recorded then.
        """
        run = spec.project_id or self.new_id()
        watchers = watchers or Watchers()
        spec = await self.aside(lambda: self.admission.admit(spec, output))
        if self.log.last(run) is not None:
            if not new_project:
                return await self._again(spec, run, output, force, watchers)
            run = self.next_id(run)
        lock = self.log.locks.acquire(run)
        try:
            connected = await self.aside(lambda: self._connected(spec))
            gathered = await gathered_files(spec, self.ports)
            replaced = None if output is None else take_away_earlier(self.log, output, run, self.texts)
            writer = OutputFolder(output, run, force) if output is not None else None
            state = RunState()
            session = await self.aside(lambda: session_of(self, run, spec, state, connected, writer, watchers))
            names = await self.accounts_of(spec, connected.simulated, caps, above)
            session.stream.accounts = names
            stage = stage_of(spec, by_default=input_stage, can_ask=watchers.asker is not None)
            started = run_started(
                spec,
                session.stream.texts,
                stage,
                output=output,
                simulated=connected.simulated,
                accounts=names,
                random_bytes=self.ports.random_bytes,
                seed=seed,
                gathered=gathered,
                ask_above=self.admission.configuration.ask_above_usd if self.asks_above else None,
            )
            if spec.encrypt:
                self.log.keys.make(run)
            return await run_to_end(self, session, spec, [started], watchers, _replaced(output, replaced))
        finally:
            lock.release()

    def _connected(self, spec: Spec) -> Connected:
        """What a new run calls, loaded and checked."""
        check_names(spec, self.catalogue, self.environment)
        connected = connect(self.catalogue, spec, self.environment, self.backend)
        check_spec(spec, connected, connected.catalogue)
        return connected

    async def _again(self, spec: Spec, run: str, output: Path | None, force: bool, watchers: Watchers) -> RunEnd:
        """The same id once more: the same spec goes on, another one is refused."""
        await self.aside(lambda: self.check(run))
        changes = differences(self.spec(run), spec.canonical())
        if changes:
            raise UsageError(
                f"run {run} exists with another spec:\n  "
                + "\n  ".join(changes)
                + f"\nresume with: orchestrate resume {run}; start anew: --new-project, or another project_id"
            )
        return await self._resumed(run, output, force, watchers, spec=spec)

    def new_id(self) -> str:
        """The id of a run that is given none."""
        return f"run-{self.ports.random_bytes(4).hex()}"

    def next_id(self, run: str) -> str:
        """The first id like one that is taken which is not."""
        number = 2
        while self.log.last(f"{run}-{number}") is not None:
            number += 1
        return f"{run}-{number}"

    async def accounts_of(
        self, spec: Spec, simulated: bool, caps: Mapping[str, Usd] | None, above: Sequence[str]
    ) -> tuple[str, ...]:
        """The accounts that bind a new run."""
        if caps is not None:
            await accounts.open_accounts(self.log, caps, self.ports.clock(), simulated)
        names = accounts.existing(self.log, (*accounts.names_for(spec.team, spec.job_id), *above), simulated)
        if caps is not None:
            accounts.check_caps(self.log, names, simulated, spec.budget_usd)
        return names

    async def resume(
        self,
        run: str,
        *,
        output: Path | None = None,
        force: bool = False,
        add_budget: Usd | None = None,
        add_time: float | None = None,
        watchers: Watchers | None = None,
    ) -> RunEnd:
        """Go on with a run, after a crash, an interruption, or with more money or time (seconds).

        Raises:
            UsageError: there is no such run, or it has ended for good and should get more money or time.
            NotAllowedError: its spec wants what its user has not agreed to.
            DamagedLogError: its history is damaged.
            RunLockedError: another process has it.
        """
        return await self._resumed(run, output, force, watchers or Watchers(), add_budget, add_time)

    async def _resumed(
        self,
        run: str,
        output: Path | None,
        force: bool,
        watchers: Watchers,
        add_budget: Usd | None = None,
        add_time: float | None = None,
        spec: Spec | None = None,
    ) -> RunEnd:
        """See ``resume``; ``spec``: one equal to the run's that was admitted just now."""
        if self.log.last(run) is None:
            raise UsageError(f"there is no run {run!r} in {self.folder}; see: orchestrate runs list")
        lock = self.log.locks.acquire(run)
        try:
            await self.aside(lambda: self.check(run))
            state, place = await self.aside(lambda: self.load(run)), self.place(run)
            folder = output if self.is_worker else output or place.output
            remedies = _remedies(run, state, add_budget, add_time)
            if _is_over(state) and not remedies:
                return await self.aside(lambda: self._nothing_to_do(run, state, folder, force))
            again = self.recorded(run, place) if spec is None else evolve(spec, folder=str(place.folder))
            admitted = await self.aside(lambda: self.admission.admit(again, folder))
            connected = await self.aside(lambda: connect(self.catalogue, admitted, self.environment, self.backend))
            if connected.simulated != state.settings.simulated:
                raise UsageError(
                    f"run {run} was {'' if state.settings.simulated else 'not '}simulated; it cannot change"
                )
            if self.is_worker:
                await self.aside(lambda: check_able(admitted, connected, self.admission.configuration.sandbox))
            writer = OutputFolder(folder, run, force) if folder is not None else None
            if self.is_worker and writer is not None:  # what earlier sessions wrote is on other machines
                export(state, run, self._head(run), self.texts(run), writer)
            session = await self.aside(lambda: session_of(self, run, admitted, state, connected, writer, watchers))
            await append_remedies(session.stream, state, self.ports, remedies)
            return await run_to_end(self, session, admitted, [], watchers, "")
        finally:
            lock.release()

    def recorded(self, run: str, place: RunPlace) -> Spec:
        """The spec of a run, which is no more trusted than the file it came from; its ceiling was settled then."""
        source = f"the spec of {run}"
        spec = parse_spec(load_json(self.spec(run), source).value, source)
        settled = e.Grant(CapabilityKind.BUDGET, str(spec.budget_usd), GrantedBy.OWN)
        is_file = place.spec is not None and not self.is_worker  # what was granted to a file, was granted there
        file = str(place.spec) if is_file else source
        again = evolve(spec, folder=str(place.folder), source=file)
        read = (each.granted(GrantedBy.OWN) for each in files_wanted(again, self.admission.around))  # read once, before
        return evolve(again, grants=tuple(read) if self.is_worker else (settled, *read))

    def check(self, run: str) -> None:
        """Make sure that a run's history is whole, as far as the heads kept beside the log can tell.

        Raises:
            DamagedLogError: it is not.
            UsageError: it is archived.
        """
        self.log.refuse_archived(run)
        heads = [head.head for head in read_heads(self.folder) if head.run == run]
        self.log.check(run, heads[-1] if heads else None)

    def load(self, run: str, upto: int | None = None) -> RunState:
        """The state a run's history amounts to, up to a version.

        Raises:
            UsageError: it is archived.
        """
        self.log.refuse_archived(run)
        return fold((record.at, record.event) for record in self.log.read(run, upto=upto))

    def spec(self, run: str) -> str:
        """The spec that a run follows, in canonical JSON.

        Raises:
            UsageError: the content of the run was deleted.
        """
        return spec_of(self.log, run, self.texts(run))

    def place(self, run: str) -> RunPlace:
        """Where a run reads and writes.

        Raises:
            UsageError: it was deleted.
        """
        return place_of(self.log, run, self.texts(run))

    def _nothing_to_do(self, run: str, state: RunState, folder: Path | None, force: bool) -> RunEnd:
        """A run that has ended: write what is missing of its outputs, and say how it could go on."""
        if state.finished is None:
            raise MissingError("end")
        status, texts = state.finished.status, self.texts(run)
        head = self._head(run)
        warnings: tuple[str, ...] = ()
        if folder is not None:
            built = application_of(self.spec(run), self.catalogue)
            writer = OutputFolder(folder, run, force)
            warnings = export(state, run, head, texts, writer, built, replace=force).warnings
        notice = f"run {run} has ended with {status.value}; nothing is left to do"
        if status is ProjectStatus.BUDGET_EXHAUSTED:
            notice = f"run {run} needs more money: orchestrate resume {run} --add-budget USD"
        elif status is ProjectStatus.TIMEOUT:
            notice = f"run {run} needs more time: orchestrate resume {run} --add-time SECONDS"
        return RunEnd(run, state, head, texts, False, folder, notice, warnings)

    def _head(self, run: str) -> str:
        last = present(self.log.last(run), "last event")
        return str(last.hash)


def _replaced(folder: Path | None, run: str | None) -> str:
    """That the files of an earlier run were replaced, and how to have them again; empty where there were none."""
    again = f"orchestrate runs export {run} -o DIR"
    return "" if run is None else f"{folder} held the files of {run}, unchanged; they are replaced (again: {again})"


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
