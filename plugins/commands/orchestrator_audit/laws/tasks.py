"""Laws of tasks: their order, their review, their gate, their end."""

from collections import Counter

from attrs import define
from attrs import evolve as changed

from orchestrator import events as e
from orchestrator.decide.strategies import judge_runs, most_iterations
from orchestrator.models import Lane, Role, ScoredBy, SkipReason, TaskEndReason, TaskStatus, Verdict
from orchestrator.models.score_comparison import reaches
from orchestrator.money import Usd
from orchestrator.settings import MissingTool
from orchestrator.state.calls import CallKey
from orchestrator.state.fold.planning import APPROVALS
from orchestrator_audit.laws.batches import BatchLaws


@define
class Tasks(BatchLaws):
    """The plan and what became of each task of it."""

    def plan_made(self, event: e.PlanMade) -> None:
        """Made once; in its order every task comes after its dependencies."""
        self.require("intents", not self.planned, "a second PlanMade")
        single = not event.fallback or (len(event.tasks) == 1 and event.call is None)
        self.require("intents", single, "the plan without an answer is more than the project")
        self.fallback_plan = event.fallback
        self.lay_out(event)

    def plan_edited(self, event: e.PlanEdited) -> None:
        """Between the plan and its first task; the question about it is void, and what was agreed to, too."""
        self.require("intents", bool(self.planned) and not self.begun, "a plan is edited out of its place")
        for version, opened in list(self.open_effects.items()):
            if isinstance(opened, e.QuestionAsked) and opened.node in APPROVALS:
                del self.open_effects[version]
        self.planned, self.forecast, self.fallback_plan = {}, False, False
        self.plan_agreed = self.forecast_agreed = False
        self.tasks_agreed.clear()
        self.ended.clear()
        self.lay_out(event)

    def plan_patched(self, event: e.PlanPatched) -> None:
        """About a failed task, as often as the settings allow; what has a result, or is at work, is not replaced."""
        self.patches += 1
        self.require("limits", self.patches <= self.state.settings.replans, "a plan is patched too often")
        failed = all(name in self.ended and self.ended[name].status is TaskStatus.FAILED for name in event.failed)
        self.require("intents", bool(event.failed) and failed, "a patch about a task that has not failed")
        for name in event.replaced:
            end = self.ended.get(name)
            free = name not in self.started if end is None else end.status is TaskStatus.FAILED
            self.require("intents", free and name in self.planned, f"{name} is replaced and has a result")
        new = [task.id for task in event.tasks]
        self.require("intents", not self.planned.keys() & set(new), "a patch names a task that there is")
        self.planned |= {task.id: task for task in event.tasks}
        for each in event.rewired:
            self.require("intents", each.task not in self.ended, f"{each.task} has ended and is rewired")
            self.planned[each.task] = changed(self.planned[each.task], dependencies=each.dependencies)
        self.replaced |= set(event.replaced)
        self.plan_agreed = self.plan_agreed and not new
        self._is_order(event.execution_order)

    def lay_out(self, event: e.PlanMade | e.PlanEdited) -> None:
        """In the order of a plan every task comes after its dependencies."""
        self.planned = {task.id: task for task in event.tasks}
        self._is_order(event.execution_order)

    def _is_order(self, order: tuple[str, ...]) -> None:
        """It has every task of the plan, each after its dependencies."""
        self.require("intents", sorted(order) == sorted(self.planned), "the order is not of the plan's tasks")
        seen: set[str] = set()
        for name in order:
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
        self._is_approved(event.task)
        new = event.task not in self.started and event.task not in self.ended
        self.require("intents", new, f"{event.task} started twice")
        for name in self.planned[event.task].dependencies:
            end = self.ended.get(name)
            self.require("intents", end is not None, f"{event.task} started before {name} ended")
            failed = end is not None and end.status is TaskStatus.FAILED
            self.require("intents", not failed, f"{event.task} started, {name} failed")
        self.started.add(event.task)
        places = self.state.settings.concurrency
        single = [name for name in self.started if self.wanted_lane(name) is Lane.INTERACTIVE]
        fits = self.wanted_lane(event.task) is Lane.BATCH or len(single) <= places
        self.require("limits", fits, "more tasks started than may be")

    def _is_approved(self, task: str) -> None:
        """A person has agreed to all that the settings want agreed to before a task starts."""
        wanted = self.state.settings.approve
        self.require("intents", self.plan_agreed or not wanted.plan, "a task starts of a plan that is not approved")
        agreed = task in self.tasks_agreed or not wanted.tasks
        self.require("intents", agreed, f"{task} starts and is not approved")

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

    def step_skipped(self, event: e.StepSkipped) -> None:
        """Only a critique, a revision or a further evaluation can be left out, once, for a reason that holds."""
        step = (event.task, event.role, event.iteration)
        reviewing = event.role in (Role.CRITIC, Role.REVISER)
        further = event.role is Role.EVALUATOR and event.reason is SkipReason.TESTS
        self.require("intents", reviewing or further, f"{event.role} is left out")
        self.require("intents", step not in self.skipped, "a step is left out twice")
        self.skipped.add(step)

    def check_started(self, event: e.CheckStarted) -> None:
        """A validator of the plan, once for each answer that is not equal to one it has judged."""
        of_the_plan = event.validator in self.planned[event.task].validators
        self.require("intents", of_the_plan, "a check the plan does not have")
        made = self.written.get(event.task, {})
        self.require("intents", event.call in made, "a check of what is no draft or revision")
        shared = self.verdicts_of(event.task, event.call)
        # verdicts of an earlier session, which may have had another validator or sandbox, are not shared
        known = {name: found for name, found in shared.items() if found.check > self.session_version}
        self.require("intents", event.validator not in known, f"{event.validator} judges an equal answer again")
        failed = [name for name, found in known.items() if not self._holds(found) and found.verdict is Verdict.FAILED]
        self.require("limits", "python_syntax" not in failed, "a check is started although the syntax check failed")
        given = self.state.start is not None and self.state.start.given_plan is not None
        self.require("gates", not (event.vote and given), "the tests of a spec are no vote")
        self.checked.add((event.task, event.call))
        self.open_effects[self.version] = event

    def validated(self, event: e.Validated) -> None:
        """It ends an open check."""
        opened = self.open_effects.pop(event.check, None)
        self.require("intents", isinstance(opened, e.CheckStarted), "Validated ends no check")
        if isinstance(opened, e.CheckStarted):
            self.require(
                "gates", event.vote is opened.vote, "a verdict is a vote, and its check is none, or the reverse"
            )
            judged = changed(event, vote=opened.vote)
            self.verdicts.setdefault((opened.task, opened.call), {})[opened.validator] = judged

    def probe_started(self, event: e.ProbeStarted) -> None:
        """Once for each critique, on the draft of its iteration."""
        step = (event.task, event.critique)
        self.require("intents", step not in self.probed, "counterexamples are run twice")
        made = self.written.get(event.task, {}).get(event.call)
        of_draft = made is not None and (made.iteration, made.role) == (event.iteration, Role.GENERATOR)
        self.require("intents", of_draft, "counterexamples are run on what is no draft")
        self.probed.add(step)
        self.open_effects[self.version] = event

    def probe_ended(self, event: e.Probed) -> None:
        """It ends an open probe."""
        opened = self.open_effects.pop(event.probe, None)
        self.require("intents", isinstance(opened, e.ProbeStarted), "Probed ends no probe")

    def scoring_started(self, event: e.ScoringStarted) -> None:
        """By the scorer of the settings, once for each draft or revision, which has passed its gate."""
        step = (event.task, event.call)
        self.require("intents", event.scorer == self.state.settings.evaluation.scorer, "another scorer than the spec's")
        self.require("intents", step not in self.scorings, "an output is scored twice")
        made = self.written.get(event.task, {}).get(event.call)
        own = made is not None and made.iteration == event.iteration
        self.require("intents", own, "a scorer is asked about what is no draft or revision of the iteration")
        self.scorings[step] = None
        self.open_effects[self.version] = event

    def scoring_ended(self, event: e.Scored) -> None:
        """It ends an open scoring, with a score from 0 to 1 or a reason why there is none."""
        opened = self.open_effects.pop(event.scoring, None)
        self.require("intents", isinstance(opened, e.ScoringStarted), "Scored ends no scoring")
        scored = event.score is not None and 0 <= event.score <= 1
        sound = scored if event.problem is None else event.score is None
        self.require("gates", sound, "a scorer gave both a score and none, or no share of 1")
        if isinstance(opened, e.ScoringStarted):
            self.scorings[opened.task, opened.call] = event.score

    def evaluated(self, event: e.Evaluated) -> None:
        """Once per iteration, within the limits of iterations and samples; the gate is what the checks say."""
        settings, iteration = self.state.settings, (event.task, event.iteration)
        kind = self.planned[event.task].type
        self.require("intents", iteration not in self.scored, "an iteration is scored twice")
        self.require("limits", event.iteration <= most_iterations(settings, kind), "too many iterations")
        self.require("limits", len(event.samples) <= judge_runs(settings, kind), "too many samples")
        judged = event.scored_by is ScoredBy.JUDGE and event.score is not None and bool(event.samples)
        inside = not judged or min(event.samples) <= (event.score or 0.0) <= max(event.samples)
        self.require("gates", inside, "the score is outside its samples")
        self.require("gates", self._are_read(event), "a sample is no score that was read from a judge's answer")
        made = self.written.get(event.task, {}).get(event.call)
        own = made is not None and made.iteration == event.iteration
        self.require("gates", own, "what is scored is no draft or revision of the iteration")
        self._gate(event)
        self._by_tests(event)
        self._by_scorer(event)
        self.scored[iteration] = event

    def _are_read(self, event: e.Evaluated) -> bool:
        """Whether each sample is the score of a judge's answer about the task; equal answers share their scores."""
        calls = self.state.tasks[event.task].calls.items()
        answers = (answer for key, call in calls if key.role is Role.EVALUATOR for answer in call.answers)
        read = Counter(answer.reading.score for answer in answers if answer.reading.score is not None)
        return all(read[score] > 0 for score in event.samples)

    def _gate(self, event: e.Evaluated) -> None:
        found = self.verdicts_of(event.task, event.call)
        names = self.planned[event.task].validators
        passed = all(name in found and self._holds(found[name]) for name in names)
        self.require("gates", passed or not event.gate, f"the gate of {event.task} passed, and a check of it did not")
        self.require("gates", event.gate or not passed, f"the gate of {event.task} failed, and no check of it did")

    def _by_tests(self, event: e.Evaluated) -> None:
        """A score by tests is the share that passed, of tests that the spec gave."""
        if event.scored_by is not ScoredBy.TESTS:
            return
        given = self.state.start is not None and self.state.start.given_plan is not None
        has_tests = given and self.planned[event.task].tests is not None
        self.require(
            "gates", has_tests and event.share is not None, f"{event.task} is scored by tests it was not given"
        )
        self.require("gates", event.score == event.share, f"the score of {event.task} is not the share of its tests")

    def _by_scorer(self, event: e.Evaluated) -> None:
        """A score by a scorer is the one that it gave; an equal output shares it."""
        if event.scored_by is not ScoredBy.SCORER:
            return
        call = event.call if event.equal_to is None else event.equal_to
        known = (event.task, call) in self.scorings
        same = known and self.scorings[event.task, call] == event.score
        self.require("gates", same, f"the score of {event.task} is not what the scorer gave")

    def _holds(self, found: e.Validated) -> bool:
        """Whether a verdict lets the gate pass; a vote does."""
        good = {Verdict.PASSED}
        if self.state.settings.missing_tool is MissingTool.SKIP:
            good.add(Verdict.SKIPPED)
        return found.vote or found.verdict in good

    def output_chosen(self, event: e.OutputChosen) -> None:
        """The output of the best iteration: gate, share of given tests, score, the earlier one; or that of a choice."""
        call = self.calls.get(CallKey(event.task, Role.GENERATOR, event.iteration, 1))
        self.require("intents", call is not None and call.answered, "an output without an answer")
        scored = {number: each for (task, number), each in self.scored.items() if task == event.task}
        compared = self.choices.get(event.task)
        if compared is not None:
            same = (event.iteration, event.call) == (compared.iteration, compared.call)
            self.require("gates", same, f"what is chosen of {event.task} is not what won")
        elif event.iteration in scored:
            best = max(scored, key=lambda number: _rank(scored[number], number))
            self.require("gates", event.iteration == best, f"iteration {best} of {event.task} is better")
            same = event.call == scored[event.iteration].call
            self.require("gates", same, f"what is chosen of {event.task} is not what was scored")
        else:
            self.require("gates", not scored, f"an output of {event.task} is chosen that was not scored")
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
    of_tasks = e.CheckStarted | e.ProbeStarted | e.ScoringStarted | e.OutputChosen
    return effect.task if isinstance(effect, of_tasks) else None


def _rank(evaluated: e.Evaluated, iteration: int) -> tuple[bool, float, float, int]:
    share = -1.0 if evaluated.share is None else evaluated.share
    score = -1.0 if evaluated.score is None else evaluated.score
    return (evaluated.gate, share, score, -iteration)
