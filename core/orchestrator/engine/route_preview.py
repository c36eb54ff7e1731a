"""Which models a run would call, before it begins: the routes of a given plan, by the very rules of ``decide``."""

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from orchestrator import events as e
from orchestrator.deadlines import run_in_thread
from orchestrator.decide import RULES, BackendError, Rank
from orchestrator.decide.answer_lengths import call_sizes, usual_length
from orchestrator.decide.forecast import compares, next_forecast
from orchestrator.decide.plan_checks import execution_order
from orchestrator.decide.ranking import backend_name
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import DraftQuery, Query, list_candidates
from orchestrator.decide.spending import is_too_long
from orchestrator.decide.strategies import COLD, judge_runs, most_iterations, strategy_of
from orchestrator.engine.answers.given_files_in_prompts import map_of, quoted_bytes
from orchestrator.engine.backend_guard import guard
from orchestrator.engine.first_event import files_needed, run_context
from orchestrator.engine.play_percentiles import Simulated
from orchestrator.engine.reading_given_files import Gathered
from orchestrator.engine.session import VERSION
from orchestrator.engine.vendors.session_providers import Connected
from orchestrator.errors import PluginError, SpecError
from orchestrator.models import CritiqueUse, DraftMode, ModelInfo, PlannedTask, RejectionReason, Role, TaskType, Waiver
from orchestrator.money import Price, Usd
from orchestrator.plugins import part
from orchestrator.settings import RunSettings
from orchestrator.spec import Spec, TaskSpec
from orchestrator.state.calls import CallKey
from orchestrator.state.fold import fold

_BYTES_PER_TOKEN: Final = 4
_AROUND: Final = 4096  # bytes of instructions and of the vendor's format
_PLAN_ROLES: Final = (Role.GENERATOR, Role.CRITIC, Role.REVISER, Role.EVALUATOR)


@frozen
class Option:
    """A model that was considered for a call."""

    model: str
    vendor: str
    price: Price | None
    hold: Usd | None
    """What is held for a first call, by estimate; None where nothing bounds it or it has no price."""
    score: float | None
    rejection: RejectionReason | None
    """What removes it; ``ranked`` for one that comes after the first."""
    waiver: Waiver | None
    policy: str | None = None
    """With ``policy``: its name."""
    max_tokens: int = 0
    """What it is asked for at first."""


@frozen
class Route:
    """One call of a task's iteration: the models to call, in order, and those left out."""

    role: Role
    times: int
    """How often it is made in an iteration."""
    max_tokens: int
    """The limit of the role or type."""
    backend: str
    """What orders the options: ``row``, or the backend's name."""
    options: tuple[Option, ...]
    compares: bool = False
    """Whether it compares two of the task's results; ``times`` is then how often in all, at most."""

    @property
    def first(self) -> Option | None:
        """Who is asked first."""
        return next((option for option in self.options if option.rejection is None), None)


@frozen
class TaskRoute:
    """The routes of one task."""

    task: str
    type: TaskType
    level: int
    """1 for a task without dependencies, else one more than the highest of its dependencies."""
    dependencies: tuple[str, ...]
    routes: tuple[Route, ...]

    @property
    def iteration_hold(self) -> Usd | None:
        """The most one iteration is estimated to cost, were its calls in flight together; None where nothing bounds it.

        None too where no model can draft. A critique or a score that no model can give is left out, as a run does, and
        so are comparisons, which follow the last iteration.
        """
        total = Usd.ZERO
        for route in self.routes:
            first = route.first
            if route.compares or (first is None and route.role is not Role.GENERATOR):
                continue
            if first is None or first.hold is None:
                return None
            total += Usd(first.hold.nano * route.times)
        return total


@frozen
class RunOutlook:
    """What is known of a run before it begins."""

    settings: RunSettings
    planning: Route | None
    """Who would break the project into tasks; None for a given plan."""
    forecast: e.ForecastMade | None
    """What a given plan is expected to cost."""
    tasks: tuple[TaskRoute, ...]
    """In execution order; without a given plan one for each type of task, as if it stood alone."""
    measured: bool
    """Whether earlier runs measured anything that counts."""


