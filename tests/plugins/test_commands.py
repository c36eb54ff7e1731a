"""Commands of other distributions: listed without being imported, run like our own, harmless if broken."""

import json
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.cli.command import ROOT, Ended, orchestrate, scripted_spec
from tests.plugins.conftest import build_wheels, install_wheels
from tests.plugins.installed import installed

HELLO: Final = '''"""Greet somebody.

More about it.
"""

import os
from pathlib import Path

import click

from orchestrator.cli.kit import json_option, notice, result, result_json
from orchestrator.errors import UsageError
from orchestrator.spi import hookimpl

Path(os.environ["IMPORTED"]).touch()


@click.command()
@click.argument("name")
@json_option
def hello(name: str, as_json: bool) -> int:
    """Greet NAME."""
    print("a library prints this")
    if name == "nobody":
        raise UsageError("say who")
    if name == "crash":
        raise KeyError("crash")
    notice("a notice")
    result_json({"hello": name}) if as_json else result(f"hello {name}")
    return 1 if name == "stranger" else 0


@hookimpl
def orchestrator_command():
    return hello
'''
OTHERS: Final = {
    "absent": ('"""Absent."""\nimport a_missing_module\n', "it imports a_missing_module, which is not installed"),
    "typo": ('"""Typo."""\ndef (:\n', "line 2 of its module is no Python: invalid syntax"),
    "later": (
        '"""Later."""\norchestrator_interface = ">=9"\n',
        "it is made for version >=9 of the plugin interface; this program has 1.0",
    ),
}
QUITTER: Final = '"""Quit."""\nraise SystemExit("not today")\n'


def site_with(folder: Path, distribution: str, **modules: str) -> Path:
    """A folder for the path with a distribution of commands."""
    prefix = distribution.replace("-", "_")
    points = {"orchestrator.commands": {name: f"{prefix}_{name}" for name in modules}}
    installed(folder, distribution, "1.5", points, {f"{prefix}_{name}": text for name, text in modules.items()})
    return folder


def run(home: Path, site: Path, *words: str) -> Ended:
    """A command line with the site's distributions installed."""
    environ = {"PYTHONPATH": str(site), "IMPORTED": str(home / "imported")}
    return orchestrate(home, *words, environ=environ)


def test_a_command_is_listed_without_being_imported_and_runs(tmp_path: Path) -> None:
    """Its line is the first of its module's docstring; results are on stdout alone, and exit codes are its own."""
    site, home = site_with(tmp_path / "site", "orchestrator-hello", hello=HELLO), tmp_path / "home"
    for _ in range(2):  # read, and then as it was kept
        listed = run(home, site, "--help")
        assert "  hello    Greet somebody." in listed.lines
    assert not (home / "imported").exists()
    done = run(home, site, "hello", "you")
    assert (done.code, done.out) == (0, "hello you\n")
    assert done.err.splitlines() == ["a library prints this", "a notice"]
    assert run(home, site, "hello", "you", "--json").json == {"hello": "you"}
    assert run(home, site, "hello", "stranger").code == 1
    refused = run(home, site, "hello", "nobody")
    assert (refused.code, refused.err.splitlines()[-1]) == (2, "orchestrate: say who")
    assert run(home, site, "hello").code == 2
    defect = run(home, site, "hello", "crash")
    assert defect.code == 70
    assert "a defect of the command 'hello' of orchestrator-hello 1.5: KeyError: 'crash'" in defect.err


def test_broken_commands_are_listed_as_broken_and_harm_no_other(tmp_path: Path) -> None:
    """What the source shows is said without running it; what only running shows, once it has been called."""
    site, home = tmp_path / "site", tmp_path / "home"
    site_with(site, "orchestrator-bad", quitter=QUITTER, **{name: text for name, (text, _) in OTHERS.items()})
    site_with(site, "orchestrator-hello", hello=HELLO)
    listed = run(home, site, "--help")
    assert listed.code == 0
    for name, (_, problem) in OTHERS.items():
        assert f"broken: {problem}; see: plugins info {name}" in " ".join(listed.out.split())
    assert "  quitter  Quit." in listed.lines
    called = run(home, site, "quitter")
    assert called.code == 2
    assert "the command 'quitter' of orchestrator-bad 1.5" in called.err
    assert "it called sys.exit(not today)" in called.err
    assert "Traceback" not in called.err
    assert "broken: cannot be loaded: it called sys.exit(not today)" in run(home, site, "--help").out
    assert run(home, site, "hello", "you").out == "hello you\n"
    assert run(home, site, "runs", "list").code == 0
    broken = {each["name"] for each in run(home, site, "plugins", "list", "--json").json if each["status"] == "broken"}
    assert broken == {*OTHERS, "quitter"}
    (site / "orchestrator_bad_quitter.py").write_text(HELLO)
    assert "  quitter  Greet somebody." in run(home, site, "--help").lines


