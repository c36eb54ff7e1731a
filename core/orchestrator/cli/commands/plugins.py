"""``orchestrate plugins``: what is installed, whether it keeps its contract, and how a new one begins."""

import keyword
import os
import re
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.commands import COMMANDS
from orchestrator.cli.commands.plugin_install import install, search
from orchestrator.cli.options.shared_options import (
    disable_option,
    home_option,
    json_option,
    plugin_option,
    strict_plugins_option,
)
from orchestrator.cli.options.shell_completion import PLUGIN
from orchestrator.cli.options.value_types import OUTPUT
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import line, notice, result
from orchestrator.plugin_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.plugins import Catalogue, PluginEntry

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME: Final = 60


@click.group(cls=CommandGroup)
@home_option
def plugins() -> None:
    """List, check and begin plugins."""


@plugins.command("list")
@json_option
@plugin_option
@disable_option
@strict_plugins_option
@home_option
def list_(as_json: bool) -> int:
    """List every plugin. Each is imported, so that a broken one is shown with its reason."""
    catalogue = _catalogue()
    found = catalogue.probe_all()
    if as_json:
        result_json([_plain(each) for each in found])
    else:
        print_table(
            ("kind", "name", "distribution", "version", "interface", "status", "reason"),
            [
                (
                    each.kind,
                    each.name,
                    each.distribution or each.module,
                    each.version,
                    each.interface,
                    each.status.value,
                    line("; ".join(filter(None, [each.reason, *each.notes])), 200),
                )
                for each in found
            ],
            spare=("interface", "version", "distribution"),
        )
    _insist(catalogue)
    return 0


@plugins.command()
@click.argument("name", type=PLUGIN)
@json_option
@plugin_option
@disable_option
@strict_plugins_option
@home_option
def info(name: str, as_json: bool) -> int:
    """Show one plugin: hooks, versions, and why it cannot be used. NAME may be DISTRIBUTION:NAME."""
    from orchestrator.errors import UsageError
    from orchestrator.spi import INTERFACE

    catalogue = _catalogue()
    found = [each for each in catalogue.probe_all() if name in (each.name, f"{each.distribution}:{each.name}")]
    if not found:
        raise UsageError(f"no plugin is called {name!r}; see: orchestrate plugins list")
    if as_json:
        result_json([_plain(each) for each in found])
        return 0
    here = ".".join(map(str, INTERFACE))
    for each in found:
        hidden = ", ".join(f"{other.distribution} {other.version}".strip() for other in catalogue.shadows(each))
        wanted = f"{each.interface} (this program has {here})" if each.interface else f"none declared (here: {here})"
        rows = (
            ("kind", each.kind),
            ("name", each.name),
            ("distribution", f"{each.distribution} {each.version}".strip()),
            ("module", each.module),
            ("hooks", ", ".join(each.hooks)),
            ("interface", wanted if each.compatible else f"{wanted}: not compatible"),
            ("shadowed by", hidden),
            ("status", each.status.value),
            ("reason", each.reason),
            *(("note", note) for note in each.notes),
        )
        for what, text in rows:
            if text:
                result(f"{what:13} {line(text, 400)}")
    _insist(catalogue)
    return 0


@plugins.command()
@click.argument("plugin", required=False)
@click.option("--scale", is_flag=True, help="Grade each: bronze, silver or gold, with what is missing.")
@json_option
@plugin_option
@disable_option
@home_option
def check(plugin: str | None, scale: bool, as_json: bool) -> int:
    """Check that installed plugins keep the contract of their kind: all, or PLUGIN, a word or a distribution.

    --scale: bronze keeps its contract; silver is typed, documented, can be cancelled and has offline examples for every
    test; gold is pure in a replay, notices planted faults by its own examples, and streams.

    Exit codes: 0 all pass, 1 one fails, 2 nothing to check.
    """
    from importlib import import_module

    from orchestrator.errors import UsageError

    try:
        installed: Any = import_module("orchestrator.testing.installed")  # of the tests, not of the program
        contracts: Any = import_module("orchestrator.testing.contracts")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        text = f"checking plugins needs {missing}: pip install 'multi-llm-orchestrator[testing]'"
        raise UsageError(text) from error
    suites = installed.suites_of(_catalogue(), plugin)
    if not suites:
        way = "orchestrate plugins list"
        if plugin is not None and plugin.endswith(".py"):
            name = Path(plugin).stem
            way = f"orchestrate plugins check {name} --plugin {plugin}"
        raise UsageError(f"{plugin or 'nothing'} is no plugin and offers none; see: {way}")
    report, bad = [], 0
    for name, suite in suites.items():
        title = name.removeprefix("Test_")
        results = contracts.play(suite)
        wrong = [each for each in results if each.problem]
        bad += bool(wrong)
        left_out = sum(1 for each in results if each.skipped)
        report.append({"plugin": title, "passed": sum(each.passed for each in results), "left_out": left_out})
        report[-1]["problems"] = [{"test": each.test, "problem": each.problem} for each in wrong]
        if not as_json:
            result(f"{title}: {report[-1]['passed']} passed, {left_out} left out, {len(wrong)} failed")
            for problem, tests in _by_problem(wrong).items():
                more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
                result(f"  {tests[0]}{more}: {line(problem, 400)}")
        if scale:
            report[-1]["scale"] = _scale(suite, results, as_json)
    if as_json:
        result_json(report)
    return 1 if bad else 0


