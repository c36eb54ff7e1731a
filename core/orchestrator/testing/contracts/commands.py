"""The contract of commands."""

import ast
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from inspect import cleandoc, getsource
from pathlib import Path
from typing import ClassVar, Final

import click
from attrs import frozen

from orchestrator.cli import carry_out
from orchestrator.cli.terminal.stdout import keep_stdout
from orchestrator.testing.contracts.base import PluginContract, in_time, watched
from orchestrator.testing.contracts.leftovers import nothing_left
from orchestrator.testing.contracts.side_effects import overheard

CODES: Final = (0, 1, 2, 3, 4, 5, 6, 100)
"""The exit codes that mean something: success, not good enough, bad usage, system failure, budget, time, verification
failed, below its bar."""

MAY_IMPORT: Final = (
    "orchestrator.cli.kit",
    "orchestrator.documents",
    "orchestrator.errors",
    "orchestrator.models",
    "orchestrator.money",
    "orchestrator.policy",
    "orchestrator.reading",
    "orchestrator.spi",
)
"""What a command may import of the program, besides the names of ``orchestrator`` itself."""

_LONGEST_LINE: Final = 80


@frozen
class Called:
    """How a command ended."""

    code: int
    out: str
    err: str


def called(command: click.Command, *arguments: str, home: Path | None = None) -> Called:
    """Call a command as ``orchestrate`` does, in this process.

    Args:
        command: the command.
        arguments: what is typed behind its name.
        home: the data folder; an empty one where None.
    """
    program = click.Group("orchestrate", {"command": keep_stdout(command)})
    program.context_settings["help_option_names"] = ["-h", "--help"]
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory(prefix="contract-") as empty:
        before = os.environ.get("ORCHESTRATE_HOME")
        os.environ["ORCHESTRATE_HOME"] = str(home or Path(empty) / "home")
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = carry_out(program, ["command", *arguments])
        finally:
            os.environ.pop("ORCHESTRATE_HOME")
            if before is not None:
                os.environ["ORCHESTRATE_HOME"] = before
    return Called(code, out.getvalue(), err.getvalue())


class CommandContract(PluginContract):
    """A command says what it does, keeps stdout for results, and ends with an exit code that means something."""

    kind = "command"
    examples: ClassVar[Sequence[Sequence[str]]] = ()
    """What may be typed behind the command's name, such as ``(("no-such-run",),)``; each is tried on no data at all."""
    may_import: ClassVar[Sequence[str]] = ()
    """Further packages of the program, such as ``orchestrator.engine``: any release may change them."""

    def make(self) -> click.Command:
        """The command."""
        command: click.Command = self.build()
        return command

    def test_the_help_has_a_line_for_it(self) -> None:
        """The first line of the module's docstring is a sentence that fits beside the name."""
        module = self._module()
        first = cleandoc(module.__doc__ or "").partition("\n")[0]
        assert first, f"{module.__name__} has no docstring; its first line is the command's in `orchestrate --help`"
        assert len(first) <= _LONGEST_LINE, f"the first line of the docstring has {len(first)} characters; at most 80"
        assert first.endswith("."), f"the first line of the docstring is no sentence: {first!r}"

    def test_every_help_is_there_and_touches_nothing(self) -> None:
        """``--help`` of the command and of all below it explains it on stdout; nothing is written, asked or started."""
        for path, command in _all(self.make()):
            with watched() as seen, overheard() as side_effects:
                done = self._called(*path, "--help")
            said = " ".join(["the command", *path])
            assert done.code == 0, f"{said}: --help ends with {done.code}"
            assert command.help or command.short_help, f"{said} does not say in its docstring what it does"
            assert done.out.startswith("Usage: "), f"{said}: --help prints {done.out[:60]!r}"
            assert not side_effects.programs, f"{said}: --help starts {side_effects.programs[0]!r}"
            assert not side_effects.connections, f"{said}: --help connects to {side_effects.connections[0]!r}"
            assert not seen.left, f"{said}: --help writes {', '.join(seen.left)}"

    def test_an_unknown_option_is_bad_usage(self) -> None:
        """Exit code 2, one line on stderr, nothing on stdout."""
        for path, command in _all(self.make()):
            if not isinstance(command, click.Group):
                done = self._called(*path, "--no-such-option-7b1f")
                said = " ".join(["the command", *path])
                assert done.code == 2, f"{said}: an unknown option ends with {done.code}, not 2"
                assert not done.out, f"{said}: an unknown option prints {done.out[:60]!r}"

    def test_the_examples_end_well(self) -> None:
        """Each ends with an exit code that means something, and says on stderr why where it is not 0; no defect."""
        for example in self.examples:
            done = self._called(*example)
            assert done.code in CODES, f"{example} ends with {done.code}: {done.err[-300:]}"
            assert done.code < 2 or done.err.strip(), f"{example} ends with {done.code} and does not say why"
            assert done.code != 2 or not done.out, f"{example} is refused and prints {done.out[:60]!r} on stdout"

    def test_json_is_one_document_or_lines_of_them(self) -> None:
        """With ``--json``, where it is offered, stdout is JSON and nothing else."""
        for example in self.examples:
            if "--json" in _options(self.make(), example):
                done = self._called(*example, "--json")
                try:
                    _read(done.out)
                except ValueError as error:
                    raise AssertionError(f"{example} --json prints no JSON: {done.out[:60]!r}: {error}") from error

    def test_it_imports_what_is_promised(self) -> None:
        """Of the program only the contract, the ground, the reading face and the kit: the rest may change any day."""
        module = self._module()
        wrong = [
            name
            for name in _imported(ast.parse(getsource(module)))
            if not _is_promised(name) and not name.startswith(tuple(self.may_import))
        ]
        assert not wrong, f"it imports {wrong[0]}; a command may import {', '.join(MAY_IMPORT)}"

    def test_it_leaves_nothing_running(self) -> None:
        """Being built leaves no thread and no connection, prints nothing, and changes nothing that others share."""
        with nothing_left():
            self.make()

    def _called(self, *arguments: str) -> Called:
        found: Called = in_time(lambda: called(self.make(), *arguments))
        return found


def _all(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and every one below it, each with what is typed to get there."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _all(below, (*path, name))


def _options(command: click.Command, words: Sequence[str]) -> set[str]:
    """The options of the command that words lead to."""
    for word in words:
        if not isinstance(command, click.Group) or word not in command.commands:
            break
        command = command.commands[word]
    return {option for parameter in command.params for option in parameter.opts}


def _read(text: str) -> None:
    """Read JSON: one document, or one a line; nothing at all is fine.

    Raises:
        ValueError: it is neither.
    """
    try:
        json.loads(text or "null")
    except ValueError:
        for line in text.splitlines():
            json.loads(line)


def _imported(tree: ast.Module) -> Iterator[str]:
    """Every module of the program that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.partition(".")[0] == "orchestrator")
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("orchestrator."):
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom) and node.module == "orchestrator":
            yield from (_meant(each.name) for each in node.names)


def _meant(name: str) -> str:
    """What ``from orchestrator import NAME`` means: a module of the program, or one of its names."""
    module = f"orchestrator.{name}"
    own = getattr(sys.modules.get("orchestrator"), "__all__", ())
    return "orchestrator" if name in own else module


def _is_promised(module: str) -> bool:
    below = tuple(f"{each}." for each in MAY_IMPORT)
    return module in ("orchestrator", *MAY_IMPORT) or module.startswith(below)
