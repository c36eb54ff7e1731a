"""The rows of the response cache."""

import asyncio

import pytest

from orchestrator import events as e
from orchestrator.errors import ConcurrencyError
from orchestrator.events import Reading, TaskStarted
from orchestrator.ledger import cache as caching
from orchestrator.ledger.cache import Entries, key_of, request_of
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.log.protocol import Changes, Member
from orchestrator.models import Finish
from orchestrator.money import Usd
from orchestrator.testing.simulation.memory_log import memory_database, memory_log
from tests.sql import sqlite_of

SECRET = b"s" * 32


def answered(log: EventLog, run: str, text: str, *keys: str, secret: bytes = SECRET) -> str:
    """Append an answer to call 1 of a run, reusable under these keys; returns its digest."""
    texts = Texts(log, run, lambda count: run[:1].encode() * count, Redactor())
    digest = texts.put(text)
    answer = e.CallSucceeded(1, digest, len(text), Finish.STOP, Reading(), None, Usd(5), Usd.ZERO, 1000)
    asyncio.run(
        log.append(
            run,
            0,
            1,
            [TaskStarted("t"), answer],
            texts.take(),
            salt=texts.salt,
            reusable=Entries(secret, dict.fromkeys(keys, 1)),
        )
    )
    return digest


def test_an_answer_is_found_by_its_key_with_the_events_that_made_it_reusable() -> None:
    """The row names the run and the call; nothing else is found."""
    log = memory_log(memory_database())
    key = key_of(SECRET, False, b"request")
    digest = answered(log, "one", "hello", key)

    found = log.cached(key)
    assert found is not None
    assert (found.run, found.call, found.answer.answer) == ("one", 1, digest)
    assert log.cached(key_of(SECRET, False, b"another")) is None
    assert log.cache_secret() == SECRET


def test_a_refused_append_leaves_no_row() -> None:
    """Row and event are one transaction."""
    log = memory_log(memory_database())
    answered(log, "one", "hello", "a")
    with pytest.raises(ConcurrencyError):
        answered(log, "one", "again", "b")
    assert log.cached("a") is not None
    assert log.cached("b") is None


def test_the_keys_of_requests_depend_on_all_of_their_parts_and_on_the_secret() -> None:
    """Parts are told apart by their lengths; simulated runs have keys of their own."""
    assert request_of("ab", "c") != request_of("a", "bc")
    assert request_of("a", 1, b"x") == request_of("a", 1, b"x") != request_of("a", 2, b"x")
    keys = {
        key_of(SECRET, False, b"x"),
        key_of(SECRET, True, b"x"),
        key_of(b"t" * 32, False, b"x"),
        key_of(SECRET, False, b"y"),
    }
    assert len(keys) == 4
    assert key_of(SECRET, True, b"x").startswith(caching.SIMULATED)


def test_rows_made_with_another_secret_are_not_written() -> None:
    """Two processes that begin at once draw two secrets; only the keys of the first can ever be found."""
    log = memory_log(memory_database())
    answered(log, "one", "hello", "a")
    answered(log, "two", "hello", "b", secret=b"other" * 7)
    assert log.cache_secret() == SECRET
    assert sqlite_of(log).query("SELECT key FROM cache") == [("a",)]


def test_the_rows_of_a_run_are_forgotten_with_its_content() -> None:
    """Those of other runs stay."""
    log = memory_log()
    answered(log, "one", "hello", "a", "b")
    answered(log, "two", "hello", "c")
    log.store.write([Member(lambda tails: Changes(dropped_cache=("one",)))])
    assert sqlite_of(log).query("SELECT key FROM cache") == [("c",)]


def test_clearing_forgets_the_rows_and_the_secret() -> None:
    """The log itself stays as it is, and the next row begins anew."""
    log = memory_log(memory_database())
    answered(log, "one", "hello", "a", "sim/b")
    assert asyncio.run(log.clear_cache()) == 2
    assert log.cached("a") is None
    assert log.cache_secret() is None
    assert log.verify() == []
    assert asyncio.run(log.clear_cache()) == 0


def test_what_the_cache_holds_is_told_by_set() -> None:
    """Real answers and simulated ones apart: how many, of how many runs, how large, from when."""
    log = memory_log(memory_database())
    answered(log, "one", "hello", "a")
    answered(log, "two", "hello!", "sim/b")
    real, simulated = log.cache_stats()
    assert (real.simulated, real.answers, real.runs, real.size, real.oldest) == (False, 1, 1, 5, 1)
    assert (simulated.simulated, simulated.answers, simulated.size, simulated.hits) == (True, 1, 6, 0)
