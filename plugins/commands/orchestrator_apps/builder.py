"""``AppBuilder``: from a sentence to an application that was put together, tested and started.

A build is a run like any other: an architecture is decided on, the plan names the files, every task goes through the
review loop, and at the end the verification of the result puts the application together and tries it in the sandbox.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator import events as e
from orchestrator.documents import expanded
from orchestrator.engine.answers.architecture_advice import shown, with_texts
from orchestrator.engine.loop import Loop
from orchestrator.engine.outputs.run_results import project_state
from orchestrator.engine.runs import Engine
from orchestrator.engine.session import Session
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.engine.vendors.environment import data_folder
from orchestrator.models import AUTO, ArchitectureProfile, Budget, ProjectState, ProjectStatus
from orchestrator.orchestrator import StateManager
from orchestrator.plugins import Catalogue
from orchestrator.policy_dsl import bind
from orchestrator.spec import Spec, spec_from, usual_models, with_models
from orchestrator.state.run import RunState
from orchestrator_apps import Application, Assembly, Step, read_assembly

__all__ = ["AppBuilder", "AppResult", "Assembly", "Step"]

_NOTHING: Final = Assembly("generic")


def to_stderr(text: str) -> None:
    """Write lines to standard error, where the command shows its progress."""
    sys.stderr.write(f"{text}\n")


@frozen
class AppResult:
    """What a build came to.

    Attributes:
        success: whether the run ended in SUCCESS: every task is good enough, and the application stood its trial.
        profile: the architecture that was decided on.
        assembly: the files, what they need, and the steps of the trial; see ``Assembly``.
        state: the run.
    """

    success: bool
    profile: ArchitectureProfile
    assembly: Assembly
    state: ProjectState


class AppBuilder:
    """Builds applications.

    Args:
        budget: the ceiling of each build in dollars and seconds.
        state_manager: names the data folder.
        write: takes the lines that show the architecture, as soon as it is decided; by default standard error.
        fields: further keys of the spec file, such as ``providers``, ``models`` or ``policies``.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        state_manager: StateManager | None = None,
        *,
        write: Callable[[str], None] = to_stderr,
        **fields: Any,
    ) -> None:
        self.budget = Budget() if budget is None else budget
        self.state_manager = state_manager or StateManager()
        self._write = write
        self._fields = fields

    async def build(
        self,
        description: str,
        criteria: str,
        output_dir: str | os.PathLike[str],
        app_type: str | None = None,
        force: bool = False,
    ) -> AppResult:
        """Build an application into a folder.

        Args:
            description: what it is to do.
            criteria: when it is good.
            output_dir: a folder that is new, empty, or of this very run, unless ``force`` is given.
            app_type: the name of a scaffold, such as ``fastapi``; None: the architecture advisor decides.
            force: write into a folder that holds something else.

        Raises:
            SpecError: an argument makes no sense.
            OutputError: the folder holds something else.
            NoProviderError: there is neither key nor address nor script.
            OrchestrateError: see ``orchestrator.errors``.
        """
        spec = app_spec(description, criteria, app_type, self.budget, **self._fields)
        workspace = Engine.open(data_folder(self.state_manager.path, os.environ))
        try:
            spec = bind(spec, workspace.admission, (), workspace.catalogue.loader_for_suffix)
            watchers = _watchers(self._write)
            outcome = await workspace.start(spec, output=expanded(Path(output_dir)), force=force, watchers=watchers)
            return result_of(outcome, app_type, self.budget)
        finally:
            workspace.close()


def _watchers(write: Callable[[str], None]) -> Watchers:
    """Watchers that show the architecture."""
    sessions: list[Session] = []

    def on_session(session: Session, loop: Loop) -> None:
        sessions.append(session)

    def observe(version: int, at: int, event: e.Event) -> None:
        if isinstance(event, e.ArchitectureDecided):
            profile = with_texts(event.profile, sessions[0].stream.texts.get)
            write("\n".join(shown(profile, event.model or "defaults")))

    return Watchers([observe], on_session=on_session)


def app_spec(description: str, criteria: str, app_type: str | None, budget: Budget, **fields: Any) -> Spec:
    """The spec of a build.

    Raises:
        SpecError: an argument makes no sense.
    """
    given = {"budget_usd": budget.max_usd, "time_seconds": budget.max_time_seconds, "app": app_type or AUTO}
    return with_models(spec_from(description, criteria, **{**given, **fields}), usual_models())


def result_of(outcome: RunEnd, app_type: str | None, budget: Budget | None = None) -> AppResult:
    """What the run of a build came to."""
    state, get = outcome.state, outcome.texts.get
    application = Application(app_type or AUTO, Catalogue.discover().scaffold)
    finished = state.finished
    return AppResult(
        success=finished is not None and finished.status is ProjectStatus.SUCCESS,
        profile=application.profile(state, get),
        assembly=assembly_of(state, get),
        state=project_state(state, outcome.run, outcome.head, get, budget),
    )


def assembly_of(state: RunState, get: Callable[[str], str]) -> Assembly:
    """The assembly as the run's log has it; an empty one where it did not come to that."""
    verified = state.verified
    if verified is None or verified.details is None:
        return _NOTHING
    try:
        return read_assembly(get(verified.details))
    except (KeyError, ValueError):
        return evolve(_NOTHING, problems=(f"the application was not put together: {verified.problem or 'unknown'}",))
