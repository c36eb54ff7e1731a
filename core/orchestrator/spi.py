"""The contract with plugin authors: hook specifications, and the types that cross the border.

A plugin is a module named by an entry point. It implements one hook with ``hookimpl`` and returns one object::

    from orchestrator.spi import Candidate, Check, Verdict, hookimpl

    def shouting(candidate: Candidate, check: ValidatorContext) -> Finding:
        return Finding.passed() if candidate.text.isupper() else Finding.failed("say it louder")

    @hookimpl
    def orchestrator_validator():
        return shouting
"""

import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, Unpack, runtime_checkable

import pluggy
from attrs import Factory, frozen

from orchestrator.errors import Billed, ErrorKind, ProviderError, SandboxError, SpecError
from orchestrator.models import ArchitectureProfile, Finish, ModelInfo, Role, TaskType, Verdict
from orchestrator.money import Price, Rate, Usage, Usd
from orchestrator.policy import EnforcementMode, Policy, PolicyHierarchy, PolicySet

if TYPE_CHECKING:
    import httpx

__all__ = [
    "INTERFACE",
    "App",
    "ArchitectureProfile",
    "Ask",
    "Backend",
    "Billed",
    "Body",
    "CallContext",
    "CallRef",
    "Candidate",
    "DeprecatedHook",
    "EnforcementMode",
    "ErrorKind",
    "Exporter",
    "ExporterConfig",
    "Finding",
    "Finish",
    "Launch",
    "Loader",
    "Message",
    "Metrics",
    "ModelInfo",
    "ModelMetrics",
    "ModelTelemetry",
    "Policy",
    "PolicyHierarchy",
    "PolicySet",
    "Price",
    "Provider",
    "ProviderConfig",
    "ProviderError",
    "Ran",
    "Ranked",
    "Rate",
    "Reply",
    "Request",
    "Role",
    "RoutingCandidate",
    "Run",
    "RunEvent",
    "RunMetrics",
    "RunOptions",
    "SandboxError",
    "Scaffold",
    "Skeleton",
    "SpecError",
    "TaskType",
    "Usage",
    "Usd",
    "Validator",
    "ValidatorContext",
    "Verdict",
    "find_tool",
    "hookimpl",
    "hookspec",
    "to_stdout",
]

hookspec = pluggy.HookspecMarker("orchestrator")
hookimpl = pluggy.HookimplMarker("orchestrator")

INTERFACE: Final = (1, 0)
"""The version of this contract: the first number grows with changes that a plugin must follow, the second with others.

A plugin's module may say for which versions it is made: ``orchestrator_interface = ">=1,<2"``.
"""


class DeprecatedHook(DeprecationWarning):
    """A hook that still works and will not for ever; the ``warn_on_impl`` of its specification.

    Attributes:
        replacement: the hook that takes its place, called with the same arguments.
        removed_in: the version of the interface that no longer has it.
    """

    def __init__(self, name: str, replacement: str, removed_in: str) -> None:
        self.name = name
        self.replacement = replacement
        self.removed_in = removed_in
        super().__init__(f"the hook {name} goes away with interface {removed_in}; write {replacement} in its place")


# ── providers ──────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Message:
    """One message of a conversation; ``author`` is ``system``, ``user`` or ``assistant``."""

    author: str
    text: str


@frozen
class CallRef:
    """Which call of the run this is. A scripted provider answers by it; others may ignore it."""

    node: str
    """A task's id, or ``plan``."""
    role: Role
    turn: int
    """The task's iteration, from 1."""
    sample: int
    """The number of an evaluation, from 1."""
    try_: int
    """1 + the attempts of this logical call that a vendor has ended."""


@frozen
class Request:
    """One question to one model."""

    model: ModelInfo
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    call: CallRef
    json_schema: Mapping[str, Any] | None = None
    """The JSON Schema the answer should meet, where one is wanted."""


@frozen
class Body:
    """What will be sent: the bytes the hold is computed from, and nothing else that the vendor could bill."""

    content: bytes
    request: Request


@frozen
class Reply:
    """What came back. ``usage`` is None where the vendor did not say."""

    text: str
    usage: Usage | None
    finish: Finish = Finish.STOP
    request_id: str | None = None
    """The vendor's id of the call, for its support."""


@frozen
class CallContext:
    """What a provider is lent for one call."""

    http: "httpx.AsyncClient"
    """The one client of the program. It follows no redirect and bounds what it reads."""
    timeout: float
    """Seconds after which the call is cancelled; a deadline for everything the provider does."""
    sleep: Callable[[float], Awaitable[None]]
    """The program's clock; virtual in the simulator."""
    idempotency_key: str
    """Equal for equal (logical call, model, body); for vendors that accept such a header."""
    on_text: Callable[[str], None] = lambda text: None
    """Live display of partial text; never recorded."""


