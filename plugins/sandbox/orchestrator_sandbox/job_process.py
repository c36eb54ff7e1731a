"""One job, start to end: folders made and removed, output read and bounded, the deadline kept, results taken out."""

import atexit
import fcntl
import json
import os
import selectors
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define

from orchestrator.allowed_file_names import folder_of, read_file
from orchestrator.errors import MissingError, SandboxError
from orchestrator.spi import Job, Ran
from orchestrator_sandbox.disk_usage import DiskUsage
from orchestrator_sandbox.job_limits import OUTPUT, TAKEN, UNPRIVILEGED_UID, is_root
from orchestrator_sandbox.levels import Containment, Folders, launcher

_START_SECONDS: Final = 10.0
"""What starting and ending the sandbox may take on top of the job's own time."""
_LOOK_SECONDS: Final = 0.25
_PR_SET_DUMPABLE: Final = 4
_HEAD: Final = struct.Struct(">IQ")
"""Before each file that is handed out: its number among those wanted, and its length."""
_PREFIX: Final = "orchestrate-job-"
"""Of the folders in the place for temporary files."""
_PROGRAM: Final = b"\x7fELF"


def run_job(containment: Containment, job: Job) -> Ran:
    """Run a job on a sandbox level. Blocks; call it in a thread.

    Raises:
        SandboxError: the sandbox could not be made, or did not answer for itself.
    """
    with _folders() as folders:
        _copy_in(folders.work, job)
        ran = _run(containment, job, folders)
        if containment.has_sized_folder:
            return ran
        taken = {name: content for name in job.take if (content := read_file(folders.work, name, TAKEN)) is not None}
    return Ran(ran.code, ran.output, taken, ran.ended, ran.seconds)


_LIVE: Final[dict[Path, "subprocess.Popen[bytes] | None"]] = {}
"""The folder of every job that goes on, and its process."""


@atexit.register
def _leave_nothing() -> None:
    """End all jobs at the end of the program, and remove their folders."""
    for top, process in list(_LIVE.items()):
        if process is not None:
            with suppress(OSError, subprocess.SubprocessError):
                process.terminate()
                process.wait(_START_SECONDS)
        _remove(top)


@contextmanager
def _folders() -> Iterator[Folders]:
    _sweep(Path(tempfile.gettempdir()))
    top, lock = _made()
    _LIVE[top] = None
    try:
        folders = Folders(top / "work", top / "scratch")
        for folder in (folders.work, folders.scratch):
            folder.mkdir(mode=0o700)
            if is_root():
                os.chown(folder, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        top.chmod(0o711)
        yield folders
    finally:
        _remove(top)
        _LIVE.pop(top, None)
        os.close(lock)


def _made() -> tuple[Path, int]:
    """A new folder, and the descriptor that locks it for as long as this process lives."""
    new = Path(tempfile.mkdtemp(prefix=".orchestrate-"))  # under a name that is not swept, until it is locked
    lock = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return new.rename(new.with_name(f"{_PREFIX}{new.name.removeprefix('.orchestrate-')}")), lock


@cache
def _sweep(temporary: Path) -> None:
    """Remove, once in a process, the folders that programs of this user have left which were killed."""
    for top in temporary.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(top)
            finally:
                os.close(lock)


def _remove(top: Path) -> None:
    """Remove what the job may have made hard to remove: closed folders, and ones too deep for a path."""
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    remove = ["rm", "-rf", "--one-file-system", "--", str(top)]
    for command in (remove, ["chmod", "-R", "u+rwX", "--", str(top)], remove):
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, check=False, timeout=60, **quiet)
        if not top.exists():
            return
    with suppress(RecursionError):
        shutil.rmtree(top, ignore_errors=True)


def _copy_in(work: Path, job: Job) -> None:
    for name, content in job.files.items():
        mode = 0o755 if job.programs and content.startswith(_PROGRAM) else 0o644
        with folder_of(work, name, create=True) as (folder, last):
            descriptor = os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if is_root():
                    os.fchown(file.fileno(), UNPRIVILEGED_UID, UNPRIVILEGED_UID)
            if is_root():
                os.fchown(folder, UNPRIVILEGED_UID, UNPRIVILEGED_UID)


