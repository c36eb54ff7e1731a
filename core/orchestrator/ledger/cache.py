"""The response cache: which call of which run answers a request. Rows beside the events; losing them loses no history.

A row is written in the transaction whose event makes an answer reusable. Its key is an HMAC under a random secret of
the data folder, so that a row does not reveal what was asked. The rows of simulated runs are a set of their own.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from attrs import Factory, frozen

from orchestrator.events import CallPrepared, CallSucceeded, RunForked, RunStarted
from orchestrator.log.codec import CODEC
from orchestrator.log.protocol import StoreReads, all_rows
from orchestrator.log.stored_rows import CacheRow, Select
from orchestrator.models import CacheUse

SECRET_BYTES: Final = 32
SIMULATED: Final = "sim/"
"""How the keys of simulated runs begin."""

_OWNER: Final = ""
"""Under this name, which no run has, the secret stands among the salts."""


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


def secret_of(store: StoreReads) -> bytes | None:
    """The secret of the data folder, or None before anything was kept."""
    found = store.salt(_OWNER)
    return None if found is None else bytes(found)


def rows_of(run: str, entries: Entries) -> tuple[CacheRow, ...]:
    """The rows of a run's answers."""
    return tuple(CacheRow(key, run, call) for key, call in entries.calls.items())


def find(store: StoreReads, key: str) -> Found | None:
    """The answer under a key, or None; its text is that run's."""
    row = store.cached(key)
    answer = None if row is None else answer_of(store, row.run, row.call)
    return None if row is None or answer is None else Found(row.run, row.call, answer)


def answer_of(store: StoreReads, run: str, call: int) -> CallSucceeded | None:
    """The answer to a call of a run, or None where it has none."""
    select = Select((run,), ("call.succeeded",), after_version=call, by_version=True)
    for row in all_rows(store, select):
        event = CODEC.decode(row.type, row.schema, row.data)
        if isinstance(event, CallSucceeded) and event.call == call:
            return event
    return None


def stats(store: StoreReads) -> list[CacheStats]:
    """The set of real providers, then that of simulated ones."""
    rows = store.cache_rows()
    hits = list(_hits(store))
    wanted = {(row.run, row.call) for row in rows} | {(run, call) for _, run, call in hits}
    answers = dict(_answers(store, wanted))
    return [
        _set(simulated, [row for row in rows if row.key.startswith(SIMULATED) == simulated], hits, answers)
        for simulated in (False, True)
    ]


def _set(
    simulated: bool,
    rows: Sequence[CacheRow],
    hits: Sequence[tuple[bool, str, int]],
    answers: Mapping[tuple[str, int], tuple[int, CallSucceeded]],
) -> CacheStats:
    kept = [answers[row.run, row.call] for row in rows if (row.run, row.call) in answers]
    used = [(run, call) for pretended, run, call in hits if pretended == simulated]
    times = [at for at, _ in kept]
    return CacheStats(
        simulated,
        len(rows),
        len({row.run for row in rows}),
        sum(answer.answer_bytes for _, answer in kept),
        min(times, default=None),
        max(times, default=None),
        len(used),
        sum(answers[each][1].settled.nano for each in used if each in answers),
    )


def _answers(
    store: StoreReads, wanted: Set[tuple[str, int]]
) -> Iterator[tuple[tuple[str, int], tuple[int, CallSucceeded]]]:
    """The answers to some calls, with their times."""
    for run in sorted({run for run, _ in wanted}):
        for row in all_rows(store, Select((run,), ("call.succeeded",), by_version=True)):
            event = CODEC.decode(row.type, row.schema, row.data)
            if isinstance(event, CallSucceeded) and (run, event.call) in wanted:
                yield (run, event.call), (row.at, event)


def _hits(store: StoreReads) -> Iterator[tuple[bool, str, int]]:
    """Every answer that was reused: whether in a simulated run, and the call it was given to first."""
    simulated: dict[str, bool] = {}
    for row in all_rows(store, Select(types=("run.started", "run.forked", "call.prepared"))):
        event = CODEC.decode(row.type, row.schema, row.data)
        if isinstance(event, RunStarted | RunForked):
            simulated[row.stream] = event.settings.simulated
        elif isinstance(event, CallPrepared) and event.cache is CacheUse.HIT and event.reused is not None:
            yield simulated.get(row.stream, False), event.reused.run, event.reused.call


def request_of(*parts: str | int | bytes) -> bytes:
    """A request's canonical form: its parts, each after its length."""
    encoded = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"".join(b"%d:%b" % (len(part), part) for part in encoded)