@frozen
class ProviderConfig:
    """What the user set for a provider.

    ``secret`` returns a key's value from the environment and makes sure that it never reaches the log;
    ``variable`` returns any other variable. Both are None where it is unset or empty.
    """

    name: str
    options: Mapping[str, Any]
    """The mapping under the provider's name in a spec."""
    models: tuple[ModelInfo, ...]
    """The models a spec or a models file declares for this provider."""
    secret: Callable[[str], str | None]
    variable: Callable[[str], str | None]
    folder: str = "."
    """The folder against which relative paths in ``options`` are resolved: the spec's."""


@runtime_checkable
class Provider(Protocol):
    """Speaks to one vendor. It never retries, never logs and never counts money.

    It may have an attribute ``base_url``: then answers that one address gave are not reused for another.
    """

    @property
    def simulated(self) -> bool:
        """Whether it only pretends to call anybody."""

    def models(self) -> Sequence[ModelInfo]:
        """What it sells, with the prices that hold now."""

    def encode(self, request: Request) -> Body:
        """The request's bytes. Pure: equal requests give equal bytes, and no byte is added when sending."""

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send it once.

        Raises:
            ProviderError: the call failed; classified, see its attributes.
        """


# ── validators ─────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Candidate:
    """An output that a validator judges."""

    task: str
    type: TaskType
    text: str
    """The model's answer as it came, fences included."""
    content: str
    """The answer without the code fence around it: what would be written to a file."""
    schema: Mapping[str, Any] | None = None
    """The task's JSON Schema, where it has one."""
    files: Mapping[str, str] = Factory(dict)
    """The files the answer amounts to, by relative name: one or, where the answer names them, several."""
    tests: str | None = None
    """The tests the plan has for the task, as the text of a Python module for pytest."""


@frozen
class Ran:
    """How a command in the sandbox ended. All of it may have been made up by the code that ran."""

    code: int | None
    """Its exit status, a signal as a negative number; None where it was ended from outside."""
    output: str
    """The first 64 KiB of what it wrote to its standard output and error."""
    files: Mapping[str, bytes] = Factory(dict)
    """Those of the wanted files that are there as regular files."""
    ended: str = ""
    """Why it was ended from outside: ``time``, ``disk`` or ``stopped``."""
    seconds: float = 0.0


class RunOptions(TypedDict, total=False):
    """How a command is run in the sandbox; all of it may be left out."""

    take: Sequence[str]
    """Names of files wanted afterwards."""
    seconds: float | None
    """Its deadline, at most the check's; None: the check's."""
    executes: bool
    """False says that it only reads what a model wrote: then it may run where there is no sandbox."""


class Run(Protocol):
    """Runs a command in the sandbox: no network, no key, no file of the user's, nothing that outlives it."""

    def __call__(self, argv: Sequence[str], files: Mapping[str, bytes], **options: Unpack[RunOptions]) -> Ran:
        """Run ``argv`` (an absolute path first) in an empty folder that holds ``files``; blocks.

        Raises:
            SandboxError: there is no sandbox to run it in. Let it through: the verdict is then *unknown*.
        """


def _no_sandbox(argv: Sequence[str], files: Mapping[str, bytes], **options: Unpack[RunOptions]) -> Ran:
    raise SandboxError("this check was started without a sandbox")


def find_tool(name: str) -> str | None:
    """The absolute path of an installed program: beside the running interpreter, else on ``PATH``."""
    beside = Path(sys.executable).parent / name
    if beside.is_file() and os.access(beside, os.X_OK):
        return str(beside)
    return shutil.which(name)


@frozen
class ValidatorContext:
    """What a validator is lent for one check."""

    timeout: float = 30.0
    """Seconds after which its verdict no longer counts."""
    run: Run = _no_sandbox
    """Runs a command in the sandbox."""
    settings: Mapping[str, Any] = Factory(dict)
    """What the spec says under ``validators.settings`` and the validator's name."""
    tool: Callable[[str], str | None] = find_tool
    """The absolute path of an installed program, or None."""


@frozen
class Finding:
    """A verdict and the details for people and for the next revision (a few lines; longer is cut)."""

    verdict: Verdict
    details: str = ""

    @classmethod
    def passed(cls, details: str = "") -> "Finding":
        """Nothing to object to."""
        return cls(Verdict.PASSED, details)

    @classmethod
    def failed(cls, details: str) -> "Finding":
        """The output must not pass; say why."""
        return cls(Verdict.FAILED, details)

    @classmethod
    def skipped(cls, details: str) -> "Finding":
        """The tool is absent."""
        return cls(Verdict.SKIPPED, details)

    @classmethod
    def unknown(cls, details: str) -> "Finding":
        """The check could not be made; neither a pass nor a failure."""
        return cls(Verdict.UNKNOWN, details)


