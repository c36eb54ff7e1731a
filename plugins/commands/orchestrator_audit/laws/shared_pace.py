"""The law of a pace that runs share: no two calls have one reserved time, and the times are far enough apart.

What a call took of a scope when its time was reserved is in its refusal; so the law needs none of the numbers that are
kept beside the log. Tokens that were not used are given back, and their times are not compared.
"""

from collections.abc import Iterator

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.ledger.shared_pace import REQUESTS
from orchestrator.log.transaction import Recorded
from orchestrator_audit.checks import Problem


@frozen(order=True)
class Reservation:
    """A time that was reserved for a call, in the order of the log."""

    position: int
    run: str
    version: int
    scope: str
    until: int
    took: int
    early: int


@define
class Reservations:
    """Takes the refusals of all runs, in any order, and compares them.

    Args:
        apart: whether the runs are of several logs, so that each is compared with itself alone.
    """

    apart: bool = False
    _found: list[Reservation] = Factory(list)

    def take(self, run: str, record: Recorded) -> None:
        """Count an event of the run's own stream."""
        event = record.event
        if isinstance(event, e.PaceRefused) and event.took and event.scope.endswith(f"/{REQUESTS}"):
            scope = f"{run}: {event.scope}" if self.apart else event.scope
            self._found.append(
                Reservation(record.position, run, record.version, scope, event.until, event.took, event.early)
            )

    @property
    def runs(self) -> list[str]:
        """The runs that have reservations, in the order of their first ones."""
        return list(dict.fromkeys(each.run for each in sorted(self._found)))

    def problems(self) -> Iterator[tuple[str, Problem]]:
        """Run and problem of every time that overlaps with one that was reserved before it."""
        ends: dict[str, Reservation] = {}
        for each in sorted(self._found):
            before = ends.get(each.scope)
            if before is not None and each.until < before.until + before.took - each.early:
                what = f"its reserved time overlaps with that of {before.run} v{before.version}, in {each.scope}"
                yield each.run, Problem(each.position, what, each.version)
            if before is None or each.until + each.took > before.until + before.took:
                ends[each.scope] = each
