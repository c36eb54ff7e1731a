"""Applications as a run knows them: the package that builds them brings the rest."""

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from orchestrator.engine.outputs.folder_writing import OutputFolder
from orchestrator.engine.outputs.verification import Verifier
from orchestrator.plugins import has_part, part
from orchestrator.spi import Sandbox, Scaffold
from orchestrator.state.run import RunState

_PART = "applications"

Get = Callable[[str], str]
"""The text of a digest."""


class Application(Protocol):
    """The application of one run."""

    def guidance(self, state: RunState, get: Get) -> str:
        """What its scaffold says for the decomposer."""

    def files(self, outputs: Mapping[str, str], state: RunState, get: Get) -> dict[str, str]:
        """Every file of it: the outputs of the tasks, and what its scaffold and its manifest bring.

        Raises:
            Exception: what its scaffold raised.
        """

    def verifier(
        self,
        folder: OutputFolder,
        selector: Sandbox,
        state: RunState,
        get: Get,
        placed: Callable[[], frozenset[str] | None],
    ) -> Verifier:
        """What puts it together in a folder and tries it.

        ``placed`` are the files of the tasks that the plan gives a path, of those that have a result; None where the
        plan gives a path to no task.
        """


def application(wanted: str, scaffold: Callable[[str], Scaffold]) -> Application:
    """The application of a run that builds one.

    Args:
        wanted: an application type, or ``auto``.
        scaffold: the scaffold of a type; raises what loading it raises.

    Raises:
        PluginError: the package that builds applications is switched off.
    """
    return cast(Application, part(_PART).Application(wanted, scaffold))


def assembly_gist(details: str) -> str:
    """What is wrong with an application, in a few words, from what its verification said; other words as they are."""
    return cast(str, part(_PART).gist(details)) if details.startswith("{") and has_part(_PART) else details
