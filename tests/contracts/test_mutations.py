"""Each contract suite fails for each bug of a list, and passes for a sound plugin."""

from unittest import SkipTest

import pytest

import orchestrator.testing.contracts.base as base
import orchestrator.testing.contracts.executors as executors
import orchestrator.testing.contracts.leftovers as conduct
import orchestrator.testing.contracts.provider_setup as provider_calls
import orchestrator.testing.contracts.store_processes as stores
from orchestrator.testing import PluginContract
from orchestrator.testing.contracts import SUITES, names_of_tests, play
from tests.contracts.planted import BUGS, SOUND, Bug
from tests.contracts.planted.conduct import PAUSE, let_go
from tests.contracts.planted.programs import SoundProgram

OF_MODULES = {
    "test_the_module_has_the_hook_of_its_kind",
    "test_it_is_made_for_this_interface",
    "test_a_key_is_enough",
    "test_odd_options_are_refused_in_words",
    "test_odd_parameters_are_refused_in_words",
    "test_options_that_make_no_sense_are_refused",
    "test_parameters_that_make_no_sense_are_refused",
    "test_a_simulated_provider_answers",
    "test_its_options_stay_as_they_are",
    "test_its_parameters_stay_as_they_are",
}
"""Tests that need a module or a simulated provider; see the tests of the entry points and of the modules."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_noticed(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test that is named for the bug fails, and says why on one line."""
    monkeypatch.setattr(provider_calls, "PATIENCE", 1.0)
    monkeypatch.setattr(conduct, "LONGEST_PAUSE", PAUSE)
    monkeypatch.setattr(conduct, "GRACE", PAUSE)
    monkeypatch.setattr(executors, "PATIENCE", 2.0)
    monkeypatch.setattr(stores, "PATIENCE", 2.0)
    with pytest.raises((AssertionError, Exception)) as failed:
        getattr(bug.suite(), bug.noticed_by)()
    let_go()
    assert not isinstance(failed.value, SkipTest), failed.value
    assert str(failed.value)


@pytest.mark.parametrize("suite", SOUND, ids=lambda suite: suite.kind)
def test_a_sound_plugin_passes(suite: type[PluginContract]) -> None:
    """Nothing is noticed where there is nothing."""
    results = play(suite)
    assert [result for result in results if result.problem] == []
    of_programs = {name for name in names_of_tests(suite) if "program" in name}  # the one with a program plays them
    assert {result.test for result in results if result.skipped} <= OF_MODULES | of_programs


def test_a_sound_provider_with_a_program_passes() -> None:
    """The tests with a program are played, and nothing is noticed."""
    results = play(SoundProgram)
    assert [result for result in results if result.problem] == []
    assert all(result.passed for result in results if "program" in result.test or "live" in result.test)


def test_every_test_of_every_suite_notices_something() -> None:
    """There is no test that no planted bug makes fail, but for those of modules, which have tests of their own."""
    noticing = {(bug.suite.kind, bug.noticed_by) for bug in BUGS}
    idle = {(kind, test) for kind, suite in SUITES.items() for test in names_of_tests(suite)} - noticing
    assert {test for _, test in idle} <= OF_MODULES


def test_what_hangs_is_noticed() -> None:
    """A function that does not come back fails the test instead of holding it up."""
    import threading

    with pytest.raises(AssertionError, match="not come back"):
        base.in_time(threading.Event().wait, 0.05)
