"""Cancelling a coroutine at exactly its n-th wait, and specs for the tests of the Python API."""

import asyncio
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any, Generic, TypeVar

from tests.cli.command import scripted_spec

T = TypeVar("T")


class CancelledAt(Generic[T]):
    """Awaits a coroutine, and cancels its task when it waits for the n-th time, as ``Task.cancel`` does it.

    Attributes:
        waits: how often it has waited.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], *numbers: int) -> None:
        self._coroutine = coroutine
        self._numbers = numbers
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, T]:
        task = asyncio.current_task()
        assert task is not None
        error: BaseException | None = None
        while True:
            try:
                waited = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            error = None
            self.waits += 1
            if self.waits in self._numbers:
                task.cancel()
            try:
                yield waited
            except BaseException as raised:
                error = raised


def a_spec(folder: Path, tasks: int = 1, **fields: Any) -> Path:
    """A spec of so many scripted tasks, each waiting for the one before."""
    plan = [
        {
            "id": f"t{number}",
            "type": "code_generation",
            "prompt": "Write x.",
            "dependencies": [f"t{number - 1}"] if number > 1 else [],
        }
        for number in range(1, tasks + 1)
    ]
    return scripted_spec(folder, tasks=plan, **fields)
