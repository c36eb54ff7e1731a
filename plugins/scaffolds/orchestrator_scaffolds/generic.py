"""Anything else: the tasks decide on every file."""

from orchestrator.spi import Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

SCAFFOLD = Fixed(
    files={},
    guidance="Choose a conventional layout for the language and say in a README.md how it is used and tested.",
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD
