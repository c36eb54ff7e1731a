"""Play submitted runs, and take over those that a dead process left."""

from typing import Any, Final

import click

from orchestrator.cli.kit import (
    BY,
    SECONDS,
    SYSTEM,
    allow_option,
    disable_option,
    home,
    home_option,
    json_option,
    line,
    notice,
    plugin_option,
    prepare,
)
from orchestrator.spi import hookimpl

_LONGEST: Final = 600
JOBS: Final = 10
"""Runs that a worker plays at once where nothing else is said."""


@click.command()
@click.option("--jobs", type=click.IntRange(1, 1000), default=JOBS, show_default=True, help="Runs at once.")
@click.option("--until-idle", is_flag=True, help="End once no open run is left for workers.")
@click.option(
    "--grace", type=SECONDS, default=30.0, show_default=True, help="Seconds to stop in after a signal: SIGTERM, SIGINT."
)
@allow_option
@plugin_option
@disable_option
@json_option
@home_option
def worker(jobs: int, until_idle: bool, grace: float, allow: tuple[str, ...], as_json: bool) -> int:
    """Play open runs that no process has: submitted ones, and those that a dead worker left.

    A run is taken only where the keys, plugins and sandbox of this machine suffice, and where your configuration
    (or --allow) agrees to all that it wants; else it is left, and said once why. Runs that a person stopped are left
    alone. A signal drains: no run is taken any more, calls in flight end, and other workers go on. A second signal
    cuts the calls.
    """
    import asyncio

    try:
        return asyncio.run(_work(jobs, until_idle, grace, allow, as_json))
    except asyncio.CancelledError:
        return SYSTEM


async def _work(jobs: int, until_idle: bool, grace: float, allow: tuple[str, ...], as_json: bool) -> int:
    import os

    from orchestrator import Workspace
    from orchestrator.cli.kit import VERSION
    from orchestrator_fleet.worker_process import Worker
    from orchestrator_fleet.worker_registry import Registration

    async with Workspace.open(home()) as workspace:
        prepare(workspace.engine.admission, allow, may_ask=False, show=lambda text: None)
        registration = await Registration.of(workspace.engine, jobs, VERSION)
        os.environ[BY] = registration.name
        report = _report(registration.name, as_json)
        found = Worker(workspace, registration, jobs, report, until_idle, grace)
        _heed_signals(found)
        report("started", "", f"{jobs} runs at once, on {line(workspace.engine.log.store.url)}")
        await found.run()
        report("stopped", "", found.cause)
    return 0


def _report(name: str, as_json: bool) -> Any:
    """What shows what happens: lines on stderr, or JSON lines on stdout."""

    def show(what: str, run: str, words: str) -> None:
        if as_json:
            from orchestrator.cli.kit import write_json

            write_json({"worker": name, "event": what, "run_id": run or None, "text": words}, pretty=False)
        else:
            notice(
                " ".join(filter(None, (f"{name}: {what}", line(run), f"({line(words, _LONGEST)})" if words else "")))
            )

    return show


def _heed_signals(found: Any) -> None:
    """Let signals drain the worker; a third one ends the process."""
    import asyncio
    import os
    import signal

    count = 0

    def stop(cause: str) -> None:
        nonlocal count
        count += 1
        if count > 2:
            os._exit(SYSTEM)
        found.report("stopping", "", f"{cause}: calls in flight may end, runs go on elsewhere")
        found.stop(cause)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup a hangup is to be ignored
            asyncio.get_running_loop().add_signal_handler(number, stop, number.name)


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return worker