def outlook(
    spec: Spec, connected: Connected, priors: Sequence[e.Prior] = (), gathered: Gathered | None = None
) -> RunOutlook:
    """The routes of a spec's plan, or of every type of task where a model is to make the plan.

    ``priors`` are what earlier runs measured, ``gathered`` the files of the spec's context.
    Inputs are estimated: 4 bytes for each token that may be written at first before them, and 4 KiB for what stands
    around. A model is left out for its context window only where what is certain does not fit.

    Raises:
        PluginError: the backend gave no usable ranking.
    """
    settings = spec.settings(connected.simulated)
    tasks = spec.tasks or [TaskSpec(id=kind.value, type=kind, prompt="-") for kind in TaskType]
    planned = tuple([_planned(task, spec, gathered) for task in tasks])
    order = execution_order(planned)
    rank = guard(connected.backend, run_in_thread)
    look = _Look(spec, _opening(connected, settings, planned, priors, gathered), rank)
    levels: dict[str, int] = {}
    by_id = {task.id: task for task in planned}
    for name in order:
        levels[name] = 1 + max((levels[dependency] for dependency in by_id[name].dependencies), default=0)
    return RunOutlook(
        settings=settings,
        planning=None if spec.tasks else look.planning(_map_bytes(gathered)),
        forecast=look.forecast() if spec.tasks else None,
        tasks=tuple(look.task(by_id[name], levels[name]) for name in order),
        measured=bool(priors),
    )


def _map_bytes(gathered: Gathered | None) -> int:
    """What a planner is shown of the files."""
    return 0 if gathered is None else len(map_of([(each.name, each.text) for each in gathered.files]).encode())


def _planned(task: TaskSpec, spec: Spec, gathered: Gathered | None) -> PlannedTask:
    return PlannedTask(
        task.id,
        task.type,
        "",
        len(task.prompt.encode()),
        dependencies=task.dependencies,
        validators=task.hard_validators,
        tests="" if task.tests else None,
        lane=task.lane,
        context=files_needed(task, spec, gathered),
    )


def rehearse(
    spec: Spec,
    connected: Connected,
    priors: Sequence[e.Prior],
    plays: int,
    seed: int,
    gathered: Gathered | None = None,
) -> Simulated:
    """Play a spec's plan so many times on outcomes drawn from earlier measurements; the part ``simulate``.

    Raises:
        SpecError: the spec has no tasks.
        PluginError: the package that plays plans is switched off.
    """
    if not spec.tasks:
        raise SpecError(["tasks: the spec has none, and a model's plan cannot be rehearsed: give a plan"])
    settings = spec.settings(connected.simulated)
    planned = tuple([_planned(task, spec, gathered) for task in spec.tasks])
    opening = _opening(connected, settings, planned, priors, gathered)
    played: Simulated = part("simulate")(*opening, guard(connected.backend, run_in_thread), plays, seed)
    return played


def _opening(
    connected: Connected,
    settings: RunSettings,
    tasks: tuple[PlannedTask, ...],
    priors: Sequence[e.Prior],
    gathered: Gathered | None,
) -> tuple[e.RunStarted, e.SessionOpened]:
    """The events a run with a given plan would begin with."""
    known = {model.id for model in connected.models}
    opened = e.SessionOpened(
        number=1,
        rules=RULES,
        program=VERSION,
        plugins=connected.plugins,
        models=connected.models,
        slots=connected.slots,
        files=False,
        caps={},
        priors=tuple([prior for prior in priors if prior.model in known]),
        local=connected.local,
    )
    context = None if gathered is None else run_context(gathered, lambda text: "")
    started = e.RunStarted(
        seed=0, settings=settings, spec="", project="", criteria="", given_plan=tasks, context=context
    )
    return started, opened


