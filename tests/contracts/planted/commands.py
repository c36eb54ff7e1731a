"""Commands with one bug each; beside them a sound one."""

import socket
import subprocess
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from orchestrator.cli.kit import json_option, notice, result, result_json
from orchestrator.testing import CommandContract


def _named(function: Callable[..., Any] | None = None, doc: str | None = "Say hello.", **more: Any) -> click.Command:
    @click.argument("name")
    @json_option
    def hello(name: str, as_json: bool) -> Any:
        if function is not None:
            return function(name, as_json)
        result_json({"hello": name}) if as_json else result(f"hello {name}")
        return 0

    decorate: Callable[..., click.Command] = click.command("hello", help=doc, **more)
    return decorate(hello)


def _module(source: str) -> types.ModuleType:
    """A module that ``inspect`` can show the source of."""
    import linecache

    name = f"planted_{abs(hash(source))}"
    module = types.ModuleType(name)
    module.__file__ = f"/{name}.py"
    linecache.cache[module.__file__] = (len(source), None, source.splitlines(True), module.__file__)
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    return module


_SOURCE: Final = '''"""Say hello."""

from orchestrator.cli.kit import result
from orchestrator.spi import hookimpl


@hookimpl
def orchestrator_command():
    return None
'''


class SoundCommand(CommandContract):
    """The suite of the sound command."""

    plugin = _module(_SOURCE)
    examples = (("you",),)

    def make(self) -> click.Command:
        """The sound one."""
        return _named()


def _with_source(source: str) -> type[CommandContract]:
    return type("Planted", (SoundCommand,), {"plugin": _module(source)})


def _made(make: Callable[[], click.Command]) -> type[CommandContract]:
    return type("Planted", (SoundCommand,), {"make": lambda self: make()})


class _Helpful(click.Command):
    """Does something before it shows its help."""

    act: Callable[[], Any]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Do it."""
        type(self).act()
        super().format_help(ctx, formatter)


def _helpful(act: Callable[[], Any]) -> type[CommandContract]:
    cls = type("Helpful", (_Helpful,), {"act": staticmethod(act)})
    return _made(lambda: _named(cls=cls))


class _AtOnce(click.Command):
    """Takes whatever is typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Ignore it."""
        ctx.params = {"name": "x", "as_json": False}
        return []


def _leaving_a_thread() -> click.Command:
    threading.Thread(target=threading.Event().wait, args=(30,), name="planted", daemon=True).start()
    return _named()


def _refusing(name: str, as_json: bool) -> int:
    result(f"no {name}")
    notice("no")
    return 2


def _connect() -> None:
    try:
        socket.create_connection(("127.0.0.1", 9), 0.1)
    except OSError:
        return


_HELP: Final = "test_every_help_is_there_and_touches_nothing"
_LINE: Final = "test_the_help_has_a_line_for_it"
_ENDS: Final = "test_the_examples_end_well"
_IMPORTS: Final = "test_it_imports_what_is_promised"
COMMANDS: Final[dict[str, tuple[type[CommandContract], str]]] = {
    "no docstring": (_with_source(_SOURCE.replace('"""Say hello."""', "")), _LINE),
    "no sentence": (_with_source(_SOURCE.replace("hello.", "hello")), _LINE),
    "a long line": (_with_source(_SOURCE.replace("hello", "hello" * 20)), _LINE),
    "no help": (_made(lambda: _named(doc=None)), _HELP),
    "a group with a command without help": (
        _made(lambda: click.Group("g", {"below": _named(doc=None)}, help="Group.")),
        _HELP,
    ),
    "help that writes": (_helpful(lambda: Path("written.txt").write_text("x")), _HELP),
    "help that starts a program": (_helpful(lambda: subprocess.run(["true"], check=False)), _HELP),
    "help that connects": (_helpful(_connect), _HELP),
    "help that fails": (_helpful(lambda: 1 // 0), _HELP),
    "any option": (_made(lambda: _named(cls=_AtOnce)), "test_an_unknown_option_is_bad_usage"),
    "a defect": (_made(lambda: _named(lambda name, as_json: 1 // 0)), _ENDS),
    "a code of its own": (_made(lambda: _named(lambda name, as_json: 42)), _ENDS),
    "a silent failure": (_made(lambda: _named(lambda name, as_json: 3)), _ENDS),
    "a refusal on stdout": (_made(lambda: _named(_refusing)), _ENDS),
    "no JSON": (
        _made(lambda: _named(lambda name, as_json: result("hello you"))),
        "test_json_is_one_document_or_lines_of_them",
    ),
    "the engine": (
        _with_source(_SOURCE.replace("orchestrator.cli.kit import result", "orchestrator import engine")),
        _IMPORTS,
    ),
    "the log, late": (_with_source(_SOURCE.replace("return None", "import orchestrator.log")), _IMPORTS),
    "another command": (
        _with_source(_SOURCE.replace("cli.kit import result", "cli.commands.doctor import doctor")),
        _IMPORTS,
    ),
    "a thread": (_made(_leaving_a_thread), "test_it_leaves_nothing_running"),
}
"""By what is wrong: the suite, and the test that notices."""
