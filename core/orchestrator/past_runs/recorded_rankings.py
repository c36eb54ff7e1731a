"""The rankings of recorded sessions, made of the installed backends: what computing decisions again needs."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.decide import Rank
from orchestrator.engine.backend_guard import guard, runner_of
from orchestrator.errors import OrchestrateError
from orchestrator.events import PluginUsed, SessionOpened
from orchestrator.log.transaction import Recorded
from orchestrator.plugins import Catalogue
from orchestrator.replay import RankOf, no_backend


def whole_steps(records: Sequence[Recorded], following: Recorded | None) -> Sequence[Recorded]:
    """The records without a step that goes on after them: at the end of a step alone decide waits."""
    if following is None or following.at != records[-1].at:
        return records
    return [record for record in records if record.at != following.at]


def rank_of(catalogue: Catalogue) -> RankOf:
    """The ranking of each session's backend, where the very same one is installed; no provider is loaded."""
    made: dict[str, Rank | None] = {}

    def rank(session: SessionOpened) -> Rank | None:
        for recorded in session.plugins:
            if recorded.kind == "backend":
                key = repr(recorded)
                if key not in made:
                    made[key] = _backend(catalogue, recorded)
                return made[key] or no_backend(session)
        return no_backend(session)

    return rank


def _backend(catalogue: Catalogue, recorded: PluginUsed) -> Rank | None:
    """The guarded ranking of a backend, or None where it is absent or another one."""
    name, parameters = recorded.name, recorded.parameters
    try:
        if catalogue.used("backend", name, parameters) != recorded:
            return None
        return ranking(catalogue, name, parameters)
    except OrchestrateError:
        return None


def ranking(catalogue: Catalogue, name: str, parameters: Mapping[str, Any] | None = None) -> Rank:
    """The guarded ranking of an installed backend.

    Raises:
        PluginError: it cannot be used.
        SpecError: the parameters make no sense.
    """
    used = catalogue.used("backend", name, parameters)
    return guard(catalogue.backend(name, used.parameters), runner_of([used]))