Validator = Callable[[Candidate, ValidatorContext], Finding]
"""Judges an output. Called in a thread; it may block. What it raises makes the verdict *unknown*."""


# ── backends ───────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class ModelTelemetry:
    """What is measured of a model for one type of task. Averages are exponential (α = 0.1); None: never measured."""

    calls: int = 0
    quality: float | None = None
    """Mean score, 0 to 1."""
    trust: float = 1.0
    """0 to 1; falls with every failure, rises slowly with every success."""
    cost: float | None = None
    """US dollars per call."""
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    """Nearest rank over the last 50 calls of the model."""
    success_rate: float | None = None
    """Over the last ten calls of the model."""


@frozen
class RoutingCandidate:
    """A model that may be asked."""

    model: str
    provider: str
    vendor: str
    price: Price
    place: int
    """Its place in the routing row, from 0."""


@frozen
class Ranked:
    """A candidate's place in a ranking, best first, with the score that put it there."""

    model: str
    score: float
    reason: str = ""
    """A code such as ``dominated``; no free text."""


@runtime_checkable
class Backend(Protocol):
    """Orders candidates. A pure function of its arguments: no clock, no randomness, no memory."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Every candidate once, best first. ``telemetry`` has an entry for every candidate's model."""


# ── policy loaders ─────────────────────────────────────────────────────────────────────────────────────────────


@runtime_checkable
class Loader(Protocol):
    """Turns the text of a policy file into plain data."""

    suffixes: tuple[str, ...]
    """The file name endings it reads, such as ``.yaml``."""

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """The file's mapping, and the line (from 1) of each path in it as far as known.

        Raises:
            SpecError: it cannot be read; each problem starts with ``source:LINE:``.
        """


# ── exporters ──────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class RunEvent:
    """A committed event of a run. No text is in it, only digests."""

    run: str
    version: int
    """Its place in the run's history, from 1."""
    at: int
    """Microseconds UTC."""
    type: str
    """The stored name, such as ``call.started``; ``docs/events.md`` has them all."""
    data: Mapping[str, Any]
    """Its fields as plain data: amounts in nano-dollars, durations in microseconds."""


@frozen
class ModelMetrics:
    """What was measured of one model, under the names of the specification. None: never measured."""

    model: str
    provider: str
    vendor: str
    calls_total: int = 0
    """Calls the vendor has ended, with or without an answer; an answer out of the cache is none."""
    success_rate: float | None = None
    """Part of the last ten calls that were answered, 0 to 1."""
    latency_avg_ms: float | None = None
    """Exponential average (α = 0.1) over answered calls."""
    latency_p95_ms: float | None = None
    """Nearest rank over the last 50 answered calls."""
    quality_score: float | None = None
    """Exponential average of the scores of what it wrote, 0 to 1."""
    trust_factor: float = 1.0
    """0 to 1; falls with every outage, rises slowly with every answer."""
    cost_avg_usd: float | None = None
    """Exponential average over calls that cost something."""
    validator_failures_total: int = 0
    """Checks that failed on what it wrote."""
    failures_total: int = 0
    """Calls that ended without an answer."""
    input_tokens_total: int = 0
    output_tokens_total: int = 0
    cost_usd_total: Usd = Usd.ZERO
    """Settled and kept."""


@frozen
class RunMetrics:
    """What one run amounts to. A fork counts only its own calls and money."""

    run: str
    status: str
    """``open``, ``interrupted``, or how it has ended, such as ``SUCCESS``."""
    simulated: bool
    started_at: int
    """Microseconds UTC."""
    active_seconds: float
    sessions_total: int
    tasks: Mapping[str, int]
    """How many tasks stand how, for every status such as ``pending`` or ``completed``."""
    calls_total: int
    """Attempts that have ended, however they did."""
    calls_failed_total: int
    calls_in_flight: int
    answers_reused_total: int
    """Answers that came out of the cache."""
    input_tokens_total: int
    output_tokens_total: int
    cap_usd: Usd
    settled_usd: Usd
    kept_usd: Usd
    """Counted at its worst case, because nobody knows what was billed."""
    in_flight_usd: Usd
    """Held for calls in flight."""
    budget_warnings_total: int


