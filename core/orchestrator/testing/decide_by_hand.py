"""``decide`` and ``apply`` by hand: a run without an engine, whose outcomes a test writes itself."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from attrs import Factory, define, evolve

from orchestrator import events as e
from orchestrator.decide import RULES, BackendError, Memo, Rank, Wait, decide
from orchestrator.decide.outcome import reopened_by
from orchestrator.errors import ErrorKind
from orchestrator.models import (
    Finish,
    ModelInfo,
    PairChoice,
    PlannedTask,
    ProbeResult,
    ProjectStatus,
    ReadingProblem,
    Role,
    TaskType,
    Verdict,
    is_comparison,
)
from orchestrator.money import Price, Usage, Usd
from orchestrator.settings import SECOND, RunSettings
from orchestrator.state.fold import apply as folded
from orchestrator.state.run import RunState

T = TypeVar("T", bound=e.Event)

START: Final = 1_800_000_000 * SECOND
_MOST_DECISIONS: Final = 10_000

CHEAP: Final = Price(Usd.parse("0.1"), Usd.parse("0.4"))


def model(name: str, vendor: str = "north", **facts: Any) -> ModelInfo:
    """A model of the simulated provider, cheap unless its facts say otherwise."""
    return ModelInfo(**{"id": name, "provider": "simulated", "vendor": vendor, "price": CHEAP, **facts})


def task(name: str, kind: TaskType = TaskType.SUMMARIZATION, *after: str, **facts: Any) -> PlannedTask:
    """A planned task, which runs after those named."""
    return PlannedTask(
        **{"id": name, "type": kind, "prompt": "0" * 64, "prompt_bytes": 10, **facts}, dependencies=after
    )


@define
class Stage:
    """One run. Every method that brings an outcome appends it as a step, with the decisions that follow."""

    settings: RunSettings
    models: Sequence[ModelInfo]
    plan: Sequence[PlannedTask] | None = None
    rank: Rank | None = None
    files: bool = False
    full_accounts: Callable[[e.CallStarted], e.AccountRefused | e.PaceRefused | None] = lambda started: None
    """What the accounts above the run refuse, or the pace of all runs."""
    written: Callable[[int, e.Event], e.Event] = lambda at, event: event
    """Makes an event durable, and says what has become of it, before it is folded."""
    slots: dict[str, str] = Factory(dict)
    state: RunState = Factory(RunState)
    _memo: Memo = Factory(Memo)
    history: list[tuple[int, e.Event]] = Factory(list)
    now: int = START
    can_ask: bool = False
    """Whether a person can be asked if the tasks may start at a high risk."""
    seed: int = 1
    waits_until: int | None = None

    def begin(self) -> list[e.Event]:
        """The first session."""
        given = None if self.plan is None else tuple(self.plan)
        return self.step(e.RunStarted(self.seed, self.settings, "0" * 64, "0" * 64, "0" * 64, given), self.opening())

    def opening(self) -> e.SessionOpened:
        """The event that takes the run, as a session of the engine makes it."""
        state = self.state
        failed = state.finished is not None and state.finished.status is ProjectStatus.SYSTEM_FAILURE
        return e.SessionOpened(
            number=1 if state.session is None else state.session.number + 1,
            rules=RULES,
            program="test",
            plugins=(e.PluginUsed("backend", "test", "test", "1"),),
            models=tuple(self.models),
            slots=self.slots,
            files=self.files,
            caps={},
            ended=tuple(e.EndedAttempt(v, c.hold) for v, c in state.pending.items() if isinstance(c, e.CallStarted)),
            reopened=reopened_by(state, "model") if failed else (),
            can_ask=self.can_ask,
        )

    def step(self, *outcomes: e.Event) -> list[e.Event]:
        """Append outcomes, and everything decided then; returns the decisions (and what accounts refused)."""
        self.now = max(self.now, self.state.at + 1)
        for outcome in outcomes:
            self._append(outcome)
        decided: list[e.Event] = []
        while len(decided) < _MOST_DECISIONS:
            try:
                decision = decide(self.state, self.now, self.rank, self._memo)
            except BackendError as error:
                self._append(e.BackendFailed("test", error.problem, None))
                continue
            if isinstance(decision, Wait):
                self.waits_until = decision.until
                return decided
            asked = isinstance(decision, e.CallStarted) and self.settings.asks_store
            event = (self.full_accounts(decision) if isinstance(decision, e.CallStarted) else None) or decision
            decided.append(self._append(event))
            if asked:
                self.now += 1  # a step ends at an account's hold; the next follows at once
        raise AssertionError("decide goes in circles")

    def _append(self, event: e.Event) -> e.Event:
        event = self.written(self.now, event)
        if isinstance(event, e.CallStarted) and not event.accounts:  # an append fills them in
            names = self.state.settings.accounts
            held = self.state.held + event.hold
            event = evolve(event, accounts=tuple(e.AccountEntry(name, held, len(self.history)) for name in names))
        folded(self.state, self.now, event)
        self.history.append((self.now, event))
        return event

    def wait(self) -> list[e.Event]:
        """Let the time pass that decide waits for."""
        assert self.waits_until is not None, "decide waits for no time"
        self.now = max(self.now, self.waits_until)
        return self.step()

    def open(self, kind: type[T]) -> list[tuple[int, T]]:
        """The open effects of a kind, with their versions, oldest first."""
        return [(version, opened) for version, opened in self.state.pending.items() if isinstance(opened, kind)]

    def prepare(self, size: int = 100, problem: str | None = None) -> list[e.Event]:
        """Shape every body that is wanted, at so many bytes, until no more is."""
        decided: list[e.Event] = []
        while waiting := self.open(e.ModelSelected):
            version = waiting[0][0]
            decided += self.step(e.CallPrepared(version, "0" * 64, size, problem))
        return decided

    def answer(
        self, version: int | None = None, score: float | None = None, usage: Usage | None = None, **more: Any
    ) -> list[e.Event]:
        """Answer a call (the oldest in flight), with a score where one is asked for."""
        version, started = self._call(version)
        reading = e.Reading(score=score)
        if started.role is Role.EVALUATOR and is_comparison(started.sample):
            reading = e.Reading(choice=PairChoice.TIE)
        elif started.role is Role.EVALUATOR and score is None:
            reading = e.Reading(problem=ReadingProblem.NO_SCORE)
        used = usage or Usage(input=10, output=10)
        price = self.state.models[started.model].price
        assert price is not None
        event = e.CallSucceeded(
            call=version,
            answer=f"{version:064x}",
            answer_bytes=10,
            finish=Finish.STOP,
            reading=reading,
            usage=used,
            settled=price.cost(used, max(self.now, self.state.at + 1)),
            unreconciled=Usd.ZERO,
            latency=1000,
        )
        return self.step(evolve(event, **more))

    def fail(
        self,
        version: int | None = None,
        kind: ErrorKind = ErrorKind.SERVER,
        *,
        retryable: bool = True,
        outage: bool = True,
        **more: Any,
    ) -> list[e.Event]:
        """Let a call (the oldest in flight) fail; nothing is billed unless ``more`` says otherwise."""
        version, _ = self._call(version)
        zero = Usd.ZERO
        event = e.CallFailed(version, kind, retryable, outage, True, zero, zero, None, None, None, 1000)
        return self.step(evolve(event, **more))

    def validate(self, verdict: Verdict = Verdict.PASSED, **more: Any) -> list[e.Event]:
        """Judge the oldest open check; ``more`` is what else the validator says."""
        version, opened = self.open(e.CheckStarted)[0]
        return self.step(evolve(e.Validated(version, verdict, None, 1000, vote=opened.vote), **more))

    def probe(self, *results: ProbeResult) -> list[e.Event]:
        """Run the counterexamples of the oldest open probe; without results all are confirmed."""
        version, opened = self.open(e.ProbeStarted)[0]
        critique = next(
            answer
            for call in self.state.tasks[opened.task].calls.values()
            for answer in call.answers
            if answer.version == opened.critique
        )
        found = results or (ProbeResult.CONFIRMED,) * len(critique.reading.defects or ())
        return self.step(e.Probed(version, found, 1000))

    def _call(self, version: int | None) -> tuple[int, e.CallStarted]:
        calls = dict(self.open(e.CallStarted))
        version = min(calls) if version is None else version
        return version, calls[version]

    def all(self, kind: type[T]) -> list[T]:
        """Every event of a kind so far."""
        return [event for _, event in self.history if isinstance(event, kind)]

    def last(self, kind: type[T]) -> T:
        """The latest event of a kind."""
        return self.all(kind)[-1]

    def play(
        self,
        respond: Callable[[e.CallStarted], dict[str, Any] | ErrorKind] = lambda started: {},
        verdicts: Sequence[Verdict] | Callable[[e.CheckStarted], dict[str, Any]] = (),
        probes: Callable[[e.ProbeStarted], tuple[ProbeResult, ...]] = lambda started: (),
    ) -> e.RunFinished:
        """Go on to the end: ``respond`` says how each call ends (``{}``: a good answer), ``verdicts`` how checks do."""
        left = [] if callable(verdicts) else list(verdicts)
        while self.state.finished is None:
            if self.open(e.ModelSelected):
                self.prepare()
            elif self.open(e.CallStarted):
                self._respond(respond)
            elif self.open(e.CheckStarted):
                opened = self.open(e.CheckStarted)[0][1]
                how = verdicts(opened) if callable(verdicts) else {"verdict": left.pop(0)} if left else {}
                self.validate(**how)
            elif self.open(e.ProbeStarted):
                self.probe(*probes(self.open(e.ProbeStarted)[0][1]))
            elif self.open(e.ScoringStarted):
                self.step(e.Scored(self.open(e.ScoringStarted)[0][0], 0.95, None, None, 1000))
            elif self.open(e.OutputChosen):
                self.step(e.FileWritten(self.open(e.OutputChosen)[0][0], 10, None))
            else:
                self.wait()
        return self.last(e.RunFinished)

    def _respond(self, respond: Callable[[e.CallStarted], dict[str, Any] | ErrorKind]) -> None:
        version, started = self.open(e.CallStarted)[0]
        how = respond(started)
        if isinstance(how, ErrorKind):
            waits = how in (ErrorKind.SERVER, ErrorKind.RATE_LIMIT)
            self.fail(version, how, retryable=waits, outage=how is ErrorKind.SERVER)
        else:
            self.answer(version, **({"score": 0.95} if started.role is Role.EVALUATOR else {}) | how)
