"""The rules of routing, with the row's order, every built-in backend, and a third-party one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from orchestrator.plugins import Catalogue
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.testing.state_machines.routing import RoutingRules

_UNSHRUNK: Final[dict[str, Any]] = {
    "max_examples": 200,
    "derandomize": True,
    "database": None,
    "phases": (Phase.generate,),
}
_PLAYS: Final = settings(max_examples=12, stateful_step_count=10, deadline=None)


class Backwards:
    """A third-party backend."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """The last first."""
        return [Ranked(each.model, float(each.place)) for each in reversed(candidates)]


def rules(backend_: object, *, refuses: bool = False) -> type[RoutingRules]:
    """The rules over a backend."""

    class Rules(RoutingRules):
        backend = backend_  # type: ignore[assignment]
        refuses_dominated = refuses

    return Rules


@pytest.mark.parametrize("name", ["row", "greedy", "weighted_sum", "pareto", "backwards"])
def test_the_rules_of_routing_hold(name: str) -> None:
    """No forbidden model is called, no policy lets one in, more money is never worse, pareto refuses the dominated."""
    own = {"row": None, "backwards": Backwards()}
    backend = own[name] if name in own else Catalogue.discover().backend(name, {})
    run_state_machine_as_test(rules(backend, refuses=name == "pareto"), settings=_PLAYS)


def test_the_rules_find_a_backend_that_prefers_the_dominated() -> None:
    """They can fail: the third-party backend does not refuse the dominated."""
    with pytest.raises(AssertionError, match="is dominated"):
        run_state_machine_as_test(rules(Backwards(), refuses=True), settings=settings(_PLAYS, **_UNSHRUNK))
