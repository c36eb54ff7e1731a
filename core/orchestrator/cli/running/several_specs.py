"""Several specs in one process: each a run, some of them at once, a line for what happens and a table at the end."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, define, frozen

from orchestrator.cli.exit_codes import EXIT_CODES, INTERRUPTED, code_of
from orchestrator.cli.options.shared_options import home
from orchestrator.cli.running.asking_consent import prepare
from orchestrator.cli.running.run_session import advice_for, done_line
from orchestrator.cli.running.spec_from_options import bound, named_output
from orchestrator.cli.terminal.json_output import write_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import money, notice
from orchestrator.engine.questions import Agreeing
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.errors import OrchestrateError, RunLockedError
from orchestrator.log import Codec

if TYPE_CHECKING:
    from orchestrator import events as e
    from orchestrator.engine.loop import Loop
    from orchestrator.engine.session import Session
    from orchestrator.spec import Spec

JOBS: Final = 4
"""Runs at once where nothing else is said."""
_AGAIN: Final = 0.5
"""Seconds after which a run that another process has is tried again."""
_WORST: Final = (INTERRUPTED, 2, 3, 4, 5, 1, 0)
"""Exit codes of runs; the first that occurs is that of all."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen
class NamedSpec:
    """A spec under the name that messages and folders have for it."""

    name: str
    spec: "Spec"
    output: Path | None


def named_specs(files: Sequence[Path], specs: "Sequence[Spec]", output: Path | None) -> list[NamedSpec]:
    """Specs named for their files; with an output folder each gets a folder below it."""
    found: list[NamedSpec] = []
    taken: set[str] = set()
    for file, spec in zip(files, specs, strict=True):
        name, number = file.stem, 1
        while name in taken:
            number += 1
            name = f"{file.stem}-{number}"
        taken.add(name)
        found.append(NamedSpec(name, spec, named_output(spec) if output is None else output / name))
    return found


@define
class Several:
    """Runs specs side by side.

    Attributes:
        engine: the data folder.
        jobs: runs at once.
        force: whether folders that are not empty are written into.
        new_project: whether new runs begin where ids are taken.
        agrees: whether every question is answered with yes; else nothing is asked.
        as_json: stdout is the stream of events of all runs.
        quiet: nothing but warnings on stderr.
    """

    engine: Engine
    jobs: int
    force: bool = False
    new_project: bool = False
    agrees: bool = False
    as_json: bool = False
    quiet: bool = False
    ends: dict[str, RunEnd] = Factory(dict)
    failures: dict[str, OrchestrateError] = Factory(dict)
    _loops: "list[Loop]" = Factory(list)
    _cause: str = ""

    async def run(self, specs: Sequence[NamedSpec]) -> None:
        """Run all of them; one that fails stops no other."""
        waiting = list(reversed(specs))
        with self._signals():
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.jobs, len(specs))):
                    group.create_task(self._work(waiting))

    async def _work(self, waiting: list[NamedSpec]) -> None:
        while waiting and not self._cause:
            each = waiting.pop()
            try:
                end = self.ends[each.name] = await self._one(each)
                self._say(f"{each.name}: {end.run} {_status(end)}, {money(end.state.spend.total)}")
            except OrchestrateError as error:
                self.failures[each.name] = error
                notice(f"orchestrate: {each.name}: {error}")

    async def _one(self, each: NamedSpec) -> RunEnd:
        """One run from its beginning to the end of its session; a run that another process has is waited for."""
        while True:
            try:
                return await self.engine.start(
                    each.spec,
                    output=each.output,
                    force=self.force,
                    new_project=self.new_project,
                    watchers=self._watchers(each.name),
                )
            except RunLockedError as error:
                if self._cause:
                    raise
                self._say(f"{each.name}: {error}")
                await asyncio.sleep(_AGAIN)

    def _watchers(self, name: str) -> Watchers:
        codec, redactor, runs = Codec(), self.engine.log.redactor, [""]

        def begin(session: "Session", loop: "Loop") -> None:
            runs[0] = session.stream.run
            self._loops.append(loop)
            self._say(f"{name}: {runs[0]} started")
            if self._cause:
                loop.interrupt(self._cause)

        def observe(version: int, at: int, event: "e.Event") -> None:
            import json

            from orchestrator.cli.terminal.terminal_output import timestamp

            kind, schema, data = codec.encode(event)
            line = {"run_id": runs[0], "version": version, "at": timestamp(at), "type": kind, "schema": schema}
            write_json({**line, "data": json.loads(redactor.data(data))}, pretty=False)

        asker = Agreeing() if self.agrees else None
        return Watchers([observe] if self.as_json else [], begin, asker=asker, write=self._say)

    def _say(self, text: str) -> None:
        if not self.quiet:
            notice(text)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let a signal end every session, and a second one the process."""
        running = asyncio.get_running_loop()
        taken = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in taken:
            running.add_signal_handler(number, self._stop, number.name)
        try:
            yield
        finally:
            for number in taken:
                running.remove_signal_handler(number)

    def _stop(self, cause: str) -> None:
        if self._cause:
            notice("stopped at once; see: orchestrate runs list")
            os._exit(INTERRUPTED)
        notice("stopping: calls in flight are recorded (Ctrl-C again to exit at once)")
        self._cause = cause
        for loop in self._loops:
            loop.interrupt(cause)

    def code(self, specs: Sequence[NamedSpec]) -> int:
        """The exit code of all together: that of the worst."""
        codes = [code_of(error) for error in self.failures.values()]
        for each in specs:
            end = self.ends.get(each.name)
            finished = None if end is None else end.state.finished
            if each.name not in self.failures:
                codes.append(INTERRUPTED if finished is None else EXIT_CODES[finished.status])
        return next((code for code in _WORST if code in codes), max(codes))


def _status(end: RunEnd) -> str:
    finished = end.state.finished
    return "interrupted" if finished is None else finished.status.value


def run_several(specs: Sequence[NamedSpec], policies: tuple[Path, ...], allow: tuple[str, ...], **settings: Any) -> int:
    """Run several specs in front of the user, and give the exit code.

    Args:
        specs: what is run.
        policies: policy files of the user.
        allow: what ``--allow`` agrees to.
        settings: the attributes of ``Several``.
    """
    engine = Engine.open(home())
    try:
        prepare(engine.admission, allow, may_ask=not settings.get("agrees"))
        admitted = [  # all of them before the first begins, so that no question comes between
            NamedSpec(
                each.name, bound(each.spec, engine.admission, engine.catalogue, policies, each.output), each.output
            )
            for each in specs
        ]
        several = Several(engine, **settings)
        asyncio.run(several.run(admitted))
    finally:
        engine.close()
    _report(several, admitted)
    return several.code(admitted)


def _report(several: Several, specs: Sequence[NamedSpec]) -> None:
    ends = [(each.name, several.ends[each.name]) for each in specs if each.name in several.ends]
    if several.as_json:
        for _, end in ends:
            write_json(done_line(end), pretty=False)
        return
    rows = [(name, end.run, _status(end), money(end.state.spend.total), str(end.folder or "")) for name, end in ends]
    if rows:
        print_table(("spec", "run", "status", "spend", "files"), rows, right=("spend",), spare=("files",))
    for _, end in ends:
        for text in (*end.warnings, *filter(None, [end.notice, advice_for(end.run, end.state)])):
            notice(text)
