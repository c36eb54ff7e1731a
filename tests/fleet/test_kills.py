"""A small part of ``benchmarks.kills``: workers, and a database server, under ``kill -9``."""

from pathlib import Path

import pytest
from benchmarks.kills import Figures, try_out

from orchestrator_postgres.temporary_server import programs


@pytest.mark.heavy
@pytest.mark.parametrize("postgres", [False, True], ids=["sqlite", "postgres"])
def test_runs_under_kill_9_end_as_untouched_ones(tmp_path: Path, postgres: bool) -> None:
    """All end; account = sum of the runs; the vendor's ledger to the nano-dollar where nothing was in flight."""
    if postgres and programs() is None:
        pytest.skip("no PostgreSQL server: install the extra dev-scale")
    found = try_out(Figures(runs=6, workers=2, jobs=3, every=1.5, kills=2, postgres=postgres), tmp_path)
    assert found.kills + found.server_kills >= 1
    assert list(found.differences) == []
    assert found.account == found.runs
    assert list(found.wrong) == []
