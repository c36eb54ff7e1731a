"""What runs inside: one process that gives up its rights and becomes the job, and one that ends whatever is left.

This file is handed to a bare interpreter as its source, with ``kernel_rules.py``: both use the standard library only
and import nothing else of the program. The argument is a mapping as JSON; see ``job_process.py``.
"""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import stat
import struct
import sys
import time
from typing import Any

from orchestrator_sandbox.kernel_rules import beyond_landlock, landlock_rules, seccomp_filter

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP = 1, 4, 8, 22
_PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 36, 38, 47
_CAP_DAC_READ_SEARCH, _LAST_CAP = 2, 63
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.25

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, *values: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    _checked(_libc.prctl(option, *padded), f"prctl {option}")


def landlock_abi() -> int:
    """The version of Landlock that the kernel offers; 0 for none."""
    return max(0, int(_libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def _restrict_files(read: list[str], write: list[str]) -> None:
    """Allow reading and running below ``read``, everything below ``write``, and nothing else."""
    abi = landlock_abi()
    if not abi:
        raise OSError(errno.ENOSYS, "the kernel has no Landlock")
    rights, attributes = landlock_rules(abi)
    of_files = rights & 0xC007
    ruleset = _checked(_libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0), "Landlock")
    for paths, granted in ((read, 0x000D), (write, rights)):
        for path in paths:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            allowed = granted if os.path.isdir(path) else granted & of_files  # noqa: PTH112 - light imports
            rule = struct.pack("=Qi", allowed, descriptor)
            _checked(_libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0), f"Landlock rule for {path}")
            os.close(descriptor)
    _checked(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "Landlock")
    os.close(ruleset)


def _filter_calls(program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    pointer = ctypes.create_string_buffer(header, len(header))
    _prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(pointer))


def _become(user: int, read_all: bool) -> None:
    """Another user, without any capability, but for reading past closed folders where Landlock guards them."""
    _prctl(_PR_SET_KEEPCAPS, int(read_all))
    for capability in range(_LAST_CAP + 1):
        if not (read_all and capability == _CAP_DAC_READ_SEARCH):
            _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)  # the numbers end before the last
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if not read_all:
        return
    capability = 1 << _CAP_DAC_READ_SEARCH
    header, data = struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", capability, capability, capability, 0, 0, 0)
    _checked(_libc.capset(header, data), "capset")
    _prctl(_PR_CAP_AMBIENT, 2, _CAP_DAC_READ_SEARCH)


def _confine(config: dict[str, Any]) -> None:
    """Give up everything the job must not have. The order matters: each step needs what the next takes."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for name, soft, hard in config["limits"]:
        kind = getattr(resource, name)
        most = resource.getrlimit(kind)[1]
        hard = hard if most == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(kind, (min(soft, hard), hard))
    if config["user"] is not None:
        _become(config["user"], config["read_all"])
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # changing the user cleared it
    if config["copy"]:
        _copy(config["copy"], config["cwd"])
    os.chdir(config["cwd"])
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if config["landlock"] is not None:
        _restrict_files(config["landlock"]["read"], config["landlock"]["write"])
    if config["seccomp"] is not None:
        shared = config["seccomp"]["shared"]
        groups = beyond_landlock(landlock_abi(), config["user"] is None) if shared else []
        _filter_calls(seccomp_filter(platform.machine(), config["seccomp"]["loopback"], groups))


def _copy(source: str, target: str) -> None:
    """Copy regular files and folders, which are the program's own."""
    with os.scandir(source) as entries:
        for entry in entries:
            path = f"{target}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                os.mkdir(path)  # noqa: PTH102 - light imports
                _copy(entry.path, path)
                continue
            mode = entry.stat().st_mode & 0o777
            with open(entry.path, "rb") as read, open(path, "wb") as written:  # noqa: PTH123
                while chunk := read.read(1 << 20):
                    written.write(chunk)
                os.fchmod(written.fileno(), mode)


