"""The version of the plugin interface, deprecated hooks, and what the listing says of both."""

import json
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator import plugin_kinds, spi
from orchestrator.errors import PluginConflictError, PluginLoadError
from orchestrator.plugins import Catalogue, PluginStatus
from orchestrator.spi import hookspecs
from tests.cli.command import orchestrate, scripted_spec
from tests.plugins import promise
from tests.plugins.installed import installed

VALIDATOR: Final = """
from orchestrator.spi import Finding, hookimpl

@hookimpl
def orchestrator_validator():
    return lambda candidate, context: Finding.passed()
"""
TOMORROW: Final = """
from orchestrator.spi import NothingOfTheKindYet
orchestrator_interface = ">=2,<3"
"""


def site_of(folder: Path, *names: str, source: str = VALIDATOR, distribution: str = "orchestrator-x") -> Path:
    """A folder for the path with a distribution of validators."""
    modules = {f"{distribution.replace('-', '_')}_{name}": source for name in names}
    points = {"orchestrator.validators": {name: f"{distribution.replace('-', '_')}_{name}" for name in names}}
    installed(folder, distribution, "1.5", points, modules)
    return folder


@pytest.mark.parametrize("declared", [None, ">=1", ">=1,<2", "==1", "==1.0", ">=1.0, <=1.9", "!=1.3", ">0.9", "<2"])
def test_a_range_that_has_this_version_is_let_in(declared: str | None) -> None:
    """Ranges of major and minor numbers, as in requirements; none at all promises nothing and is let in."""
    plugin_kinds.check_interface(declared, (1, 0))


@pytest.mark.parametrize("declared", [">=2", "<1", "==1.1", ">=1.1,<2", "!=1", "!=1.0", ">1.0", "<=0.9"])
def test_a_range_without_this_version_is_refused_in_one_line(declared: str) -> None:
    """The line says what it is made for and what is here."""
    with pytest.raises(plugin_kinds.InterfaceError) as refused:
        plugin_kinds.check_interface(declared, (1, 0))
    said = str(refused.value)
    assert said == f"it is made for version {declared} of the plugin interface; this program has 1.0"


@pytest.mark.parametrize("declared", ["", "1", "~=1", ">=1,", ">=1.0.0", ">=x", 1, (1, 2), ">=99999999"])
def test_what_is_no_range_is_said(declared: object) -> None:
    """A slip of the pen is not taken for a range."""
    with pytest.raises(plugin_kinds.ContractError, match=r"write it as|must be text"):
        plugin_kinds.check_interface(declared)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('orchestrator_interface = ">=1"', ">=1"),
        ('orchestrator_interface: str = ">=1"', ">=1"),
        ('import nothing_there\norchestrator_interface = "<9"\nraise SystemExit', "<9"),
        ("orchestrator_interface = str(1)", None),
        ("def orchestrator_interface(): ...", None),
        ("orchestrator_interface = (", None),
        ('def x(:\norchestrator_interface: str = ">=2"  # for another Python\n', ">=2"),
        ("x = 1", None),
    ],
)
def test_the_range_is_read_without_running_the_module(source: str, found: object) -> None:
    """Also where the module could not be imported."""
    assert plugin_kinds.declared_interface(source) == found


def test_a_plugin_for_another_version_is_refused_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause is its declaration, not the ImportError that running it would have been."""
    monkeypatch.syspath_prepend(site_of(tmp_path, "later", source=TOMORROW))
    catalogue = Catalogue.discover({})
    assert catalogue.find("validator", "later").interface == ">=2,<3"
    with pytest.raises(PluginLoadError) as refused:
        catalogue.validator("later")
    assert "cannot be loaded: it is made for version >=2,<3 of the plugin interface; this" in str(refused.value)
    assert "\n" not in str(refused.value)
    (entry,) = (each for each in catalogue.probe_all() if each.name == "later")
    assert (entry.status, entry.compatible) == (PluginStatus.BROKEN, False)


# ── deprecated hooks ───────────────────────────────────────────────────────────────────────────────────────────

OLD: Final = """
from orchestrator.spi import Finding, hookimpl

@hookimpl
def orchestrator_check():
    return lambda candidate, context: Finding.passed("old")
"""


def specifications() -> types.ModuleType:
    """Today's hooks, and one that goes away."""
    module = types.ModuleType("specifications")
    found = {name: getattr(hookspecs, name) for name in dir(hookspecs) if name.startswith("orchestrator_")}
    warning = spi.DeprecatedHook("orchestrator_check", "orchestrator_validator", "2.0")

    @spi.hookspec(firstresult=True, warn_on_impl=warning)
    def orchestrator_check() -> object:
        """Return the validator, as it was done before."""

    module.__dict__.update(found, orchestrator_check=orchestrator_check)
    return module


