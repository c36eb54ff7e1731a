import asyncio
import hashlib

import pytest

from orchestrator.errors import DamagedLogError
from orchestrator.events import TaskStarted
from orchestrator.log import Redactor, Texts
from orchestrator.testing.simulation.memory_log import memory_database, memory_log


def salted(count: int) -> bytes:
    """A salt that is easy to recognise."""
    return b"s" * count


def test_a_text_is_named_by_its_salted_digest_and_read_back() -> None:
    """Texts go to the database with the append that takes them, and another process reads them."""
    connection = memory_database()
    log = memory_log(connection)
    texts = Texts(log, "run", salted, Redactor())

    digest = texts.put("häl\0lo" * 1000)
    asyncio.run(log.append("run", 0, 1, [TaskStarted("t")], texts.take(), salt=texts.salt))

    assert digest == hashlib.sha256(b"s" * 32 + ("häl\0lo" * 1000).encode()).hexdigest()
    again = Texts(memory_log(connection), "run", lambda count: pytest.fail("the run has a salt"), Redactor())
    assert again.salt == b"s" * 32
    assert again.get(digest) == "häl\0lo" * 1000
    assert len(connection.execute("SELECT data FROM blobs").fetchone()[0]) < 1000


def test_a_text_is_taken_once() -> None:
    """What an append has taken is not staged any more, and can still be read."""
    texts = Texts(memory_log(), "run", salted, Redactor())
    digest = texts.put("")

    assert texts.take() == {digest: ""}
    assert texts.take() == {}
    assert texts.get(digest) == ""


def test_an_unknown_digest_is_a_key_error() -> None:
    """A run has only its own texts."""
    with pytest.raises(KeyError):
        Texts(memory_log(), "run", salted, Redactor()).get("0" * 64)


def test_lone_surrogates_become_replacement_characters() -> None:
    """A text always is valid UTF-8; a pair of surrogates is the character it means."""
    texts = Texts(memory_log(), "run", salted, Redactor())

    assert texts.get(texts.put("a\ud800b")) == "a\ufffdb"
    assert texts.get(texts.put("a\ud83d\ude00b\ude00")) == "a😀b\ufffd"


def test_a_changed_text_is_not_handed_out() -> None:
    """A stored text is compared with its digest when it is read."""
    connection = memory_database()
    log = memory_log(connection)
    texts = Texts(log, "run", salted, Redactor())
    one, two = texts.put("one"), texts.put("two")
    asyncio.run(log.append("run", 0, 1, [TaskStarted("t")], texts.take(), salt=texts.salt))
    connection.execute("UPDATE blobs SET data = (SELECT data FROM blobs WHERE digest = ?) WHERE digest = ?", (one, two))

    fresh = Texts(log, "run", salted, Redactor())
    assert fresh.get(one) == "one"
    with pytest.raises(DamagedLogError, match="not what its digest says"):
        fresh.get(two)