def _start(config: dict[str, Any]) -> tuple[int, str]:
    """The job's process id, and what kept it from starting."""
    reported, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(config["report"])
            os.close(config["taken"])
            for each in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            _confine(config)
            os.execve(config["argv"][0], config["argv"], config["env"])
        except BaseException as error:
            os.write(tell, f"{type(error).__name__}: {error}".encode(errors="replace")[:2000])
        finally:
            os._exit(126)
    os.close(tell)
    problem = b""
    while chunk := os.read(reported, 4096):
        problem += chunk
    os.close(reported)
    return child, problem.decode(errors="replace")


def _children() -> list[int]:
    found, mine = [], os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208 - light imports
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - light imports
                if int(file.read().rpartition(b")")[2].split()[1]) == mine:
                    found.append(int(name))
        except (OSError, IndexError, ValueError):
            continue
    return found


def _end_all(ended: dict[int, int]) -> bool:
    """Kill and collect every descendant: orphans come back to this process. Whether none is left."""
    until = time.monotonic() + _END_SECONDS
    while time.monotonic() < until:
        for pid in _children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if _collect(ended):
            return True
        time.sleep(0.001)
    return False


def _collect(ended: dict[int, int]) -> bool:
    """Note the children that have ended. Whether there is no child any more."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return False
            ended[pid] = os.waitstatus_to_exitcode(status)
    except ChildProcessError:
        return True


def _is_full(config: dict[str, Any]) -> bool:
    """Whether the job's own file systems hold too much: the first one is full, or there are too many files."""
    for number, path in enumerate(config["bounded"]):
        found = os.statvfs(path)
        if (number == 0 and not found.f_bfree) or found.f_files - found.f_ffree > config["entries"]:
            return True
    return False


def _hand_out(config: dict[str, Any]) -> None:
    """Write the files that are wanted, as the job's user: number and length as 12 bytes, and the content."""
    if not config["take"]:
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if config["user"] is not None:
            _become(config["user"], False)
        for number, name in enumerate(config["take"]):
            content = _read_below(config["cwd"], name, config["largest"])
            if content is not None:
                rest = memoryview(struct.pack(">IQ", number, len(content)) + content)
                while rest:
                    rest = rest[os.write(config["taken"], rest) :]
    finally:
        os._exit(0)


def _read_below(folder: str, name: str, limit: int) -> bytes | None:
    """A regular file of at most so many bytes, without following any link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        here = os.open(folder, flags | os.O_DIRECTORY)
        *folders, last = name.split("/")
        for part in folders:
            here = os.open(part, flags | os.O_DIRECTORY, dir_fd=here)
        file = os.open(last, flags, dir_fd=here)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return None
        with os.fdopen(file, "rb") as opened:
            return opened.read(limit)
    except OSError:
        return None


def supervise(config: dict[str, Any]) -> dict[str, Any]:
    """Run the job to its end or its deadline, and end whatever it has left behind."""
    watched = {signal.SIGCHLD, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_DUMPABLE, 0)  # else the job could write into this process's report
    if config["parent"]:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != config["parent"]:
            return {"setup": "the program has ended"}
    began = time.monotonic()
    child, problem = _start(config)
    ended: dict[int, int] = {}
    late = stopped = full = False
    while not problem:
        if _collect(ended) or child in ended:
            break
        left = began + config["seconds"] - time.monotonic()
        late, full = left <= 0, _is_full(config)
        if late or full:
            break
        arrived = signal.sigtimedwait(watched, min(left, _LOOK_SECONDS) if config["bounded"] else left)
        if arrived is not None and arrived.si_signo == signal.SIGTERM:
            stopped = True
            break
    full = full or (not problem and _is_full(config))
    code = None if late or stopped or full else ended.get(child)
    seconds = time.monotonic() - began
    clean = _end_all(ended)
    if clean and not problem:
        _hand_out(config)
    return {"setup": problem, "code": code, "late": late, "full": full, "clean": clean, "seconds": seconds}


def main() -> None:
    """Run the job that the first argument describes, and report to the descriptor it names."""
    config = json.loads(sys.argv[1])
    report = supervise(config)
    os.write(config["report"], json.dumps(report).encode())


if __name__ == "__main__":
    main()
