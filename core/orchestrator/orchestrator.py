"""The front door for Python: ``Orchestrator(budget=…).run_project(…)``."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, fields, frozen

from orchestrator import plugin_kinds
from orchestrator.channels import ChannelHub
from orchestrator.documents import expanded
from orchestrator.engine.outputs.run_results import project_state
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.engine.vendors.environment import data_folder
from orchestrator.errors import SpecError, UsageError
from orchestrator.models import Budget, Model, ModelProfile, ProjectState
from orchestrator.optimization import PluginBackend
from orchestrator.plugins.handed_objects import OBJECTS, check_keywords, objects_among
from orchestrator.policy import JobSpec
from orchestrator.policy_dsl import bind
from orchestrator.python_api.workspace import Workspace
from orchestrator.python_logging import RunRecords
from orchestrator.spec import Spec, spec_from, usual_models, with_models
from orchestrator.spec.container_kinds import KEY
from orchestrator.spi import Backend

if TYPE_CHECKING:
    from orchestrator.channels import TaskChannel
    from orchestrator.cost import BudgetHierarchy, CostPredictor
    from orchestrator.engine.loop import Loop
    from orchestrator.engine.session import Session
    from orchestrator.events import Event
    from orchestrator.hooks import EventType, Hook, HookObserver, HookRegistry
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.metrics import MetricsExporter
    from orchestrator.money import Usd

_LONGEST_NAME = 200  # of any name in a spec


def _path(value: str | os.PathLike[str] | None) -> Path | None:
    return None if value is None else expanded(Path(value))


@frozen
class StateManager:
    """Names the data folder; None: ``$ORCHESTRATE_HOME``, else the platform's user data folder."""

    path: Path | None = field(default=None, converter=_path)


@frozen
class DiskCache:
    """Has answers of earlier runs reused, those of simulated runs too; the answers are in the data folder it names."""

    path: Path | None = field(default=None, converter=_path)


def _named(cache: DiskCache | None, manager: StateManager | None) -> StateManager:
    """The data folder that either names.

    Raises:
        SpecError: they name different ones: events and answers are kept together.
    """
    manager, path = manager or StateManager(), None if cache is None else cache.path
    if path is not None and manager.path not in (None, path):
        raise SpecError([f"DiskCache({str(path)!r}) and StateManager({str(manager.path)!r}): name one data folder"])
    return manager if path is None else StateManager(path)


