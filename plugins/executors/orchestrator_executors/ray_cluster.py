"""The executor ``ray``: workers on a Ray cluster, each kept by a detached actor that Ray starts again when it dies.

``--address`` is that of the cluster, such as ``10.0.0.5:6379`` or ``ray://10.0.0.5:10001``. Every node needs this
program with its plugins, its keys in the environment, and the store that the workers share.
"""

import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from orchestrator.errors import UsageError
from orchestrator.spi import Executor, Fleet, FleetWorker, hookimpl
from orchestrator_executors.keeper import end, end_with_parent

orchestrator_interface = ">=1,<2"
orchestrator_contract = {"missing": "it needs a Ray cluster: name one in `address`, and let `missing` be empty"}

NAMESPACE: Final = "orchestrate"
"""Of the actors, so that every process finds them again."""
_LOOPBACK: Final = ("127.", "localhost:")
_STAYS: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's switch without which it looks for a cluster of the loopback interface at another address of the machine."""
_MARGIN: Final = 10.0
_LOOK: Final = 10.0
_PAUSE: Final = 1.0


class WorkerActor:
    """An actor with one worker; where that dies, it ends itself, and Ray starts it again, here or on another node."""

    def __init__(self, command: Sequence[str], grace: float, environment: Mapping[str, str]) -> None:
        self._grace = grace
        self._environment = dict(environment)
        self._is_ending = False
        self._child: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()
        threading.Thread(target=self._keep, args=(list(command),), daemon=True).start()

    def _keep(self, command: list[str]) -> None:
        # the system ends the child with the thread that started it: this one lasts as long as the process
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, preexec_fn=end_with_parent, env={**os.environ, **self._environment}
        )
        self._started.set()
        self._child.wait()
        time.sleep(_PAUSE)
        if not self._is_ending:
            os._exit(1)
        threading.Event().wait()

    def facts(self) -> str:
        """Where it runs."""
        self._started.wait()
        node = os.uname().nodename
        return f"process {self._child.pid if self._child is not None else '?'} on {node}"

    def stop(self) -> None:
        """End the worker in order."""
        self._is_ending = True
        self._started.wait()
        if self._child is not None:
            end(self._child, self._grace)


class RayExecutor:
    """Keeps workers on a Ray cluster."""

    def scale(self, fleet: Fleet) -> None:
        """Create or end actors until there are as many as are wanted."""
        with _connected(fleet) as ray:
            found = _names(ray, fleet)
            wanted = [f"{fleet.name}-{number:03}" for number in range(fleet.workers)]
            made = [_made(ray, fleet, name) for name in wanted if name not in found]
            surplus = [ray.get_actor(name, NAMESPACE) for name in found if name not in wanted]
            stopping = [actor.stop.remote() for actor in surplus]
            if stopping:
                ray.wait(stopping, num_returns=len(stopping), timeout=fleet.grace + _MARGIN)
            for actor in surplus:
                ray.kill(actor, no_restart=True)
            if made:
                ray.wait([actor.facts.remote() for actor in made], num_returns=len(made), timeout=_LOOK)

    def status(self, fleet: Fleet) -> Sequence[FleetWorker]:
        """The actors, and where those are that answer."""
        with _connected(fleet) as ray:
            return [_seen(ray, name) for name in _names(ray, fleet)]


def _made(ray: Any, fleet: Fleet, name: str) -> Any:
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0, max_concurrency=4)(WorkerActor)
    options = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "scheduling_strategy": "SPREAD"}
    return actor.options(get_if_exists=True, **options).remote(
        list(fleet.command), fleet.grace, dict(fleet.environment)
    )


def _seen(ray: Any, name: str) -> FleetWorker:
    with suppress(ray.exceptions.RayError, ValueError):
        place = ray.get(ray.get_actor(name, NAMESPACE).facts.remote(), timeout=_LOOK)
        return FleetWorker(name, True, str(place))
    return FleetWorker(name, False, "being started again")


def _names(ray: Any, fleet: Fleet) -> list[str]:
    named = ray.util.list_named_actors(all_namespaces=False)
    return sorted(name for name in named if name.rpartition("-")[0] == fleet.name)


@contextmanager
def _connected(fleet: Fleet) -> Iterator[Any]:
    """Ray, connected to the cluster.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
    """
    where = fleet.address or os.environ.get("RAY_ADDRESS") or "auto"
    if where.startswith(_LOOPBACK):
        os.environ.setdefault(_STAYS, "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"{error}: install the extra with: pip install 'multi-llm-orchestrator[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    try:
        _check_answers(where)
        ray.init(address=where, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise UsageError(f"no Ray cluster answers at {where}: {first}; start one with: ray start --head") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(where: str) -> None:
    """Find out soon whether anything listens at an address; Ray itself takes minutes to say so.

    Raises:
        OSError: nothing does.
    """
    host, _, port = where.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_LOOK).close()


@hookimpl
def orchestrator_executor() -> Executor:
    """Return the executor."""
    return RayExecutor()
