"""The state of a run."""

from attrs import Factory, define

from orchestrator.events import (
    PLAN,
    Event,
    RunFinished,
    RunStarted,
    SessionOpened,
)
from orchestrator.models import ModelInfo, Phase, TaskType
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.state.calls import CallKey, LogicalCall, Spend
from orchestrator.state.health import ModelRecord
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
    """What the history of one run amounts to. Only ``evolve`` changes it."""

    version: int = 0
    at: int = 0
    """Of the last event; microseconds UTC."""
    start: RunStarted | None = None
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

    plan: PlanNode = Factory(lambda: PlanNode(PLAN))
    planned: bool = False
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

    pending: dict[int, Event] = Factory(dict)
    """The open effects: the decision that opened each, by its version."""
    in_flight: int = 0
    """Calls without an end."""
    spend: Spend = Factory(Spend)
    in_flight_held: Usd = Usd.ZERO
    excess: Usd = Usd.ZERO
    phases: dict[Phase, Spend] = Factory(dict)
    warned: set[tuple[Phase, int]] = Factory(set)
    exceeded: list[Excess] = Factory(list)
    """Excesses not yet recorded by a decision."""
    records: dict[str, ModelRecord] = Factory(dict)
    """By model id."""

    finished: RunFinished | None = None
    raised: dict[str, int] = Factory(dict)
    """Version of the latest event that raised the ``budget`` or the ``time``."""

    @property
    def settings(self) -> RunSettings:
        """The rules of the run."""
        assert self.start is not None, "the run has no first event"
        return self.start.settings

    @property
    def held(self) -> Usd:
        """In flight + kept."""
        return self.in_flight_held + self.spend.kept

    @property
    def free(self) -> Usd:
        """What a further hold may take of the run's cap."""
        return self.cap - self.spend.settled - self.held

    def active(self, now: int) -> int:
        """Active time up to ``now``, in microseconds."""
        return self.active_before + (now - self.session_at if self.is_open else 0)

    def node(self, name: str) -> Node:
        """The plan's node or a task."""
        return self.plan if name == PLAN else self.tasks[name]

    def call(self, key: CallKey) -> LogicalCall | None:
        """A logical call, if it has begun."""
        return self.node(key.node).calls.get(key)

    def type_of(self, node: str) -> TaskType | None:
        """A task's type; None for the plan."""
        return None if node == PLAN else self.tasks[node].planned.type

    def record(self, model: str) -> ModelRecord:
        """What was seen of a model, begun if need be."""
        found = self.records.get(model)
        if found is None:
            found = self.records[model] = ModelRecord()
        return found
