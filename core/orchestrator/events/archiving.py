"""The one event that is left of an archived run: where its events are, what proves them, and what it spent."""

from attrs import frozen

from orchestrator.events.kinds import ArchiveEvent
from orchestrator.models import Lane, ProjectStatus, Role
from orchestrator.money import Usd


@frozen
class ArchivedSpend:
    """What an archived run spent on the calls of a node in a role to a model."""

    node: str
    role: Role
    provider: str
    model: str
    calls: int
    settled: Usd
    lane: Lane = Lane.INTERACTIVE


@frozen
class RunArchived(ArchiveEvent):
    """The events and texts of the run before this event are in a signed bundle, and no longer in the log.

    The hash chain goes on from the last of them, so that this event proves which they were.
    """

    version: int
    """Of the run's last event before this one."""
    head: str
    """The hash of that event."""
    bundle: str
    """SHA-256 of the bundle's bytes."""
    place: str
    """Digest of the path of the bundle, as it was when the run was archived."""
    key: str
    """The id of the key that the bundle is signed with."""
    began: int
    """When the run began, in microseconds UTC."""
    ended: int
    """When it ended."""
    status: ProjectStatus
    """What it ended with."""
    simulated: bool
    tasks: int
    """How many the plan had."""
    cap: Usd
    active: int
    """Microseconds that it was active."""
    spend: tuple[ArchivedSpend, ...]
    """Every call of the run; none of them is unreconciled."""
    accounts: dict[str, Usd]
    """What calls of the run settled, by each account above it."""

    @property
    def settled(self) -> Usd:
        """What the run spent."""
        return sum((each.settled for each in self.spend), Usd.ZERO)
