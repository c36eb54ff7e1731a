"""One job, start to end: folders made and removed, output read and bounded, the deadline kept, results taken out."""

import atexit
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import define

from orchestrator.confinement import folder_of, read_file
from orchestrator.errors import SandboxError
from orchestrator.spi import Job, Ran
from orchestrator_sandbox.job import ENTRIES, OUTPUT, TAKEN, UNPRIVILEGED_UID, WRITTEN, is_root
from orchestrator_sandbox.levels import Containment, Folders, launcher

_START_SECONDS: Final = 10.0
"""What starting and ending the sandbox may take on top of the job's own time."""
_LOOK_SECONDS: Final = 0.25
_PR_SET_DUMPABLE: Final = 4
_PROGRAM: Final = b"\x7fELF"


def run_job(containment: Containment, job: Job) -> Ran:
    """Run a job on a sandbox level. Blocks; call it in a thread.

    Raises:
        SandboxError: the sandbox could not be made, or did not answer for itself.
    """
    with _folders() as folders:
        _copy_in(folders.work, job)
        ran = _run(containment, job, folders)
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
    top = Path(tempfile.mkdtemp(prefix="orchestrate-"))
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
    report, reported = os.pipe()
    try:
        config = {**containment.config(job, folders), "report": reported}
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
                pass_fds=(reported,),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"{containment.level.value} could not be started: {error.strerror}") from error
        finally:
            os.close(reported)
        _LIVE[folders.work.parent] = process
        watch = _Watch(process, report, folders)
        try:
            watch.until(time.monotonic() + job.seconds + _START_SECONDS)
        finally:
            watch.end()
        return watch.result(containment.level.value)
    finally:
        os.close(report)


@define
class _Watch:
    """Reads what a sandbox says, and ends it when it must."""

    process: subprocess.Popen[bytes]
    report: int
    folders: Folders
    output: bytearray = bytearray()
    cut: int = 0
    reported: bytearray = bytearray()
    ended: str = ""

    def until(self, deadline: float) -> None:
        """Read until both pipes are closed, the deadline has come, or too much is on disk."""
        self.output, self.reported = bytearray(), bytearray()
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout.fileno(), selectors.EVENT_READ)
            selector.register(self.report, selectors.EVENT_READ)
            look = time.monotonic() + _LOOK_SECONDS
            while selector.get_map():
                now = time.monotonic()
                if now >= deadline:
                    self.ended = "time"
                    return
                if now >= look:
                    look = now + _LOOK_SECONDS
                    if _is_too_much((self.folders.work, self.folders.scratch)):
                        self.ended = "disk"
                        return
                for key, _ in selector.select(min(look, deadline) - now):
                    if not self._read(key.fd):
                        selector.unregister(key.fd)

    def _read(self, descriptor: int) -> bool:
        chunk = os.read(descriptor, 65536)
        if descriptor == self.report:
            self.reported += chunk[: 65536 - len(self.reported)]
        else:
            space = OUTPUT - len(self.output)
            self.output += chunk[:space]
            self.cut += max(0, len(chunk) - space)
        return bool(chunk)

    def end(self) -> None:
        """End the sandbox if it has not ended; the launcher ends what it has started."""
        assert self.process.stdout is not None
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
        ended = "time" if reported["late"] else "" if reported["code"] is not None else "stopped"
        return Ran(reported["code"], self._shown(text), {}, ended, reported["seconds"])

    def _shown(self, text: str) -> str:
        return text + (f"\n… {self.cut} more bytes of output were dropped\n" if self.cut else "")


def _is_too_much(folders: Iterable[Path]) -> bool:
    size = count = 0
    waiting = [str(folder) for folder in folders]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    if count > ENTRIES:
                        return True
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return size > WRITTEN
