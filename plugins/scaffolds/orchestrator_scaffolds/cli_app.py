"""A command: a package with ``main`` and ``__main__``."""

from orchestrator.spi import Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

_CLI = '''"""$title"""

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    argparse.ArgumentParser(prog="$dashed", description="$title").parse_args(arguments)
    return 0
'''

_MAIN = '''"""Run the command: ``python -m $name``."""

import sys

from $name.cli import main

sys.exit(main())
'''

_TEST = '''"""The command says how it is used."""

import pytest

from $name.cli import main


def test_help_ends_well() -> None:
    """``--help`` prints the usage and ends with status 0."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
'''

SCAFFOLD = Fixed(
    files={
        "$name/__init__.py": '"""$title"""\n',
        "$name/__main__.py": _MAIN,
        "$name/cli.py": _CLI,
        "tests/test_command.py": _TEST,
    },
    guidance=(
        "A command-line program in the package `$name`. `$name/cli.py` defines `main(arguments=None) -> int`, "
        "which parses with argparse, calls the other modules of the package and returns the exit status; `--help` "
        "works. `$name/__main__.py` exists. Tests are in `tests/` and call `main([...])` or the modules."
    ),
    launches=(Launch(("python", "-m", "$name", "--help")),),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD
