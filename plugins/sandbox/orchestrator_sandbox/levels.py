"""The sandbox levels: for each, the command that starts the launcher, and the launcher's configuration."""

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import frozen

from orchestrator.spi import Job, SandboxLevel
from orchestrator.spi.sandboxes import MIB
from orchestrator_sandbox.job_environment import detail_paths, environment, is_closed, system_paths, tool_paths
from orchestrator_sandbox.job_limits import (
    ENTRIES,
    TAKEN,
    UNPRIVILEGED_UID,
    WRITTEN,
    is_root,
    limits,
    processes_allowed,
)

_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_INSIDE: Final = "/sandbox"
_GIVEN: Final = "/given"
"""Where the files lie that are copied into the working folder."""
_FIXED: Final = (Path("/"), Path("/tmp"))
_LINKS: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


@frozen
class Folders:
    """The temporary folders of one job."""

    work: Path
    """The working folder; its files go in and come out."""
    scratch: Path
    """The home and temporary folder where the sandbox level has no private one."""


class Containment(Protocol):
    """One sandbox level."""

    @property
    def level(self) -> SandboxLevel:
        """Which it is."""

    def prefix(self, job: Job, folders: Folders) -> list[str]:
        """The command before the launcher's own."""

    @property
    def has_sized_folder(self) -> bool:
        """Whether the working folder has a bound of its own, and its files are handed out by the launcher."""

    def config(self, job: Job, folders: Folders) -> dict[str, Any]:
        """The launcher's configuration, but for its report."""


_MODULE: Final = """import sys, types
module = sys.modules[{name!r}] = types.ModuleType({name!r})
exec({source!r}, module.__dict__)
"""


@cache
def launcher() -> str:
    """The source that runs inside: a module that it imports, as there is no file of it there, and the launcher."""
    rules, main = (
        files("orchestrator_sandbox").joinpath(f"{name}.py").read_text(encoding="utf-8")
        for name in ("kernel_rules", "launcher")
    )
    return _MODULE.format(name="orchestrator_sandbox.kernel_rules", source=rules) + main


def _base(job: Job, cwd: str, home: str, private: bool) -> dict[str, Any]:
    return {
        "argv": list(job.argv),
        "cwd": cwd,
        "env": environment(home),
        "limits": limits(job, processes_allowed(private)),
        "seconds": job.seconds,
        "user": UNPRIVILEGED_UID if is_root() else None,
        "read_all": False,
        "landlock": None,
        "seccomp": None,
        "parent": os.getpid(),
        "copy": None,
        "bounded": [],
        "entries": ENTRIES,
        "take": [],
        "largest": TAKEN,
    }


@frozen
class Plain:
    """Only what every sandbox level does."""

    level: SandboxLevel = SandboxLevel.NONE
    has_sized_folder: bool = False

    def prefix(self, job: Job, folders: Folders) -> list[str]:
        """See ``Containment``."""
        return []

    def config(self, job: Job, folders: Folders) -> dict[str, Any]:
        """See ``Containment``."""
        base = _base(job, str(folders.work), str(folders.scratch), private=False)
        return {**base, "read_all": is_root() and _is_out_of_reach(job, folders)}


@frozen
class Landlock:
    """Rules of the kernel for files, and a filter of system calls; needs no namespaces."""

    level: SandboxLevel = SandboxLevel.LANDLOCK
    has_sized_folder: bool = False

    def prefix(self, job: Job, folders: Folders) -> list[str]:
        """See ``Containment``."""
        return []

    def config(self, job: Job, folders: Folders) -> dict[str, Any]:
        """See ``Containment``."""
        read = [*system_paths(), *detail_paths(), *tool_paths(job.argv[0])]
        return {
            **Plain().config(job, folders),
            "landlock": {"read": read, "write": [str(folders.work), str(folders.scratch), *_DEVICES]},
            "seccomp": {"loopback": False, "shared": True},
        }


def _is_out_of_reach(job: Job, folders: Folders) -> bool:
    """Whether an unprivileged user could not get to the interpreter or to the job's folder."""
    return any(is_closed(path) for path in (sys.executable, job.argv[0], str(folders.work.parent)))


@frozen
class Bwrap:
    """Namespaces by bubblewrap: another root, no network, no other processes; and the filter of system calls."""

    program: str
    options: str
    """What the program says of its options: older ones lack some."""
    level: SandboxLevel = SandboxLevel.BWRAP

    @classmethod
    def find(cls) -> "Bwrap | None":
        """The installed one."""
        program = shutil.which("bwrap")
        if program is None:
            return None
        try:
            done = subprocess.run([program, "--help"], capture_output=True, timeout=10, check=False, text=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return cls(program, done.stdout + done.stderr)

    def prefix(self, job: Job, folders: Folders) -> list[str]:
        """See ``Containment``."""
        return [self.program, *self._namespaces(), *self._files(job), *self._work(folders), "--"]

    def _namespaces(self) -> list[str]:
        common = ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox", "--cap-drop", "ALL"]
        names = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        if is_root():  # in a user namespace root would stay root to the limit on processes: drop to an unprivileged one
            rights = [word for name in ("SETUID", "SETGID", "SETPCAP", "KILL") for word in ("--cap-add", f"CAP_{name}")]
            return [*names, *common, *rights]
        closed = ["--disable-userns"] if "--disable-userns" in self.options else []
        return ["--unshare-user", *closed, *names, *common]

    def _files(self, job: Job) -> list[str]:
        words = self._memory_folder("/tmp", 64)  # before what may lie below it
        for path in system_paths():
            linked = path in _LINKS and Path(path).is_symlink()
            words += ["--symlink", str(Path(path).readlink()), path] if linked else ["--ro-bind", path, path]
        for path in (*detail_paths(), *tool_paths(job.argv[0])):
            words += [*self._parents(path), "--ro-bind", path, path]
        return [*words, "--proc", "/proc", "--dev", "/dev", *self._memory_folder("/dev/shm", 16)]

    def _parents(self, path: str) -> list[str]:
        """Folders above a path that the unprivileged user can pass."""
        if "--perms" not in self.options:
            return []
        above = [str(folder) for folder in reversed(Path(path).parents) if folder not in _FIXED]
        return [word for folder in above for word in ("--perms", "0755", "--dir", folder)]

    def _memory_folder(self, path: str, mebibytes: int) -> list[str]:
        words = ["--perms", "1777"] if "--perms" in self.options else []
        words += ["--size", str(mebibytes * MIB)] if "--size" in self.options else []
        return [*words, "--tmpfs", path]

    @property
    def has_sized_folder(self) -> bool:
        """Whether the working folder is a file system of its own, of a size."""
        return "--perms" in self.options and "--size" in self.options

    def _work(self, folders: Folders) -> list[str]:
        work = ["--bind", str(folders.work), _INSIDE]
        if self.has_sized_folder:
            own = ["--perms", "0777", "--size", str(WRITTEN), "--tmpfs", _INSIDE]
            work = ["--ro-bind", str(folders.work), _GIVEN, *own]
        return [*work, "--remount-ro", "/dev", "--remount-ro", "/"]

    def config(self, job: Job, folders: Folders) -> dict[str, Any]:
        """See ``Containment``."""
        base = _base(job, _INSIDE, "/tmp", private=not is_root())
        base |= {"parent": 0, "seccomp": {"loopback": job.loopback, "shared": False}}
        if self.has_sized_folder:
            base |= {"copy": _GIVEN, "bounded": [_INSIDE, "/tmp", "/dev/shm"], "take": list(job.take)}
        return base
