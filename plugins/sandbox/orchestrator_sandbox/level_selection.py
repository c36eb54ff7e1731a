"""Which sandbox levels hold on this machine, as a probe of each shows, and which one is used."""

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define

from orchestrator.errors import SandboxError, present
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Job, LevelProbe, Ran, SandboxLevel
from orchestrator_sandbox.job_process import run_job
from orchestrator_sandbox.levels import Bwrap, Containment, Landlock, Plain

INSTALL: Final = (
    "install bubblewrap (apt-get install bubblewrap, dnf install bubblewrap) or use a kernel with Landlock; "
    "`orchestrate doctor` shows what each sandbox lacks, and `validators: {sandbox: none}` in the spec runs without one"
)

_PROBE: Final = """
import json, os, socket, sys
secret, outside, port, pid = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def succeeds(attempt):
    try:
        attempt()
    except Exception:
        return False
    return True
def connect():
    with socket.socket() as sock:
        sock.settimeout(1)
        sock.connect(("127.0.0.1", port))
print(json.dumps({
    "read a secret file": succeeds(lambda: open(secret).close()),
    "write outside": succeeds(lambda: open(outside, "x").close()),
    "see the program's environment": "ORCHESTRATE_PROBE" in os.environ,
    "read another's environment": succeeds(lambda: open(f"/proc/{pid}/environ").read() and None)
        and b"sandbox" not in open(f"/proc/{pid}/environ", "rb").read(),
    "connect": succeeds(connect),
    "signal the program": pid > 9 and succeeds(lambda: os.kill(pid, 0)),
    "write here": not succeeds(lambda: open("here", "x").close()),
}))
"""


@define
class LevelSelector:
    """Runs jobs on the best sandbox level allowed. Each is probed once, at first use; safe to use from threads."""

    choice: SandboxChoice = SandboxChoice.AUTO
    _probed: dict[SandboxLevel, tuple[Containment | None, str]] = Factory(dict)
    _lock: threading.Lock = Factory(threading.Lock)

    def level(self) -> SandboxLevel | None:
        """The sandbox level in force; None where there is none."""
        for level in _allowed(self.choice):
            if self._probe(level)[0] is not None:
                return level
        return None

    def run(self, job: Job, executes: bool = True) -> tuple[SandboxLevel, Ran]:
        """Run a job, and say on which sandbox level. Blocks; call it in a thread.

        ``executes`` False is for tools that only read what a model wrote: they go on where there is no sandbox level.

        Raises:
            SandboxError: there is no sandbox level for it; the message says what to install.
        """
        level = self.level()
        if level is None and not executes:
            level = SandboxLevel.NONE
        if level is None:
            why = "; ".join(f"{each.value}: {self._probe(each)[1]}" for each in _allowed(self.choice))
            raise SandboxError(f"no sandbox holds on this machine ({why}); {INSTALL}")
        if job.loopback and level is not SandboxLevel.BWRAP:
            raise SandboxError(f"a private network needs bubblewrap, and {level.value} is in force; {INSTALL}")
        containment = present(self._probe(level)[0], "containment")
        return level, run_job(containment, job)

    def surveys(self) -> list[LevelProbe]:
        """Every sandbox level and the outcome of its probe, best first."""
        return [LevelProbe(level, *_outcome(self._probe(level))) for level in SandboxLevel]

    def _probe(self, level: SandboxLevel) -> tuple[Containment | None, str]:
        with self._lock:
            if level not in self._probed:
                self._probed[level] = _probe(level)
            return self._probed[level]


def _outcome(probed: tuple[Containment | None, str]) -> tuple[bool, str]:
    return probed[0] is not None, probed[1]


def _allowed(choice: SandboxChoice) -> tuple[SandboxLevel, ...]:
    return (
        (SandboxLevel.BWRAP, SandboxLevel.LANDLOCK) if choice is SandboxChoice.AUTO else (SandboxLevel(choice.value),)
    )


def _probe(level: SandboxLevel) -> tuple[Containment | None, str]:
    if level is SandboxLevel.NONE:
        return Plain(), "contains nothing; limits only memory, processes and time"
    containment: Containment | None = Landlock() if level is SandboxLevel.LANDLOCK else Bwrap.find()
    if containment is None:
        return None, "bwrap is not installed"
    try:
        got_through = [what for what, happened in _attempts(containment).items() if happened]
    except SandboxError as error:
        return None, str(error)
    if got_through:
        return None, f"the probe could {', '.join(got_through)}"
    return containment, "it contained the probe"


def _attempts(containment: Containment) -> Mapping[str, Any]:
    """What the probe could do, by name.

    Raises:
        SandboxError: the probe did not run.
    """
    with (
        tempfile.TemporaryDirectory(prefix="orchestrate-probe-") as name,
        socket.create_server(("127.0.0.1", 0)) as sock,
    ):
        folder = Path(name)
        folder.chmod(0o777)  # so that it is the sandbox level that stops the probe, not the file's mode
        secret = folder / "secret"
        secret.write_text("secret")
        port, pid = sock.getsockname()[1], os.getpid()
        argv = (sys.executable, "-I", "-c", _PROBE, str(secret), str(folder / "outside"), str(port), str(pid))
        ran = run_job(containment, Job(argv, seconds=10.0))
    try:
        found = json.loads(ran.output)
    except ValueError:
        raise SandboxError(f"the probe said: {ran.output.strip()[:300] or f'exit status {ran.code}'}") from None
    if not isinstance(found, dict):
        raise SandboxError("the probe gave no answer")
    return found
