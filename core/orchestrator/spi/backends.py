"""Backends: the candidates they order, and what is measured of each."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen

from orchestrator.money import Price


@frozen
class ModelTelemetry:
    """What is measured of a model for one type of task. Averages are exponential (α = 0.1); None: never measured."""

    calls: int = 0
    """How many calls were measured."""
    quality: float | None = None
    """Mean score, 0 to 1."""
    trust: float = 1.0
    """0 to 1; falls with every failure, rises slowly with every success."""
    cost: float | None = None
    """US dollars per call."""
    latency_ms: float | None = None
    """Milliseconds per call."""
    latency_p95_ms: float | None = None
    """Nearest rank over the last 50 calls of the model."""
    success_rate: float | None = None
    """Over the last ten calls of the model."""


@frozen
class RoutingCandidate:
    """A model that may be asked."""

    model: str
    """Its id."""
    provider: str
    """Its provider, by the name in the spec."""
    vendor: str
    """The company that sells it."""
    price: Price
    """Today's."""
    place: int
    """Its place in the routing row, from 0."""
    tier: str | None = None
    """The vendor's size class, as its ``ModelInfo`` has it."""


@frozen
class Ranked:
    """A candidate's place in a ranking, best first, with the score that put it there."""

    model: str
    """The candidate's id."""
    score: float
    """Any finite number; it is recorded."""
    reason: str = ""
    """A code such as ``dominated``; no free text."""


@runtime_checkable
class Backend(Protocol):
    """Orders candidates. A pure function of its arguments: no clock, no memory, no chance but ``draw``."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once, best first.

        ``telemetry`` has an entry for every candidate's model. ``draw`` is a number from 0 up to, not including, 1, for
        a backend that explores. It depends on the run's seed, the logical call and the selection only, and is recorded
        with the choice, so that ``replay --verify`` computes the ranking again.
        """
