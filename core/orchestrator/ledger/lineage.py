"""Whose past a run shares: a fork's history is its ancestors' up to the event it names, then its own.

A fork's own events are numbered on from there, so that versions are unique along the whole history.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from attrs import frozen

from orchestrator.errors import LogError
from orchestrator.log import chain
from orchestrator.log.protocol import Store, StoreError, StoreReads, all_rows
from orchestrator.log.stored_rows import Select

_DEEPEST: Final = 1000


@frozen
class Origin:
    """What a fork shares, as its first event says."""

    parent: str
    version: int
    hash: str
    position: int
    """Of the fork's first event."""


@frozen
class Segment:
    """A part of a run's history: the events of one stream up to a version."""

    stream: str
    upto: int | None
    """None: all of them."""


def parse(version: int, data: bytes | str, position: int = 0) -> Origin | None:
    """The origin that the stored data of a first event names; None where it names none that fits its version."""
    try:
        fields = json.loads(data)
        found = Origin(str(fields["parent"]), int(fields["version"]), str(fields["hash"]), position)
    except (ValueError, TypeError, KeyError):
        return None
    return found if found.version == version - 1 and found.version > 0 else None


def origin(store: StoreReads, stream: str) -> Origin | None:
    """What a run shares with another, or None where it is no fork."""
    row = next(store.raw(stream, limit=1), None)
    if row is None or row.type != b"run.forked":
        return None
    return parse(row.version, row.data, row.position)


def origins(store: StoreReads, stream: str) -> Iterator[Origin]:
    """What a run shares, then what that one shares, and so on.

    Raises:
        LogError: the forks go in a circle, which only a damaged log has.
    """
    for _ in range(_DEEPEST):
        found = origin(store, stream)
        if found is None:
            return
        yield found
        stream = found.parent
    raise LogError(f"the ancestors of {stream} go in a circle: the log is damaged; see: orchestrate audit verify")


def segments(store: StoreReads, stream: str) -> list[Segment]:
    """The parts of a run's history, oldest first; one for a run that is no fork."""
    found, upto = [Segment(stream, None)], None
    for each in origins(store, stream):
        upto = each.version if upto is None else min(upto, each.version)
        found.append(Segment(each.parent, upto))
    return found[::-1]


def descendants(store: StoreReads, stream: str) -> list[str]:
    """The runs that share the past of a run itself, without an ancestor's of theirs between."""
    forks = all_rows(store, Select(types=("run.forked",)))
    return [row.stream for row in forks if json.loads(row.data)["parent"] == stream]


def verify(
    store: Store,
    stream: str | None = None,
    head: str | None = None,
    *,
    texts: bool = True,
    opened: chain.Opener = chain.plain,
) -> list[chain.LogFinding]:
    """Everything wrong with the history of one run, its ancestors' part included, or with the whole log.

    See ``chain.verify``; of an ancestor's stream only what the run shares counts.
    """
    if stream is None:
        return chain.verify(store, None, head, texts=texts, opened=opened)
    try:
        past = list(origins(store, stream))
    except StoreError:
        past = []
    if not past:
        return chain.verify(store, stream, head, texts=texts, opened=opened)
    findings = []
    shared = any(_has(store, each, head) for each in past) if head is not None else False
    for each in past:
        end = next(store.raw(each.parent, version=each.version), None)
        last = each.position if end is None else end.position
        own = texts and store.raw_salt(each.parent) is not None  # else the fork has copies
        above = chain.verify(store, each.parent, each.hash, texts=own, opened=opened)
        findings += [found for found in above if found.position <= last]
    findings += chain.verify(store, stream, None if shared else head, texts=texts, opened=opened)
    return sorted(findings, key=lambda found: found.position)


def _has(store: StoreReads, shared: Origin, head: str) -> bool:
    return any(row.hash == head.encode() for row in store.raw(shared.parent, upto_version=shared.version))


def is_encrypted(store: StoreReads, stream: str) -> bool:
    """Whether the first event of a run says that its texts are encrypted at rest."""
    first = next(store.raw(stream, limit=1), None)
    with suppress(ValueError, TypeError, AttributeError):
        return first is not None and bool(json.loads(first.data).get("settings", {}).get("encrypt"))
    return False