class Orchestrator:
    """Runs projects within a budget.

    Args:
        budget: the ceiling of each run in dollars and seconds; what the latest run used is filled in.
        cache: a ``DiskCache`` switches reusing answers on, False off; None: on with real providers only.
        state_manager: names the data folder; None: the one of ``cache``.
        max_concurrency: calls in flight at once.
        output_dir: where the results are written; None: nowhere, they are in the returned state.
        budget_hierarchy: caps over all runs of the data folder; None: those that stand there already.
        cost_predictor: learns from every call what it cost.
        fields: further keys of the spec file, such as ``providers``, ``models``, ``tasks`` or ``policies``. Plugins
            may be objects of this program: ``validators={"house": function}``, ``providers={"mine": object}``,
            ``exporters=[object]``, and ``backends``, ``policy_loaders``, ``scaffolds``, ``scorers`` by name.

    Raises:
        KeywordError: there is no such argument.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        cache: DiskCache | bool | None = None,
        state_manager: StateManager | None = None,
        max_concurrency: int = 3,
        *,
        output_dir: str | os.PathLike[str] | None = None,
        budget_hierarchy: "BudgetHierarchy | None" = None,
        cost_predictor: "CostPredictor | None" = None,
        **fields: Any,
    ) -> None:
        _check_keywords(fields)
        self.budget = Budget() if budget is None else budget
        self.cache = DiskCache() if cache is True else cache or None
        self._reuses = None if cache is None else cache is not False
        self.state_manager = _named(self.cache, state_manager)
        self.max_concurrency = max_concurrency
        self._output = _path(output_dir)
        self._fields, self._objects = objects_among(fields)
        self.budget_hierarchy = budget_hierarchy
        self.cost_predictor = cost_predictor
        self._backend: Backend | None = None
        self._hooks: HookRegistry | None = None
        self._exporter: MetricsExporter | None = None
        self._played_runs: dict[str, None] = {}
        self._channels = ChannelHub()

    def get_channel(self, name: str) -> "TaskChannel":
        """The channel of this name in the current run, by which hooks and other parts of a program pass messages on.

        Every message and every taking is in the run's log. Before a run, messages wait for it; once it has finished,
        ``put`` and ``get`` raise ChannelClosedError, and ``peek_all`` shows what was left. While several runs of one
        orchestrator go on, channels are those of the run that began first.

        Raises:
            ValueError: it is no name.
        """
        return self._channels.channel(name)

    def add_hook(self, event_type: "EventType", callback: "Hook") -> None:
        """Have a function called whenever something happens in a run of this orchestrator; see ``orchestrator.hooks``.

        It is called with keyword arguments, after what it hears of is durable, once, from a thread of its own. What
        it raises is logged; if it hangs, the run goes on without it.

        Raises:
            ValueError: there is no such event type.
        """
        from orchestrator.hooks import HookRegistry

        if self._hooks is None:
            self._hooks = HookRegistry()
        self._hooks.add(event_type, callback)

    def set_optimization_backend(self, backend: Backend) -> None:
        """Let a backend rank all candidates in the runs that start or go on from now on.

        Those of ``orchestrator.optimization`` stand for plugins and are recorded as such. Any other object is recorded
        by its qualified name: its decisions cannot be computed again, and its runs go on only where it is set, too.

        Raises:
            SpecError: it is no object with a method ``rank(candidates, telemetry, draw)``.
        """
        if isinstance(backend, type):
            raise SpecError([f"set_optimization_backend: pass an object, {backend.__name__}(…), not the class"])
        if not callable(getattr(backend, "rank", None)):
            raise SpecError([f"set_optimization_backend: a {type(backend).__name__} has no method `rank`"])
        try:
            self._backend = plugin_kinds.backend(backend)
        except plugin_kinds.ContractError as error:
            raise SpecError([f"set_optimization_backend: {type(backend).__name__}: {error}"]) from error

    def set_metrics_exporter(self, exporter: "MetricsExporter") -> None:
        """Say where ``export_metrics`` exports to; exporters that work while a run goes on are a key of the spec.

        Raises:
            SpecError: it is no object with a method ``export``.
        """
        if isinstance(exporter, type):
            raise SpecError([f"set_metrics_exporter: pass an object, {exporter.__name__}(…), not the class"])
        if not callable(getattr(exporter, "export", None)):
            raise SpecError([f"set_metrics_exporter: a {type(exporter).__name__} has no method `export`"])
        self._exporter = exporter

    def export_metrics(self) -> None:
        """Export what was measured in the runs this orchestrator has taken part in, as the log has them now.

        Raises:
            UsageError: no exporter was set.
            Exception: whatever the exporter raises.
        """
        from orchestrator.metrics import Metrics, measure

        if self._exporter is None:
            raise UsageError("export_metrics: no exporter is set; call set_metrics_exporter(ConsoleExporter()) first")
        with self._reading() as log:
            self._exporter.export(Metrics(0) if log is None else measure(log, self._played_runs))

    def profiles(self) -> dict[Model, ModelProfile]:
        """What was measured of each model in the runs this orchestrator has taken part in, with its latest price."""
        from orchestrator.model_profiles import measured_profiles

        with self._reading() as log:
            return {} if log is None else measured_profiles(log, self._played_runs)

    @contextmanager
    def _reading(self) -> "Iterator[EventLog | None]":
        """The log of the data folder; None where this orchestrator has played nothing."""
        from orchestrator.ledger.event_log import EventLog
        from orchestrator.plugins.store_of_folder import has_store, open_log_to_read

        folder = data_folder(self.state_manager.path, os.environ)
        if not self._played_runs or not has_store(folder):
            yield None
            return
        log = open_log_to_read(folder, EventLog)
        try:
            yield log
        finally:
            log.close()

    async def run_project(self, project_description: str, success_criteria: str, project_id: str = "") -> ProjectState:
        """Run a project to its end, or go on with the one of this id.

        Raises:
            SpecError: an argument makes no sense.
            NoProviderError: there is neither key nor address nor script.
            ValueError: the budget exceeds what an account of the ``budget_hierarchy`` has left.
            OrchestrateError: see ``orchestrator.errors``.
        """
        given = {"project_id": project_id} if project_id else {}
        return await self._run(self._spec(project_description, success_criteria, self.budget, given), self.budget)

    def run_project_sync(self, project_description: str, success_criteria: str, project_id: str = "") -> ProjectState:
        """``run_project`` for programs that are not asynchronous.

        Raises:
            UsageError: an event loop is running, as in a notebook: await ``run_project`` there.
            OrchestrateError: as for ``run_project``.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.run_project(project_description, success_criteria, project_id))
        raise UsageError("an event loop is running here, as in a notebook; write: await orchestrator.run_project(…)")

    async def run_job(self, job: JobSpec, *, reuse: bool | None = None) -> ProjectState:
        """Run a job within its own budget and those of its team, its job id and the organisation.

        ``reuse`` says whether answers of earlier runs are reused; None: as the orchestrator was made.

        Raises:
            ValueError: the job's budget exceeds what an account has left; nothing is recorded of the run then.
            OrchestrateError: as for ``run_project``.
        """
        budget = self.budget if job.budget is None else job.budget
        named = {"project_id": job.project_id, "team": job.team, "job_id": job.job_id}
        given: dict[str, Any] = {name: value for name, value in named.items() if value}
        if job.quality_targets:
            given["quality_targets"] = {**self._fields.get("quality_targets", {}), **job.quality_targets}
        if reuse is not None:
            given["cache"] = reuse
        if job.policies.policies:
            given["policies"] = (*self._fields.get("policies", ()), *job.policies.policies)
        return await self._run(self._spec(job.project_description, job.success_criteria, budget, given), budget)

    async def _run(self, spec: Spec, budget: Budget) -> ProjectState:
        hierarchy = self.budget_hierarchy
        caps = None if hierarchy is None else hierarchy.caps_for(spec.team or "", spec.job_id or "")
        channels = self._channels if self._channels.expect() else ChannelHub()  # of the run that is called for first
        try:
            async with Workspace.open(data_folder(self.state_manager.path, os.environ)) as workspace:
                return await self._played(workspace, spec, budget, caps, channels)
        finally:
            channels.end()

    async def _played(
        self,
        workspace: Workspace,
        spec: Spec,
        budget: Budget,
        caps: "Mapping[str, Usd] | None",
        channels: ChannelHub,
    ) -> ProjectState:
        engine = workspace.engine
        watch = _Watch(engine, self._hooks, self.cost_predictor)
        records: list[RunRecords] = []

        def on_session(session: "Session", loop: "Loop") -> None:
            self._played_runs[session.stream.run] = None
            records.append(RunRecords(session.stream.run))
            channels.begin(session, loop)
            watch.begin(session, loop)

        def record(version: int, at: int, event: "Event") -> None:
            records[-1].observe(version, at, event)

        async def begin(watchers: Watchers) -> RunEnd:
            return await engine.start(await asyncio.to_thread(bound), output=self._output, watchers=watchers, caps=caps)

        def bound() -> Spec:
            return bind(spec, engine.admission, (), engine.catalogue.loader_for_suffix, self._output)

        watchers = Watchers(observers=[channels.observe, watch.observe, record], on_session=on_session)
        try:
            engine.catalogue = engine.catalogue.with_local(self._objects)
            engine.backend = None if isinstance(self._backend, PluginBackend) else self._backend
            outcome = await (await workspace.begun(begin, watchers=watchers)).ended()
            self._played_runs[outcome.run] = None
            channels.end(outcome.state, outcome.texts.get)
            return await asyncio.to_thread(
                project_state, outcome.state, outcome.run, outcome.head, outcome.texts.get, budget
            )
        finally:
            channels.end()
            await watch.end()

    def _spec(self, project: str, criteria: str, budget: Budget, given: Mapping[str, Any]) -> Spec:
        fields = {
            "budget_usd": budget.max_usd,
            "time_seconds": budget.max_time_seconds,
            "concurrency": self.max_concurrency,
            **({} if self._reuses is None else {"cache": self._reuses}),
        }
        spec = with_models(spec_from(project, criteria, **{**self._fields, **fields, **given}), usual_models())
        return spec if self._backend is None else with_backend(spec, self._backend)


