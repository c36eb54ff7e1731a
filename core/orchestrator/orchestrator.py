"""The front door for Python: ``Orchestrator(budget=…).run_project(…)``."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from orchestrator.engine.environment import data_folder
from orchestrator.engine.results import project_state
from orchestrator.engine.runs import Watchers, Workspace
from orchestrator.models import Budget, ProjectState
from orchestrator.spec import Spec, spec_from


def _path(value: str | os.PathLike[str] | None) -> Path | None:
    return None if value is None else Path(value)


@frozen
class StateManager:
    """Names the data folder; None: ``$ORCHESTRATE_HOME``, else the platform's user data folder."""

    path: Path | None = field(default=None, converter=_path)


@frozen
class DiskCache:
    """Accepted where the specification has it. Answers are not reused between runs yet, whatever it says."""

    path: Path | None = field(default=None, converter=_path)


class Orchestrator:
    """Runs projects within a budget.

    Args:
        budget: the ceiling of each run in dollars and seconds; what the latest run used is filled in.
        cache: see ``DiskCache``.
        state_manager: names the data folder.
        max_concurrency: calls in flight at once.
        output_dir: where the results are written; None: nowhere, they are in the returned state.
        fields: further keys of the spec file, such as ``providers``, ``models``, ``tasks`` or ``policies``.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        cache: DiskCache | None = None,
        state_manager: StateManager | None = None,
        max_concurrency: int = 3,
        *,
        output_dir: str | os.PathLike[str] | None = None,
        **fields: Any,
    ) -> None:
        self.budget = Budget() if budget is None else budget
        self.cache = DiskCache() if cache is None else cache
        self.state_manager = StateManager() if state_manager is None else state_manager
        self.max_concurrency = max_concurrency
        self._output = _path(output_dir)
        self._fields: Mapping[str, Any] = fields

    async def run_project(self, project_description: str, success_criteria: str, project_id: str = "") -> ProjectState:
        """Run a project to its end, or go on with the one of this id.

        Raises:
            SpecError: an argument makes no sense.
            NoProviderError: there is neither key nor address nor script.
            OrchestrateError: see ``orchestrator.errors``.
        """
        spec = self._spec(project_description, success_criteria, project_id)
        workspace = Workspace.open(data_folder(self.state_manager.path, os.environ))
        try:
            outcome = await workspace.start(spec, output=self._output, watchers=Watchers())
            return project_state(outcome.state, outcome.run, outcome.head, outcome.texts.get, self.budget)
        finally:
            workspace.close()

    def _spec(self, project: str, criteria: str, project_id: str) -> Spec:
        return spec_from(
            project,
            criteria,
            budget_usd=self.budget.max_usd,
            time_seconds=self.budget.max_time_seconds,
            concurrency=self.max_concurrency,
            **({"project_id": project_id} if project_id else {}),
            **self._fields,
        )


__all__: Sequence[str] = ["DiskCache", "Orchestrator", "StateManager"]
