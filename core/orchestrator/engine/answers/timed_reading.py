"""Taking an answer in: its thinking taken off, then read, off the event loop and within a bounded time."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen

from orchestrator.engine.answers.thoughts import Parted, without_thoughts
from orchestrator.engine.ports import Ports
from orchestrator.events import Reading
from orchestrator.models import ReadingProblem

SECONDS: Final = 2.0
"""What taking one answer in may take; then it counts as unreadable."""

_LOGGER: Final = logging.getLogger("orchestrator.answers")

Read = Callable[[str, Callable[[str], str]], Reading]
"""Reads an answer; the second argument takes a text and returns its digest."""


class AnswerTexts(Protocol):
    """The texts of the run."""

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text for the next append, and return its digest."""

    def stored(self, text: str) -> str:
        """A text as ``put`` would store it; from any thread."""

    def digest(self, text: str) -> str:
        """The digest that ``put`` would return for a text; from any thread."""


@frozen
class Taken:
    """An answer as the log has it."""

    answer: str
    """Digest of the text without thinking."""
    size: int
    """Its bytes."""
    thoughts: str | None
    """Digest of the thinking; None where there is none."""
    reading: Reading


async def taken_in(text: str, read: Read, texts: AnswerTexts, ports: Ports) -> Taken:
    """Take an answer in. Whatever reading it does, the answer is there: it is paid for.

    A session that ends meanwhile waits for it once more.
    """
    kept: list[str] = []

    def keep(part: str) -> str:
        kept.append(part)
        return texts.digest(part)

    def work() -> tuple[Parted, Reading]:
        parted = without_thoughts(text)
        # The stored text is what is read, so that reading it again gives the same.
        return parted, read(texts.stored(parted.answer), keep)

    done = await _within_time(asyncio.ensure_future(ports.offload_foreign(work)))
    parted, reading = (Parted(text), Reading(problem=ReadingProblem.UNREADABLE)) if done is None else done
    for part in kept if done is not None else ():
        texts.put(part)
    return Taken(
        answer=texts.put(parted.answer),
        size=len(texts.stored(parted.answer).encode()),
        thoughts=texts.put(parted.thoughts) if parted.thoughts else None,
        reading=reading,
    )


async def _within_time(work: "asyncio.Future[tuple[Parted, Reading]]") -> tuple[Parted, Reading] | None:
    """What the work returns; None where it raises or takes too long."""
    for _ in range(2):
        try:
            await asyncio.wait({work}, timeout=SECONDS)
        except asyncio.CancelledError:
            continue
        break
    if not work.done():
        work.cancel()
        _LOGGER.warning("an answer was not read within %g s", SECONDS)
        return None
    error = work.exception()
    if error is not None:
        _LOGGER.warning("reading an answer raised %s: %s", type(error).__name__, error)
        return None
    return work.result()
