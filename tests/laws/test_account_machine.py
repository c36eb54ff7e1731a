"""The public state machine of accounts, as a user of ``orchestrator.testing`` would run it."""

import pytest
from hypothesis import settings as profile

from orchestrator import events as e
from orchestrator.ledger import accounts, append
from orchestrator.ledger.accounts import is_account
from orchestrator.ledger.advances import RunAdvances
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.protocol import Member, Written
from orchestrator.money import Usd
from orchestrator.testing.simulation.memory_log import in_place, memory_log
from orchestrator.testing.state_machines.accounts import AccountMachine

TestAccounts = AccountMachine.TestCase
TestAccounts.settings = profile(stateful_step_count=30, max_examples=40, deadline=None)


class DeclaringLog(EventLog):
    """Refuses an append that moves an account it has not named: a store with several writers does not lock it."""

    async def _submit(self, member: Member) -> Written:
        holds = [hold for hold in self.holds() if hold.run == member.stream and hold.call in member.ending]
        written = await super()._submit(member)
        moved = {row.stream for row in written.changes.rows if is_account(row.stream)}
        assert moved <= {*member.accounts, *(hold.account for hold in holds)}, "an account moves that is not locked"
        return written


class DeclaringMachine(AccountMachine):
    """The machine over such a log."""

    def make_log(self) -> EventLog:
        """An empty one."""
        return DeclaringLog(memory_log().store, offload=in_place)


TestDeclaredAccounts = DeclaringMachine.TestCase
TestDeclaredAccounts.settings = profile(stateful_step_count=30, max_examples=40, deadline=None)


def test_a_hold_that_is_forgotten_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that leaves one account out breaks a law of the machine."""
    original = accounts.Accounts.reserve

    def careless(
        self: accounts.Accounts, version: int, started: e.CallStarted, names: tuple[str, ...], simulated: bool
    ) -> object:
        return original(self, version, started, names[:1], simulated)

    monkeypatch.setattr(accounts.Accounts, "reserve", careless)
    machine = AccountMachine()
    machine.open([5, 0, 9, 9])
    with pytest.raises(AssertionError, match="refused although it fits, or the reverse"):
        machine.hold("run-0", 1)


def test_who_could_pay_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is too careful breaks liveness."""
    monkeypatch.setattr(e.Totals, "free", property(lambda totals: totals.cap - totals.settled - totals.held - Usd(1)))
    machine = AccountMachine()
    machine.open([10, 10, 10, 10])
    monkeypatch.setattr(machine, "_free_in", lambda run, name: Usd(10))
    with pytest.raises(AssertionError, match="refused although it fits"):
        machine.hold("run-3", 10)


def test_an_advance_that_is_not_given_back_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that leaves dead runs what they had taken breaks a law of the machine."""
    monkeypatch.setattr(accounts.Accounts, "_give_back", lambda *_: None)
    machine = AccountMachine()
    machine.open([200, 0, 0, 0], [5, 0, 0, 0])
    machine.hold("run-3", 10)
    with pytest.raises(AssertionError, match="dead runs hold money"):
        machine.teardown()


def test_calls_beyond_an_advance_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that grants its calls more than it has taken breaks a law of the machine."""
    monkeypatch.setattr(RunAdvances, "covers", lambda self, name, hold: self.of(name) is not None)
    machine = AccountMachine()
    machine.open([200, 0, 0, 0], [5, 0, 0, 0])
    machine.hold("run-3", 10)
    with pytest.raises(AssertionError, match="refused although it fits, or the reverse"):
        machine.hold("run-3", 191)


def test_an_account_that_is_not_locked_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that locks nothing where one of a run's accounts needs to be moved."""
    monkeypatch.setattr(append, "_is_granted", lambda *_: True)
    machine = DeclaringMachine()
    machine.open([200, 0, 0, 0], [5, 0, 0, 0])
    with pytest.raises(AssertionError, match="not locked"):
        machine.hold("run-3", 10)
