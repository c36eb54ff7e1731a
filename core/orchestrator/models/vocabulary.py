"""The words of a run: types of task, roles, phases, and how things can stand or end."""

from enum import StrEnum


class TaskType(StrEnum):
    """The kinds of task a project is broken into."""

    CODE_GEN = "code_generation"
    """Writes code."""
    CODE_REVIEW = "code_review"
    """Judges code."""
    COMPLEX_REASONING = "complex_reasoning"
    """Works something out."""
    CREATIVE_WRITING = "creative_writing"
    """Writes prose."""
    DATA_EXTRACTION = "data_extraction"
    """Finds data in text, as JSON."""
    SUMMARIZATION = "summarization"
    """Sums up."""
    EVALUATION = "evaluation"
    """Judges other results."""


class Role(StrEnum):
    """What a call is for."""

    DECOMPOSER = "decomposer"
    """Makes the plan."""
    GENERATOR = "generator"
    """Writes a draft."""
    CRITIC = "critic"
    """Names its defects."""
    REVISER = "reviser"
    """Mends them."""
    EVALUATOR = "evaluator"
    """Scores the output."""
    ENHANCER = "enhancer"
    """Suggests improvements of the description."""
    ADVISOR = "advisor"
    """Advises on the architecture."""


class Phase(StrEnum):
    """The parts into which a budget is softly divided."""

    DECOMPOSITION = "decomposition"
    GENERATION = "generation"
    CROSS_REVIEW = "cross_review"
    EVALUATION = "evaluation"
    RESERVE = "reserve"


class TaskStatus(StrEnum):
    """How a task stands. The last three are ends."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    FAILED = "failed"


class ProjectStatus(StrEnum):
    """How a run ended. SUCCESS and PARTIAL_SUCCESS are closed, the others can go on once the cause is removed."""

    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    TIMEOUT = "TIMEOUT"
    SYSTEM_FAILURE = "SYSTEM_FAILURE"

    @property
    def is_closed(self) -> bool:
        """Nothing can reopen the run."""
        return self in (ProjectStatus.SUCCESS, ProjectStatus.PARTIAL_SUCCESS)


class Verdict(StrEnum):
    """What a validator found. SKIPPED passes the gate (its tool is absent); UNKNOWN does not (it could not run)."""

    PASSED = "passed"
    """Nothing to object to."""
    FAILED = "failed"
    """The output must not pass."""
    SKIPPED = "skipped"
    """The tool is not installed."""
    UNKNOWN = "unknown"
    """The check could not be made; that is no pass."""


class ProbeResult(StrEnum):
    """What the counterexample of a defect is worth, once it was run on the draft."""

    CONFIRMED = "confirmed"
    """The draft gives what the critique says, which is not what it expects."""
    REFUTED = "refuted"
    """The draft gives what is expected, or something else than the critique says."""
    UNVERIFIED = "unverified"
    """There is no counterexample, or it could not be run or compared."""


class RiskLevel(StrEnum):
    """How near a forecast comes to the budget: below 50 %, below 80 %, or beyond."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Lane(StrEnum):
    """How calls are sent."""

    INTERACTIVE = "interactive"
    """One by one; answered at once."""
    BATCH = "batch"
    """In batches, where the vendor sells them: answered within a day, for about half the price."""


class Finish(StrEnum):
    """Why a model stopped writing."""

    STOP = "stop"
    """It has said everything."""
    LENGTH = "length"
    """``max_tokens`` cut it off."""
    OTHER = "other"
    """Something else."""