class _Look:
    def __init__(self, spec: Spec, opening: tuple[e.RunStarted, e.SessionOpened], rank: Rank) -> None:
        started, opened = opening
        tasks = started.given_plan or ()
        history: Sequence[tuple[int, e.Event]] = [
            (1, started),
            (2, opened),
            (3, e.PlanMade(tasks, execution_order(tasks), None)),
        ]
        self.settings = started.settings
        self.is_given = bool(spec.tasks)
        self.state = fold(history)
        self.timestamp = RoutingContext(self.state, 4, rank, time_up=False)
        self.types = {task.id: task.type for task in tasks}
        self.around = len(spec.project.encode()) + len(spec.criteria.encode()) + _AROUND

    def forecast(self) -> e.ForecastMade:
        """What a run would record as its forecast.

        Raises:
            PluginError: the backend gave no usable ranking.
        """
        try:
            return next_forecast(self.timestamp)
        except BackendError as error:
            raise self._failed(error) from error

    def _failed(self, error: BackendError) -> PluginError:
        name = backend_name(self.state)
        text = f"the backend {name} failed: {error}; in a run the routing table's order would hold from here on"
        return PluginError("backend", name, text)

    def planning(self, shown: int) -> Route:
        """Who makes the plan; ``shown`` is how many bytes it sees of the user's files."""
        size = self.around + shown
        return self._route(Query(Role.DECOMPOSER, None, node=e.PLAN), e.PLAN, 1, size, size)

    def _bytes(self, role: Role, kind: TaskType) -> int:
        """How long an answer may be at first."""
        return _BYTES_PER_TOKEN * usual_length(self.settings, role, kind)

    def task(self, task: PlannedTask, level: int) -> TaskRoute:
        """The routes of a task's first iteration, each author the first choice; no critique, no revision."""
        draft, critique = (self._bytes(role, task.type) for role in (Role.GENERATOR, Role.CRITIC))
        needed = sum(self._bytes(Role.GENERATOR, self.types[name]) for name in task.dependencies)
        known, shown = self.around + task.prompt_bytes, quoted_bytes(self.state, task)
        given = known + shown + needed
        known += shown if self.is_given else 0  # a planner names the files of each task
        sizes = {
            Role.GENERATOR: given,
            Role.CRITIC: given + draft,
            Role.REVISER: given + draft + critique,
            Role.EVALUATOR: given + draft,
        }
        node = task.id if self.is_given else ""
        routes: list[Route] = []
        author: str | None = None
        strategy = strategy_of(self.settings, task.type)
        for role in _PLAN_ROLES:
            if role is Role.REVISER and routes[-1].first is None:
                continue
            if role in (Role.CRITIC, Role.REVISER) and strategy.critique is CritiqueUse.NEVER:
                continue
            times = judge_runs(self.settings, task.type) if role is Role.EVALUATOR else 1
            if times == 0:
                continue
            made = DraftQuery(DraftMode.FRESH, COLD, order=strategy.order) if role is Role.GENERATOR else None
            query = Query(role, task.type, author, node, draft=made)
            routes.append(self._route(query, task.id, times, sizes[role], known))
            if role in (Role.GENERATOR, Role.REVISER) and (first := routes[-1].first) is not None:
                author = first.model
        if compares(self.state, self.state.tasks[task.id]):
            samples = most_iterations(self.settings, task.type)
            query, times = Query(Role.EVALUATOR, task.type, author, node), samples * (samples - 1)
            judge = self._route(query, task.id, times, given + 2 * draft, known)
            routes.append(evolve(judge, compares=True))
        return TaskRoute(task.id, task.type, level, task.dependencies, tuple(routes))

    def _route(self, query: Query, node: str, times: int, size: int, known: int) -> Route:
        """The route of a call whose input has ``size`` bytes by estimate, ``known`` of them for certain."""
        try:
            identity = (*CallKey(node, query.role, 1, 1), 1)
            listing = list_candidates(self.timestamp, query, {}, identity)
        except BackendError as error:
            raise self._failed(error) from error
        found = [(each, self.state.models[each.model]) for each in listing.candidates]
        unfit = {model.id for _, model in found if is_too_long(model, known)}
        chosen = next((each.model for each, _ in found if each.rejection is None and each.model not in unfit), None)
        options = []
        for candidate, model in found:
            rejection = candidate.rejection
            if rejection is None and model.id != chosen:
                rejection = RejectionReason.CONTEXT if model.id in unfit else RejectionReason.RANKED
            asked = call_sizes(self.state, model, query.role, query.type).first
            options.append(
                Option(
                    model=model.id,
                    vendor=model.vendor,
                    price=model.price,
                    hold=_hold(model, asked, size),
                    score=candidate.score,
                    rejection=rejection,
                    policy=candidate.policy,
                    waiver=listing.waivers.get(model.id),
                    max_tokens=asked,
                )
            )
        limit = self.settings.output_limit(query.role, query.type)
        return Route(query.role, times, limit, listing.backend, tuple(options))


def _hold(model: ModelInfo, max_tokens: int, size: int) -> Usd | None:
    """The most a call can cost whose input has so many bytes."""
    if model.price is None:
        return None
    bound = model.output_bound(max_tokens)
    return model.price.bound(size + model.hidden_tokens, max_tokens if bound is None else bound)