@frozen
class Metrics:
    """Metrics of one run or of several."""

    at: int
    """Of the latest event counted; microseconds UTC, 0 where there is none."""
    runs: tuple[RunMetrics, ...] = ()
    models: tuple[ModelMetrics, ...] = ()
    """Over all of these runs, in alphabetical order."""
    run: str | None = None
    """The run, where these are the metrics of one that is told apart from others."""


def to_stdout(text: str) -> None:
    """Write lines to standard output."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


@frozen
class ExporterConfig:
    """What the user set for an exporter.

    ``secret`` returns a key's value from the environment and makes sure that it never reaches the log;
    ``variable`` returns any other variable. Both are None where it is unset or empty.
    """

    name: str
    options: Mapping[str, Any] = Factory(dict)
    """The mapping under the exporter's name in a spec, without what the program itself reads of it."""
    secret: Callable[[str], str | None] = lambda name: None
    variable: Callable[[str], str | None] = lambda name: None
    write: Callable[[str], None] = to_stdout
    """Shows text to the user: where an exporter writes that was given no file."""


class Exporter(Protocol):
    """Brings metrics to where they are looked at. Only ``export`` is required; inherit the rest.

    All its methods are called in one thread of its own, after what they tell of is durable. One that raises is warned
    of; one that does not come back is given up. Neither harms the run.
    """

    def export(self, metrics: Metrics) -> None:
        """Publish the metrics as they stand now, in the place of those before."""

    def observe(self, event: RunEvent) -> None:
        """Take in a committed event of this session: each once, never again when the run is resumed."""
        return  # so that whoever takes none need not say so

    def close(self) -> None:
        """The session is over, and the last export was made: send what is left and let go of everything."""
        return


# ── scaffolds ──────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class App:
    """What an application is to be."""

    name: str
    """A Python identifier in lower case, for packages and folders."""
    title: str
    """One line of its description."""
    profile: ArchitectureProfile


@frozen
class Ask:
    """A request to a started application, and the statuses that show that it works."""

    path: str = "/"
    below: int = 500


@frozen
class Launch:
    """How an application is started in the sandbox, and how it shows that it works.

    A server listens on ``port`` of 127.0.0.1 and is asked; a program without a port must end with status 0.
    """

    argv: tuple[str, ...]
    """``python`` in the first place stands for the interpreter that runs the check."""
    port: int | None = None
    asks: tuple[Ask, ...] = (Ask(),)
    modules: tuple[str, ...] = ()
    """Python modules that must be importable; where one is not, the application is not started, and that is said."""
    tools: tuple[str, ...] = ()
    """Programs that must be there."""
    folders: tuple[str, ...] = ()
    """Folders of the application that must be there, such as ``node_modules``."""


@frozen
class Skeleton:
    """The fixed part of an application. What a task writes under one of its names takes its place."""

    files: Mapping[str, str]
    """Content by path within the application's folder."""
    guidance: str
    """For who plans the tasks: which files are wanted, and how they fit together."""
    dependencies: tuple[str, ...] = ()
    """Distributions of the language's registry that the skeleton itself needs."""
    launches: tuple[Launch, ...] = ()
    """What is tried at the end, in order."""


class Scaffold(Protocol):
    """Begins applications of one type."""

    def skeleton(self, app: App) -> Skeleton:
        """The fixed part of an application; equal arguments give equal skeletons."""


# ── hooks: one per kind; each returns the one object ───────────────────────────────────────────────────────────


@hookspec(firstresult=True)
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider for one run. Called once per session, when the run may use it.

    Raise ``SpecError`` for options that make no sense. Return None where the environment has no key for it.
    """


@hookspec(firstresult=True)
def orchestrator_validator() -> Validator:  # type: ignore[empty-body]
    """Return the validator. Called once per session, when a task names it."""


@hookspec(firstresult=True)
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:  # type: ignore[empty-body]
    """Build the backend from the parameters of a spec. Called once per session, and by ``replay --verify``.

    Raise ``SpecError`` for parameters that make no sense.
    """


@hookspec(firstresult=True)
def orchestrator_policy_loader() -> Loader:  # type: ignore[empty-body]
    """Return the loader. Called when a file with one of its suffixes is read."""


@hookspec(firstresult=True)
def orchestrator_exporter(config: ExporterConfig) -> Exporter:  # type: ignore[empty-body]
    """Build the exporter. Called once per session of a run whose spec names it, and by ``orchestrate metrics``.

    Raise ``SpecError`` for options that make no sense. Open files, ports and connections later, in ``export``.
    """


@hookspec(firstresult=True)
def orchestrator_scaffold() -> Scaffold:  # type: ignore[empty-body]
    """Return the scaffold of the application type that the entry point is named for."""
