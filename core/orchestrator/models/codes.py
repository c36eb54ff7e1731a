"""The codes that events and states carry instead of words: why something was chosen, rejected, left out or ended.

What a code means to a reader is said where it is shown; a test makes sure that no member is without words there.
"""

from enum import StrEnum


class RejectionReason(StrEnum):
    """Why a candidate is not the model that was selected."""

    NO_PRICE = "no_price"
    """Its price is not known."""
    UNBOUNDED = "unbounded"
    """Nothing bounds what it may write, and the settings do not allow that."""
    POLICY = "policy"
    """A policy forbids it, or the hold does not fit its cap on the task's cost."""
    OFF = "off"
    """It is switched off for the session."""
    BREAKER = "breaker"
    """Its circuit is open."""
    VENDOR = "vendor"
    """It is of the author's vendor, and another one is required."""
    TRIED = "tried"
    """It was called for the same logical call already."""
    BUDGET = "budget"
    """What it could cost at most did not fit."""
    CONTEXT = "context"
    """The prompt and the longest answer do not fit its context window."""
    RANKED = "ranked"
    """Another model ranked higher."""


class SelectionReason(StrEnum):
    """Why a model is selected: because it is the first, or because of what ended the selection before it."""

    FIRST = "first"
    """It comes first."""
    FALLBACK = "fallback"
    """The model before it gave no usable answer."""
    BREAKER = "breaker"
    """The circuit of the model before it is open."""
    BUDGET = "budget"
    """The model before it could cost more than is left."""
    CONTEXT = "context"
    """The prompt did not fit the model before it."""
    POLICY = "policy"
    """The one before did not fit a policy's cap on the task's cost."""
    REASK = "reask"
    """The same again: its answer could not be used, and it is shown why."""
    UNREADABLE = "unreadable"
    """The one before gave answers, none of which could be used."""


class Waiver(StrEnum):
    """How a reviewer of the author's vendor differs from the author."""

    SAME_VENDOR = "same_vendor"
    """Another tier, not a lower one."""
    SAME_TIER = "same_tier"
    """Another model of the same tier."""
    SAME_MODEL = "same_model"
    """The author itself."""
    LOWER_TIER = "lower_tier"
    """A lower tier, with nothing else left."""


class CallEnd(StrEnum):
    """Why a logical call ended without an answer."""

    NO_MODEL = "no_model"
    """No model was left to call."""
    FAILED = "failed"
    """Every model that was called failed."""
    UNREADABLE = "unreadable"
    """There were answers, none of which could be used."""
    BUDGET = "budget"
    """The hold of no candidate fitted."""
    POLICY = "policy"
    """Only caps of policies on the task's cost refused it."""
    TIME = "time"
    """The time is up."""
    CONTEXT = "context"
    """The prompt fits the context window of no model."""


class SkipReason(StrEnum):
    """Why a step of an iteration is left out. The first seven are those of CallEnd."""

    NO_MODEL = "no_model"
    """No model was left to call."""
    FAILED = "failed"
    """Every model that was called failed."""
    UNREADABLE = "unreadable"
    """There were answers, none of which could be used."""
    BUDGET = "budget"
    """The hold of no candidate fitted."""
    POLICY = "policy"
    """Only caps of policies on the task's cost refused it."""
    TIME = "time"
    """The time is up."""
    CONTEXT = "context"
    """The prompt fits the context window of no model."""
    GATE = "gate"
    """The draft did not pass its checks."""
    ACCEPTED = "accepted"
    """The critique found no defect that stands."""
    EQUAL = "equal"
    """The draft is an earlier answer again, which was reviewed."""
    STRATEGY = "strategy"
    """The strategy has no such step."""
    TESTS = "tests"
    """The given tests all passed: a second evaluation is not needed."""
    ALONE = "alone"
    """The given tests all passed, and no model but the author could review it."""


class TaskEndReason(StrEnum):
    """Why a task is not completed."""

    BELOW_THRESHOLD = "below_threshold"
    """Its score is below the threshold of its type."""
    GATE = "gate"
    """A check did not pass."""
    UNSCORED = "unscored"
    """No score could be read."""
    BUDGET = "budget"
    """The hold of no candidate fitted."""
    POLICY = "policy"
    """Only caps of policies on its cost refused a call."""
    TIME = "time"
    """The time is up."""
    NO_MODEL = "no_model"
    """No model was left to call."""
    FAILED = "failed"
    """Every model that was called failed."""
    UNREADABLE = "unreadable"
    """There were answers, none of which could be used."""
    CONTEXT = "context"
    """The prompt fits the context window of no model."""
    DEPENDENCY = "dependency"
    """A task that it depends on has no output."""
    DECLINED = "declined"
    """A person has left it out."""
    REPLACED = "replaced"
    """Other tasks have taken its place before it began."""


