"""What is no kernel can be switched off, a package at a time, and the kernel goes on."""

import sqlite3
from pathlib import Path

import click
import pytest

import orchestrator
from orchestrator.cli.commands.costs import costs
from orchestrator.cli.commands.log import log
from orchestrator.cli.commands.models import models
from orchestrator.cli.commands.runs import runs
from orchestrator.cli.part_commands import PartCommand
from orchestrator.engine.checks import selector_for
from orchestrator.errors import PluginNotFoundError, SandboxError
from orchestrator.plugins import DISABLE, Catalogue, PluginStatus, has_part, part
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Job
from tests.cli.command import QUICKSTART, ROOT, orchestrate
from tests.plugins.conftest import run_python

PACKAGES = (
    "orchestrator_apps",
    "orchestrator_audit",
    "orchestrator_bills",
    "orchestrator_eval",
    "orchestrator_fleet",
    "orchestrator_insight",
    "orchestrator_mcp",
    "orchestrator_sandbox",
    "orchestrator_steering",
    "orchestrator_view",
)
OF_KINDS = (
    "orchestrator_executors",
    "orchestrator_exporters",
    "orchestrator_policy_loaders",
    "orchestrator_postgres",
    "orchestrator_scaffolds",
    "orchestrator_scorers",
    "orchestrator_stores",
)
"""The packages of other kinds, less those that the quickstart uses."""
COMMANDS = {
    "orchestrator_apps": {"build"},
    "orchestrator_audit": {"audit"},
    "orchestrator_bills": set[str](),
    "orchestrator_eval": {"eval"},
    "orchestrator_fleet": {"fleet", "submit", "worker", "workers"},
    "orchestrator_insight": {"explain", "fork", "metrics", "pool", "report", "watch", "whatif"},
    "orchestrator_mcp": {"mcp"},
    "orchestrator_sandbox": set[str](),
    "orchestrator_steering": {"answer"},
    "orchestrator_view": {"view"},
}
PARTS = {
    "orchestrator_apps": {"applications", "apps"},
    "orchestrator_audit": {"archive_runs", "audit_log", "import_bundle", "laws", "recover_run"},
    "orchestrator_bills": {"reconcile_costs"},
    "orchestrator_eval": set[str](),
    "orchestrator_fleet": set[str](),
    "orchestrator_insight": {"agents", "compare_runs", "simulate"},
    "orchestrator_mcp": set[str](),
    "orchestrator_sandbox": {"sandbox"},
    "orchestrator_steering": set[str](),
    "orchestrator_view": set[str](),
}


@pytest.fixture(params=PACKAGES)
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that is switched off in this process and in the commands it starts."""
    monkeypatch.setenv(DISABLE, request.param)
    return str(request.param)


def test_every_package_beside_the_core_is_tried() -> None:
    """A new package of commands or of a sandbox is tried, too."""
    found = [*ROOT.glob("plugins/commands/*/__init__.py"), *ROOT.glob("plugins/sandbox/*/__init__.py")]
    assert tuple(sorted(file.parent.name for file in found)) == PACKAGES
    others = {file.parent.name for file in ROOT.glob("plugins/*/*/__init__.py")} - set(PACKAGES)
    used = {"orchestrator_backends", "orchestrator_providers", "orchestrator_validators"}
    assert others - used == set(OF_KINDS)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_kernel_runs_resumes_and_verifies_without_it(package: str, tmp_path: Path) -> None:
    """The quickstart runs out of money, goes on with more to SUCCESS; its chain and its every decision hold."""
    home, off = tmp_path / "home", ("--disable", package)
    run = orchestrate(
        home, "run", str(QUICKSTART), "--project-id", "q", "--budget", "0.004", "-o", str(tmp_path / "out"), *off
    )
    assert run.code == 4, run.err
    resumed = orchestrate(home, "resume", "q", "--add-budget", "1", *off)
    assert (resumed.code, "SUCCESS" in resumed.out) == (0, True), resumed.err
    verified = orchestrate(home, "replay", "q", "--verify", environ={DISABLE: package})
    assert (verified.code, verified.out.startswith("ok: ")) == (0, True), verified.out + verified.err
    assert orchestrate(home, "log", "show", "q", environ={DISABLE: package}).code == 0


def test_the_kernel_alone_runs_resumes_and_notices_a_changed_event(tmp_path: Path) -> None:
    """With every package switched off at once that it does not use; the chain is verified by the kernel itself."""
    home, out, off = tmp_path / "home", str(tmp_path / "out"), {DISABLE: ",".join(PACKAGES + OF_KINDS)}
    run = orchestrate(home, "run", str(QUICKSTART), "--project-id", "q", "--budget", "0.004", "-o", out, environ=off)
    assert run.code == 4, run.err
    resumed = orchestrate(home, "resume", "q", "--add-budget", "1", environ=off)
    assert (resumed.code, "SUCCESS" in resumed.out) == (0, True), resumed.err
    assert orchestrate(home, "replay", "q", "--verify", environ=off).code == 0
    with sqlite3.connect(home / "events.db") as database:
        database.execute("DROP TRIGGER events_are_never_changed")
        database.execute("UPDATE events SET at = at + 1 WHERE version = 100")
    for words in (("replay", "q", "--verify"), ("log", "show", "q"), ("resume", "q")):
        found = orchestrate(home, *words, environ=off)
        assert (found.code, "(v100)" in found.err) == (6, True), found.err


def test_its_commands_and_parts_are_off_and_say_so(without: str) -> None:
    """What is switched off is found by no name; everything else is."""
    entries = Catalogue.discover().entries("command")
    assert {each.name for each in entries if each.status is PluginStatus.BLOCKED} == COMMANDS[without]
    for package, names in PARTS.items():
        for name in names:
            assert has_part(name) == (package != without)
    for name in PARTS[without]:
        with pytest.raises(PluginNotFoundError, match=f"'{name}' of {without} is switched off: named in {DISABLE}"):
            part(name)


@pytest.mark.parametrize("name", ["insight", "orchestrator_insight"])
def test_a_package_is_named_with_or_without_its_prefix(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both switch the package off."""
    monkeypatch.setenv(DISABLE, name)
    assert not has_part("compare_runs")
    assert has_part("audit_log")


