"""The laws of one run, checked event by event over its history.

``Laws`` keeps a shadow state: it trusts neither the fold nor ``decide``, except where a law speaks of what was measured
(a policy on latency) or of active time. ``broken_laws(history)`` gives every violation, one line each.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import define

from orchestrator import events as e
from orchestrator.state.fold import apply
from orchestrator_audit.laws.accounts import History, broken_accounts
from orchestrator_audit.laws.calls import Calls
from orchestrator_audit.laws.choices import Choices
from orchestrator_audit.laws.input_stage import Inputs
from orchestrator_audit.laws.sessions import Sessions
from orchestrator_audit.laws.shadow_state import Call, key_of
from orchestrator_audit.laws.tasks import Tasks

__all__ = ["Call", "History", "Laws", "broken_accounts", "broken_laws", "key_of"]


@define
class Laws(Inputs, Sessions, Tasks, Choices, Calls):
    """Takes a run's events one by one and notes every law they break."""

    def take(self, at: int, event: e.Event) -> None:
        """Check one event against everything before it, and remember it.

        Raises:
            ValueError: it does not fit the events before it; nothing after it can be judged.
        """
        self.version += 1
        self.require("sessions", at >= self.at, "time goes backwards")
        self.has_session(event)
        self.at = at
        check = _CHECKS.get(type(event))
        if check is not None:
            check(self, event)
        apply(self.state, at, event)
        self.balance()

    def finish(self) -> list[str]:
        """Check the end of a finished run's history, and return every breach found, one line each."""
        self.require("sessions", self.finished is not None, "the run has no end")
        self.require("intents", not self.open_effects, f"effects are open at the end: {sorted(self.open_effects)}")
        self.add_up()
        return self.problems


def broken_laws(history: Iterable[tuple[int, e.Event]]) -> list[str]:
    """Every law that a finished run's history (pairs of at and event, from the beginning) breaks, one line each."""
    laws = Laws()
    for at, event in history:
        laws.take(at, event)
    return laws.finish()


_CHECKS: Final[dict[type[e.Event], Callable[[Laws, Any], None]]] = {
    e.RunStarted: Laws.run_started,
    e.RunForked: Laws.run_forked,
    e.SessionOpened: Laws.session_opened,
    e.SessionFailed: Laws.session_ended,
    e.SessionLost: Laws.session_lost,
    e.RunInterrupted: Laws.session_ended,
    e.BudgetRaised: Laws.raised,
    e.TimeRaised: Laws.raised,
    e.ContentDeleted: Laws.content_deleted,
    e.QuestionAsked: Laws.question_asked,
    e.QuestionAnswered: Laws.question_answered,
    e.SpecEnhanced: Laws.spec_enhanced,
    e.ArchitectureDecided: Laws.architecture_decided,
    e.PlanMade: Laws.plan_made,
    e.PlanEdited: Laws.plan_edited,
    e.PlanPatched: Laws.plan_patched,
    e.PlanRefused: Laws.plan_refused,
    e.ForecastMade: Laws.forecast_made,
    e.TaskStarted: Laws.task_started,
    e.ModelSelected: Laws.model_selected,
    e.CallPrepared: Laws.call_prepared,
    e.CallStarted: Laws.call_started,
    e.BatchStarted: Laws.batch_started,
    e.BatchSubmitted: Laws.batch_submitted,
    e.AccountRefused: Laws.account_refused,
    e.PaceRefused: Laws.pace_refused,
    e.CallSucceeded: Laws.call_succeeded,
    e.CallFailed: Laws.call_failed,
    e.SpendRefused: Laws.spend_refused,
    e.SpendExceeded: Laws.spend_exceeded,
    e.SpendReconciled: Laws.spend_reconciled,
    e.BreakerOpened: Laws.breaker_opened,
    e.BreakerClosed: Laws.breaker_closed,
    e.StepSkipped: Laws.step_skipped,
    e.CheckStarted: Laws.check_started,
    e.ProbeStarted: Laws.probe_started,
    e.Probed: Laws.probe_ended,
    e.ScoringStarted: Laws.scoring_started,
    e.Scored: Laws.scoring_ended,
    e.Validated: Laws.validated,
    e.Evaluated: Laws.evaluated,
    e.Compared: Laws.compared,
    e.OutputChosen: Laws.output_chosen,
    e.FileWritten: Laws.file_written,
    e.TaskFinished: Laws.task_finished,
    e.VerificationStarted: Laws.verification_started,
    e.ResultVerified: Laws.result_verified,
    e.ChannelPut: Laws.channel_put,
    e.ChannelTaken: Laws.channel_taken,
    e.RunFinished: Laws.run_finished,
}
