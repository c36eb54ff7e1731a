"""Plugins with one bug each, and the test of the contract that must notice; beside each kind a sound one."""

from typing import Final

from tests.contracts.planted.backends import BACKENDS, SoundBackend, SoundExploringBackend
from tests.contracts.planted.bug import Bug, suite_of
from tests.contracts.planted.commands import COMMANDS, SoundCommand
from tests.contracts.planted.conduct import CONDUCT
from tests.contracts.planted.executors import EXECUTORS, SoundExecutor
from tests.contracts.planted.exporters import EXPORTERS, SoundExporter
from tests.contracts.planted.policy_loaders import LOADERS, SoundLoader
from tests.contracts.planted.programs import PROGRAMS
from tests.contracts.planted.providers import PROVIDERS, SoundProvider
from tests.contracts.planted.scaffolds import SCAFFOLDS, SoundScaffold
from tests.contracts.planted.scorers import SCORERS, SoundScorer
from tests.contracts.planted.stores import STORES, SoundStore
from tests.contracts.planted.validators import VALIDATORS, SoundValidator

__all__ = ["BUGS", "SOUND", "Bug"]

SOUND: Final = (
    SoundProvider,
    SoundValidator,
    SoundScorer,
    SoundBackend,
    SoundExploringBackend,
    SoundLoader,
    SoundExporter,
    SoundScaffold,
    SoundExecutor,
    SoundStore,
    SoundCommand,
)
BUGS: Final = (
    *(Bug(f"provider: {name}", suite, test) for name, (suite, test) in PROVIDERS.items()),
    *(Bug(f"program: {name}", suite, test) for name, (suite, test) in PROGRAMS.items()),
    *(
        Bug(f"validator: {name}", suite_of(SoundValidator, lambda made=made: made), test)
        for name, (made, test) in VALIDATORS.items()
    ),
    *(Bug(f"backend: {name}", suite_of(SoundBackend, made), test) for name, (made, test) in BACKENDS.items()),
    *(Bug(f"policy_loader: {name}", suite_of(SoundLoader, made), test) for name, (made, test) in LOADERS.items()),
    *(Bug(f"exporter: {name}", suite, test) for name, (suite, test) in EXPORTERS.items()),
    *(Bug(f"scorer: {name}", suite_of(SoundScorer, made), test) for name, (made, test) in SCORERS.items()),
    *(Bug(name, suite, test) for name, (suite, test) in CONDUCT.items()),
    *(Bug(f"scaffold: {name}", suite_of(SoundScaffold, made), test) for name, (made, test) in SCAFFOLDS.items()),
    *(Bug(f"executor: {name}", suite_of(SoundExecutor, made), test) for name, (made, test) in EXECUTORS.items()),
    *(Bug(f"store: {name}", suite, test) for name, (suite, test) in STORES.items()),
    *(Bug(f"command: {name}", suite, test) for name, (suite, test) in COMMANDS.items()),
)
