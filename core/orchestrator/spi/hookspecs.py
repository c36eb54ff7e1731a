"""The hooks, one per kind of plugin; each returns the one object."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pluggy

from orchestrator.spi.backends import Backend
from orchestrator.spi.exporters import Exporter, ExporterConfig
from orchestrator.spi.policy_loaders import Loader
from orchestrator.spi.providers import Provider, ProviderConfig
from orchestrator.spi.scaffolds import Scaffold
from orchestrator.spi.scorers import Scorer
from orchestrator.spi.validators import Validator

if TYPE_CHECKING:
    import click

hookspec = pluggy.HookspecMarker("orchestrator")

hookimpl = pluggy.HookimplMarker("orchestrator")

INTERFACE: Final = (1, 0)
"""The version of this contract: the first number grows with changes that a plugin must follow, the second with others.

A plugin's module may say for which versions it is made: ``orchestrator_interface = ">=1,<2"``.
"""


class DeprecatedHook(DeprecationWarning):
    """A hook that still works and will not for ever; the ``warn_on_impl`` of its specification.

    Attributes:
        replacement: the hook that takes its place, called with the same arguments.
        removed_in: the version of the interface that no longer has it.
    """

    def __init__(self, name: str, replacement: str, removed_in: str) -> None:
        self.name = name
        self.replacement = replacement
        self.removed_in = removed_in
        super().__init__(f"the hook {name} goes away with interface {removed_in}; write {replacement} in its place")


@hookspec(firstresult=True)
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider for one run. Called once per session, when the run may use it.

    Raise ``SpecError`` for options that make no sense. Return None where the environment has no key for it.
    """


@hookspec(firstresult=True)
def orchestrator_validator() -> Validator:  # type: ignore[empty-body]
    """Return the validator. Called once per session, when a task names it."""


@hookspec(firstresult=True)
def orchestrator_scorer(parameters: Mapping[str, Any]) -> Scorer:  # type: ignore[empty-body]
    """Build the scorer from the parameters of a spec. Called once per session of a run whose spec names it.

    Raise ``SpecError`` for parameters that make no sense.
    """


@hookspec(firstresult=True)
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:  # type: ignore[empty-body]
    """Build the backend from the parameters of a spec. Called once per session, and by ``replay --verify``.

    Raise ``SpecError`` for parameters that make no sense.
    """


@hookspec(firstresult=True)
def orchestrator_policy_loader() -> Loader:  # type: ignore[empty-body]
    """Return the loader. Called when a file with one of its suffixes is read."""


@hookspec(firstresult=True)
def orchestrator_exporter(config: ExporterConfig) -> Exporter:  # type: ignore[empty-body]
    """Build the exporter. Called once per session of a run whose spec names it, and by ``orchestrate metrics``.

    Raise ``SpecError`` for options that make no sense. Open files, ports and connections later, in ``export``.
    """


@hookspec(firstresult=True)
def orchestrator_scaffold() -> Scaffold:  # type: ignore[empty-body]
    """Return the scaffold of the application type that the entry point is named for."""


@hookspec(firstresult=True)
def orchestrator_command() -> "click.Command":  # type: ignore[empty-body]
    """Return the click command, or group of commands, that the entry point is named for.

    Called when a user types it. The first line of the module's docstring is its line in ``orchestrate --help``.
    """
