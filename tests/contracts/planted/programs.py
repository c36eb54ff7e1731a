"""Providers that start a program, or show live text, with one bug each; beside them a sound one."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator import spi
from orchestrator.spi import (
    Body,
    CallContext,
    ErrorKind,
    ModelInfo,
    ProviderConfig,
    ProviderError,
    Reply,
    Request,
    Usage,
)
from orchestrator.testing import PluginContract, ProviderContract


class Program:
    """A sound provider that starts a program."""

    simulated = False

    def __init__(self, config: ProviderConfig, command: str) -> None:
        self._models, self._command = config.models, command

    def models(self) -> tuple[ModelInfo, ...]:
        """Those that are declared."""
        return self._models

    def encode(self, request: Request) -> Body:
        """As JSON."""
        prompt = [[each.author, each.text] for each in request.messages]
        return Body(json.dumps([prompt, request.max_tokens]).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Start, wait, read."""
        process = await self.started()
        try:
            printed, _ = await process.communicate(body.content)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        return self.read(process.returncode, printed, ctx)

    async def started(self) -> "asyncio.subprocess.Process":
        """The program."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(self._command, stdin=pipe, stdout=pipe)

    def read(self, code: int | None, printed: bytes, ctx: CallContext) -> Reply:
        """The reply; shown in two pieces."""
        if code != 0:
            raise ProviderError(f"status {code}", kind=ErrorKind.SERVER, retryable=True)
        text = printed.decode().strip()
        ctx.on_text(text[:2])
        ctx.on_text(text[2:])
        return Reply(text, Usage(input=5, output=2))


class SoundProgram(ProviderContract):
    """The suite of the sound provider with a program."""

    over_http = False
    program = "import sys\nsys.stdin.read()\nprint('hello')\n"
    of: Callable[[ProviderConfig, str], Any] = Program

    def make(self) -> spi.Provider:
        """One whose program is there and answers."""
        made: spi.Provider = type(self).of(self.config(), "/bin/cat")
        return made

    def make_for(self, program: Path) -> spi.Provider:
        """One with another program."""
        made: spi.Provider = type(self).of(self.config(), str(program))
        return made


class _OneByOne(Program):
    _lock = asyncio.Lock()

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        async with self._lock:
            return await super().call(body, ctx)


class _Orphaning(Program):
    async def call(self, body: Body, ctx: CallContext) -> Reply:
        process = await self.started()
        _LEFT.append(process)
        printed, _ = await process.communicate(body.content)
        return self.read(process.returncode, printed, ctx)


class _Blocking(Program):
    async def call(self, body: Body, ctx: CallContext) -> Reply:
        done = subprocess.run([self._command], input=body.content, capture_output=True, check=False)  # noqa: ASYNC221
        return self.read(done.returncode, done.stdout, ctx)


class _Leaving(Program):
    async def call(self, body: Body, ctx: CallContext) -> Reply:
        left = subprocess.Popen([self._command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
        _LEFT.append(left)
        return await super().call(body, ctx)


class _Trusting(Program):
    def read(self, code: int | None, printed: bytes, ctx: CallContext) -> Reply:
        return Reply(printed.decode().strip(), Usage(input=5, output=2))


class _Raw(Program):
    def read(self, code: int | None, printed: bytes, ctx: CallContext) -> Reply:
        return Reply({"hello": printed.decode().strip()}[printed.decode().strip()], Usage(input=5, output=2))


class _OtherText(Program):
    def read(self, code: int | None, printed: bytes, ctx: CallContext) -> Reply:
        ctx.on_text("thinking… ")
        return super().read(code, printed, ctx)


class _Twice(Program):
    def read(self, code: int | None, printed: bytes, ctx: CallContext) -> Reply:
        ctx.on_text(printed.decode().strip())
        return super().read(code, printed, ctx)


class _Late(Program):
    def read(self, code: int | None, printed: bytes, ctx: CallContext) -> Reply:
        asyncio.get_running_loop().call_later(0.02, ctx.on_text, "late")
        return super().read(code, printed, ctx)


_LEFT: Final[list[object]] = []
"""Kept, so that nothing of them is collected in another test."""


def _suite(made: Any) -> type[PluginContract]:
    return type("Planted", (SoundProgram,), {"of": made})


PROGRAMS: Final[Mapping[str, tuple[type[PluginContract], str]]] = {
    "one program at a time": (_suite(_OneByOne), "test_programs_run_side_by_side"),
    "a program outlives its call": (_suite(_Orphaning), "test_a_cancelled_call_ends_its_program"),
    "blocks while a program works": (_suite(_Blocking), "test_others_go_on_while_a_program_works"),
    "leaves a program behind": (_suite(_Leaving), "test_a_program_leaves_nothing_behind"),
    "takes a failure for an answer": (_suite(_Trusting), "test_a_program_that_fails_is_a_classified_error"),
    "raises what it likes": (_suite(_Raw), "test_a_program_that_fails_is_a_classified_error"),
    "shows more than it replies": (_suite(_OtherText), "test_live_text_is_the_text_of_the_reply"),
    "shows it twice": (_suite(_Twice), "test_live_text_is_the_text_of_the_reply"),
    "shows text after the end": (_suite(_Late), "test_no_text_comes_after_the_end"),
}