_OWN: Final = (
    "budget",
    "cache",
    "state_manager",
    "max_concurrency",
    "output_dir",
    "budget_hierarchy",
    "cost_predictor",
)


def _check_keywords(given: Mapping[str, Any]) -> None:
    """Refuse keywords that are neither arguments nor keys of the spec file."""
    keys = (each.name for each in fields(Spec) if KEY in each.metadata)
    check_keywords("Orchestrator", given, (*_OWN, *OBJECTS, *keys))


def with_backend(spec: Spec, backend: Backend) -> Spec:
    """The spec with a backend named: a plugin with its parameters, anything else by its qualified name."""
    if isinstance(backend, PluginBackend):
        name, parameters = backend.name, backend.parameters
    else:
        name, parameters = f"{type(backend).__module__}.{type(backend).__qualname__}"[:_LONGEST_NAME], {}
    return evolve(spec, routing=evolve(spec.routing, backend=name, parameters=parameters))


class _Watch:
    """Brings a run's committed events to the hooks and to the predictor of its orchestrator."""

    def __init__(self, workspace: Engine, hooks: "HookRegistry | None", predictor: "CostPredictor | None") -> None:
        self._workspace = workspace
        self._hooks = hooks
        self._predictor = predictor
        self._hooked: HookObserver | None = None
        self._observers: list[Callable[[int, int, Event], None]] = []

    def begin(self, session: "Session", loop: "Loop") -> None:
        """Take the session before its first step: what the run's history says is known, and not reported again."""
        if self._hooks is None and self._predictor is None:
            return
        history = [(record.version, record.event) for record in self._workspace.log.read(session.stream.run)]
        if self._hooks is not None:
            from orchestrator.hooks import HookObserver

            self._hooked = HookObserver(self._hooks, session.stream.texts.get, history)
            self._hooked.start()
            self._observers.append(self._hooked.observe)
        if self._predictor is not None:
            from orchestrator.cost import CostRecorder

            self._observers.append(CostRecorder(self._predictor, history).observe)

    def observe(self, version: int, at: int, event: "Event") -> None:
        """Pass a committed event on; one observer's error is not another's."""
        for observer in self._observers:
            with suppress(Exception):
                observer(version, at, event)

    async def end(self) -> None:
        """Let the hooks finish."""
        if self._hooked is not None:
            await self._hooked.finish()


__all__: Sequence[str] = ["DiskCache", "Orchestrator", "StateManager"]
