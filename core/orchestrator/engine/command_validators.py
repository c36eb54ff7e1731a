"""Validators that are commands of a spec: the output's files, an exit status, and what the command printed."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from orchestrator.errors import MissingError
from orchestrator.plugins.local_plugins import LocalPoint, plugin_of_object
from orchestrator.plugins.plugin_status import Plugin
from orchestrator.spi import Candidate, Finding, ValidatorContext

if TYPE_CHECKING:
    from orchestrator.spec import Spec
    from orchestrator.spec.command_validators import CommandSpec

FILES: Final = "{files}"
"""Stands in a command for the names of the output's files."""


@frozen
class CommandValidator:
    """Runs a command on an output, in the sandbox and nowhere else."""

    command: "CommandSpec"

    def __call__(self, candidate: Candidate, context: ValidatorContext) -> Finding:
        """Passed where it ends with the status that passes; what it printed is the details."""
        argv = argv_of(self.command.run, tuple(candidate.files))
        tool = context.tool(argv[0])
        if tool is None:
            return Finding.skipped(f"{argv[0]} is not installed")
        files = {**candidate.dependencies, **candidate.files}
        sent = {name: text.encode(errors="replace") for name, text in files.items()}
        ran = context.run((tool, *argv[1:]), sent, seconds=self.command.timeout)
        shown = ran.output.strip()
        if ran.code is None:
            return Finding.unknown(f"{argv[0]} was ended ({ran.ended})\n{shown}")
        if ran.code == self.command.pass_:
            return Finding.passed(shown)
        return Finding.failed(shown or f"{argv[0]} ended with status {ran.code}")


def argv_of(command: str, names: Sequence[str]) -> tuple[str, ...]:
    """The words of a command. A word ``{files}`` becomes one word a file; inside a longer word the names are quoted.

    No name is taken for an option: one that begins with ``-`` gets ``./`` before it.
    """
    safe = [f"./{name}" if name.startswith("-") else name for name in names]
    words: list[str] = []
    for word in shlex.split(command):
        words.extend(safe if word == FILES else [word.replace(FILES, shlex.join(safe))])
    return tuple(words)


def plugins_of_commands(spec: "Spec") -> Iterator[Plugin]:
    """The command validators of a spec, as the plugins that a session uses; each hides an installed one of its name."""
    for name, command in spec.validators.commands.items():
        plugin = plugin_of_object("validator", name, CommandValidator(command))
        if not isinstance(plugin.point, LocalPoint):
            raise MissingError("LocalPoint")
        digest = sha256(f"{command.run}\x00{command.pass_}".encode()).hexdigest()
        plugin.point = evolve(plugin.point, value=f"validators.commands.{name}", digest=digest)
        yield plugin


def seconds_of_commands(spec: "Spec") -> Mapping[str, float]:
    """The time limits of the command validators of a spec, by name."""
    return {name: command.timeout for name, command in spec.validators.commands.items()}