def test_a_name_of_two_distributions_is_said_with_its_distribution(tmp_path: Path) -> None:
    """Also where one of them is this program's; the kernel's own commands cannot be replaced."""
    site, home = tmp_path / "site", tmp_path / "home"
    site_with(site, "orchestrator-hello", hello=HELLO, report=HELLO, run=HELLO)
    listed = run(home, site, "--help").out
    for name in ("orchestrator-hello:report", "multi-llm-orchestrator:report", "orchestrator-hello:run", "run "):
        assert f"\n  {name}" in listed
    refused = run(home, site, "report", "x")
    assert refused.code == 2
    assert "several distributions offer the command 'report': say" in refused.err
    assert run(home, site, "orchestrator-hello:report", "x").out == "hello x\n"
    assert "there is no run 'x'" in run(home, site, "multi-llm-orchestrator:report", "x").err
    assert run(home, site, "orchestrator-hello:run", "x").out == "hello x\n"
    assert "x:1: the file cannot be read" in run(home, site, "run", "x").err


def test_what_is_installed_removed_or_switched_off_later_is_noticed(tmp_path: Path) -> None:
    """The listing that was kept does not outlive what it lists."""
    site, home = site_with(tmp_path / "site", "orchestrator-hello", hello=HELLO), tmp_path / "home"
    assert "  hello " in run(home, site, "--help").out
    site_with(site, "orchestrator-more", more=HELLO)
    assert "  more " in run(home, site, "--help").out
    (site / "orchestrator_hello_hello.py").write_text(HELLO.replace("Greet somebody", "Greet everybody"))
    assert "  hello    Greet everybody." in run(home, site, "--help").lines
    environ = {"PYTHONPATH": str(site), "ORCHESTRATE_DISABLE_PLUGINS": "hello"}
    assert "  hello " not in orchestrate(home, "--help", environ=environ).out
    off = orchestrate(home, "hello", "x", environ=environ)
    assert (off.code, "is switched off" in off.err) == (2, True)
    for each in site.glob("orchestrator_more*"):
        each.rename(tmp_path / each.name)
    assert "  more " not in run(home, site, "--help").out
    unknown = run(home, site, "more")
    assert (unknown.code, "there is no command 'more'" in unknown.err) == (2, True)


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"commands": 1}', '{"commands": [1], "surroundings": []}', "\x00"])
def test_a_kept_listing_that_is_damaged_is_made_anew(tmp_path: Path, kept: str) -> None:
    """It is a cache: whatever is in it, the help is right."""
    home = tmp_path / "home"
    right = orchestrate(home, "--help").out
    (file,) = (home / ".cache" / "orchestrate").glob("commands-*.json")
    before = json.loads(file.read_text())
    file.write_text(kept)
    assert orchestrate(home, "--help").out == right
    file.write_text(json.dumps({**before, "commands": [{**before["commands"][0], "text": None}]}))
    assert orchestrate(home, "--help").out == right
    assert "  report   Write a run as one HTML page." in right.splitlines()


def test_the_example_is_installed_from_a_wheel_and_run(tmp_path: Path) -> None:
    """What a third party publishes: built, installed, listed, checked and run on the log of a real run."""
    source = shutil.copytree(ROOT / "examples" / "plugins" / "orchestrator-daily", tmp_path / "source")
    site, home = tmp_path / "site", tmp_path / "home"
    install_wheels(site, *build_wheels(tmp_path / "wheels", source))
    assert "  daily    Show what each model cost on each day." in run(home, site, "--help").lines
    empty = run(home, site, "daily")
    assert (empty.code, empty.out) == (2, "")
    assert run(home, site, "run", str(scripted_spec(tmp_path / "spec"))).code == 0
    (day,) = {each["day"] for each in run(home, site, "daily", "--json").json}
    heads, *lines = run(home, site, "daily").lines
    assert heads.split() == ["day", "model", "calls", "cost"]
    assert {line.split()[0] for line in lines} == {day}
    assert run(home, site, "daily", "--since", "9999").err == "no calls\n"
    checked = run(home, site, "plugins", "check", "orchestrator-daily")
    assert checked.code == 0, checked.out + checked.err


def test_help_needs_no_place_for_the_listing(tmp_path: Path) -> None:
    """A home folder that cannot be written to, or is none, costs time and nothing else."""
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    done = orchestrate(tmp_path / "home", "--help", environ={"HOME": str(nowhere), "XDG_CACHE_HOME": str(nowhere)})
    assert (done.code, done.err) == (0, "")
    assert "  report " in done.out
