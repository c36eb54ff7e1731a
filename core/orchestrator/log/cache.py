"""The response cache: which call of which run answers a request. Rows beside the events; losing them loses no history.

A row is written in the transaction whose event makes an answer reusable. Its key is an HMAC under a random secret of
the data folder, so that a row does not reveal what was asked. The rows of simulated runs are a set of their own.
"""

import hmac
from collections.abc import Mapping
from typing import Final

from attrs import Factory, frozen

from orchestrator.events import CallSucceeded
from orchestrator.log import chain
from orchestrator.log.codec import CODEC

SECRET_BYTES: Final = 32
SIMULATED: Final = "sim/"
"""How the keys of simulated runs begin."""

_OWNER: Final = ""
"""Under this name, which no run has, the secret stands among the salts."""

_SECRET: Final = "SELECT salt FROM salts WHERE run = ?"
_ANSWER: Final = (
    "SELECT type, schema, data FROM events WHERE stream = ? AND version > ? AND type = 'call.succeeded'"
    " AND json_extract(data, '$.call') = ? ORDER BY version LIMIT 1"
)
_STATS: Final = """
WITH rows AS (SELECT substr(key, 1, 4) = 'sim/' AS simulated, run, call FROM cache)
SELECT rows.simulated, count(*), count(DISTINCT rows.run),
    sum(json_extract(e.data, '$.answer_bytes')), min(e.at), max(e.at)
FROM rows LEFT JOIN events AS e ON e.stream = rows.run AND e.type = 'call.succeeded' AND e.version > rows.call
    AND json_extract(e.data, '$.call') = rows.call
GROUP BY 1 ORDER BY 1
"""
_HITS: Final = """
WITH hits AS (
    SELECT json_extract(data, '$.reused.run') AS run, json_extract(data, '$.reused.call') AS call, stream
    FROM events WHERE type = 'call.prepared' AND json_extract(data, '$.cache') = 'hit'
)
SELECT json_extract(first.data, '$.settings.simulated'), count(*), sum(json_extract(paid.data, '$.settled'))
FROM hits JOIN events AS first ON first.stream = hits.stream AND first.type IN ('run.started', 'run.forked')
LEFT JOIN events AS paid ON paid.stream = hits.run AND paid.type = 'call.succeeded' AND paid.version > hits.call
    AND json_extract(paid.data, '$.call') = hits.call
GROUP BY 1 ORDER BY 1
"""


@frozen
class Entries:
    """What an append leaves to the cache: by key the version of the CallStarted whose answer it is."""

    secret: bytes
    """The one the keys were made with; stored where the data folder has none."""
    calls: Mapping[str, int] = Factory(dict)


@frozen
class Found:
    """An answer that can be reused."""

    run: str
    call: int
    """Version of its CallStarted."""
    answer: CallSucceeded


@frozen
class CacheStats:
    """What the cache holds of one set, and what it has saved so far."""

    simulated: bool
    answers: int = 0
    runs: int = 0
    size: int = 0
    """Bytes of the answers' texts."""
    oldest: int | None = None
    """Microseconds UTC."""
    newest: int | None = None
    hits: int = 0
    saved_nano: int = 0
    """What the reused answers had cost, in nano-dollars."""


def key_of(secret: bytes, simulated: bool, request: bytes) -> str:
    """The key of a request, given in a form that is equal for equal requests."""
    return (SIMULATED if simulated else "") + hmac.digest(secret, request, "sha256").hex()


def secret_of(connection: chain.Queryable) -> bytes | None:
    """The secret of the data folder, or None before anything was kept."""
    row = connection.execute(_SECRET, (_OWNER,)).fetchone()
    return None if row is None else bytes(row[0])


def keep(connection: chain.Queryable, run: str, entries: Entries) -> None:
    """Write the rows of a run's answers; where two processes drew a secret, the rows of the second are left out."""
    connection.execute("INSERT OR IGNORE INTO salts(run, salt) VALUES (?, ?)", (_OWNER, entries.secret))
    if secret_of(connection) != entries.secret:
        return
    for key, call in entries.calls.items():
        connection.execute("INSERT OR REPLACE INTO cache(key, run, call) VALUES (?, ?, ?)", (key, run, call))


def find(connection: chain.Queryable, key: str) -> Found | None:
    """The answer under a key, or None; its text is that run's."""
    row = connection.execute("SELECT run, call FROM cache WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    run, call = str(row[0]), int(row[1])
    stored = connection.execute(_ANSWER, (run, call, call)).fetchone()
    answer = None if stored is None else CODEC.decode(*stored)
    return Found(run, call, answer) if isinstance(answer, CallSucceeded) else None


def forget(connection: chain.Queryable, run: str) -> int:
    """Delete the rows of a run's answers, as when its content is deleted; returns how many there were."""
    return connection.execute("DELETE FROM cache WHERE run = ?", (run,)).rowcount


def clear(connection: chain.Queryable) -> int:
    """Delete every row, and the secret; returns how many there were."""
    connection.execute("DELETE FROM salts WHERE run = ?", (_OWNER,))
    return connection.execute("DELETE FROM cache").rowcount


def stats(connection: chain.Queryable) -> list[CacheStats]:
    """The set of real providers, then that of simulated ones."""
    held = {bool(row[0]): row[1:] for row in connection.execute(_STATS)}
    saved = {bool(row[0]): row[1:] for row in connection.execute(_HITS)}
    found = []
    for simulated in (False, True):
        answers, runs, size, oldest, newest = held.get(simulated, (0, 0, 0, None, None))
        hits, nano = saved.get(simulated, (0, 0))
        found.append(CacheStats(simulated, answers, runs, size or 0, oldest, newest, hits, nano or 0))
    return found


def request_of(*parts: str | int | bytes) -> bytes:
    """A request's canonical form: its parts, each after its length."""
    encoded = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"".join(b"%d:%b" % (len(part), part) for part in encoded)
