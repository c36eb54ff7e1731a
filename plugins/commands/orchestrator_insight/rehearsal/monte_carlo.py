"""A forecast by playing: outcomes drawn from what was measured, many times over, and how the runs end."""

from collections import Counter
from collections.abc import Mapping
from math import exp, log
from random import Random
from typing import Final

from attrs import Factory, define, evolve, field

from orchestrator import events as e
from orchestrator.decide import Rank
from orchestrator.decide.estimates import expected_call, usual_latency
from orchestrator.engine.answers.given_files_in_prompts import quoted_bytes
from orchestrator.engine.play_percentiles import Simulated
from orchestrator.errors import ErrorKind, MissingError, present
from orchestrator.models import (
    AnsweredBy,
    ApprovalPoint,
    Finish,
    ModelInfo,
    PairChoice,
    ProjectStatus,
    Role,
    TaskType,
    Verdict,
    is_comparison,
)
from orchestrator.money import NANO, Usage, Usd
from orchestrator.state.fold.planning import APPROVALS
from orchestrator.state.model_health import measured_as
from orchestrator.state.run import RunState
from orchestrator_insight.rehearsal.play import Play, unverified

_USUAL_QUALITY: Final = 0.8
_USUAL_P95: Final = 2.5
"""How many times the mean latency."""
_USUAL_ACCEPTANCE: Final = 0.5
"""How many critiques of drafts that passed their checks have nothing to object to."""
_USUAL_FAILED_CHECKS: Final = 0.05
_NORMAL_P95: Final = 1.645
_AROUND: Final = 2500  # bytes of instructions, project and criteria around a task
_BYTES_PER_TOKEN: Final = 4
_SPREAD_OF_QUALITY: Final = 0.1
_SPREAD_OF_SCORES: Final = 0.02
_SPREAD_OF_COSTS: Final = 0.4
_SPREAD_OF_LENGTHS: Final = 0.5
_NOTHING: Final = "0" * 64


def simulate(started: e.RunStarted, opened: e.SessionOpened, rank: Rank | None, plays: int, seed: int) -> Simulated:
    """Play a given plan so many times, by the very rules of a run. Equal arguments give equal results.

    Accounts above the run are left out: what other runs do is not foreseen.

    Args:
        started: with the plan (``given_plan``).
        opened: with models, prices and priors.
        rank: the guard around the session's backend.
        plays: at least 1.
        seed: of all draws.
    """
    started = evolve(started, settings=evolve(started.settings, accounts=()))
    opened = evolve(opened, files=False)
    known = {(prior.model, prior.type): prior for prior in opened.priors}
    costs, times, statuses = [], [], Counter[ProjectStatus | None]()
    for number in range(plays):
        draw = Random(f"{seed}/{number}")
        state = Play(MonteCarlo(draw, known), rank).run([evolve(started, seed=draw.getrandbits(56)), opened])
        costs.append(state.spend.total)
        times.append(state.active(state.at))
        statuses[None if state.finished is None else state.finished.status] += 1
    return Simulated(tuple(sorted(costs)), tuple(sorted(times)), statuses, bool(known))


