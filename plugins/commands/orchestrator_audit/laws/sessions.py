"""Laws of the run and its sessions: who has it, what a dead session left, how it ends."""

from collections.abc import Iterable
from typing import Final

from attrs import define

from orchestrator import events as e
from orchestrator.models import ApprovalPoint, Lane, ProjectStatus, RunEndReason, TaskStatus, Verdict
from orchestrator.money import Usd
from orchestrator.state.fold.planning import APPROVALS
from orchestrator_audit.laws.verification_and_channels import Endings

_ASKED_ANEW: Final = (e.FORECAST, ApprovalPoint.SPEND, ApprovalPoint.CEILING, ApprovalPoint.FORECAST)
"""Questions about money: whether they are still to be answered is decided anew in each session."""

_AFTER_THE_END: Final = (e.BudgetRaised, e.TimeRaised, e.SpendReconciled, e.RunForked, e.ContentDeleted)
"""What a run's history may have after RunFinished, beside the session that goes on with it."""


@define
class Sessions(Endings):
    """The run, its sessions, its forks and its end."""

    def has_session(self, event: e.Event) -> None:
        """A decision needs an open session; after the end of the run only some events may come."""
        name = type(event).__name__
        if isinstance(event, e.Decision | e.AccountRefused | e.PaceRefused):
            self.require("sessions", self.is_open, f"{name} without an open session")
        if self.finished is not None:
            reopens = isinstance(event, e.SessionOpened) and not self.finished.status.is_closed
            self.require("sessions", reopens or isinstance(event, _AFTER_THE_END), f"{name} after RunFinished")

    def run_started(self, event: e.RunStarted) -> None:
        """It is the first event."""
        self.require("sessions", self.version == 1, "RunStarted is not the first event")
        accounts = event.settings.accounts
        self.require("accounts", len(set(accounts)) == len(accounts), "an account is named twice")
        self.cap = event.settings.cap

    def run_forked(self, event: e.RunForked) -> None:
        """It follows what it shares, tells what that spent, and begins with money, time and calls of its own."""
        self.require("sessions", self.version == event.version + 1, "RunForked does not follow what it shares")
        settled, unreconciled = self.inherited[0] + self.settled, self.inherited[1] + self.unreconciled
        inherited = (event.inherited_settled, event.inherited_unreconciled)
        self.require("spend", inherited == (settled, unreconciled), "RunForked tells another spend of the past")
        self.inherited = inherited
        self.cap = event.settings.cap
        self.settled = self.unreconciled = self.excess = self.in_flight = Usd.ZERO
        for totals in (self.by_node, self.by_phase, self.by_call, self.unreconciled_calls, self.starts, self.costs):
            totals.clear()
        for version, opened in list(self.open_effects.items()):
            if isinstance(opened, e.CallStarted):
                del self.open_effects[version]
                self.let_go(version, opened)
        self.leave_batches()
        self.is_open, self.finished = False, None
        self.forget_verification()
        self.asked, self.agreed = 0, False
        for version, opened in list(self.open_effects.items()):
            if isinstance(opened, e.QuestionAsked) and opened.node in APPROVALS:
                del self.open_effects[version]
        self.questions, self.plan_agreed, self.forecast_agreed, self.spend_agreed = 0, False, False, Usd.ZERO
        self.tasks_agreed.clear()
        self.reopen(event.reopened)

    def session_opened(self, event: e.SessionOpened) -> None:
        """Sessions are numbered; what the dead one left is ended, with its holds, and so is a question of risk."""
        number = (self.session.number if self.session else 0) + 1
        self.require("sessions", event.number == number, "a session's number is wrong")
        self._end_lost(event.ended)
        for version, opened in list(self.open_effects.items()):
            if isinstance(opened, e.QuestionAsked) and opened.node in _ASKED_ANEW:
                del self.open_effects[version]
        self.session, self.is_open, self.finished = event, True, None
        self.session_version = self.version
        self.models = {model.id: model for model in event.models}
        self.dead_models.clear()
        self.host_breakers.clear()
        self.answered_hosts.clear()
        self.unreachable_since.clear()
        self.breakers = {name: each for name, each in self.breakers.items() if each.until is not None}
        for call in self.calls.values():
            call.forget_reservation()
        self.reopen(event.reopened)

    def session_lost(self, event: e.SessionLost) -> None:
        """Only an open session is lost."""
        self.require("sessions", self.is_open, "SessionLost without an open session")
        self._end_lost(event.ended)
        self.is_open = False

    def session_ended(self, event: e.SessionFailed | e.RunInterrupted) -> None:
        """Only an open session ends; an interrupted one has nothing in flight."""
        self.require("sessions", self.is_open, f"{type(event).__name__} without an open session")
        if isinstance(event, e.RunInterrupted):
            single = [each for each in self.calls_in_flight if each.lane is Lane.INTERACTIVE]
            self.require("sessions", not single, "RunInterrupted with calls in flight")
        self.is_open = False

    def _end_lost(self, ended: Iterable[e.EndedAttempt]) -> None:
        lost = {attempt.call: attempt.amount for attempt in ended}
        opened = {version: each for version, each in self.open_effects.items() if isinstance(each, e.CallStarted)}
        open_ = {version: each.hold for version, each in opened.items() if each.lane is Lane.INTERACTIVE}
        self.require("intents", lost == open_, f"the attempts ended are {lost}, open are {open_}")
        for version, amount in lost.items():
            self.end(version, Usd.ZERO, amount)

    def raised(self, event: e.BudgetRaised | e.TimeRaised) -> None:
        """No session is open while a command raises."""
        self.require("sessions", not self.is_open, f"{type(event).__name__} in an open session")
        if isinstance(event, e.BudgetRaised):
            self.require("holds", event.cap > self.cap, "the cap is not raised")
            self.cap = event.cap
        self.finished = None
        self.reopen(event.reopened)

    def content_deleted(self, event: e.ContentDeleted) -> None:
        """No session is open while the content is deleted."""
        self.require("sessions", not self.is_open, "ContentDeleted in an open session")

    def run_finished(self, event: e.RunFinished) -> None:
        """Everything has ended, the sums are right, and the status follows from the tasks."""
        self.require("intents", not self.open_effects, "RunFinished with open effects")
        self.require(
            "spend",
            (event.settled, event.unreconciled) == (self.settled, self.unreconciled),
            "RunFinished tells other sums",
        )
        self.add_up()
        everything = self.ended.keys() == self.planned.keys()
        self.require("statuses", everything, "RunFinished before every task has ended")
        self.require("statuses", self._follows(event), f"{event.status.value} does not follow from the tasks")
        self.finished, self.is_open = event, False

    def _follows(self, event: e.RunFinished) -> bool:
        """Whether the status is one that tasks which ended like this, and the verification, can have."""
        ends = [end for name, end in self.ended.items() if name not in self.replaced]
        completed = bool(ends) and all(end.status is TaskStatus.COMPLETED for end in ends)
        output = any(end.status is not TaskStatus.FAILED for end in ends)
        unverified = self.verdict is not None and self.verdict is not Verdict.PASSED
        is_unverified = self.state.settings.verify and self.verdict is None
        if event.status.is_closed and (is_unverified or unverified != (event.reason is RunEndReason.VERIFICATION)):
            return False
        match event.status:
            case ProjectStatus.SUCCESS:
                return completed and not self.fallback_plan
            case ProjectStatus.PARTIAL_SUCCESS:
                return output and (not completed or unverified or self.fallback_plan)
            case ProjectStatus.SYSTEM_FAILURE:
                return not output
            case ProjectStatus.BUDGET_EXHAUSTED | ProjectStatus.TIMEOUT:
                if is_unverified and output and event.reason is RunEndReason.TIME:
                    return True  # there was no time left to verify
                return not completed and (not ends or any(_halts(end) == event.reason for end in ends))


def _halts(end: e.TaskFinished) -> str | None:
    """Why a task ended, as the run that it halts says it."""
    return None if end.reason is None else end.reason.value
