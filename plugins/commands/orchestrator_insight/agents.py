"""``AgentPool``: several orchestrators side by side, which of them did best, and what they measured together.

``TaskChannel`` passes messages on within one run; see ``orchestrator.channels``.
"""

import asyncio
from collections.abc import Iterable, Mapping

from attrs import Factory, define, evolve

from orchestrator.channels import TaskChannel
from orchestrator.models import Model, ModelProfile, ProjectState
from orchestrator.orchestrator import Orchestrator
from orchestrator.policy import JobSpec

__all__ = ["AgentPool", "Results", "TaskChannel", "best_of", "mean_score", "merge_profiles"]

Results = Mapping[str, ProjectState | BaseException]
"""By agent: how its run ended, or what it raised."""


def mean_score(state: ProjectState) -> float:
    """The mean of the scores of a run's tasks; 0.0 where it has none."""
    results = list(state.results.values())
    return sum(result.score for result in results) / len(results) if results else 0.0


def best_of(results: Results) -> str | None:
    """Whose result is best: the highest mean score, then the cheaper, then the earlier; None where all failed."""
    ended = {name: state for name, state in results.items() if isinstance(state, ProjectState)}
    return max(ended, key=lambda name: (mean_score(ended[name]), -ended[name].budget.spent_usd), default=None)


@define
class AgentPool:
    """Orchestrators by name, run side by side.

    Each of them asks for itself: answers of earlier runs are reused only by an orchestrator made with a ``cache``.
    """

    agents: dict[str, Orchestrator] = Factory(dict)
    results: Results = Factory(dict)
    """What the latest ``run_parallel`` gave."""

    def add_agent(self, name: str, orchestrator: Orchestrator) -> None:
        """Add an orchestrator under a name.

        Raises:
            ValueError: the name is empty, or taken.
        """
        if not name or name in self.agents:
            raise ValueError(f"{name!r} is {'taken' if name else 'no name'}; give every agent a name of its own")
        self.agents[name] = orchestrator

    async def run_parallel(self, jobs: Mapping[str, JobSpec]) -> Results:
        """Run each agent's job; one that fails cancels no other, its exception is returned in its place.

        A job's ``project_id`` gets the agent's name appended, so that agents never share a run.

        Raises:
            ValueError: there is no agent of a name; nothing is run then.
        """
        unknown = sorted(jobs.keys() - self.agents.keys())
        if unknown:
            known = ", ".join(self.agents) or "none yet"
            raise ValueError(f"there is no agent {', '.join(map(repr, unknown))}; there are: {known}")
        ended = await asyncio.gather(*(self._run(name, job) for name, job in jobs.items()), return_exceptions=True)
        self.results = dict(zip(jobs, ended, strict=True))
        return dict(self.results)

    async def _run(self, name: str, job: JobSpec) -> ProjectState:
        agent = self.agents[name]
        named = evolve(job, project_id=f"{job.project_id}-{name}") if job.project_id else job
        return await agent.run_job(named, reuse=None if agent.cache is not None else False)

    def best_result(self, results: Results | None = None) -> ProjectState | None:
        """The best of some results, or of the latest ``run_parallel``; see ``best_of``."""
        results = self.results if results is None else results
        best = best_of(results)
        state = None if best is None else results[best]
        return state if isinstance(state, ProjectState) else None

    def merge_telemetry(
        self, profiles: Iterable[Mapping[Model, ModelProfile]] | None = None
    ) -> dict[Model, ModelProfile]:
        """What was measured of each model, over all agents: averages weighted by calls, counters summed.

        Args:
            profiles: profiles by model, one mapping per agent; None: those of the agents' runs, out of the log.
        """
        merged: dict[Model, ModelProfile] = {}
        for each in [agent.profiles() for agent in self.agents.values()] if profiles is None else profiles:
            for model, profile in each.items():
                known = merged.get(model)
                merged[model] = profile if known is None else merge_profiles(known, profile)
        return merged


_AVERAGES = (
    "quality_score",
    "trust_factor",
    "latency_avg_ms",
    "latency_p95_ms",
    "success_rate",
    "cost_avg_usd",
)


def merge_profiles(first: ModelProfile, second: ModelProfile) -> ModelProfile:
    """Two profiles of one model as one: averages weighted by calls, counters summed; the first's prices."""
    calls = first.calls_total + second.calls_total
    weights = (first.calls_total / calls, second.calls_total / calls) if calls else (0.5, 0.5)
    averages = {name: weights[0] * getattr(first, name) + weights[1] * getattr(second, name) for name in _AVERAGES}
    return evolve(
        first,
        calls_total=calls,
        validator_failures_total=first.validator_failures_total + second.validator_failures_total,
        **averages,
    )
