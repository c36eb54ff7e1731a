"""What was measured of runs and models: the metrics of the specification, folded from events."""

from collections.abc import Iterable

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.errors import present
from orchestrator.models import Lane, TaskStatus, Verdict
from orchestrator.money import Usd
from orchestrator.spi import Metrics, ModelMetrics, RunMetrics
from orchestrator.state.equal_answers import checks_of, written
from orchestrator.state.fold import apply
from orchestrator.state.model_health import ModelRecord
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Check, TaskState


@define
class _ModelMeter:
    """Everything counted of one model; its averages are those the routing uses, over all types of task."""

    provider: str
    vendor: str
    record: ModelRecord = Factory(ModelRecord)
    failures: int = 0
    validator_failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Usd = Usd.ZERO

    def metrics(self, model: str) -> ModelMetrics:
        record, averages = self.record, self.record.measured(None)
        return ModelMetrics(
            model=model,
            provider=self.provider,
            vendor=self.vendor,
            calls_total=record.calls,
            success_rate=record.success_rate,
            latency_avg_ms=averages.latency_ms,
            latency_p95_ms=record.p95_ms,
            quality_score=averages.quality,
            trust_factor=averages.trust,
            cost_avg_usd=averages.cost,
            validator_failures_total=self.validator_failures,
            failures_total=self.failures,
            input_tokens_total=self.input_tokens,
            output_tokens_total=self.output_tokens,
            cost_usd_total=self.cost,
        )


@define
class _RunMeter:
    """What is counted of one run beside its state."""

    run: str
    state: RunState = Factory(RunState)
    authors: dict[int, str] = Factory(dict)
    """Models by the version of the answer that a check or a score may judge."""
    batched: set[int] = Factory(set)
    """Versions of the calls of the lane batch: how long they take says nothing of a model."""
    sessions: int = 0
    calls: int = 0
    failed: int = 0
    reused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    warnings: int = 0

    def metrics(self) -> RunMetrics:
        state = self.state
        status = "running" if state.is_open else "interrupted"
        tasks = dict.fromkeys((each.value for each in TaskStatus), 0)
        for task in state.tasks.values():
            stands = TaskStatus.RUNNING if task.started else TaskStatus.PENDING
            tasks[(task.finished.status if task.finished else stands).value] += 1
        return RunMetrics(
            run=self.run,
            status=state.finished.status.value if state.finished is not None else status,
            simulated=state.start is not None and state.settings.simulated,
            started_at=state.started_at,
            active_seconds=state.active(state.at) / 1_000_000,
            sessions_total=self.sessions,
            tasks=tasks,
            calls_total=self.calls,
            calls_failed_total=self.failed,
            calls_in_flight=state.in_flight,
            answers_reused_total=self.reused,
            input_tokens_total=self.input_tokens,
            output_tokens_total=self.output_tokens,
            cap_usd=state.cap,
            settled_usd=state.spend.settled,
            unreconciled_usd=state.spend.unreconciled,
            in_flight_usd=state.in_flight_held,
            budget_warnings_total=self.warnings,
        )


def _checks(task: TaskState, call: int) -> Iterable[Check]:
    """The verdicts on an answer, those of an equal one included."""
    answer = next((each for _, each in written(task) if each.version == call), None)
    return () if answer is None else checks_of(task, answer).values()


class Measurement:
    """Counts what happens in one run after the other; what is measured of models goes on from run to run."""

    def __init__(self) -> None:
        self._models: dict[str, _ModelMeter] = {}
        self._ended: list[RunMetrics] = []
        self._run: _RunMeter | None = None
        self._at = 0

    def begin(self, run: str) -> None:
        """Go on with the events of another run, from its first one."""
        if self._run is not None:
            self._ended.append(self._run.metrics())
        self._run = _RunMeter(run)

    def take(self, at: int, event: e.Event, *, own: bool = True) -> None:
        """Count one event of the run. ``own`` False: a fork only shares it, and it counts for its parent."""
        run = present(self._run, "run")
        if own:
            self._count(run, event)
            self._at = max(self._at, at)
        if isinstance(event, e.CallStarted):
            run.authors[run.state.version + 1] = event.model
            if event.lane is Lane.BATCH:
                run.batched.add(run.state.version + 1)
        apply(run.state, at, event)

    def metrics(self) -> Metrics:
        """How it all stands now."""
        runs = [*self._ended, *([self._run.metrics()] if self._run is not None else [])]
        models = (meter.metrics(model) for model, meter in sorted(self._models.items()))
        return Metrics(self._at, tuple(runs), tuple(models))

    def _count(self, run: _RunMeter, event: e.Event) -> None:
        match event:
            case e.SessionOpened(ended=ended):
                run.sessions += 1
                self._lose(run, ended)
            case e.SessionLost(ended=ended):
                self._lose(run, ended)
            case e.CallPrepared(reused=reused) if reused is not None:
                run.reused += 1
            case e.CallSucceeded():
                self._answered(run, event)
            case e.CallFailed():
                self._failed(run, event)
            case e.OutputChosen(task=task, call=call) if call in run.authors:  # only what is delivered counts
                failed = sum(check.verdict is Verdict.FAILED for check in _checks(run.state.tasks[task], call))
                self._meter(run, run.authors[call]).validator_failures += failed
            case e.Evaluated(call=call, score=score) if score is not None and call in run.authors:
                self._meter(run, run.authors[call]).record.measured(None).observe_quality(score)
            case e.BudgetWarned():
                run.warnings += 1
            case e.SpendReconciled(call=call) if call in run.authors:
                self._meter(run, run.authors[call]).cost += event.settled - event.unreconciled

    def _meter(self, run: _RunMeter, model: str) -> _ModelMeter:
        found = self._models.get(model)
        if found is None:
            info = run.state.models.get(model)
            provider, vendor = ("", "") if info is None else (info.provider, info.vendor)
            found = self._models[model] = _ModelMeter(provider, vendor)
        return found

    def _lose(self, run: _RunMeter, ended: tuple[e.EndedAttempt, ...]) -> None:
        for attempt in ended:
            run.calls += 1
            run.failed += 1
            if attempt.call in run.authors:
                self._meter(run, run.authors[attempt.call]).cost += attempt.amount

    def _answered(self, run: _RunMeter, event: e.CallSucceeded) -> None:
        run.calls += 1
        meter = self._meter(run, run.authors[event.call])
        record = meter.record
        record.calls += 1
        record.recent.append(True)
        if event.call not in run.batched:
            record.latencies.append(event.latency // 1000)
            record.measured(None).observe_answer(float(event.settled), event.latency / 1000)
        meter.cost += event.settled + event.unreconciled
        if event.usage is not None:
            for counter in (meter, run):
                counter.input_tokens += event.usage.input_tokens
                counter.output_tokens += event.usage.output_tokens

    def _failed(self, run: _RunMeter, event: e.CallFailed) -> None:
        run.calls += 1
        run.failed += 1
        meter = self._meter(run, run.authors[event.call])
        meter.cost += event.settled + event.unreconciled
        if event.by_vendor:
            meter.failures += 1
            meter.record.calls += 1
            meter.record.recent.append(False)
            if event.outage:
                meter.record.measured(None).observe_outage()
