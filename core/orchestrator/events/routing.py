"""Whom to ask: the choice of a model, and what keeps one from being chosen."""

from attrs import frozen

from orchestrator.events.kinds import Decision, Outcome
from orchestrator.models import Role


@frozen(slots=False)  # made in half the time, and every choice makes one per model
class Candidate:
    """A model that was considered: its score where it was ranked, the code of the reason where it lost."""

    model: str
    score: float | None = None
    lost: str | None = None
    """``policy:NAME``, ``no_price``, ``unbounded``, ``off``, ``breaker``, ``tried``, ``budget``, ``context``,
    ``vendor``, ``ranked``."""
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies it violates, by name."""
    reason: str | None = None
    """The backend's, as a code such as ``dominated``."""


@frozen
class ModelSelected(Decision):
    """Whom to ask. Opens the effect *prepare*: build the prompt, shape the body, look into the cache."""

    node: str
    role: Role
    turn: int
    sample: int
    selection: int
    """From 1 within the logical call."""
    model: str
    reason: str
    """``first``, ``fallback``, ``breaker``, ``budget``, ``context``, or ``policy:NAME`` whose cap on the task's cost
    had no room for the one before."""
    max_tokens: int
    """The limit at full size: the role's, within the model's."""
    candidates: tuple[Candidate, ...]
    """Every model considered; in later selections only those of which something changed."""
    backend: str = "row"
    """What ordered them: ``row``, or the backend's name."""
    waiver: str | None = None
    """For a reviewer of the author's vendor: ``same_vendor``, ``same_tier`` or ``same_model``."""
    most_tokens: int = 0
    """The largest limit it may be asked at, should an answer be cut off; 0: none beyond ``max_tokens``."""


@frozen
class BreakerOpened(Decision):
    """A model is not asked until a time, or for the rest of the session."""

    model: str
    reason: str
    """``failures``, ``probe``, or for the session: ``authentication``, ``quota``, ``unknown_model``."""
    until: int | None
    """Microseconds UTC; None: for the rest of the session."""


@frozen
class BreakerClosed(Decision):
    """The probe of a model came through."""

    model: str


@frozen
class BackendFailed(Outcome):
    """The backend raised, hung or returned no permutation; the row's order holds for the rest of the session."""

    backend: str
    problem: str
    """``raised``, ``timeout`` or ``not_a_permutation``."""
    error: str | None
    """Digest of the error's text."""