@cache
def _hide() -> None:
    """Keep this process's environment and memory from others of its user, as the job may be one; core dumps go too."""
    if sys.platform == "linux" and not is_root():
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _run(containment: Containment, job: Job, folders: Folders) -> Ran:
    _hide()
    (report, reported), (taken, handed) = os.pipe(), os.pipe()
    try:
        config = {**containment.config(job, folders), "report": reported, "taken": handed}
        # -I: no variable and no folder of the job has a say; -S: the launcher needs no packages
        command = [sys.executable, "-I", "-S", "-c", launcher(), json.dumps(config)]
        try:
            process = subprocess.Popen(
                [*containment.prefix(job, folders), *command],
                cwd="/",
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(reported, handed),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"{containment.level.value} could not be started: {error.strerror}") from error
        finally:
            os.close(reported)
            os.close(handed)
        _LIVE[folders.work.parent] = process
        usage = None
        if not containment.has_sized_folder:
            usage = DiskUsage((folders.work, folders.scratch), process.pid, job.file_size)
        watch = _Watch(process, report, taken, job.take, usage)
        try:
            watch.until(time.monotonic() + job.seconds + _START_SECONDS)
        finally:
            watch.end()
        return watch.result(containment.level.value)
    finally:
        os.close(report)
        os.close(taken)


@define
class _Watch:
    """Reads what a sandbox says, and ends it when it must."""

    process: subprocess.Popen[bytes]
    report: int
    taken: int
    names: tuple[str, ...]
    usage: DiskUsage | None
    handed: bytearray = Factory(bytearray)
    output: bytearray = bytearray()
    cut: int = 0
    reported: bytearray = bytearray()
    ended: str = ""

    def until(self, deadline: float) -> None:
        """Read until both pipes are closed, the deadline has come, or too much is on disk."""
        self.output, self.reported = bytearray(), bytearray()
        if self.process.stdout is None:
            raise MissingError("stdout")
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout.fileno(), selectors.EVENT_READ)
            selector.register(self.report, selectors.EVENT_READ)
            selector.register(self.taken, selectors.EVENT_READ)
            look = time.monotonic() + _LOOK_SECONDS
            while selector.get_map():
                now = time.monotonic()
                if now >= deadline:
                    self.ended = "time"
                    return
                if now >= look:
                    if self.usage is not None and self.usage.is_too_much():
                        self.ended = "disk"
                        return
                    look = time.monotonic() + _LOOK_SECONDS
                for key, _ in selector.select(max(0.0, min(look, deadline) - time.monotonic())):
                    if not self._read(key.fd):
                        selector.unregister(key.fd)

    def _read(self, descriptor: int) -> bool:
        chunk = os.read(descriptor, 65536)
        if descriptor == self.report:
            self.reported += chunk[: 65536 - len(self.reported)]
        elif descriptor == self.taken:
            self.handed += chunk[: len(self.names) * (TAKEN + _HEAD.size) - len(self.handed)]
        else:
            space = OUTPUT - len(self.output)
            self.output += chunk[:space]
            self.cut += max(0, len(chunk) - space)
        return bool(chunk)

    def end(self) -> None:
        """End the sandbox if it has not ended; the launcher ends what it has started."""
        if self.process.stdout is None:
            raise MissingError("stdout")
        if self.ended:
            self.process.terminate()
        try:
            self.process.wait(_START_SECONDS if self.ended else 1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def result(self, level: str) -> Ran:
        """What came of the job.

        Raises:
            SandboxError: the sandbox did not come about.
        """
        text = self.output.decode(errors="replace")
        if self.ended:
            return Ran(None, self._shown(text), {}, self.ended, 0.0)
        try:
            reported = json.loads(self.reported)
        except ValueError:
            first = text.strip().splitlines()[0][:300] if text.strip() else f"exit status {self.process.returncode}"
            raise SandboxError(f"{level} gave no report: {first}") from None
        if reported["setup"]:
            raise SandboxError(f"{level} could not be set up: {reported['setup']}")
        if not reported["clean"]:
            raise SandboxError(f"{level} could not end all processes of the check")
        why = [word for word, so in (("disk", reported["full"]), ("time", reported["late"])) if so]
        ended = why[0] if why else "" if reported["code"] is not None else "stopped"
        return Ran(reported["code"], self._shown(text), dict(self._files()), ended, reported["seconds"])

    def _files(self) -> Iterator[tuple[str, bytes]]:
        """The files that the launcher handed out."""
        at = 0
        while at + _HEAD.size <= len(self.handed):
            number, length = _HEAD.unpack_from(self.handed, at)
            at += _HEAD.size
            yield self.names[number], bytes(self.handed[at : at + length])
            at += length

    def _shown(self, text: str) -> str:
        return text + (f"\n… {self.cut} more bytes of output were dropped\n" if self.cut else "")
