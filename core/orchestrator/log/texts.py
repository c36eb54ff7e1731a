"""The texts of a run: stored apart from the events, named by a salted digest, so that they can be deleted."""

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen

from orchestrator.errors import DamagedLogError, LogError, NoTextError
from orchestrator.log.redaction import Redactor

SALT_BYTES: Final = 32
FINGERPRINT: Final = 32
"""Hexadecimal digits of a fingerprint."""

LARGEST_TEXT: Final = 16 * 1024 * 1024
"""Bytes; a text that has more is not stored, and one that unpacks to more is damaged: it could fill the memory."""

_REMEMBERED: Final = 64
_CRC_BYTES: Final = 4
_SMALLEST_WINDOW: Final = 10
"""In bits, as zlib counts; the largest is 15."""


@frozen
class NoText:
    """Why a text of a run cannot be had."""

    mark: str
    """What can stand in its place."""
    why: str
    """What is so of it, to be said after it."""


DELETED: Final = NoText("(deleted)", "was deleted")
MISSING: Final = NoText("(missing)", "is missing")
NOT_BUNDLED: Final = NoText("(not in the bundle)", "is not in the bundle")
WITHOUT_KEY: Final = "(encrypted, without its key)"
"""The mark of a text that is encrypted, while the key of its run is not here."""


class TextSource(Protocol):
    """Where the stored texts are: an event log."""

    def salt(self, run: str) -> bytes | None:
        """The salt of a run, or None where the run has none."""

    def blob(self, run: str, digest: str) -> bytes | None:
        """The compressed text a run stored under a digest, or None."""

    def no_text(self, run: str) -> NoText:
        """Why a text of a run, for which there is None, cannot be had."""


def digest_of(salt: bytes, text: bytes) -> str:
    """The name of a text: SHA-256 of the run's salt and the UTF-8 bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(salt + text).hexdigest()


def clean(text: str) -> str:
    """The text as UTF-8 can hold it: surrogates that make a pair are joined, lone ones become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class Texts:
    """The texts of one run. New ones are staged until an append takes them.

    Args:
        source: the log that has the stored ones.
        run: the run's id.
        random: gives that many random bytes; asked once, for a run that has no salt yet.
        redactor: takes keys out before a text gets its digest.

    Attributes:
        salt: the run's salt; an append that creates the run stores it.
    """

    def __init__(self, source: TextSource, run: str, random: Callable[[int], bytes], redactor: Redactor) -> None:
        self._source = source
        self._run = run
        self._redactor = redactor
        self._staged: dict[str, str] = {}
        self._recent: OrderedDict[str, str] = OrderedDict()
        self.salt: bytes = source.salt(run) or random(SALT_BYTES)

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text and return its digest. ``shapes``: it is untrusted (errors, URLs, headers)."""
        text = self._redactor.shapes(clean(text)) if shapes else self.stored(text)
        digest = digest_of(self.salt, text.encode())
        self._staged[digest] = text
        self._remember(digest, text)
        return digest

    def fingerprint(self, text: str) -> str:
        """A salted digest by which equal texts are known; shorter than that of a stored text, for nothing is stored."""
        return digest_of(self.salt, clean(text).encode())[:FINGERPRINT]

    def stored(self, text: str) -> str:
        """A text as ``put`` would store it; from any thread."""
        return self._redactor.values(clean(text))

    def digest(self, text: str) -> str:
        """The digest that ``put`` would return for a text; from any thread."""
        return digest_of(self.salt, self.stored(text).encode())

    def take(self) -> dict[str, str]:
        """The staged texts by digest; they are the caller's to append."""
        staged, self._staged = self._staged, {}
        return staged

    def get(self, digest: str) -> str:
        """The text of a digest.

        Raises:
            NoTextError: it cannot be had: it was deleted, say, or is encrypted and the key is not here.
            DamagedLogError: what is stored is not what the digest says.
        """
        text = self._staged.get(digest, self._recent.get(digest))
        if text is None:
            packed = self._source.blob(self._run, digest)
            if packed is None:
                cause = self._source.no_text(self._run)
                raise NoTextError(digest, cause.mark, cause.why)
            text = unpack(self.salt, digest, packed).decode()
        self._remember(digest, text)
        return text

    def _remember(self, digest: str, text: str) -> None:
        if digest in self._recent:
            self._recent.move_to_end(digest)
            return
        self._recent[digest] = text
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)


def pack(text: str) -> bytes:
    """The stored form of a text: zlib, and its CRC-32, since a few bits of such a stream mean nothing to a reader.

    Raises:
        LogError: it is larger than what is read again.
    """
    content = text.encode()
    if len(content) > LARGEST_TEXT:
        raise LogError(f"a text of {len(content) >> 20} MiB is not stored: at most {LARGEST_TEXT >> 20} MiB are")
    # A window no larger than the text, and memory to match: clearing the usual 256 KiB takes longer than squeezing.
    window = min(max(len(content).bit_length(), _SMALLEST_WINDOW), zlib.MAX_WBITS)
    squeeze = zlib.compressobj(6, zlib.DEFLATED, window, min(window - 6, zlib.DEF_MEM_LEVEL))
    squeezed = squeeze.compress(content) + squeeze.flush()
    return squeezed + _crc(squeezed)


def unpack(salt: bytes, digest: str, packed: bytes) -> bytes:
    """The UTF-8 bytes of a stored text.

    Raises:
        DamagedLogError: it is not stored as it was written, or is not what the digest says.
    """
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(packed, LARGEST_TEXT)
    except (zlib.error, TypeError) as error:
        raise DamagedLogError(0, f"the text {digest[:12]} is damaged: {error}") from error
    if inflate.unconsumed_tail:
        raise DamagedLogError(0, f"the text {digest[:12]} is damaged: it holds more than {LARGEST_TEXT >> 20} MiB")
    if not inflate.eof or inflate.unused_data != _crc(packed[:-_CRC_BYTES]):
        raise DamagedLogError(0, f"the text {digest[:12]} is damaged: its check sum is another")
    if digest_of(salt, text) != digest:
        raise DamagedLogError(0, f"the text {digest[:12]} is not what its digest says")
    return text


def _crc(squeezed: bytes) -> bytes:
    return zlib.crc32(squeezed).to_bytes(_CRC_BYTES)