def test_a_part_that_no_package_brings_is_no_part() -> None:
    """It is said in one line."""
    assert not has_part("teapot")
    with pytest.raises(PluginNotFoundError, match="no installed package brings the part 'teapot'"):
        part("teapot")


@pytest.mark.parametrize("name", ["AgentPool", "AppBuilder", "AuditLog"])
def test_names_of_the_python_api_say_which_package_they_lack(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are there with their package; without it the error says what is switched off."""
    home = {"AgentPool": "insight", "AppBuilder": "apps", "AuditLog": "audit"}[name]
    assert getattr(orchestrator, name).__name__ == name
    monkeypatch.setenv(DISABLE, home)
    with pytest.raises(PluginNotFoundError, match=f"of orchestrator_{home} is switched off"):
        getattr(orchestrator, name)


def test_without_the_sandbox_nothing_of_a_model_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the spec asks for none: the launcher itself is not there."""
    monkeypatch.setenv(DISABLE, "sandbox")
    for choice in SandboxChoice:
        lent = selector_for(choice)
        assert lent.level() is None
        assert not any(each.holds for each in lent.surveys())
        with pytest.raises(SandboxError, match="orchestrator_sandbox is switched off"):
            lent.run(Job(("/bin/true",)), executes=False)


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("audit", ("log", "recover", "q", "--into", "saved.db")),
        ("audit", ("log", "archive", "--older-than", "1d", "--to", "archive")),
        ("audit", ("log", "import", "--help")),
        ("bills", ("costs", "reconcile")),
        ("bills", ("costs", "reconcile", "--help")),
        ("insight", ("runs", "diff", "q", "q")),
        ("insight", ("runs", "diff", "--help")),
        ("providers", ("models", "suggest", "--base-url", "http://127.0.0.1:9/v1")),
        ("stores", ("log", "copy", "sqlite:old", "sqlite:new")),
    ],
)
def test_what_a_kernel_command_lacks_is_said_in_a_line(
    package: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """A command of the kernel that needs a part ends with one line, and loses nothing."""
    home = tmp_path / "home"
    orchestrate(home, "run", str(QUICKSTART), "--project-id", "q", "--quiet")
    done = orchestrate(home, *arguments, environ={DISABLE: package})
    assert done.code not in (0, 1), done.out
    assert done.err.count("\n") == 1
    assert f"of orchestrator_{package} is switched off: named in {DISABLE}" in done.err


@pytest.mark.parametrize(
    ("package", "group", "name"),
    [
        ("bills", "costs", "reconcile"),
        ("audit", "log", "recover"),
        ("insight", "runs", "diff"),
        ("providers", "models", "suggest"),
        ("stores", "log", "copy"),
    ],
)
def test_a_command_that_is_a_part_is_listed_and_its_neighbours_work_without_it(
    package: str, group: str, name: str, tmp_path: Path
) -> None:
    """The help and what a shell completes are the same with the package and without it, and import nothing of it."""
    home, off = tmp_path / "home", {DISABLE: package}
    shown = orchestrate(home, group, "--help")
    assert f"\n  {name} " in shown.out
    assert orchestrate(home, group, "--help", environ=off).out == shown.out
    asked = {"_ORCHESTRATE_COMPLETE": "bash_complete", "COMP_WORDS": f"orchestrate {group} ", "COMP_CWORD": "2"}
    completed = orchestrate(home, environ=asked | off)
    assert (f"plain,{name}" in completed.lines, completed.err) == (True, "")
    assert orchestrate(home, "costs", environ=off).code == orchestrate(home, "log", "stats", environ=off).code == 0
    script = "import sys; from orchestrator.cli import carry_out, root; carry_out(root, sys.argv[1:])"
    script += "; print([name for name in sys.modules if name.startswith('orchestrator_')])"
    assert run_python("-c", script, group, "--help").stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("group", [costs, log, models, runs], ids=lambda group: str(group.name))
def test_the_line_of_a_command_that_is_a_part_is_that_of_its_own_help(group: click.Group) -> None:
    """The kernel says of it what its package says."""
    parts = [each for each in group.commands.values() if isinstance(each, PartCommand)]
    assert parts
    for each in parts:
        assert each.get_short_help_str(200) == each.loaded().get_short_help_str(200)
        assert each.name == each.loaded().name
