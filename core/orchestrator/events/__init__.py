"""The language of the log: every event, in rooms by subject; ``TYPES`` has them in the order in which a run tells them.

A *decision* says what shall happen and is computed by ``decide`` from the state; an *outcome* says what came from
outside; an *account event* stands in the stream of an account. Texts are never here, only their digests; times and
durations are whole microseconds (``at``, UTC, is a column of its own); amounts are ``Usd``; ``version`` numbers an
event within its stream, from 1, and the version of the decision that opened an effect is the effect's identity.
"""

from orchestrator.events.accounts import AccountOpened, CapSet, Held, Kept, Reconciled, Released, Settled, Totals
from orchestrator.events.calls import (
    AccountEntry,
    AccountRefused,
    CallFailed,
    CallPrepared,
    CallStarted,
    CallSucceeded,
    Reading,
    Reused,
)
from orchestrator.events.channels import ChannelPut, ChannelTaken
from orchestrator.events.kinds import ADVISE, ENHANCE, PLAN, VERIFY, AccountEvent, Decision, Event, Outcome
from orchestrator.events.planning import (
    ArchitectureDecided,
    ForecastMade,
    PlanMade,
    PlanRefused,
    QuestionAnswered,
    QuestionAsked,
    SpecEnhanced,
)
from orchestrator.events.registry import TYPES
from orchestrator.events.routing import BackendFailed, BreakerClosed, BreakerOpened, Candidate, ModelSelected
from orchestrator.events.runs import (
    BudgetRaised,
    ContentDeleted,
    EndedAttempt,
    PluginUsed,
    Prior,
    RunFinished,
    RunForked,
    RunInterrupted,
    RunStarted,
    SessionFailed,
    SessionLost,
    SessionOpened,
    TimeRaised,
)
from orchestrator.events.spending import BudgetWarned, SpendExceeded, SpendReconciled, SpendRefused
from orchestrator.events.tasks import (
    CheckStarted,
    Evaluated,
    FileWritten,
    OutputChosen,
    ResultVerified,
    StepSkipped,
    TaskFinished,
    TaskStarted,
    Validated,
    VerificationStarted,
)

__all__ = [
    "ADVISE",
    "ENHANCE",
    "PLAN",
    "TYPES",
    "VERIFY",
    "AccountEntry",
    "AccountEvent",
    "AccountOpened",
    "AccountRefused",
    "ArchitectureDecided",
    "BackendFailed",
    "BreakerClosed",
    "BreakerOpened",
    "BudgetRaised",
    "BudgetWarned",
    "CallFailed",
    "CallPrepared",
    "CallStarted",
    "CallSucceeded",
    "Candidate",
    "CapSet",
    "ChannelPut",
    "ChannelTaken",
    "CheckStarted",
    "ContentDeleted",
    "Decision",
    "EndedAttempt",
    "Evaluated",
    "Event",
    "FileWritten",
    "ForecastMade",
    "Held",
    "Kept",
    "ModelSelected",
    "Outcome",
    "OutputChosen",
    "PlanMade",
    "PlanRefused",
    "PluginUsed",
    "Prior",
    "QuestionAnswered",
    "QuestionAsked",
    "Reading",
    "Reconciled",
    "Released",
    "ResultVerified",
    "Reused",
    "RunFinished",
    "RunForked",
    "RunInterrupted",
    "RunStarted",
    "SessionFailed",
    "SessionLost",
    "SessionOpened",
    "Settled",
    "SpecEnhanced",
    "SpendExceeded",
    "SpendReconciled",
    "SpendRefused",
    "StepSkipped",
    "TaskFinished",
    "TaskStarted",
    "TimeRaised",
    "Totals",
    "Validated",
    "VerificationStarted",
]
