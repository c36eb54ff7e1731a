"""A whole log from one store into another, which goes on in its place.

The old store is closed by the same step that ends the copy: while rows are read nothing writes to it, and it is
written again if anything fails. The new one is closed, too, until then, so that at any moment, also after a crash, at
most one of both takes writes. A copy that ended early is repeated by the same command.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256

from attrs import fields, frozen

from orchestrator.errors import DamagedLogError, RunLockedError, UsageError
from orchestrator.log import chain
from orchestrator.log.protocol import UNFINISHED, Store, StoreError, all_rows
from orchestrator.log.stored_rows import Contents, Select

_MOST_NAMED = 5


@frozen
class Copied:
    """What was copied."""

    source: str
    """The address of the old store, for people."""
    target: str
    """That of the new one."""
    streams: int
    """Runs, accounts and whatever else has events."""
    events: int
    texts: int
    position: int
    """Of the last event, in both."""


def copy_log(source: Store, target: Store) -> Copied:
    """Copy everything that a store has into an empty one, prove that both are equal, and close the old one.

    Args:
        source: opened for writing, so that it can be closed.
        target: empty, or with an unfinished copy of the same store.

    Raises:
        UsageError: one of both is not fit for it; nothing was changed.
        RunLockedError: a run of the old store is live; nothing was changed.
        DamagedLogError: the old store is damaged, or the copy differs from it; the old store goes on.
        StoreError: one of both cannot be read or written; the old store goes on, and the copy may be repeated.
    """
    unfinished, moved = _lines(source, target)
    _refuse(source, target, unfinished, moved)
    with source.closing(moved):
        _refuse_live(source)
        _refuse_damaged(source, "")
        target.take_in(contents_of(source, target.high_water()), unfinished)
        copied = _compared(source, target)
    target.reopen()
    return copied


def _lines(source: Store, target: Store) -> tuple[str, str]:
    """Why the new store takes no writes yet, and why the old one takes none any more."""
    again = f"orchestrate log copy {source.url} {target.url}"
    return (
        f"{UNFINISHED} of {source.url}: finish it with {again}",
        f"this log was moved to {target.url}: name that with --store, in ORCHESTRATE_STORE or in the configuration",
    )


def _refuse(source: Store, target: Store, unfinished: str, moved: str) -> None:
    begun = target.closed == unfinished
    if source.closed and not (begun and source.closed == moved):
        raise UsageError(f"{source.url}: {source.closed}")
    if not source.high_water():
        raise UsageError(f"there is nothing to copy in {source.url}")
    if begun:
        return
    if target.closed:
        raise UsageError(f"{target.url}: {target.closed}")
    if target.high_water() or target.owners():
        raise UsageError(f"there is a log in {target.url} already: name an empty place to copy to")


def _refuse_live(store: Store) -> None:
    names = sorted({*(each.stream for each in store.extents()), *store.owners()} - {""})
    live = [name for name in names if _is_live(store, name)]
    if live:
        more = f" and {len(live) - _MOST_NAMED} more" if len(live) > _MOST_NAMED else ""
        named = f"{', '.join(live[:_MOST_NAMED])}{more} {'is' if len(live) == 1 else 'are'}"
        raise RunLockedError(f"{named} live: wait for the end, or stop what has them, and copy then")


def _is_live(store: Store, name: str) -> bool:
    with suppress(UsageError):  # what is no run, such as an account, has no lock
        return store.locks.is_held(name)
    return False


def _refuse_damaged(store: Store, beside: str) -> None:
    findings = chain.verify(store, texts=False)
    if findings:
        first = findings[0]
        text = f"{store.url}: {first.stream} is damaged at event {first.event}: {first.message}{beside}"
        raise DamagedLogError(first.position, text)


def contents_of(store: Store, after: int) -> Contents:
    """Everything in a store; of its events those after a position."""
    owners = store.owners()
    streams = [each.stream for each in store.extents()]
    return Contents(
        rows=all_rows(store, Select(after=after)),
        salts=((name, bytes(salt)) for name in owners if (salt := store.salt(name)) is not None),
        texts=_texts(store, owners),
        cached=iter(sorted(store.cache_rows())),
        holds=iter(sorted(store.holds())),
        asked=((name, each) for name in sorted({*streams, *owners}) for each in store.asked(name)),
        pace=iter(sorted(store.paces().items())),
    )


def _texts(store: Store, owners: Iterable[str]) -> Iterator[tuple[str, str, bytes]]:
    for name in owners:
        for each in store.texts(name):
            yield name, each.digest, bytes(store.blob(name, each.digest))


def _compared(source: Store, target: Store) -> Copied:
    """Read both whole, and make sure that they have the same, and that every chain of the copy holds."""
    found = [_digest(contents_of(each, 0)) for each in (source, target)]
    (there, _), (here, counts) = found
    differing = [name for name in there if there[name] != here[name]]
    if differing:
        raise StoreError(f"the copy in {target.url} differs in its {', '.join(differing)}: delete it, and copy again")
    _refuse_damaged(target, "; delete the copy, and copy again")
    extents = target.extents()
    return Copied(source.url, target.url, len(extents), counts["rows"], counts["texts"], target.high_water())


def _digest(contents: Contents) -> tuple[dict[str, bytes], dict[str, int]]:
    """Of each part of the contents a digest, and how many pieces it has."""
    digests, counts = dict[str, bytes](), dict[str, int]()
    for field in fields(Contents):
        digest, count = sha256(), 0
        for each in getattr(contents, field.name):
            digest.update(repr(tuple(each)).encode())
            count += 1
        digests[field.name], counts[field.name] = digest.digest(), count
    return digests, counts
