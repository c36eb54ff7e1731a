"""The pace that runs share, audited over all of them: reserved times never overlap beyond the limit."""

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Select, chain
from orchestrator.log.codec import CODEC
from orchestrator.testing.simulation.memory_log import memory_database, memory_log
from orchestrator.testing.simulation.simulator import simulate
from orchestrator_audit.laws.shared_pace import Reservations
from orchestrator_audit.log_audit import audit
from tests.plugins.commands.audit.logs import INSERT, failures
from tests.simulation.test_shared_pace import crowd


@pytest.fixture(scope="module")
def log() -> EventLog:
    """Four runs against three requests a second."""
    return simulate(crowd(4, 3)).world.log()


def stored_with(log: EventLog, position: int, until: int) -> EventLog:
    """The same log as somebody would forge it who computes its chains anew: one time is another."""
    connection, heads = memory_database(), dict[str, str]()
    for record in log.select(Select()):
        event = record.event
        if record.position == position and isinstance(event, e.PaceRefused):
            event = evolve(event, until=until)
        name, schema, data = CODEC.encode(event)
        before = heads.get(record.stream, chain.GENESIS)
        heads[record.stream] = chain.link(before, record.stream, record.version, name, schema, record.at, data)
        row = (record.stream, record.version, name, schema, record.at, data, heads[record.stream])
        connection.execute(INSERT, row)
    return memory_log(connection)


def refusals(log: EventLog) -> list[tuple[int, str, e.PaceRefused]]:
    """Position, run and event of every refusal."""
    found = log.select(Select(types=("pace.refused",)))
    return [(each.position, each.stream, each.event) for each in found if isinstance(each.event, e.PaceRefused)]


def test_times_that_were_reserved_for_different_runs_are_apart(log: EventLog) -> None:
    """As the log was written the check passes for every run; two calls of different runs with one time fail it."""
    found = audit(log, texts=False)
    names = {check.subject for check in found.checks if check.name == "pace"}
    assert names == {run for _, run, _ in refusals(log)}
    assert len(names) > 1
    assert failures(found) == set()
    (_, first, before), (position, second, _) = next(
        (one, other) for one, other in zip(refusals(log), refusals(log)[1:], strict=False) if one[1] != other[1]
    )
    forged = audit(stored_with(log, position, before.until), texts=False)
    [check] = [each for each in forged.failed if each.name == "pace"]
    assert check.subject == second
    assert first in check.problems[0].message
    assert (second, "pace") not in failures(audit(log, second, texts=False))


def test_every_time_that_is_moved_closer_is_found(log: EventLog) -> None:
    """Whichever it is, as soon as it is closer to the one before than a call takes; less is what may come early."""
    records = list(log.select(Select(types=("pace.refused",))))
    for number in range(1, len(records)):
        for shift, wrong in ((0, False), (1, True)):
            times = Reservations()
            for place, record in enumerate(records):
                event = record.event
                assert isinstance(event, e.PaceRefused)
                if place == number:
                    before = records[place - 1].event
                    assert isinstance(before, e.PaceRefused)
                    moved = evolve(event, until=before.until + before.took - shift)
                    record.__dict__["decoded"] = moved
                times.take(record.stream, record)
                record.__dict__["decoded"] = event
            assert any(problem.position == records[number].position for _, problem in times.problems()) == wrong
