"""Whose past a run shares: a fork's history is its ancestors' up to the event it names, then its own.

A fork's own events are numbered on from there, so that versions are unique along the whole history.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from orchestrator.errors import LogError
from orchestrator.log import chain

_FIRST: Final = (
    "SELECT version, CAST(type AS BLOB), CAST(data AS BLOB), position FROM events WHERE stream = ?"
    " ORDER BY version LIMIT 1"
)
_EVENT: Final = "SELECT position, CAST(hash AS BLOB) FROM events WHERE stream = ? AND version = ?"
_FORKS: Final = "SELECT stream, data FROM events WHERE type = 'run.forked' ORDER BY position"
_SALT: Final = "SELECT 1 FROM salts WHERE run = ?"
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


def origin(connection: chain.Queryable, stream: str) -> Origin | None:
    """What a run shares with another, or None where it is no fork."""
    row: Any = connection.execute(_FIRST, (stream,)).fetchone()
    if row is None or row[1] != b"run.forked":
        return None
    return parse(row[0], row[2], row[3])


def origins(connection: chain.Queryable, stream: str) -> Iterator[Origin]:
    """What a run shares, then what that one shares, and so on.

    Raises:
        LogError: the forks go in a circle, which only a damaged log has.
    """
    for _ in range(_DEEPEST):
        found = origin(connection, stream)
        if found is None:
            return
        yield found
        stream = found.parent
    raise LogError(f"the ancestors of {stream} go in a circle: the log is damaged; see: orchestrate audit verify")


def segments(connection: chain.Queryable, stream: str) -> list[Segment]:
    """The parts of a run's history, oldest first; one for a run that is no fork."""
    found, upto = [Segment(stream, None)], None
    for each in origins(connection, stream):
        upto = each.version if upto is None else min(upto, each.version)
        found.append(Segment(each.parent, upto))
    return found[::-1]


def descendants(connection: chain.Queryable, stream: str) -> list[str]:
    """The runs that share the past of a run itself, without an ancestor's of theirs between."""
    return [str(name) for name, data in connection.execute(_FORKS) if json.loads(data)["parent"] == stream]


def verify(
    connection: chain.Queryable,
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
        return chain.verify(connection, None, head, texts=texts, opened=opened)
    try:
        past = list(origins(connection, stream))
    except chain.UNREADABLE:
        past = []
    if not past:
        return chain.verify(connection, stream, head, texts=texts, opened=opened)
    findings = []
    shared = any(_has(connection, each, head) for each in past) if head is not None else False
    for each in past:
        end = connection.execute(_EVENT, (each.parent, each.version)).fetchone()
        last = each.position if end is None else end[0]
        own = texts and connection.execute(_SALT, (each.parent,)).fetchone() is not None  # else the fork has copies
        above = chain.verify(connection, each.parent, each.hash, texts=own, opened=opened)
        findings += [found for found in above if found.position <= last]
    findings += chain.verify(connection, stream, None if shared else head, texts=texts, opened=opened)
    return sorted(findings, key=lambda found: found.position)


def _has(connection: chain.Queryable, shared: Origin, head: str) -> bool:
    query = "SELECT 1 FROM events WHERE stream = ? AND version <= ? AND hash = ?"
    return connection.execute(query, (shared.parent, shared.version, head)).fetchone() is not None
