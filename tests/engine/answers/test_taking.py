"""Taking answers in: off the loop, within two seconds, and never without the answer."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.engine.answers import timed_reading
from orchestrator.engine.answers.timed_reading import Taken, taken_in
from orchestrator.engine.ports import real_ports
from orchestrator.events import Reading
from orchestrator.models import ReadingProblem

UNREADABLE = Reading(problem=ReadingProblem.UNREADABLE)


class Texts:
    """Texts whose digests are themselves in brackets."""

    def __init__(self) -> None:
        self.staged: list[str] = []
        self.threads: set[int] = set()

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text."""
        self.threads.add(threading.get_ident())
        self.staged.append(text)
        return self.digest(text)

    def stored(self, text: str) -> str:
        """The text with its key taken out."""
        return text.replace("sk-key", "[key]")

    def digest(self, text: str) -> str:
        """The text in brackets."""
        return f"<{self.stored(text)}>"


def take(text: str, read: Callable[[str, Any], Reading], texts: Texts | None = None) -> Taken:
    """Take an answer in with the machine's threads."""
    return asyncio.run(taken_in(text, read, texts or Texts(), real_ports()))


def test_an_answer_is_read_as_it_is_stored_in_a_thread_of_its_own() -> None:
    """Without thinking and keys; what the reader keeps is staged by the loop's thread."""
    texts, seen = Texts(), list[Any]()

    def read(text: str, keep: Callable[[str], str]) -> Reading:
        seen.extend((text, keep("part"), threading.get_ident()))
        return Reading(score=0.5)

    taken = take("<think>Hm.</think>\nsk-key x", read, texts)
    assert taken == Taken("<[key] x>", 7, "<<think>Hm.</think>\n>", Reading(score=0.5))
    assert seen[:2] == ["[key] x", "<part>"]
    assert texts.staged == ["part", "sk-key x", "<think>Hm.</think>\n"]
    assert texts.threads == {threading.get_ident()} != {seen[2]}


@pytest.mark.parametrize("error", [ValueError("no"), RecursionError(), MemoryError(), SystemExit(1)])
def test_a_reader_that_raises_leaves_the_answer(error: BaseException) -> None:
    """The answer is there as it came, and what was kept of it is not."""
    texts = Texts()

    def read(text: str, keep: Callable[[str], str]) -> Reading:
        keep("part")
        raise error

    assert take("x", read, texts) == Taken("<x>", 1, None, UNREADABLE)
    assert texts.staged == ["x"]


def test_a_reader_that_hangs_leaves_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for it is over."""
    monkeypatch.setattr(timed_reading, "SECONDS", 0.05)
    over = threading.Event()

    def read(text: str, keep: Callable[[str], str]) -> Reading:
        over.wait(60)
        return Reading()

    try:
        assert take("x", read).reading == UNREADABLE
    finally:
        over.set()


def test_an_answer_that_is_being_read_when_the_session_ends_is_not_lost() -> None:
    """It is paid for: the reading is waited for once more."""
    begun, go_on = threading.Event(), threading.Event()

    def read(text: str, keep: Callable[[str], str]) -> Reading:
        begun.set()
        go_on.wait(60)
        return Reading(score=0.5)

    async def ended() -> Taken:
        task = asyncio.create_task(taken_in("x", read, Texts(), real_ports()))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        go_on.set()
        return await task

    assert asyncio.run(ended()).reading == Reading(score=0.5)
