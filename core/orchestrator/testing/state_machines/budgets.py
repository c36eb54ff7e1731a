"""The laws of money as a Hypothesis state machine: the real ``decide`` with any backend, under accounts others use.

A backend of one's own is put under the laws like this::

    from orchestrator.testing import BudgetMachine


    class MyMachine(BudgetMachine):
        def make_backend(self):
            return MyBackend()


    TestMyMachine = MyMachine.TestCase

One run decides for itself; the runs of ``AccountMachine`` take and give back the money of the accounts above it. On
every prefix of every history: a hold before each call; settled + held ≤ cap + excess, in the run and in each account;
calls, tasks and phases add up to what was spent. No call overtakes one that waits for the cap; a call is made
smaller only where waiting would not help, goes to another model only where it cannot be smaller, and is refused only
where there is no other model. And the backend ranks what it is offered, and ranks it alike whenever it is asked.
"""

from typing import ClassVar, Final

from attrs import evolve
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from orchestrator import events as e
from orchestrator.models import Finish, ModelInfo, PlannedTask
from orchestrator.money import Price, Usage, Usd
from orchestrator.settings import SECOND, RunSettings
from orchestrator.testing.decide_by_hand import START
from orchestrator.testing.spending_order import SpendingOrder
from orchestrator.testing.state_machines.accounts import AccountMachine, ReferenceRun
from orchestrator.testing.state_machines.runs import RunMachine
from orchestrator.testing.strategies import catalogues, plans, settings_of_runs

RUN: Final = "decides"
"""The run that decides for itself."""

_ENDS: Final = ("good", "good", "poor", "cut", "failed", "unreconciled")
_ABOVE: Final = ("org", "team/red", "job/nightly")
_UNIT: Final = 200_000
_TOKEN_CLASSES: Final = st.sampled_from([0.05, 0.1, 0.3]).map(Usd.rounded)
_PRICES: Final = st.lists(st.builds(Price, _TOKEN_CLASSES, _TOKEN_CLASSES), min_size=4, max_size=4)


def _tight(settings: RunSettings, cap: int, concurrency: int, free: bool) -> RunSettings:
    """Rules of a run whose cap is that of a few calls."""
    policies = () if free else settings.policies
    return evolve(
        settings,
        cap=Usd(cap * _UNIT),
        concurrency=concurrency,
        policies=policies,
        time_limit=10**6 * SECOND,
        backend_named=True,
        simulated=False,
    )


def _priced(models: tuple[ModelInfo, ...], prices: list[Price]) -> tuple[ModelInfo, ...]:
    """Models at which a call costs a few thousandths of a dollar."""
    return tuple(
        evolve(model, price=price, context=None, thinking_in_limit=True)
        for model, price in zip(models, prices, strict=False)
    )


def _side_by_side(plan: tuple[PlannedTask, ...]) -> tuple[PlannedTask, ...]:
    """Tasks that wait for nothing but money."""
    return tuple(evolve(task, dependencies=()) for task in plan)


class BudgetMachine(RunMachine, AccountMachine):
    """A run whose money is short, among runs that share its accounts. Override ``make_backend``."""

    unit: ClassVar[int] = _UNIT
    most_sessions: ClassVar[int] = 3
    generated_settings: ClassVar[st.SearchStrategy[RunSettings]] = st.builds(
        _tight,
        settings_of_runs(accounts=_ABOVE),
        st.integers(0, 150),
        st.integers(1, 4),
        st.sampled_from([True, True, False]),
    )
    generated_models: ClassVar[st.SearchStrategy[tuple[ModelInfo, ...]]] = st.builds(_priced, catalogues(1, 4), _PRICES)
    generated_plans: ClassVar[st.SearchStrategy[tuple[PlannedTask, ...] | None]] = plans(5).map(_side_by_side) | plans(
        4
    )

    laws: SpendingOrder

    def __init__(self) -> None:
        super().__init__()
        self.accounts[RUN] = _ABOVE
        self.references[RUN] = ReferenceRun()
        self.log.locks.acquire(RUN)

    def make_laws(self) -> SpendingOrder:
        """Those of the run, and those of the spending order."""
        return SpendingOrder()

    def set_up(self) -> None:
        """Let the run append to the log, where its holds are taken from the accounts; no vendor is called."""
        self.stage.written = self._written
        self.stage.can_ask = False

    def at(self) -> int:
        """The time of the run that decides."""
        return self.stage.now if hasattr(self, "stage") else START

    def _written(self, at: int, event: e.Event) -> e.Event:
        return self._do(self._append(RUN, event))  # type: ignore[no-any-return]

    @precondition(lambda self: self._is_open())
    @rule(size=st.sampled_from([50, 2_000]), ends=st.lists(st.sampled_from(_ENDS), min_size=1, max_size=8))
    def work(self, size: int, ends: list[str]) -> None:
        """Bodies are shaped, the oldest calls end, and where nothing is at work time passes."""
        stage = self.stage
        for how in ends:
            stage.prepare(size)
            if stage.open(e.CallStarted):
                self._end_oldest(how)
            elif stage.state.is_open and self.may_wake():
                stage.wait()
        stage.prepare(size)

    def _end_oldest(self, how: str) -> None:
        call = self.stage.open(e.CallStarted)[0][1]
        used = Usage(input=call.body_bytes, output=call.max_tokens)
        match how:
            case "failed":
                self.stage.fail(outage=False)
            case "unreconciled":
                self.stage.fail(outage=False, unreconciled=call.hold)
            case "cut":
                self.stage.answer(score=0.9, usage=used, finish=Finish.LENGTH)
            case _:
                self.stage.answer(score=0.95 if how == "good" else 0.5, usage=used)

    def may_wake(self) -> bool:
        """Never at the deadline."""
        until = self.stage.waits_until
        return until is not None and until - self.stage.now <= 120 * SECOND

    @precondition(lambda self: not self._is_open() and self.stage.state.unreconciled)
    @rule(amount=st.integers(0, 120))
    def find_out(self, amount: int) -> None:
        """After its end what a call of the run has cost becomes known."""
        call, started = next(iter(self.stage.state.unreconciled.items()))
        self.stage.step(e.SpendReconciled(call, started.hold, Usd(amount * self.unit)))

    @invariant()
    def every_run_can_go_on(self) -> None:
        """No call waits that could start, and the sums agree."""
        if not hasattr(self, "stage") or self.checked < len(self.stage.history):
            return
        if self.stage.state.is_open:
            self.laws.rest(self.stage.now)
        self.laws.add_up()
        assert not self.laws.problems, "; ".join(self.laws.problems[:5])

    def teardown(self) -> None:
        """The run ends like the others: its process is dead."""
        if hasattr(self, "stage") and self._is_open() and not self.is_broken:
            self.stage.step(e.SessionLost(self._number, self.stage.opening().ended))
        super().teardown()


BudgetMachine.TestCase.settings = profile(stateful_step_count=60, deadline=None)
