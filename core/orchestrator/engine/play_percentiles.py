"""How the plays of a plan have ended: a forecast by the rules themselves."""

from collections.abc import Mapping

from attrs import frozen

from orchestrator.models import ProjectStatus
from orchestrator.money import Usd


@frozen
class Simulated:
    """How the plays of one plan have ended; both lists ascend."""

    costs: tuple[Usd, ...]
    """Settled + unreconciled."""
    times: tuple[int, ...]
    """Active time, in microseconds."""
    statuses: Mapping[ProjectStatus | None, int]
    """None: it waits for something that cannot be foreseen."""
    measured: bool
    """Whether anything was measured of any model; otherwise what is usual was assumed of all."""

    def cost(self, percent: int) -> Usd:
        """The cost that so many percent of the plays do not exceed; nearest rank."""
        return self.costs[_rank(percent, len(self.costs))]

    def time(self, percent: int) -> int:
        """The same of the time."""
        return self.times[_rank(percent, len(self.times))]


def _rank(percent: int, count: int) -> int:
    return max(0, -(-percent * count // 100) - 1)
