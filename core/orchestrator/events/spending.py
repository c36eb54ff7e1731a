"""What a run says about its money beyond single calls; the holds of accounts are in ``accounts``."""

from attrs import frozen

from orchestrator.events.kinds import Decision, Outcome
from orchestrator.models import Phase, Role
from orchestrator.money import Usd


@frozen
class SpendRefused(Decision):
    """There is no money for a logical call, at any size, of any model. Stands once per call (and raise)."""

    node: str
    role: Role
    turn: int
    sample: int
    need: Usd
    """What the smallest size of the last candidate would have held."""
    free: Usd
    limit: str
    """``run``, or the account that refused."""


@frozen
class SpendReconciled(Outcome):
    """Somebody found out what a call has cost of which nobody knew: its kept money is settled. No session is open."""

    call: int
    """Version of its CallStarted."""
    kept: Usd
    """What was kept for it: its hold."""
    settled: Usd
    """What it cost, exact; beyond what was kept it is an excess."""


@frozen
class SpendExceeded(Decision):
    """A vendor billed beyond a hold; the model is asked no more."""

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
