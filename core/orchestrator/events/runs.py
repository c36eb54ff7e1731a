"""A run and its sessions: its beginning, what a person or the system does to it, its end."""

from typing import Any

from attrs import Factory, frozen

from orchestrator.events.kinds import Decision, Outcome
from orchestrator.events.routing import ModelCandidate
from orchestrator.models import (
    CapabilityKind,
    GrantedBy,
    LeftOutReason,
    ModelInfo,
    PlannedTask,
    ProjectStatus,
    Role,
    RunEndReason,
    TaskType,
)
from orchestrator.money import Usd
from orchestrator.settings import RunSettings


@frozen
class PluginUsed:
    """A plugin of a session."""

    kind: str
    name: str
    distribution: str
    version: str
    parameters: dict[str, Any] = Factory(dict)
    qualified_name: str = ""
    """Of a plugin without a distribution: the name of its file, or the module and name of the object."""
    source_digest: str = ""
    """Of such a plugin: the SHA-256 of its source, without a salt; empty: no file has it."""

    @property
    def label(self) -> str:
        """Whose plugin it is, for messages: its kind and name, and its distribution with the version."""
        named = f"the {self.kind} {self.name!r}"
        return f"{named} of {self.distribution} {self.version}".rstrip() if self.distribution else named


@frozen
class EndedAttempt:
    """An attempt that a dead session left without an end; its hold is unreconciled."""

    call: int
    """Version of its CallStarted."""
    amount: Usd


@frozen
class Length:
    """How long the latest answers of a model are in one role, thinking aside, in tokens."""

    role: Role
    answers: int
    """How many were measured, of the latest 50."""
    mean: int
    p95: int
    """Nearest rank."""


@frozen
class Prior:
    """What earlier runs of the data folder measured of a model for one type of task, as far as it is trusted.

    Averages are exponential; None: never measured.
    """

    model: str
    type: TaskType | None
    """None stands for planning."""
    calls: int
    quality: float | None
    cost: float | None
    """US dollars per call."""
    latency_ms: float | None
    trust: float
    latency_p95_ms: float | None = None
    """Nearest rank over the last 50 answers of the model, of any type."""
    success_rate: float | None = None
    """Over the last ten calls of the model, of any type."""
    lengths: tuple[Length, ...] = ()
    """Of the roles with ten answers or more."""


@frozen
class Grant:
    """A capability that a spec wants, and who agreed to it."""

    kind: CapabilityKind
    value: str
    """Its exact value; in an event the digest of it where it is a command, an option or a path of the machine."""
    by: GrantedBy


@frozen
class ContextFile:
    """A file that the user gave to a run, as it was when the run began."""

    name: str
    """Digest of its name."""
    text: str
    """Digest of its text."""
    size: int
    """Bytes of the text."""


@frozen
class LeftOut:
    """A file that was named, or lies in what was named, and is not part of the context."""

    name: str
    """Digest of its name."""
    reason: LeftOutReason


@frozen
class RunContext:
    """The files that the user gave to a run. They are read once; every later prompt and check uses these texts."""

    files: tuple[ContextFile, ...]
    """A task names them by their place, from 1."""
    map: str
    """Digest of what a planner is shown of them: names, sizes, first lines, names in Python code."""
    left_out: tuple[LeftOut, ...] = ()
    """The first of them."""
    more_left_out: int = 0


@frozen
class RunStarted(Outcome):
    """A run begins. The event holds everything from the user that decisions depend on."""

    seed: int
    """Random draws are functions of it."""
    settings: RunSettings
    spec: str
    """Digest of the specification as given, in canonical JSON."""
    project: str
    """Digest of the project's description."""
    criteria: str
    """Digest of the success criteria."""
    given_plan: tuple[PlannedTask, ...] | None = None
    """The tasks of the spec, where it brings its own plan."""
    words: int = 0
    """Of the project's description."""
    place: str | None = None
    """Digest of where the run reads and writes, in JSON: ``folder``, which paths in the spec are relative to, and
    ``output``, the output folder or null, ``spec``, the file of the spec or null. It names a machine: it can be deleted
    alone and is left out of bundles."""
    grants: tuple[Grant, ...] = ()
    """What the spec was allowed beside calling models."""
    context: RunContext | None = None
    """The user's files; None: none were given."""


