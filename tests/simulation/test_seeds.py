"""Whole runs over fixed seeds: every law, every bill and every decision of each."""

import sys
from collections import Counter

import pytest
from attrs import Factory, define

from orchestrator.models import ProjectStatus
from orchestrator.testing.simulation.simulated_vendor import FAULTS, ODDITIES
from orchestrator.testing.simulation.simulator import Scenario, SimulationReport
from tests.simulation.plays import played
from tests.sql import sqlite_of

_CHUNK = 250


@define
class _Distribution:
    """What some seeds drew, and what happened in them."""

    seeds: int = 0
    crashed: int = 0
    drawn: Counter[str] = Factory(Counter)
    statuses: Counter[str] = Factory(Counter)
    faults: Counter[str] = Factory(Counter)
    events: Counter[str] = Factory(Counter)
    hits: Counter[tuple[str, str]] = Factory(Counter)

    def add(self, report: SimulationReport) -> None:
        """Count one world."""
        scenario = report.world.scenario
        assert 3 <= scenario.tasks <= 30
        assert 2 <= len(scenario.models) <= 5
        assert 0 <= len(scenario.crashes) <= 4
        self.seeds += 1
        self.crashed += report.crashes > 0
        self.drawn.update(
            [f"{scenario.tasks} tasks", f"{len(scenario.models)} models", f"{len(scenario.crashes)} crash points"]
        )
        self.faults.update(report.world.vendor.fired)
        self.hits.update(report.world.store.hits)
        for run, state in report.states.items():
            assert state.finished is not None
            self.statuses[state.finished.status] += 1
            self.events.update(type(event).__name__ for _, event in report.histories[run])

    def show(self) -> None:
        """Print it; ``pytest -rP`` shows it."""
        pairs = ", ".join(f"{name} {where} {count}" for (name, where), count in sorted(self.hits.items()))
        for name in ("drawn", "statuses", "faults", "events"):
            reported = ", ".join(f"{key} {count}" for key, count in sorted(getattr(self, name).items()))
            sys.stdout.write(f"{name}: {reported}\n")
        sys.stdout.write(f"{self.crashed} of {self.seeds} worlds crashed; in a crash: {pairs}\n")

    def check(self) -> None:
        """The seeds reach what they are for."""
        assert {status: self.statuses[status] for status in ProjectStatus if self.statuses[status] < 2} == {}
        assert sum(self.statuses[status] for status in ProjectStatus if not status.is_closed) >= self.seeds // 5
        assert [fault for fault in (*FAULTS, *ODDITIES) if not self.faults[fault]] == []
        assert self.crashed >= self.seeds * 3 // 10
        for count in (3, 4, 5, 6, 8, 12, 20, 30):
            assert self.drawn[f"{count} tasks"] >= self.seeds // 100
        for count in (2, 3, 4, 5):
            assert self.drawn[f"{count} models"] >= self.seeds // 10
        for count in (0, 1, 2, 3, 4):
            assert self.drawn[f"{count} crash points"] >= self.seeds // 10


def _play(seeds: range) -> None:
    found = _Distribution()
    for seed in seeds:
        report = played(Scenario.draw(seed))
        found.add(report)
        report.world.close()
    found.show()
    found.check()


@pytest.mark.parametrize("start", range(0, 2_000, _CHUNK))
def test_no_law_breaks_in_two_thousand_worlds(start: int) -> None:
    """No law breaks, every run ends, every fault happens, and every status occurs in a healthy share."""
    _play(range(start, start + _CHUNK))


@pytest.mark.heavy
@pytest.mark.parametrize("start", range(2_000, 10_000, _CHUNK))
def test_no_law_breaks_in_ten_thousand_worlds(start: int) -> None:
    """The same for the seeds that make it ten thousand."""
    _play(range(start, start + _CHUNK))


@pytest.mark.parametrize("seed", [2390, 3574, 4005, 5583, 6816, 8584])
def test_a_model_whose_limit_fell_between_sessions_is_held_for_what_it_is_asked(seed: int) -> None:
    """Worlds in which a later session knows a lower output limit: once the hold was bounded by it, and the call not."""
    played(Scenario.draw(seed)).world.close()


@pytest.mark.parametrize("seed", [1, 8, 21, 77, 140, 901])
def test_equal_seeds_give_equal_logs(seed: int) -> None:
    """Two plays of a seed write the same bytes: rows, texts, bills and files."""

    def reported() -> tuple[object, ...]:
        report = played(Scenario.draw(seed))
        log = report.world.log()
        rows = sqlite_of(log).query("SELECT * FROM events ORDER BY position")
        texts = sqlite_of(log).query("SELECT * FROM blobs ORDER BY run, digest")
        return rows, texts, report.world.vendor.bills, report.world.files

    assert reported() == reported()


def test_different_seeds_give_different_logs() -> None:
    """A seed decides what happens."""
    assert played(Scenario.draw(1)).histories != played(Scenario.draw(2)).histories
