"""The choice of a model, and what keeps one from being chosen."""

from attrs import frozen

from orchestrator.events.kinds import Decision, Outcome
from orchestrator.models import BackendProblem, BreakerReason, DraftMode, RejectionReason, Role, SelectionReason, Waiver


@frozen(slots=False)  # made in half the time, and every choice makes one per model
class ModelCandidate:
    """A model that was considered: its score where it was ranked, its rejection reason where it was not chosen."""

    model: str
    score: float | None = None
    rejection: RejectionReason | None = None
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies it violates, by name."""
    reason: str | None = None
    """The backend's, as a code such as ``dominated``."""
    policy: str | None = None
    """With ``policy``: its name."""


@frozen
class ModelSelected(Decision):
    """A model is chosen. Opens the effect *prepare*: build the prompt, encode the request, look into the cache."""

    node: str
    role: Role
    iteration: int
    sample: int
    selection: int
    """From 1 within the logical call."""
    model: str
    reason: SelectionReason
    max_tokens: int
    """What it is asked for at first: by the length of its answers so far, with room for thinking, within the limits."""
    candidates: tuple[ModelCandidate, ...]
    """Every model considered; in later selections only those of which something changed."""
    backend: str = "row"
    """What ordered them: ``row``, or the backend's name."""
    waiver: Waiver | None = None
    """For a reviewer of the author's vendor."""
    most_tokens: int = 0
    """What it may be asked for once more, should an answer be cut off; 0: no more than ``max_tokens``."""
    policy: str | None = None
    """With the reason ``policy``: the name of the policy."""
    mode: DraftMode | None = None
    """Of a draft: what it is made of."""
    base: int | None = None
    """With ``repair`` and ``improve``: version of the call whose answer is built on."""
    temperature: float | None = None
    """Of a draft; None: as the role has it."""
    unreadable: int | None = None
    """Version of the call whose answer, by the same model, could not be used: the prompt shows it and says why."""
    draw: float | None = None
    """The backend's source of chance, from 0 up to 1; None where the row ordered the candidates."""
    compares: tuple[int, int] | None = None
    """Of an evaluation that compares two results: the versions of the calls that they answer, A first, then B."""


@frozen
class BreakerOpened(Decision):
    """A model's circuit is open until a time, or for the rest of the session: it is not called.

    With ``account`` or ``host`` the circuit is that of all its models.
    """

    model: str
    """With ``account`` or ``host`` the one whose call has shown it."""
    reason: BreakerReason
    until: int | None
    """Microseconds UTC; None: for the rest of the session."""
    account: str | None = None
    """As in SessionOpened.models."""
    host: str | None = None
    """The same."""


@frozen
class BreakerClosed(Decision):
    """The probe of a model succeeded; with ``host`` that of the host and of all its models."""

    model: str
    host: str | None = None
    """As in SessionOpened.models."""


@frozen
class BackendFailed(Outcome):
    """The backend raised, hung or returned no permutation; the row's order is used for the rest of the session."""

    backend: str
    problem: BackendProblem
    error: str | None
    """Digest of the error's text."""
