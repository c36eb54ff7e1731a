import asyncio
import os
from pathlib import Path

import pytest

from orchestrator.engine.ports import in_place
from orchestrator.engine.similar_runs import NEWEST, similar_runs
from orchestrator.events import Event, RunFinished, RunStarted
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.spec import spec_from

HOUR = 3_600_000_000
NOW = 1_900_000_000_000_000
AUTH = "Build a FastAPI auth service"


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """An empty log."""
    return EventLog.open(tmp_path, redactor=Redactor(), offload=in_place)


def add(log: EventLog, run: str, project: str, at: int, *more: Event, criteria: str = "tests pass") -> None:
    """A run that began, and what became of it."""
    texts = Texts(log, run, os.urandom, log.redactor)
    stored = spec_from(project, criteria).canonical()
    put = texts.put
    started = RunStarted(1, RunSettings(), put(stored), put(project), put(criteria))
    asyncio.run(log.append(run, 0, at, [started, *more], texts.take(), salt=texts.salt))


def found(log: EventLog, project: str = AUTH, **fields: object) -> list[str]:
    """The runs that are like a project, the likest first."""
    return [each.run for each in similar_runs(log, spec_from(project, "tests pass", **fields), NOW)]


def finished(status: ProjectStatus) -> RunFinished:
    """The end of a run."""
    return RunFinished(status, None, Usd.ZERO, Usd.ZERO)


def test_only_runs_with_something_left_to_do(log: EventLog) -> None:
    """Open and halted ones are offered; closed ones and those whose texts are gone are not."""
    for status in ProjectStatus:
        add(log, status.value, AUTH, NOW - HOUR, finished(status))
    add(log, "open", AUTH, NOW - HOUR)
    add(log, "deleted", AUTH, NOW - HOUR)
    asyncio.run(log.delete_content("deleted", 1, NOW - HOUR + 1))
    assert sorted(found(log)) == ["BUDGET_EXHAUSTED", "SYSTEM_FAILURE", "TIMEOUT", "open"]


def test_the_same_comes_first_then_the_likest_then_the_latest(log: EventLog) -> None:
    """Description and criteria make it the same; what shares too few words is no candidate, however new."""
    add(log, "same", AUTH, NOW - 900 * HOUR)
    add(log, "near", f"{AUTH} with JWT", NOW - HOUR)
    add(log, "older", f"{AUTH} with JWT", NOW - 100 * HOUR)
    add(log, "far", "Build a FastAPI gateway that meters requests of tenants", NOW)
    add(log, "other", "Translate the handbook", NOW)
    add(log, "other criteria", AUTH, NOW - 2 * HOUR, criteria="it works")
    assert found(log) == ["same", "other criteria", "near", "older"]
    assert found(log, "Translate the handbook into Greek") == ["other"]


def test_other_settings_are_told(log: EventLog) -> None:
    """A run keeps its own: what the new command would have otherwise is listed."""
    add(log, "same", AUTH, NOW)
    (similar,) = similar_runs(log, spec_from(AUTH, "tests pass", budget_usd=2.0), NOW)
    assert similar.same
    assert len(similar.changes) == 1
    assert "budget_usd" in similar.changes[0]


def test_a_run_that_somebody_has_is_left_alone(log: EventLog) -> None:
    """A live run is not offered."""
    add(log, "live", AUTH, NOW)
    lock = log.locks.acquire("live")
    assert found(log) == []
    lock.release()
    assert found(log) == ["live"]


def test_only_the_newest_are_looked_at(log: EventLog) -> None:
    """However many runs a data folder holds."""
    for number in range(NEWEST + 3):
        add(log, f"run-{number}", AUTH, NOW - HOUR + number)
    assert sorted(found(log)) == sorted(f"run-{number}" for number in range(3, NEWEST + 3))
