"""Keeping a log small: content that is deleted, runs that are archived, texts that nothing refers to."""

from collections.abc import Collection, Iterator, Mapping

from attrs import frozen

from orchestrator.errors import UsageError
from orchestrator.events import ContentDeleted, RunArchived
from orchestrator.ledger import lineage
from orchestrator.log import chain
from orchestrator.log.protocol import StoreReads
from orchestrator.log.stored_rows import CacheRow, StoredText
from orchestrator.log.text_encryption import Keys, NoKeyError
from orchestrator.log.transaction import AppendDraft


@frozen
class Collected:
    """What ``log gc`` took away."""

    texts: int
    size: int
    """Bytes of them, as stored."""
    cached: int
    skipped: tuple[str, ...]
    """Runs that were live."""
    before: int
    """Bytes of the database and its WAL."""
    after: int


def delete_content(draft: AppendDraft, run: str, expected: int, at: int, keys: Keys) -> ContentDeleted:
    """Delete a run's texts, their salt and its cached answers, and append that it was done.

    Forks that share its past get the texts they need under their own names first, encrypted with their own keys where
    they have some. For the draft of an append; its caller then deletes the key.

    Raises:
        UsageError: the run is not at the expected version, or its content is deleted already.
        NoKeyError: see ``check_keys``.
    """
    tails, last = draft.tails, draft.last(run)
    if last is None or last.version != expected:
        raise UsageError(f"{run} has gone on meanwhile; try again")
    if tails.raw_salt(run) is None:
        raise UsageError(f"the content of {run} is deleted already")
    check_keys(tails, run, keys)
    for fork in _heirs(tails, run):
        for digest in needed(tails, fork):
            found = tails.blob(run, digest)
            if found is not None:
                draft.texts.append((fork, digest, keys.seal(fork, digest, keys.open(run, digest, bytes(found)))))
    gone = tails.texts(run)
    draft.forgotten.append(run)
    event = ContentDeleted(len(gone), sum(each.size for each in gone))
    draft.write(run, max(at, last.at + 1), draft.encode(event))
    return event


def check_keys(store: StoreReads, run: str, keys: Keys) -> None:
    """Check that the texts that forks share can be read, and be stored encrypted again, when the run's are deleted.

    Raises:
        NoKeyError: the key of the run, or of a fork, is not here; what to do.
    """
    for fork in _heirs(store, run):
        for each in (run, fork):
            if lineage.is_encrypted(store, each) and keys.of(each) is None:
                raise NoKeyError(
                    f"{fork} shares encrypted texts of {run}, and {keys.lacking(each)}; "
                    f"put the key back, or delete the content of {fork} first"
                )


def archive(draft: AppendDraft, run: str, event: RunArchived, at: int, texts: Mapping[str, bytes], salt: bytes) -> None:
    """Leave one event of a run: its other events, its texts, salt and cached answers are deleted. For an append.

    Args:
        draft: of the append.
        run: the run's id; no fork shares its events.
        event: what is left; it names the last event.
        at: microseconds UTC.
        texts: those that the event refers to, as they are stored, by digest.
        salt: of these texts; the run's own is deleted with the texts that it proves.

    Raises:
        UsageError: the run has gone on meanwhile, or a fork shares its events.
    """
    last = draft.last(run)
    if last is None or (last.version, last.hash) != (event.version, event.head):
        raise UsageError(f"{run} has gone on meanwhile; try again")
    if lineage.descendants(draft.tails, run):
        raise UsageError(f"{run} has forks that share its events: archive them first")
    draft.archived.append(run)
    draft.forgotten.append(run)
    draft.taken.append((run, None, None))
    draft.salts.append((run, salt))
    draft.texts += [(run, digest, text) for digest, text in texts.items()]
    draft.write(run, max(at, last.at + 1), draft.encode(event))


def _heirs(store: StoreReads, run: str) -> list[str]:
    """The forks that go on needing a run's texts; where a fork's own content is deleted, those of that fork."""
    found, seen, left = [], {run}, lineage.descendants(store, run)
    while left:
        fork = left.pop()
        if fork in seen:
            continue
        seen.add(fork)
        if store.raw_salt(fork) is not None:
            found.append(fork)
        else:
            left += lineage.descendants(store, fork)
    return found


def needed(store: StoreReads, run: str) -> Iterator[str]:
    """The digests that a run's history refers to, what it shares as a fork included; some more than once."""
    for segment in lineage.segments(store, run):
        for row in store.raw(segment.stream, upto_version=segment.upto):
            for digest in chain.referred(row.type, row.data):
                yield digest.decode()


def unreferenced(store: StoreReads, run: str) -> list[StoredText]:
    """The texts of a run that nothing refers to; no session may be open."""
    wanted = set(needed(store, run))
    return [text for text in store.texts(run) if text.digest not in wanted]


def orphaned(store: StoreReads, deleted: Collection[str] = ()) -> list[CacheRow]:
    """The cached answers whose run has no content any more, or is among those that are to be deleted."""
    rows = store.cache_rows()
    gone = {run for run in {row.run for row in rows} if run in deleted or store.raw_salt(run) is None}
    return [row for row in rows if row.run in gone]