class RunEndReason(StrEnum):
    """Why a run is no success."""

    NO_PLAN = "no_plan"
    """No answer was a plan."""
    FALLBACK_PLAN = "fallback_plan"
    """No answer was a plan, so that the project as it is was the only task."""
    NO_MODEL = "no_model"
    """No model was left to plan."""
    NO_OUTPUT = "no_output"
    """No task has an output."""
    CONTEXT = "context"
    """The prompts for the plan, or for all tasks, fit the context window of no model."""
    BUDGET = "budget"
    """A task was refused money."""
    POLICY = "policy"
    """Only caps of policies on tasks' costs left them without an output."""
    TIME = "time"
    """The time is up."""
    VERIFICATION = "verification"
    """The verification of the result did not pass."""


class BreakerReason(StrEnum):
    """Why a circuit opened. Only the first three close again; ``unreachable`` is for the session without a time."""

    FAILURES = "failures"
    """Too many calls in a row failed."""
    PROBE = "probe"
    """The probe failed."""
    UNREACHABLE = "unreachable"
    """No connection to the host can be made."""
    AUTHENTICATION = "authentication"
    """The vendor refuses the key."""
    QUOTA = "quota"
    """The account at the vendor is exhausted."""
    UNKNOWN_MODEL = "unknown_model"
    """The vendor does not know the model."""


class BackendProblem(StrEnum):
    """How a backend failed to rank."""

    RAISED = "raised"
    """It raised an exception."""
    TIMEOUT = "timeout"
    """It took too long."""
    NOT_A_PERMUTATION = "not_a_permutation"
    """It did not return every candidate once, with a number."""


class SpendLimit(StrEnum):
    """Which limit the hold of a call did not fit."""

    RUN = "run"
    """The run's own cap."""
    ENHANCE = "enhance"
    """What suggestions may cost."""
    ACCOUNT = "account"
    """An account above the run, by its name."""
    POLICY = "policy"
    """A policy's cap on the cost of a task, by the policy's name."""


class VerificationProblem(StrEnum):
    """Why the verdict of a verification is unknown."""

    NO_FOLDER = "no_folder"
    """There is no output folder."""
    NO_SANDBOX = "no_sandbox"
    """No sandbox works on the machine."""
    NO_COMMAND = "no_command"
    """The text of the command is missing."""
    TOO_LARGE = "too_large"
    """The output folder is too large."""
    UNREADABLE = "unreadable"
    """The output folder cannot be read."""
    TIME = "time"
    """It took too long."""
    DISK = "disk"
    """It wrote too much."""
    STOPPED = "stopped"
    """Another process ended it."""
    RAISED = "raised"
    """The verification itself failed."""


class AnsweredBy(StrEnum):
    """Where the answer to a question came from."""

    PERSON = "person"
    """A person at the terminal."""
    FLAG = "flag"
    """The command line had answered before."""
    STOPPED = "stopped"
    """The person wants no more questions."""
    NO_TERMINAL = "no_terminal"
    """There is no terminal to ask at."""
    ELSEWHERE = "elsewhere"
    """A person, from another process."""


class ApprovalPoint(StrEnum):
    """What a run stops at until a person has agreed."""

    PLAN = "approve_plan"
    """The plan, before a task starts."""
    TASK = "approve_task"
    """One task, before it starts; a no leaves it out."""
    SPEND = "approve_spend"
    """An amount, before a call could go beyond it."""
    CEILING = "approve_ceiling"
    """The ceiling, before a call is refused money; a yes raises it."""
    FORECAST = "approve_forecast"
    """A forecast above what the user's configuration allows without a question."""


class CacheUse(StrEnum):
    """What the response cache had for a call."""

    OFF = "off"
    """It was not used."""
    MISS = "miss"
    """It had no answer."""
    HIT = "hit"
    """It had an answer."""


class ScorerProblem(StrEnum):
    """Why a scorer gave no score."""

    RAISED = "raised"
    """It raised an error."""
    TIMEOUT = "timeout"
    """It took too long."""
    NO_SCORE = "no_score"
    """What it returned is no score from 0 to 1."""
    NO_SANDBOX = "no_sandbox"
    """The machine has no sandbox, or no thread, for it."""
    ABSENT = "absent"
    """The session has no scorer of the name."""