def _scale(suite: Any, results: Any, as_json: bool) -> dict[str, Any]:
    """The grade of one plugin; printed, unless everything is."""
    from importlib import import_module

    scale: Any = import_module("orchestrator.testing.plugin_grades")
    criteria = scale.graded(suite, results)
    level = scale.reached(criteria)
    if not as_json:
        result(f"  grade: {level.value}")
        for each in criteria:
            if not each.holds:
                result(f"  missing for {each.level.value}: {each.name}: {line(each.why, 400)}")
    plain = [{"level": c.level.value, "name": c.name, "holds": c.holds, "why": c.why} for c in criteria]
    return {"grade": level.value, "criteria": plain}


@plugins.command()
@click.argument("kind", metavar="KIND", type=click.Choice([*KINDS]))
@click.argument("name")
@click.option("--output-dir", "-o", "folder", type=OUTPUT, help="Where to write it. [default: orchestrator-NAME]")
def new(kind: str, name: str, folder: Path | None) -> int:
    """Write a complete distribution with one working plugin to start from.

    NAME is the word a spec, or a command line, will use: lower-case letters and digits, with single underscores or
    dashes between them.
    """
    from importlib.metadata import version
    from shlex import quote

    from orchestrator.cli.templates import distribution_files, distribution_name
    from orchestrator.errors import OutputError
    from orchestrator.plugins import DISTRIBUTION

    name = name.replace("-", "_")
    _check_name(kind, name)
    folder = folder or Path(distribution_name(name))
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is no folder; choose one with -o")
        if folder.exists() and any(each.name != ".git" for each in folder.iterdir()):
            raise OutputError(f"{folder} is not empty; choose another folder with -o")
        for path, text in distribution_files(kind, name, KINDS[kind].group, version(DISTRIBUTION)).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            result(str(file))
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from error
    notice(f"next: cd {quote(str(folder))}; pip install -e '.[test]'; pytest")
    return 0


new.help = f"{cleandoc(new.help or '')}\n\nKIND is one of {', '.join(KINDS)}."

plugins.add_command(search)
plugins.add_command(install)


def _check_name(kind: str, name: str) -> None:
    """Refuse a name that cannot be installed, or that belongs to a package of the program."""
    from orchestrator.errors import UsageError
    from orchestrator.plugins import DISTRIBUTION

    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > _LONGEST_NAME:
        rule = f"use lower-case letters and digits with single underscores between them, at most {_LONGEST_NAME}"
        raise UsageError(f"{name[:80]!r} is no name for a plugin: {rule}")
    own = [each for each in _catalogue().entries() if each.distribution == DISTRIBUTION]
    if kind == "command" and name in COMMANDS:
        raise UsageError(f"{name!r} is a command of the core, which no plugin can replace: choose another name")
    if any((each.kind, each.name) == (kind, name) for each in own):
        raise UsageError(f"there is a built-in {kind} {name!r}: with two of one name one has to say whose is meant")
    if any(each.module.partition(".")[0] == f"orchestrator_{name}" for each in own):
        raise UsageError(f"{name!r} cannot be used: its module would replace orchestrator_{name}, which is built in")


def _by_problem(wrong: "Iterable[Any]") -> "dict[str, list[str]]":
    """The names of the tests that failed, by what they say: what breaks everything is said once."""
    found: dict[str, list[str]] = {}
    for each in wrong:
        found.setdefault(each.problem, []).append(each.test)
    return found


def _catalogue() -> "Catalogue":
    """What is installed; broken plugins are shown, not refused."""
    from orchestrator.plugins import STRICT, Catalogue

    return Catalogue.discover({name: value for name, value in os.environ.items() if name != STRICT})


def _insist(catalogue: "Catalogue") -> None:
    from orchestrator.plugins import STRICT

    if os.environ.get(STRICT, "") not in ("", "0"):
        catalogue.require_sound()


def _plain(each: "PluginEntry") -> dict[str, Any]:
    from attrs import asdict

    return {**asdict(each), "status": each.status.value}
