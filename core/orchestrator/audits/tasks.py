"""Laws of tasks: their order, their review, their gate, their end."""

from attrs import define

from orchestrator import events as e
from orchestrator.audits.shadow_state import ShadowState
from orchestrator.models import Role, TaskEndReason, TaskStatus, Verdict
from orchestrator.models.scores import reaches
from orchestrator.money import Usd
from orchestrator.settings import MissingTool
from orchestrator.state.calls import CallKey


@define
class Tasks(ShadowState):
    """The plan and what became of each task of it."""

    def plan_made(self, event: e.PlanMade) -> None:
        """Made once; in its order every task comes after its dependencies."""
        self.require("intents", not self.planned, "a second PlanMade")
        self.planned = {task.id: task for task in event.tasks}
        same = sorted(event.execution_order) == sorted(self.planned)
        self.require("intents", same, "the order is not of the plan's tasks")
        seen: set[str] = set()
        for name in event.execution_order:
            behind = name in self.planned and seen >= set(self.planned[name].dependencies)
            self.require("intents", behind, f"{name} is ordered before a dependency")
            seen.add(name)

    def forecast_made(self, event: e.ForecastMade) -> None:
        """Made once, after the plan and before any task starts; its parts are its sum."""
        self.require("intents", bool(self.planned), "a forecast without a plan")
        self.require("intents", not self.forecast, "a second forecast")
        self.require("intents", not self.started, "a forecast after a task has started")
        parts = Usd(sum(amount.nano for amount in event.phases.values()))
        self.require("spend", parts == event.expected, "the parts of the forecast are not its sum")
        self.require("spend", event.spent == self.settled + self.unreconciled, "the forecast tells another spend")
        self.forecast = True

    def task_started(self, event: e.TaskStarted) -> None:
        """Its dependencies have ended with an output, and there is a place."""
        self.require("intents", self.begun or not self.needs_consent, "a task starts at a risk that is not agreed to")
        self.begun = True
        new = event.task not in self.started and event.task not in self.ended
        self.require("intents", new, f"{event.task} started twice")
        for name in self.planned[event.task].dependencies:
            end = self.ended.get(name)
            self.require("intents", end is not None, f"{event.task} started before {name} ended")
            failed = end is not None and end.status is TaskStatus.FAILED
            self.require("intents", not failed, f"{event.task} started, {name} failed")
        self.started.add(event.task)
        places = self.state.settings.concurrency
        self.require("limits", len(self.started) <= places, "more tasks started than may be")

    def task_finished(self, event: e.TaskFinished) -> None:
        """Once; with nothing open; with a status its output earns, and the cost of its calls."""
        self.require("intents", event.task not in self.ended, f"{event.task} finished twice")
        busy = [v for v, each in self.open_effects.items() if _node_of(each) == event.task]
        self.require("intents", not busy, f"{event.task} finished with open effects {busy}")
        cost = self.by_node.get(event.task, Usd.ZERO)
        self.require("spend", event.cost == cost, f"the cost of {event.task} is wrong")
        chosen = self.chosen.get(event.task)
        has_output = chosen is not None
        is_failed = event.status is TaskStatus.FAILED
        self.require("statuses", has_output is not is_failed, f"{event.task} is {event.status}")
        threshold = self.state.settings.thresholds[self.planned[event.task].type]
        good = event.gate and event.score is not None and reaches(event.score, threshold)
        self.require("statuses", good is (event.status is TaskStatus.COMPLETED), f"{event.task} is {event.status}")
        self.require("statuses", (event.reason is None) is good, f"the reason of {event.task} is {event.reason}")
        if event.reason is TaskEndReason.DEPENDENCY:
            blocker = self.ended.get(event.blocked_by or "")
            blocked = blocker is not None and blocker.status is TaskStatus.FAILED
            self.require("statuses", blocked, f"{event.task} is not blocked")
        if chosen is not None:
            judged = self.scored.get((event.task, chosen.iteration))
            reported = (False, None) if judged is None else (judged.gate, judged.score)
            self.require("gates", (event.gate, event.score) == reported, f"{event.task} has another gate or score")
        self.started.discard(event.task)
        self.ended[event.task] = event

    # ── review ───────────────────────────────────────────────────────────────────────────────────────────────────

    def step_skipped(self, event: e.StepSkipped) -> None:
        """Only a critique or a revision can be left out, once."""
        step = (event.task, event.role, event.iteration)
        self.require("intents", event.role in (Role.CRITIC, Role.REVISER), f"{event.role} is left out")
        self.require("intents", step not in self.skipped, "a step is left out twice")
        self.skipped.add(step)

    def check_started(self, event: e.CheckStarted) -> None:
        """One check per iteration and validator of the plan."""
        of_the_plan = event.validator in self.planned[event.task].validators
        self.require("intents", of_the_plan, "a check the plan does not have")
        self.open_effects[self.version] = event

    def validated(self, event: e.Validated) -> None:
        """It ends an open check."""
        opened = self.open_effects.pop(event.check, None)
        self.require("intents", isinstance(opened, e.CheckStarted), "Validated ends no check")
        if isinstance(opened, e.CheckStarted):
            self.verdicts[opened.task, opened.iteration, opened.validator] = (opened.call, event.verdict)

    def evaluated(self, event: e.Evaluated) -> None:
        """Once per iteration, within the limits of iterations and samples; the gate is what the checks say."""
        settings, iteration = self.state.settings, (event.task, event.iteration)
        self.require("intents", iteration not in self.scored, "an iteration is scored twice")
        most = settings.iterations[self.planned[event.task].type]
        self.require("limits", event.iteration <= most, "too many iterations")
        self.require("limits", len(event.samples) <= settings.evaluation.runs, "too many samples")
        inside = event.score is None or not event.samples or min(event.samples) <= event.score <= max(event.samples)
        self.require("gates", inside, "the score is outside its samples")
        self._gate(event)
        self.scored[iteration] = event

    def _gate(self, event: e.Evaluated) -> None:
        good = {Verdict.PASSED}
        if self.state.settings.missing_tool is MissingTool.SKIP:
            good.add(Verdict.SKIPPED)
        found = [
            self.verdicts.get((event.task, event.iteration, validator))
            for validator in self.planned[event.task].validators
        ]
        passed = all(each is not None and each[0] == event.call and each[1] in good for each in found)
        self.require("gates", passed or not event.gate, f"the gate of {event.task} passed, and a check of it did not")
        self.require("gates", event.gate or not passed, f"the gate of {event.task} failed, and no check of it did")

    def output_chosen(self, event: e.OutputChosen) -> None:
        """An answer that was given."""
        call = self.calls.get(CallKey(event.task, Role.GENERATOR, event.iteration, 1))
        self.require("intents", call is not None and call.answered, "an output without an answer")
        self.chosen[event.task] = event
        if event.file:
            self.open_effects[self.version] = event

    def file_written(self, event: e.FileWritten) -> None:
        """It ends an open write."""
        opened = self.open_effects.pop(event.chosen, None)
        self.require("intents", isinstance(opened, e.OutputChosen), "FileWritten ends nothing")


def _node_of(effect: e.Event) -> str | None:
    if isinstance(effect, e.ModelSelected | e.CallStarted):
        return effect.node
    return effect.task if isinstance(effect, e.CheckStarted | e.OutputChosen) else None
