"""The state of a run."""

from attrs import Factory, define

from orchestrator.errors import present
from orchestrator.events import (
    ADVISE,
    ENHANCE,
    PLAN,
    CallStarted,
    Event,
    ForecastMade,
    ResultVerified,
    RunFinished,
    RunForked,
    RunStarted,
    SessionOpened,
)
from orchestrator.models import ModelInfo, Phase, TaskType
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.state.batches import Batch, BatchedCall
from orchestrator.state.calls import CallKey, LogicalCall, Reservation, Spend
from orchestrator.state.channels import Channel
from orchestrator.state.inputs import AdviseNode, ApprovalRecord, Consent, EnhanceNode
from orchestrator.state.model_health import HostRecord, ModelRecord, Start
from orchestrator.state.tasks import Node, PlanNode, TaskState


@define
class Excess:
    """A vendor billed beyond a hold."""

    call: int
    model: str
    hold: Usd
    settled: Usd


@define
class RunState:
    """What the history of one run amounts to. Only ``apply`` changes it."""

    version: int = 0
    at: int = 0
    """Of the last event; microseconds UTC."""
    start: RunStarted | None = None
    """In a fork with the settings and the spec of the fork."""
    forked: RunForked | None = None
    """The latest, where the run shares the past of another."""
    content_deleted: bool = False
    """Whether its texts are gone."""
    started_at: int = 0
    cap: Usd = Usd.ZERO
    time_limit: int = 0

    session: SessionOpened | None = None
    """The latest."""
    session_version: int = 0
    is_open: bool = False
    """Whether a session is open."""
    session_at: int = 0
    active_before: int = 0
    """Active time of the ended sessions, in microseconds."""
    models: dict[str, ModelInfo] = Factory(dict)
    """The models of the session, by id."""
    backend_failed: bool = False

    enhance: EnhanceNode = Factory(lambda: EnhanceNode(ENHANCE))
    advise: AdviseNode = Factory(lambda: AdviseNode(ADVISE))
    plan: PlanNode = Factory(lambda: PlanNode(PLAN))
    planned: bool = False
    fallback_plan: bool = False
    """Whether the project as it is is the only task, as no answer was a plan."""
    forecast: ForecastMade | None = None
    forecast_version: int = 0
    consent: Consent = Factory(Consent)
    approvals: ApprovalRecord = Factory(ApprovalRecord)
    plan_version: int = 0
    """Version of the event that made the plan as it is."""
    patches: int = 0
    """How often the planner was asked about failed tasks."""
    begun: bool = False
    """Whether a task has ever started."""
    tasks: dict[str, TaskState] = Factory(dict)
    execution_order: tuple[str, ...] = ()
    dependants: dict[str, list[str]] = Factory(dict)
    ready: list[int] = Factory(list)
    """A heap of places in the execution order: tasks whose dependencies have ended, none failed."""
    blocked: list[int] = Factory(list)
    """The same for tasks with a failed dependency."""
    running: list[int] = Factory(list)
    """The started and unfinished tasks' places in the execution order, ascending."""
    unfinished: int = 0
    plans_batches: bool = False
    """Whether a task of the plan names the lane ``batch``."""

    pending: dict[int, Event] = Factory(dict)
    """The open effects: the decision that opened each, by its version."""
    in_flight: int = 0
    """Calls without an end."""
    batched: dict[int, BatchedCall] = Factory(dict)
    """Those of the lane ``batch`` among them, by version."""
    batches: dict[int, Batch] = Factory(dict)
    """The batches that have such calls, by the version of their BatchStarted."""
    waits_since: int | None = None
    """Since when nothing but results of batches is waited for, in microseconds UTC; None: something else is."""
    spend: Spend = Factory(Spend)
    in_flight_held: Usd = Usd.ZERO
    excess: Usd = Usd.ZERO
    phases: dict[Phase, Spend] = Factory(dict)
    warned: set[tuple[Phase, int]] = Factory(set)
    unreconciled: dict[int, CallStarted] = Factory(dict)
    """The ended calls of unknown cost: their CallStarted, by its version."""
    exceeded: list[Excess] = Factory(list)
    """Excesses not yet recorded by a decision."""
    records: dict[str, ModelRecord] = Factory(dict)
    """By model id."""
    hosts: dict[str, HostRecord] = Factory(dict)
    """By host, as SessionOpened.models name it; of this session."""
    starts: dict[int, Start] = Factory(dict)
    """The attempts of the last day by version, oldest first."""
    reservations: dict[CallKey, Reservation] = Factory(dict)
    """The reservations of calls that have not started since."""

    verification: int | None = None
    """Version of the VerificationStarted."""
    verified: ResultVerified | None = None
    channels: dict[str, Channel] = Factory(dict)
    """By name."""

    finished: RunFinished | None = None
    raised: dict[str, int] = Factory(dict)
    """Version of the latest event that raised the ``budget`` or the ``time``."""

    @property
    def first(self) -> RunStarted:
        """The event the run began with.

        Raises:
            MissingError: it has not begun.
        """
        return present(self.start, "first event of the run")

    @property
    def opened(self) -> SessionOpened:
        """The event that opened the latest session.

        Raises:
            MissingError: there was none.
        """
        return present(self.session, "session")

    @property
    def settings(self) -> RunSettings:
        """The rules of the run."""
        return self.first.settings

    @property
    def held(self) -> Usd:
        """In flight + unreconciled."""
        return self.in_flight_held + self.spend.unreconciled

    @property
    def free(self) -> Usd:
        """What a further hold may take of the run's cap."""
        return self.cap - self.spend.settled - self.held

    def active(self, now: int) -> int:
        """Active time up to ``now``, in microseconds.

        While a person is asked, and while nothing but batches is waited for, it stands still.
        """
        if not self.is_open:
            return self.active_before
        stands = self.waits_since if self.enhance.asked_at is None else self.enhance.asked_at
        return self.active_before + (now if stands is None else stands) - self.session_at

    def is_held_back(self, version: int) -> bool:
        """Whether an open effect is a call whose batch is not submitted yet, so that there is nothing to collect."""
        call = self.batched.get(version)
        return call is not None and (call.batch is None or self.batches[call.batch].submitted is None)

    def node(self, name: str) -> Node:
        """A task, or one of the nodes before the tasks."""
        task = self.tasks.get(name)
        return self.before_tasks[name] if task is None else task

    @property
    def before_tasks(self) -> dict[str, Node]:
        """The nodes whose calls come before the tasks, by name."""
        return {ENHANCE: self.enhance, ADVISE: self.advise, PLAN: self.plan}

    @property
    def project(self) -> str:
        """Digest of the project's description, as every prompt shows it now."""
        return self.enhance.project or self.first.project

    @property
    def criteria(self) -> str:
        """Digest of the success criteria, as every prompt shows them now."""
        return self.enhance.criteria or self.first.criteria

    @property
    def words(self) -> int:
        """How many words the description has now."""
        return self.first.words if self.enhance.words is None else self.enhance.words

    def call(self, key: CallKey) -> LogicalCall | None:
        """A logical call, if it has begun."""
        return self.node(key.node).calls.get(key)

    def type_of(self, node: str) -> TaskType | None:
        """A task's type; None for what comes before the tasks."""
        task = self.tasks.get(node)
        return None if task is None else task.planned.type

    def record(self, model: str) -> ModelRecord:
        """What was seen of a model, begun if need be; to change it."""
        found = self.records.get(model)
        if found is None:
            found = self.records[model] = ModelRecord()
        found.shown.clear()
        return found