def test_a_deprecated_hook_works_and_says_what_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The old hook still serves its kind; a warning and the listing name the plugin, the replacement and the end."""
    monkeypatch.syspath_prepend(site_of(tmp_path, "old", source=OLD, distribution="orchestrator-old"))
    point = EntryPoint("old", "orchestrator_old_old", "orchestrator.validators")
    catalogue = Catalogue([point], {}, specifications())
    found = catalogue.validator("old")(None, None)  # type: ignore[arg-type]
    assert found.details == "old"
    said = "the hook orchestrator_check goes away with interface 2.0; write orchestrator_validator in its place"
    assert catalogue.find("validator", "old").notes == (said,)
    assert [said in record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [True]
    assert "validator 'old'" in caplog.text


def test_no_hook_of_today_is_deprecated() -> None:
    """When one becomes so, the page about compatibility has to say it."""
    for name in dir(hookspecs):
        if name.startswith("orchestrator_"):
            assert getattr(hookspecs, name).orchestrator_spec["warn_on_impl"] is None


# ── what is promised ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_plugin_for_1_0_uses_is_still_there() -> None:
    """Nothing that the first version exports is gone, renamed, or asks for more; see the promise in the guide."""
    assert spi.INTERFACE[0] == 1
    assert promise.broken(json.loads(promise.FILE.read_text()), promise.described()) == []


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"A": {"value": "x"}}, {}, "A is gone"),
        ({"A": {"fields": [["a", True]]}}, {"A": {"fields": [["b", True]]}}, "do not come first"),
        ({"A": {"fields": [["a", False]]}}, {"A": {"fields": [["a", True]]}}, "a is required"),
        ({"A": {"fields": [["a", True]]}}, {"A": {"fields": [["a", True], ["b", True]]}}, "b is required"),
        ({"A": {"members": {"X": "x"}}}, {"A": {"members": {"X": "y"}}}, "the member X is not 'x'"),
        ({"A": {"implemented": {}}}, {"A": {"implemented": {"f": []}}}, "plugins must have a method f"),
        (
            {"A": {"implemented": {"f": [["self", True]]}}},
            {"A": {"implemented": {"f": [["self", True], ["x", False]]}}},
            "the method f takes",
        ),
        ({"h": {"hook": [["config", True]]}}, {"h": {"hook": []}}, "it does not give config any more"),
    ],
)
def test_a_broken_promise_is_noticed(before: dict[str, Any], now: dict[str, Any], said: str) -> None:
    """Each way in which a plugin could stop working without a new first number."""
    (found,) = promise.broken(before, now)
    assert said in found


def test_what_is_added_breaks_nothing() -> None:
    """New names, new fields with defaults, new members, new parameters of hooks."""
    before = {"A": {"fields": [["a", True]], "members": {"X": "x"}}, "h": {"hook": []}}
    now = {"A": {"fields": [["a", True], ["b", False]], "members": {"X": "x", "Y": "y"}}, "h": {"hook": [["c", True]]}}
    assert promise.broken(before, {**now, "B": {}}) == []


# ── on the command line ────────────────────────────────────────────────────────────────────────────────────────


def test_the_listing_and_the_details_show_what_stands_in_the_way(tmp_path: Path) -> None:
    """Hooks, versions and compatibility; which shadows which; why one is broken."""
    site = site_of(tmp_path / "site", "later", source=TOMORROW)
    site_of(site, "same", distribution="orchestrator-one")
    site_of(site, "same", source=f'orchestrator_interface = ">=1,<2"\n{VALIDATOR}', distribution="orchestrator-two")
    environ, home = {"PYTHONPATH": str(site)}, tmp_path / "home"
    later = orchestrate(home, "plugins", "info", "later", environ=environ)
    assert "interface     >=2,<3 (this program has 1.0): not compatible" in later.lines
    assert (
        "reason        cannot be loaded: it is made for version >=2,<3 of the plugin interface; this program has 1.0"
        in later.lines
    )
    (one, two) = orchestrate(home, "plugins", "info", "same", "--json", environ=environ).json
    assert (one["distribution"], two["interface"], two["hooks"]) == (
        "orchestrator-one",
        ">=1,<2",
        ["orchestrator_validator"],
    )
    same = orchestrate(home, "plugins", "info", "orchestrator-two:same", environ=environ)
    assert "shadowed by   orchestrator-one 1.5" in same.lines
    assert "hooks         orchestrator_validator" in same.lines
    assert orchestrate(home, "plugins", "info", "unknown").code == 2


def test_plugins_are_switched_off_and_insisted_on(tmp_path: Path) -> None:
    """--disable takes names; with --strict-plugins a broken or shadowed one keeps a run from starting."""
    site = site_of(tmp_path / "site", "later", source=TOMORROW)
    environ, home = {"PYTHONPATH": str(site)}, tmp_path / "home"
    spec = str(scripted_spec(tmp_path))
    assert orchestrate(home, "run", spec, environ=environ).code == 0
    strict = orchestrate(home, "run", spec, "--strict-plugins", environ=environ)
    assert strict.code == 2
    assert strict.err.startswith("orchestrate: strict plugins: the validator 'later' of orchestrator-x 1.5: ")
    assert strict.err.endswith("; leave it out with --disable orchestrator-x:later\n")
    without = ("--strict-plugins", "--disable", "orchestrator-x:later", "--disable", "latex")
    assert orchestrate(home, "run", spec, *without, environ=environ).code == 0
    listed = orchestrate(home, "plugins", "list", "--json", "--disable", "later", environ=environ).json
    assert {each["name"]: each["status"] for each in listed}["later"] == "blocked"
    missing = orchestrate(home, "run", spec, "--disable", "python_syntax", "--disable", "scripted")
    assert missing.code == 2
    assert "is switched off" in missing.err


def test_two_of_one_name_are_no_sound_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Insisting on sound plugins is insisting on knowing which one is meant."""
    site_of(tmp_path, "same", distribution="orchestrator-one")
    monkeypatch.syspath_prepend(site_of(tmp_path, "same", distribution="orchestrator-two"))
    with pytest.raises(PluginConflictError, match="leave it out with --disable orchestrator-one:same"):
        Catalogue.discover({"ORCHESTRATE_STRICT_PLUGINS": "1"})
