"""A run as the Python API shows it: its budget, its tasks, what became of them."""

import time
from collections.abc import Mapping, Sequence
from html import escape

from attrs import Factory, define, field, frozen

from orchestrator.errors import UsageError
from orchestrator.models.slots import Model
from orchestrator.models.vocabulary import ProjectStatus, TaskStatus, TaskType
from orchestrator.money import Usd


@define
class Budget:
    """The ceiling of a run in dollars and in seconds of active time, and what is used of it.

    ``spent_usd`` is settled plus unreconciled money. Elapsed time counts from construction until a run fills it in.
    """

    max_usd: float = 8.0
    max_time_seconds: float = 5400.0
    spent_usd: float = 0.0
    phase_spent: dict[str, float] = Factory(dict)
    _since: float = field(factory=time.monotonic, init=False, repr=False, eq=False)
    _elapsed: float | None = field(default=None, init=False, repr=False, eq=False)

    @property
    def remaining_usd(self) -> float:
        """``max_usd - spent_usd``."""
        return self.max_usd - self.spent_usd

    @property
    def elapsed_seconds(self) -> float:
        """The run's active time, or the wall time since construction where no run has used this budget."""
        return time.monotonic() - self._since if self._elapsed is None else self._elapsed

    def can_afford(self, cost: float) -> bool:
        """Whether ``cost`` dollars are left."""
        return self.remaining_usd >= cost

    def time_remaining(self) -> bool:
        """Whether any of the time is left."""
        return self.elapsed_seconds < self.max_time_seconds

    def record(self, spent: Usd, phases: Mapping[str, Usd], elapsed: float) -> None:
        """Fill in what a run used: dollars (settled and unreconciled), dollars by phase, active seconds."""
        self.spent_usd = float(spent)
        self.phase_spent = {phase: float(amount) for phase, amount in phases.items()}
        self._elapsed = elapsed


@frozen
class Task:
    """A task of the plan with its texts, as the Python API shows it."""

    id: str
    type: TaskType
    prompt: str
    title: str = ""
    dependencies: tuple[str, ...] = ()
    hard_validators: tuple[str, ...] = ()


@frozen
class TaskResult:
    """What became of one task."""

    task_id: str
    output: str
    """The best output over all iterations; empty where there is none."""
    score: float
    """0.0 to 1.0; 0.0 where nothing was scored."""
    status: TaskStatus
    model_used: Model
    """The model that wrote the output; empty where none did."""
    reviewer_model: Model | None
    iterations: int
    cost_usd: float
    """All that was spent on this task, unreconciled money included."""
    deterministic_check_passed: bool
    degraded_fallback_count: int
    """How often the author's model was replaced by another."""
    reason: str = ""
    """Why it is not completed, as a code such as ``budget`` or ``dependency``."""

    def _repr_html_(self) -> str:
        return f"{_table([self])}<pre>{escape(self.output)}</pre>"


@frozen
class ProjectState:
    """What a run amounts to, for readers in Python."""

    project_id: str
    _status: ProjectStatus | None
    results: dict[str, TaskResult]
    budget: Budget
    tasks: dict[str, Task]
    execution_order: list[str]
    api_health: dict[str, bool]
    """Per model: whether it could be called at the end."""
    head: str = ""
    """The hash of the run's last event."""

    @property
    def is_open(self) -> bool:
        """Whether the run was interrupted, and can be resumed: it has no status yet."""
        return self._status is None

    @property
    def status(self) -> ProjectStatus:
        """How the run ended.

        Raises:
            UsageError: it is open.
        """
        if self._status is None:
            raise UsageError(f"run {self.project_id} is open: it was interrupted, and has no status yet; see is_open")
        return self._status

    def _repr_html_(self) -> str:
        status = "open" if self._status is None else self._status.value
        spent = f"${self.budget.spent_usd:.4f} of ${self.budget.max_usd:.2f}"
        waiting = "".join(f"<li>{escape(name)}</li>" for name in self.execution_order if name not in self.results)
        left = f"<p>not ended: <ul>{waiting}</ul></p>" if waiting else ""
        head = f"<p><b>{escape(self.project_id)}</b>: {status}, {spent}</p>"
        return f"{head}{_table([self.results[name] for name in self.execution_order if name in self.results])}{left}"


def _table(results: Sequence[TaskResult]) -> str:
    """The results, a row each."""
    heads = ("task", "status", "score", "model", "reviewer", "iterations", "cost")
    rows = (
        (
            each.task_id,
            each.status.value,
            f"{each.score:.3f}",
            each.model_used.value,
            "" if each.reviewer_model is None else each.reviewer_model.value,
            str(each.iterations),
            f"${each.cost_usd:.4f}",
        )
        for each in results
    )
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{cells}</table>"
