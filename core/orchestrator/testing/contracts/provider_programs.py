"""The part of the contract of providers that start a program: a fake one shows what they do with it."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest import SkipTest

from attrs import frozen

from orchestrator.errors import ProviderError
from orchestrator.spi import Provider, Reply
from orchestrator.testing.contracts import leftovers
from orchestrator.testing.contracts.leftovers import blocks, longest_pause, no_task_left, nothing_left
from orchestrator.testing.contracts.provider_setup import ProviderCalls

_AT_ONCE: Final = 4
_PATIENCE: Final = 10.0
"""Seconds in which programs have to be started."""
_BEAT: Final = 0.02
_PRELUDE: Final = """#!{python}
import os, pathlib, time
folder = pathlib.Path({folder!r})
(folder / f"started-{{os.getpid()}}").write_text("")
while not (folder / "go").exists():
    time.sleep(0.01)
del folder, os, pathlib, time

{text}
"""


@frozen
class FakeProgram:
    """A program that says that it was started, and waits until it is let go."""

    folder: Path

    @property
    def path(self) -> Path:
        """What is started."""
        return self.folder / "program"

    def started(self) -> list[int]:
        """The processes that were started so far, by id."""
        return [int(each.name.partition("-")[2]) for each in self.folder.glob("started-*")]

    def let_go(self) -> None:
        """Let those that wait, and all that are started later, go on."""
        (self.folder / "go").write_text("")

    async def wait(self, count: int) -> int:
        """Wait until so many were started, as long as is sensible; returns how many there are."""
        late = time.monotonic() + _PATIENCE
        while len(self.started()) < count and time.monotonic() < late:  # noqa: ASYNC110
            await asyncio.sleep(_BEAT)
        return len(self.started())

    def alive(self) -> list[int]:
        """The processes that are still there after a while; one that was not waited for is there, too."""
        late = time.monotonic() + leftovers.GRACE
        while (left := [each for each in self.started() if _is_there(each)]) and time.monotonic() < late:
            time.sleep(_BEAT)
        return left


class ProgramContract(ProviderCalls):
    """A program is started for each call, side by side; it ends with its call, and others go on meanwhile."""

    program: ClassVar[str] = ""
    """Text of a Python program that stands in for the one that the provider starts, and answers as that one does."""
    program_option: ClassVar[str] = "command"
    """The option of a spec that names the program."""

    def make_for(self, program: Path) -> Provider:
        """The provider, so that it starts this program."""
        made = self.build(config=self.config({**self.options, self.program_option: str(program)}))
        if made is None:
            raise SkipTest("it returned None: it finds no key or address in `environment`")
        provider: Provider = made
        return provider

    def test_programs_run_side_by_side(self) -> None:
        """Calls that are made at once each have their program at once, and each gets its answer."""
        with self._fake() as fake:

            async def together() -> None:
                provider = self.make_for(fake.path)
                calls = [asyncio.ensure_future(self._call(provider)) for _ in range(_AT_ONCE)]
                started = await fake.wait(_AT_ONCE)
                fake.let_go()
                replies = await asyncio.gather(*calls, return_exceptions=True)
                assert started == _AT_ONCE, f"{started} of {_AT_ONCE} programs were started: one call waits for another"
                wrong = next((each for each in replies if not isinstance(each, Reply)), None)
                assert wrong is None, f"a call gave no Reply: {wrong!r}"[:300]

            self._run(together, "calls at once do not end")

    def test_a_cancelled_call_ends_its_program(self) -> None:
        """A call that is cancelled ends at once as cancelled, and its program with it."""
        with self._fake() as fake:

            async def cancelled() -> None:
                call = asyncio.ensure_future(self._call(self.make_for(fake.path)))
                assert await fake.wait(1) == 1, f"no program was started by the option {self.program_option!r}"
                call.cancel()
                ended, _ = await asyncio.wait({call}, timeout=5)
                assert ended, "a cancelled call goes on: let CancelledError through"
                assert call.cancelled(), "a cancelled call does not end as cancelled: let CancelledError through"

            self._run(cancelled, "a cancelled call does not end")
            assert not fake.alive(), "the program of a cancelled call goes on: kill it, and wait for it, in a `finally`"

    def test_others_go_on_while_a_program_works(self) -> None:
        """While a program takes its time, everything else on the event loop goes on."""

        def pauses() -> Iterator[float]:
            while True:
                with self._fake() as fake:
                    timer = threading.Timer(1.5 * leftovers.LONGEST_PAUSE, fake.let_go)
                    timer.start()
                    yield self._run(lambda: longest_pause(self._call(self.make_for(fake.path))), "a call hangs")
                    timer.join()

        longest = blocks(pauses())
        assert longest <= leftovers.LONGEST_PAUSE, (
            f"while its program worked nothing else happened for {longest:.1f} s: it blocks the event loop; await "
            "asyncio.create_subprocess_exec, or give the waiting to asyncio.to_thread"
        )

    def test_a_program_leaves_nothing_behind(self) -> None:
        """After a call its program has ended and was waited for, and no task, thread or connection is left."""
        with self._fake() as fake:
            fake.let_go()
            with nothing_left("a call"):
                self._run(lambda: no_task_left(self._call(self.make_for(fake.path))), "a call hangs")
            assert fake.started(), f"no program was started by the option {self.program_option!r}"
            assert not fake.alive(), "its program goes on after the call, or was never waited for"

    def test_a_program_that_fails_is_a_classified_error(self) -> None:
        """Whatever a program does instead of answering, the call raises a ProviderError."""
        failures = {
            "ends with status 3": "raise SystemExit(3)",
            "prints rubbish": "print('\\x00rubbish')\nraise SystemExit(1)",
        }
        for what, text in failures.items():
            with self._fake(text) as fake:
                fake.let_go()
                found = self._run(partial(self._ended, fake), "a call hangs")
                assert isinstance(found, ProviderError), f"a program that {what}: {found!r}, not a ProviderError"[:300]

    async def _ended(self, fake: FakeProgram) -> Any:
        try:
            return await self._call(self.make_for(fake.path))
        except (Exception, SystemExit) as error:
            return error

    async def _call(self, provider: Provider) -> Any:
        body = self._encoded(provider, self.request())
        return await provider.call(body, self._context(None))

    @contextlib.contextmanager
    def _fake(self, text: str | None = None) -> Iterator[FakeProgram]:
        if not self.program:
            raise SkipTest("no program was given in `program`")
        with tempfile.TemporaryDirectory(prefix="program-") as folder:
            fake = FakeProgram(Path(folder))
            written = _PRELUDE.format(python=sys.executable, folder=folder, text=self.program if text is None else text)
            fake.path.write_text(written, encoding="utf-8")
            fake.path.chmod(0o755)
            try:
                yield fake
            finally:
                fake.let_go()
                for each in fake.started():
                    with contextlib.suppress(OSError):
                        os.kill(each, signal.SIGKILL)


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True
