"""``decide`` and ``apply`` under outcomes that Hypothesis chooses one by one, checked after every step."""

from typing import ClassVar

from attrs import evolve
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import rule

from orchestrator import events as e
from orchestrator.models import JudgeMethod
from orchestrator.settings import RunSettings
from orchestrator.testing.state_machines.runs import RunMachine
from orchestrator.testing.strategies import settings_of_runs


class RunUnderAccounts(RunMachine):
    """A run, some of whose worlds have an account that refuses whatever it likes."""

    generated_settings: ClassVar[st.SearchStrategy[RunSettings]] = settings_of_runs() | settings_of_runs(
        accounts=("org",)
    )
    full = False

    def set_up(self) -> None:
        """Let the account be asked."""
        self.stage.full_accounts = self._refuse

    def _refuse(self, call: e.CallStarted) -> e.AccountRefused | None:
        if not self.full or not self.stage.settings.accounts or not call.hold:
            return None
        free = call.hold.part(1, 2)
        return e.AccountRefused(call, "org", call.hold, free, free)

    @rule(full=st.booleans())
    def fill_accounts(self, full: bool) -> None:
        """Other runs take the accounts' money, or give it back."""
        self.full = full


class RunOfPairs(RunUnderAccounts):
    """A run whose results are compared in pairs, whatever the strategy."""

    generated_settings: ClassVar[st.SearchStrategy[RunSettings]] = settings_of_runs().map(
        lambda drawn: evolve(drawn, evaluation=evolve(drawn.evaluation, judge=JudgeMethod.PAIRS))
    )


TestRunMachine = RunUnderAccounts.TestCase
TestRunMachine.settings = profile(stateful_step_count=60)

TestPairsMachine = RunOfPairs.TestCase
TestPairsMachine.settings = profile(stateful_step_count=80)
