"""What is being built: the type that was asked for or advised, its scaffold, its name."""

import logging
import re
import sys
from collections.abc import Callable, Mapping
from keyword import iskeyword
from typing import Final
from unicodedata import combining, normalize

from attrs import evolve, frozen

from orchestrator.deadlines import run_in_thread
from orchestrator.engine.answers.architecture_advice import profile_of
from orchestrator.engine.outputs.folder_writing import OutputFolder
from orchestrator.models import AUTO, ArchitectureProfile
from orchestrator.plugin_kinds import ContractError
from orchestrator.spi import App, Sandbox, Scaffold, Skeleton
from orchestrator.state.run import RunState
from orchestrator_apps.assembly import AppVerifier, assembled, read_assembly

SECONDS: Final = 10.0
"""How long a scaffold may take for a skeleton."""

_LOGGER: Final = logging.getLogger("orchestrator.applications")
_WORDS: Final = 3
_LONGEST_NAME: Final = 30
_LONGEST_TITLE: Final = 200
_OTHERS: Final = frozenset({"test", "tests", "app", "src", "django", "fastapi", "flask", "pytest", "uvicorn"})
_LITTLE: Final = frozenset(
    {"a", "an", "and", "build", "create", "for", "in", "of", "that", "the", "to", "with", "write"}
)


@frozen
class Application:
    """The application of one run.

    Attributes:
        wanted: an application type, or ``auto``.
        scaffold: the scaffold of a type; raises what loading it raises.
    """

    wanted: str
    scaffold: Callable[[str], Scaffold]

    def profile(self, state: RunState, get: Callable[[str], str]) -> ArchitectureProfile:
        """What was decided on, or the defaults; the type that was asked for wins."""
        profile = profile_of(state, get) or ArchitectureProfile()
        return profile if self.wanted == AUTO else evolve(profile, app_type=self.wanted)

    def described(self, state: RunState, get: Callable[[str], str]) -> tuple[App, Skeleton]:
        """The application and the fixed part of it, as things stand.

        Raises:
            PluginError: its scaffold cannot be used.
            TimeoutError: its scaffold takes too long.
            Exception: what its scaffold raised; ContractError where it gave something else.
        """
        description = get(state.project)
        title = next((line.strip() for line in description.splitlines() if line.strip()), "An application")
        title = "".join(each if each.isprintable() else " " for each in title)[:_LONGEST_TITLE]  # it is put into code
        app = App(name_of(description), title, self.profile(state, get))
        scaffold = self.scaffold(app.profile.app_type)
        made = run_in_thread(lambda: scaffold.skeleton(app), SECONDS)
        if not isinstance(made, Skeleton) or not isinstance(made.guidance, str) or not isinstance(made.files, Mapping):
            raise ContractError(f"the scaffold {app.profile.app_type!r} gave no Skeleton, but {type(made).__name__}")
        return app, made

    def files(self, outputs: Mapping[str, str], state: RunState, get: Callable[[str], str]) -> dict[str, str]:
        """Every file of it: the outputs of the tasks, and what its scaffold and its manifest bring.

        Raises:
            Exception: see ``described``.
        """
        return assembled(outputs, *self.described(state, get))

    def verifier(
        self,
        folder: OutputFolder,
        selector: Sandbox,
        state: RunState,
        get: Callable[[str], str],
        placed: Callable[[], frozenset[str] | None],
    ) -> AppVerifier:
        """What puts it together in a folder and tries it."""
        return AppVerifier(folder, selector, lambda: self.described(state, get), placed)

    def guidance(self, state: RunState, get: Callable[[str], str]) -> str:
        """What the scaffold says for the decomposer; nothing where it cannot be used: then the assembly says why."""
        try:
            return self.described(state, get)[1].guidance
        except Exception as error:
            _LOGGER.warning("the plan is made without the scaffold's guidance: %s: %s", type(error).__name__, error)
            return ""


def gist(details: str) -> str:
    """What is wrong with an application, in a few words, from what its verification said; other words as they are."""
    try:
        return read_assembly(details).gist
    except ValueError:
        return details


def name_of(description: str) -> str:
    """A package name made of the first words of a description: an identifier that shadows no well-known module."""
    plain = "".join(each for each in normalize("NFKD", description.casefold()) if not combining(each))
    words = [word for word in re.findall(r"[a-z][a-z0-9]*", plain) if word not in _LITTLE]
    name = "_".join(words[:_WORDS])[:_LONGEST_NAME].strip("_") or "application"
    return f"{name}_app" if iskeyword(name) or name in sys.stdlib_module_names or name in _OTHERS else name
