"""The optimization backends by the names the specification gives them.

Each stands for the plugin of its name, which is loaded on first use; a run that is given one records the plugin's name,
version and parameters, so that its decisions can be computed again. ``PluginBackend("name", …)`` stands for any other
installed one. An object of your own with a method ``rank`` works, too, and is recorded by its qualified name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.plugins import Catalogue
from orchestrator.spi import Backend as OptimizationBackend
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate

__all__ = ["GreedyBackend", "OptimizationBackend", "ParetoBackend", "PluginBackend", "WeightedSumBackend"]


class PluginBackend:
    """Stands for an installed backend.

    Args:
        name: its entry-point name.
        parameters: what it is built with.

    Attributes:
        name: as given.
        parameters: as given.
    """

    def __init__(self, name: str, **parameters: Any) -> None:
        self.name = name
        self.parameters: Mapping[str, Any] = parameters
        self._loaded: OptimizationBackend | None = None

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once, best first, as the plugin ranks them with this draw.

        Raises:
            PluginError: the plugin is not installed, or cannot be loaded.
            SpecError: the parameters make no sense.
        """
        if self._loaded is None:
            self._loaded = Catalogue.discover().backend(self.name, self.parameters)
        return self._loaded.rank(candidates, telemetry, draw)

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self.parameters.items())
        return f"PluginBackend({self.name!r}{given})"


class GreedyBackend(PluginBackend):
    """The highest quality × trust per dollar first."""

    def __init__(self) -> None:
        super().__init__("greedy")


class WeightedSumBackend(PluginBackend):
    """The highest weighted mean of quality, trust, cheapness and speed first; each weight is 0 or more."""

    def __init__(
        self, w_quality: float = 0.5, w_trust: float = 0.3, w_cost: float = 0.2, w_latency: float = 0.0
    ) -> None:
        super().__init__("weighted_sum", w_quality=w_quality, w_trust=w_trust, w_cost=w_cost, w_latency=w_latency)


class ParetoBackend(PluginBackend):
    """First those that no other beats in quality, trust and cost at once, the nearest to the ideal at the head."""

    def __init__(self) -> None:
        super().__init__("pareto")
