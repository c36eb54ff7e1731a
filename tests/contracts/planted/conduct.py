"""Plugins that work and do not behave: they block, print, end the program, or leave something behind."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from orchestrator.spi import Body, CallContext, Finding, Reply, hookimpl
from orchestrator.testing import PluginContract
from tests.contracts.planted.backends import Backend, SoundBackend
from tests.contracts.planted.bug import suite_of
from tests.contracts.planted.exporters import Collector, SoundExporter
from tests.contracts.planted.policy_loaders import Loader, SoundLoader
from tests.contracts.planted.providers import Gateway, SoundProvider
from tests.contracts.planted.scaffolds import SoundScaffold, skeleton
from tests.contracts.planted.validators import SoundValidator

PAUSE: Final = 0.02
"""Seconds that tests of these plugins take for a long pause."""

_OPENED: Final[list[tuple[socket.socket, socket.socket]]] = []


def let_go() -> None:
    """Close the connections that planted plugins have kept."""
    while _OPENED:
        for each in _OPENED.pop():
            each.close()


def _start_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(5.0,), daemon=True, name="left").start()


def _keep_a_connection() -> None:
    _OPENED.append(socket.socketpair())


def _write_to_a_descriptor() -> None:
    os.write(2, b"at work\n")


def _forget_a_file() -> None:
    Path(os.devnull).open()  # noqa: SIM115


def _take_a_signal() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _set_a_variable() -> None:
    os.environ["PLANTED"] = str(len(os.environ))


def _go_elsewhere() -> None:
    os.chdir("/")


def _compute() -> None:
    until = time.monotonic() + 3 * PAUSE
    while time.monotonic() < until:
        pass


def _begin_a_task() -> None:
    asyncio.get_running_loop().create_task(asyncio.sleep(30))


def _quit() -> None:
    sys.exit(3)


_EVERYWHERE: Final[Mapping[str, Callable[[], None]]] = {
    "starts a thread": _start_a_thread,
    "keeps a connection": _keep_a_connection,
    "prints past sys.stdout": _write_to_a_descriptor,
    "forgets to close a file": _forget_a_file,
}
_IN_CALLS: Final[Mapping[str, Callable[[], None]]] = {
    **_EVERYWHERE,
    "begins a task": _begin_a_task,
    "calls sys.exit": _quit,
    "takes a signal": _take_a_signal,
    "sets a variable": _set_a_variable,
    "changes the working folder": _go_elsewhere,
}


def _provider(side_effect: Callable[[], None]) -> type[PluginContract]:
    async def call(self: Gateway, body: Body, ctx: CallContext) -> Reply:
        side_effect()
        return await Gateway.call(self, body, ctx)

    return type("Planted", (SoundProvider,), {"planted": type("Planted", (Gateway,), {"call": call})})


async def _editing(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    if body.request.json_schema is not None:
        body.request.json_schema["additionalProperties"] = False  # type: ignore[index]
    return await Gateway.call(self, body, ctx)


def _doing(work: Callable[..., Any], side_effect: Callable[[], None]) -> Callable[..., Any]:
    def done(*given: Any) -> Any:
        side_effect()
        return work(*given)

    return done


def _of(kind: str, side_effect: Callable[[], None]) -> type[PluginContract]:
    """The suite of a sound plugin that does something beside its work."""
    match kind:
        case "validator":
            return suite_of(SoundValidator, lambda: _doing(lambda candidate, context: Finding.passed(), side_effect))
        case "backend":
            return suite_of(SoundBackend, type("Planted", (Backend,), {"rank": _doing(Backend.rank, side_effect)}))
        case "policy_loader":
            return suite_of(SoundLoader, type("Planted", (Loader,), {"load": _doing(Loader.load, side_effect)}))
        case "exporter":
            planted = type("Planted", (Collector,), {"export": _doing(Collector.export, side_effect)})
            return type("Planted", (SoundExporter,), {"planted": planted})
        case _:
            build = _doing(lambda self, app: skeleton(app), side_effect)
            return suite_of(SoundScaffold, type("Planted", (), {"skeleton": build}))


def _editing_hook(base: type[PluginContract], made: Callable[[Any], object], options: str) -> type[PluginContract]:
    """The suite of a module whose hook changes what it is built with, and of nothing else."""

    def hook(**given: Any) -> object:
        asked = given[options] if options == "parameters" else given["config"].options
        asked["list"].append("more")
        return made(given)

    module = ModuleType("planted")
    name = f"orchestrator_{base.kind}"

    if options == "parameters":
        module.__dict__[name] = hookimpl(lambda parameters: hook(parameters=parameters))
    else:
        module.__dict__[name] = hookimpl(lambda config: hook(config=config))
    return type("Planted", (base,), {"plugin": module, "options": {"list": []}})


_RUNNING: Final = "test_it_leaves_nothing_running"
_GIVEN: Final = "test_what_it_is_given_stays_as_it_is"
CONDUCT: Final[Mapping[str, tuple[type[PluginContract], str]]] = {
    **{
        f"{kind}: {name}": (_of(kind, side_effect), _RUNNING)
        for kind in ("validator", "backend", "policy_loader", "exporter", "scaffold")
        for name, side_effect in _EVERYWHERE.items()
    },
    "backend: takes a signal": (_of("backend", _take_a_signal), _RUNNING),
    **{
        f"provider: {name} in a call": (_provider(side_effect), "test_a_call_leaves_nothing_behind")
        for name, side_effect in _IN_CALLS.items()
    },
    "provider: computes in a call": (_provider(_compute), "test_others_go_on_during_a_call"),
    "provider: sleeps in a call": (_provider(lambda: time.sleep(3 * PAUSE)), "test_others_go_on_during_a_call"),
    "provider: edits the schema": (
        type("Planted", (SoundProvider,), {"planted": type("Planted", (Gateway,), {"call": _editing})}),
        _GIVEN,
    ),
    "provider: edits its options": (
        _editing_hook(SoundProvider, lambda given: Gateway(given["config"]), "config"),
        _GIVEN,
    ),
    "exporter: edits its options": (
        _editing_hook(SoundExporter, lambda given: Collector(given["config"].write), "config"),
        "test_its_options_stay_as_they_are",
    ),
    "backend: edits its parameters": (
        _editing_hook(SoundBackend, lambda given: Backend(), "parameters"),
        "test_its_parameters_stay_as_they_are",
    ),
}