@frozen
class SessionOpened(Outcome):
    """A process has taken the run. Every attempt without an end is ended here, its hold unreconciled."""

    number: int
    rules: int
    """The number of the rules ``decide`` follows in this session."""
    program: str
    """The program's version."""
    plugins: tuple[PluginUsed, ...]
    models: tuple[ModelInfo, ...]
    """The available models, with their prices."""
    slots: dict[str, str]
    """Slot to model id."""
    files: bool
    """Whether outputs are written to a folder as tasks finish."""
    caps: dict[str, Usd]
    """The caps of the accounts above the run, when the session began."""
    ended: tuple[EndedAttempt, ...] = ()
    reopened: tuple[str, ...] = ()
    """Tasks that had failed for want of a model and are tried again (``plan`` for the plan)."""
    priors: tuple[Prior, ...] = ()
    """What earlier runs measured; in a run's first session only, which later ones go on from."""
    can_ask: bool = False
    """Whether a person can be asked if the tasks may start at a high risk."""
    local: tuple[str, ...] = ()
    """The providers whose address is this machine's own."""
    by: str = ""
    """What opened it for its user, such as ``view``; empty: a command, or a program."""


@frozen
class SessionFailed(Outcome):
    """The session ended by an error of the program itself."""

    error: str
    """Digest of the error's text."""


@frozen
class SessionLost(Outcome):
    """Another process found the run's owner dead, and ended the attempts it left."""

    number: int
    ended: tuple[EndedAttempt, ...]


@frozen
class RunInterrupted(Outcome):
    """A person or the system asked to stop; the calls in flight have been ended before."""

    cause: str
    """The signal's name, ``cancelled``, or ``declined``: a person declined to start the tasks at a high risk."""
    by: str = ""
    """What has sent a request to stop for its user, such as ``view``; empty: a command, a program, or no request."""


@frozen
class BudgetRaised(Outcome):
    """The run's cap is higher from here on."""

    cap: Usd
    reopened: tuple[str, ...] = ()
    """Tasks that had failed for money, and those they blocked (``plan`` for the plan)."""


@frozen
class TimeRaised(Outcome):
    """The run may take longer from here on."""

    time_limit: int
    reopened: tuple[str, ...] = ()


@frozen
class RunForked(Outcome):
    """A run begins that shares the history of another. The first event of its stream; it follows the last one shared.

    Money, time and open calls stay the parent's: the fork counts only its own.
    """

    parent: str
    """The run whose history is shared."""
    version: int
    """Of the last event shared, the end of a step; the fork's own events are numbered from here on."""
    hash: str
    """Of that event: it proves the shared history."""
    inherited_settled: Usd
    """What the shared history had settled, over all ancestors; not part of the fork's spend."""
    inherited_unreconciled: Usd
    settings: RunSettings
    """The rules from here on."""
    spec: str
    """Digest of the specification the fork follows, in canonical JSON."""
    project: str
    """Digest of the project's description, as the parent has it."""
    reopened: tuple[str, ...] = ()
    """Tasks that had failed for money, time or want of a model, and those they blocked (``plan`` for the plan)."""
    place: str | None = None
    """Digest of where the fork reads and writes, as in RunStarted."""
    grants: tuple[Grant, ...] = ()
    """As in RunStarted, for the fork's own spec."""
    by: str = ""
    """As in SessionOpened."""


@frozen
class ContentDeleted(Outcome):
    """The texts of the run and the salt of their digests are deleted; chain, money and decisions remain."""

    texts: int
    """How many were deleted."""
    size: int
    """Bytes they took, as stored."""


@frozen
class RunFinished(Decision):
    """The run has ended."""

    status: ProjectStatus
    reason: RunEndReason | None
    """Why it is no success, where there is one reason for it."""
    settled: Usd
    unreconciled: Usd
    removed: tuple[ModelCandidate, ...] = ()
    """With ``no_model``: every model, with its rejection reason."""