@define
class MonteCarlo:
    """Outcomes drawn from priors; of a model without one, what is usual."""

    draw: Random
    priors: Mapping[tuple[str, TaskType | None], e.Prior]
    _written: dict[tuple[str, Role], int] = field(factory=dict, init=False)
    """Bytes of the latest draft, revision or critique of each task."""
    _quality: dict[tuple[str, int], float] = field(default=Factory(dict), init=False)
    """Of each iteration's output."""

    def prepared(self, state: RunState, version: int, opened: e.ModelSelected) -> tuple[int, e.CallPrepared]:
        """A body with the task, what it builds on, and what is judged or revised."""
        size = _AROUND
        if opened.node in state.tasks:
            planned = state.tasks[opened.node].planned
            size += planned.prompt_bytes + quoted_bytes(state, planned)
            size += sum(self._output(name) for name in planned.dependencies)
            if opened.role is not Role.GENERATOR or opened.iteration > 1:
                size += self._output(opened.node) * (1 if opened.compares is None else 2)
            if opened.role is Role.REVISER:
                size += self._written.get((opened.node, Role.CRITIC), 0)
        return 1000, e.CallPrepared(version, _NOTHING, size)

    def called(
        self, state: RunState, version: int, opened: e.CallStarted
    ) -> tuple[int, e.CallSucceeded | e.CallFailed]:
        """An answer, or an outage as often as there were some."""
        prior = self._prior(state, opened)
        model, usage = state.models[opened.model], self._usage(state, opened)
        latency = self._latency(prior, usual_latency(state, model, usage.input_tokens, usage.output_tokens))
        zero = Usd.ZERO
        if latency >= opened.timeout:
            kind = ErrorKind.TIMEOUT
            failed = e.CallFailed(version, kind, True, True, True, zero, opened.hold, None, None, None, opened.timeout)
            return opened.timeout, failed
        if prior is not None and prior.success_rate is not None and self.draw.random() >= prior.success_rate:
            kind = ErrorKind.SERVER
            return latency, e.CallFailed(version, kind, True, True, True, zero, zero, None, 503, None, latency)
        size = usage.output * _BYTES_PER_TOKEN
        self._written[opened.node, Role.GENERATOR if opened.role is Role.REVISER else opened.role] = size
        settled = self._cost(model, prior, usage, opened.hold)
        reading = self._reading(state, opened, prior)
        return latency, e.CallSucceeded(version, _NOTHING, size, Finish.STOP, reading, usage, settled, zero, latency)

    def checked(self, state: RunState, version: int, opened: e.CheckStarted) -> tuple[int, e.Validated]:
        """A verdict."""
        failed = self.draw.random() < _USUAL_FAILED_CHECKS
        return 100_000, e.Validated(version, Verdict.FAILED if failed else Verdict.PASSED, None, 100_000)

    def probed(self, state: RunState, version: int, opened: e.ProbeStarted) -> tuple[int, e.Probed]:
        """Nothing is known of any counterexample."""
        return 100_000, e.Probed(version, unverified(state, opened), 100_000)

    def scored(self, state: RunState, version: int, opened: e.ScoringStarted) -> tuple[int, e.Scored]:
        """A score around the quality of the output."""
        quality = self._quality.get((opened.task, opened.iteration), _USUAL_QUALITY)
        score = min(1.0, max(0.0, self.draw.gauss(quality, _SPREAD_OF_SCORES)))
        return 100_000, e.Scored(version, score, None, None, 100_000)

    def verified(self, state: RunState, version: int, opened: e.VerificationStarted) -> tuple[int, e.ResultVerified]:
        """A pass."""
        return 1_000_000, e.ResultVerified(version, Verdict.PASSED, None, 0, None, None, 1_000_000)

    def answered(self, state: RunState, version: int, opened: e.QuestionAsked) -> tuple[int, e.QuestionAnswered]:
        """No to every suggestion; the tasks may start."""
        if opened.node in APPROVALS:
            return 1, e.QuestionAnswered(version, opened.node != ApprovalPoint.CEILING, AnsweredBy.FLAG, False)
        if opened.node == e.FORECAST:
            return 1, e.QuestionAnswered(version, True, AnsweredBy.FLAG, False)
        return 1, e.QuestionAnswered(version, False, AnsweredBy.NO_TERMINAL, True)

    def _prior(self, state: RunState, opened: e.CallStarted) -> e.Prior | None:
        return self.priors.get((opened.model, measured_as(opened.role, state.type_of(opened.node))))

    def _output(self, task: str) -> int:
        return self._written.get((task, Role.GENERATOR), 0)

    def _latency(self, prior: e.Prior | None, usual: int) -> int:
        """Log-normal, through the average and the p95; ``usual`` is how many microseconds a call takes unmeasured."""
        mean = (prior.latency_ms if prior is not None else None) or usual / 1000
        p95 = (prior.latency_p95_ms if prior is not None else None) or mean * _USUAL_P95
        spread = min(1.5, max(0.1, log(max(p95 / mean, 1.01)) / _NORMAL_P95))
        return max(1, round(1000 * mean * self.draw.lognormvariate(-spread * spread / 2, spread)))

    def _usage(self, state: RunState, opened: e.CallStarted) -> Usage:
        """Log-normal, around the usual length of such an answer and the usual thinking; never beyond the limit."""
        read = opened.body_bytes // _BYTES_PER_TOKEN + 1
        call = expected_call(state, state.models[opened.model], opened.role, state.type_of(opened.node), read)
        spread = _SPREAD_OF_LENGTHS
        times = self.draw.lognormvariate(-spread * spread / 2, spread)
        thought = min(round(call.thought * times), opened.max_tokens // 2)
        written = min(round(call.written * times), opened.max_tokens - thought)
        return Usage(input=read, output=max(1, written), reasoning=thought)

    def _cost(self, model: ModelInfo, prior: e.Prior | None, usage: Usage, hold: Usd) -> Usd:
        """Around the measured average, else the price of the drawn tokens; never above the hold."""
        if prior is not None and prior.cost is not None:
            spread = _SPREAD_OF_COSTS
            cost = Usd(round(prior.cost * NANO * exp(self.draw.gauss(-spread * spread / 2, spread))))
        else:
            if model.price is None:
                raise MissingError("price of a model that was asked")
            cost = model.price.cost(usage)
        return min(cost, hold)

    def _reading(self, state: RunState, opened: e.CallStarted, prior: e.Prior | None) -> e.Reading:
        """A score around the quality of what is judged; a draft's quality is around that of its author."""
        iteration = (opened.node, opened.iteration)
        if opened.role in (Role.GENERATOR, Role.REVISER):
            usual = prior.quality if prior is not None and prior.quality is not None else _USUAL_QUALITY
            self._quality[iteration] = self.draw.gauss(usual, _SPREAD_OF_QUALITY)
        if opened.role is Role.CRITIC:
            accepts = self.draw.random() < _USUAL_ACCEPTANCE
            return e.Reading(defects=() if accepts else (e.Defect(_NOTHING),))
        if opened.role is not Role.EVALUATOR:
            return e.Reading()
        if is_comparison(opened.sample):
            return e.Reading(choice=self._choice(state, opened))
        score = self.draw.gauss(self._quality.get(iteration, _USUAL_QUALITY), _SPREAD_OF_SCORES)
        return e.Reading(score=min(1.0, max(0.0, score)))

    def _choice(self, state: RunState, opened: e.CallStarted) -> PairChoice:
        """The better one of two results, as far as a judge can tell."""
        task = state.tasks[opened.node]
        call = present(task.call(opened.role, opened.iteration, opened.sample), "call")
        if call.compares is None:
            raise MissingError("pair to compare")
        written = {answer.version: each.key.iteration for each in task.calls.values() for answer in each.answers}
        seen = [
            self.draw.gauss(self._quality.get((opened.node, written[version]), _USUAL_QUALITY), _SPREAD_OF_SCORES)
            for version in call.compares
        ]
        return PairChoice.A if seen[0] > seen[1] else PairChoice.B


__all__ = ["MonteCarlo", "Simulated", "simulate"]
