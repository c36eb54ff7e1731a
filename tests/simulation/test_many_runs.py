"""A fleet in virtual time: many runs open at once, on one account and in one pace, played by many workers."""

import pytest
from benchmarks import fleet

from orchestrator.models import ProjectStatus

ENDED = {ProjectStatus.SUCCESS.value, ProjectStatus.PARTIAL_SUCCESS.value}


def _check(runs: int, workers: int, per_second: int) -> fleet.FleetPlayed:
    """Every run comes to its end, the vendor is never asked too often, and the account has what the vendor billed."""
    found = fleet.play(fleet.scenario_of(runs, per_second), workers)
    assert sum(found.statuses.values()) == len(found.ends) == runs
    assert {*found.statuses} <= ENDED
    assert found.refused == 0
    assert found.settled == found.billed
    assert found.calls_per_second <= per_second
    return found


def test_a_small_fleet() -> None:
    """Twelve runs by four workers, against a vendor that lets them ask twice a second."""
    found = _check(12, 4, 2)
    assert found.calls_per_second > 0.6 * 2
    assert "12 runs: " in "\n".join(fleet.lines(found))


@pytest.mark.heavy
def test_a_fleet_of_forty_workers() -> None:
    """Two hundred runs, which is as many as a test has time for; ``python -m benchmarks.fleet`` plays ten thousand."""
    found = _check(200, 40, 20)
    assert found.calls_per_second > 0.6 * 20
