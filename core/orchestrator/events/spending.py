"""What a run says about its money beyond single calls; the holds of accounts are in ``accounts``."""

from attrs import frozen

from orchestrator.events.kinds import Decision, Outcome
from orchestrator.models import Phase, Role, SpendLimit
from orchestrator.money import Usd


@frozen
class SpendRefused(Decision):
    """No model fits the money left for a logical call, at any size. Recorded once per call and raise of the budget."""

    node: str
    role: Role
    iteration: int
    sample: int
    need: Usd
    """What the smallest size of the last candidate would have held."""
    free: Usd
    limit: SpendLimit
    name: str | None = None
    """Of the account or the policy."""


@frozen
class SpendReconciled(Outcome):
    """The cost of a call is entered later: its unreconciled money is settled. No session is open."""

    call: int
    """Version of its CallStarted."""
    unreconciled: Usd
    """The unreconciled money of the call: its hold."""
    settled: Usd
    """What it cost, exact; beyond the hold it is an excess."""
    by: str = ""
    """As in SessionOpened."""


@frozen
class SpendExceeded(Decision):
    """A vendor billed more than a hold; the model is not called again."""

    call: int
    model: str
    hold: Usd
    settled: Usd


@frozen
class BudgetWarned(Decision):
    """A phase has used a part of its share. Soft: nothing stops."""

    phase: Phase
    percent: int
    spent: Usd
    share: Usd
