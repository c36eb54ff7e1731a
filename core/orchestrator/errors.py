"""Every error the program raises on purpose.

OrchestrateError                  shown as one line; the command exits with its ``exit_code``
├─ UsageError                     2  a flag, an argument, or a state that does not allow the command
├─ SpecError                      2  a spec, models file or policy file that cannot be used
├─ NotAllowedError                2  a spec wants what its user has not agreed to
├─ PluginError                    2
│  ├─ PluginNotFoundError
│  ├─ PluginConflictError
│  └─ PluginLoadError
├─ NoProviderError                3  nothing to run with: no key, no server, no script
├─ LogError                       3
│  ├─ ConcurrencyError            3  the stream moved under the writer
│  ├─ DamagedLogError             6  the hash chain does not hold
│  ├─ UnknownEventError           6  written by a newer program
│  └─ RunLockedError              2  another process owns the run
├─ OutputError                    2  what a command writes cannot be written; 3 where the machine refuses it
└─ ProviderError                  classified failure of one vendor call; never reaches the user as such
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, TypeVar

from orchestrator.money import Usage

T = TypeVar("T")


class MissingError(ValueError):
    """What comes before makes it certain, and it is not there: a history is not as it was written, or a defect."""

    def __init__(self, what: str) -> None:
        super().__init__(f"there is no {what}")


class NoTextError(KeyError):
    """A run has no text of a digest that can be read.

    Attributes:
        mark: what can stand in its place, such as ``(deleted)``.
        why: what is so of the text, to be said after it: ``was deleted``.
    """

    def __init__(self, digest: str, mark: str, why: str) -> None:
        self.mark = mark
        self.why = why
        super().__init__(digest)


def present(value: T | None, what: str) -> T:
    """The value, which what came before makes certain.

    Raises:
        MissingError: it is None.
    """
    if value is None:
        raise MissingError(what)
    return value


class OrchestrateError(Exception):
    """The root: its message is a line for the user, its code what the command exits with."""

    exit_code: ClassVar[int] = 3


class UsageError(OrchestrateError):
    """The command cannot be carried out as asked."""

    exit_code = 2


class SpecError(OrchestrateError):
    """A file of the user cannot be read as what it should be.

    Attributes:
        problems: every problem found, each one line that starts with ``FILE:LINE:`` where a line is known.
    """

    exit_code = 2

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class NotAllowedError(OrchestrateError):
    """A spec wants what its user has not agreed to, or what a rule of the user denies.

    Attributes:
        missing: each such capability as ``KIND=VALUE``, as ``--allow`` takes it.
    """

    exit_code = 2

    def __init__(self, message: str, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(message)


class PluginError(OrchestrateError):
    """A plugin cannot be used.

    Attributes:
        kind: the kind asked for, such as ``provider``.
        name: the entry-point name asked for.
    """

    exit_code = 2

    def __init__(self, kind: str, name: str, message: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(message)


class PluginNotFoundError(PluginError):
    """No installed distribution offers this name."""


class PluginConflictError(PluginError):
    """Two installed distributions offer this name; say ``distribution:name`` to choose."""


class PluginLoadError(PluginError):
    """The plugin was found and failed to import, to register or to build its object."""


class NoProviderError(OrchestrateError):
    """No provider is usable: there is no key, no address and no script."""

    exit_code = 3


class LogError(OrchestrateError):
    """The event log cannot be read or written."""

    exit_code = 3


class UnreadableWalError(LogError):
    """The latest events are in a file that cannot be read where it is; nothing is wrong with them."""


class ConcurrencyError(LogError):
    """Another writer appended to the stream first.

    Attributes:
        stream: the stream's name.
        expected: the version the writer believed to be the last.
        actual: the version that was.
    """

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        self.stream = stream
        self.expected = expected
        self.actual = actual
        super().__init__(f"{stream} is at version {actual}, not at {expected}: another writer was first")


class DamagedLogError(LogError):
    """The hash chain of a stream, or a blob, does not hold.

    Attributes:
        position: the first bad event (for a missing one, the position after which it is missing).
    """

    exit_code = 6

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        super().__init__(message)


class UnknownEventError(LogError):
    """An event of a type or schema this program does not know; a newer program wrote it."""

    exit_code = 6


class RunLockedError(LogError):
    """Another process owns the run."""

    exit_code = 2


class ExhaustedError(OrchestrateError):
    """The machine gives the program no further thread; no plugin is to blame."""


class OutputError(OrchestrateError):
    """What was to be written cannot be: its path cannot be used, or, as its cause says, the machine refuses."""

    exit_code = 2


class ChannelClosedError(OrchestrateError):
    """The run that a channel belongs to has ended."""

    exit_code = 2


class SandboxError(OrchestrateError):
    """A command could not be run contained; nothing is known about what it would have done."""


class ErrorKind(StrEnum):
    """What went wrong with a call, as far as any decision depends on it."""

    CONNECTION = "connection"  # the connection broke
    UNREACHABLE = "unreachable"  # none was made to the host or its proxy; or it answers in a way that cannot be read
    TIMEOUT = "timeout"
    """There was no answer in time."""
    RATE_LIMIT = "rate_limit"
    """Too many requests; wait."""
    OVERLOADED = "overloaded"
    """The vendor has too much to do."""
    SERVER = "server"
    """An error of the vendor's."""
    AUTHENTICATION = "authentication"
    """The key is wrong or may not do this."""
    QUOTA = "quota"
    """The account has no money or quota."""
    UNKNOWN_MODEL = "unknown_model"
    """The vendor has no such model."""
    BAD_REQUEST = "bad_request"
    """The request is refused as it is."""
    CONTEXT_LENGTH = "context_length"
    """The prompt is too long for the model."""
    CONTENT_FILTER = "content_filter"
    """The vendor's filter refuses."""
    BAD_ANSWER = "bad_answer"  # not parseable, or no answer in it
    UNSENT = "unsent"  # refused here, before a byte left
    PLUGIN = "plugin"  # the provider raised something else, or returned rubbish
    CANCELLED = "cancelled"  # ended by us


class Billed(StrEnum):
    """Whether the vendor charges for a failed call, as far as can be known."""

    NO = "no"
    """Proof that nothing is charged: the hold is released."""
    YES = "yes"
    """It is charged; say the ``usage``."""
    UNKNOWN = "unknown"
    """The hold stays as unreconciled."""


class ProviderError(OrchestrateError):
    """One call failed, and the provider says how.

    Attributes:
        kind: the class of the failure.
        retryable: whether the same call may succeed a little later.
        retry_after: seconds the vendor asks to wait, or None.
        billed: ``NO`` only with proof that nothing was charged.
        status: the HTTP status, where there was one.
        usage: what the vendor says it counted, where it says so (then the call is settled by it).
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        retryable: bool = False,
        retry_after: float | None = None,
        billed: Billed = Billed.UNKNOWN,
        status: int | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.kind = kind
        self.retryable = retryable
        self.retry_after = retry_after
        self.billed = billed
        self.status = status
        self.usage = usage
        super().__init__(message)
