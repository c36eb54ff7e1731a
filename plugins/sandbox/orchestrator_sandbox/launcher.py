"""What runs inside: one process that gives up its rights and becomes the job, and one that ends whatever is left.

This file is handed to a bare interpreter as its source: it uses the standard library only and imports nothing of the
program. Its argument is a mapping as JSON; see ``process.py``.
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


def landlock_rules(abi: int) -> tuple[int, bytes]:
    """(the rights over files that a version of Landlock knows, the attributes of a ruleset that handles all it knows).

    The second version knows moving between folders, the third truncating, the fourth TCP, the fifth the ioctl calls of
    devices, the sixth abstract sockets and signals. What a version does not know, ``beyond_landlock`` names.
    """
    rights = 0x1FFF | (0x2000 if abi >= 2 else 0) | (0x4000 if abi >= 3 else 0) | (0x8000 if abi >= 5 else 0)
    return rights, struct.pack("QQQ", rights, 0x3, 0x3)[: 8 if abi < 4 else 16 if abi < 6 else 24]


def beyond_landlock(abi: int, same_user: bool) -> list[str]:
    """The groups of system calls that the filter has to stop, for this version of Landlock does not.

    ``same_user`` is whether the user's own files and processes are within reach, but for what stops the job.
    """
    groups = ["others"]
    if abi < 3:
        groups.append("truncate")
    if same_user:
        groups.append("owned")
        if abi < 6:
            groups.append("signals")
    return groups


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


# The numbers of x86_64 and aarch64; None where an architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),  # memory that no limit counts once it is unmapped
    "memfd_secret": (447, 447),
}
_GROUPS: dict[str, dict[str, tuple[int | None, int | None]]] = {
    "signals": {
        "kill": (62, 129),
        "tkill": (200, 130),
        "tgkill": (234, 131),
        "rt_sigqueueinfo": (129, 138),
        "rt_tgsigqueueinfo": (297, 240),
        "pidfd_send_signal": (424, 424),
    },
    "truncate": {"truncate": (76, 45)},
    "others": {
        "sendmsg": (46, 211),  # a descriptor under way in a socket keeps a file that cannot be counted
        "sendmmsg": (307, 269),
        "setpriority": (141, 140),
        "ioprio_set": (251, 30),
        "setxattr": (188, 5),
        "lsetxattr": (189, 6),
        "fsetxattr": (190, 7),
        "removexattr": (197, 14),
        "lremovexattr": (198, 15),
        "fremovexattr": (199, 16),
        "setxattrat": (463, 463),
        "removexattrat": (466, 466),
        "file_setattr": (469, 469),
        "inotify_init": (253, None),  # Landlock lets folders outside be watched
        "inotify_init1": (294, 26),
        "fanotify_init": (300, 262),
    },
}
"""What is refused besides, by group."""
_PRETENDED: dict[str, dict[str, tuple[int | None, int | None]]] = {
    "owned": {
        "chmod": (90, None),
        "fchmod": (91, 52),
        "fchmodat": (268, 53),
        "fchmodat2": (452, 452),
        "chown": (92, None),
        "fchown": (93, 55),
        "lchown": (94, None),
        "fchownat": (260, 54),
        "utime": (132, None),
        "utimes": (235, None),
        "futimesat": (261, None),
        "utimensat": (280, 88),
    },
}
"""What does nothing and says it did: no Landlock stops it, and copying a file ends in it."""
_OF_ONESELF: dict[str, tuple[int, int]] = {
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
}
"""What the group ``others`` allows for process 0 only, which is the caller."""
_CLONE, _CLONE3, _SOCKET, _SOCKETPAIR, _IOCTL = (56, 220), (435, 435), (41, 198), (53, 199), (16, 29)
_FCNTL = (72, 25)
_SIGNALLING = (8, 10, 15, 1024, 1026)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY: the kernel would send a signal on behalf of the job."""
_PRCTL = (157, 167)
_NEW_NAMESPACES = 0x7E020080
_UNWANTED_IOCTLS = (0x5412, 0x8901, 0x8902)  # TIOCSTI, FIOSETOWN, SIOCSPGRP
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06


def seccomp_filter(machine: str, loopback: bool, groups: list[str]) -> bytes:
    """The filter program: system calls that no check needs are refused, and sockets, but for a private loopback.

    ``groups`` are what is stopped besides; see ``beyond_landlock``.

    Raises:
        OSError: the machine's architecture is not known.
    """
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"there is no filter for the architecture {machine}")
    column, audit = _ARCHITECTURES[machine]
    number, high = (_LOAD, 0, 0, 0), []
    if machine == "x86_64":
        high = [(_AT_LEAST, 0, 1, 0x40000000), _refuse(errno.EPERM)]  # the calls of the x32 variant
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), number, *high]
    for refused in (_REFUSED, *(_GROUPS.get(group, {}) for group in groups)):
        program += _answered(refused, column, errno.EPERM)
    for group in groups:
        program += _answered(_PRETENDED.get(group, {}), column, 0)
    for numbers in _OF_ONESELF.values() if "others" in groups else ():
        program += _only_if(numbers[column], [_argument(0), (_EQUAL, 1, 0, 0), _refuse(errno.EPERM)])
    program += [(_EQUAL, 0, 1, _CLONE3[column]), _refuse(errno.ENOSYS)]
    program += _only_if(_CLONE[column], [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _refuse(errno.EPERM)])
    program += _only_if(_IOCTL[column], _refused_with(1, _UNWANTED_IOCTLS))
    program += _only_if(_FCNTL[column], _refused_with(1, _SIGNALLING))
    if "others" in groups:  # a process that cannot be looked at could hide what it uses of the disk
        program += _only_if(_PRCTL[column], _refused_with(0, (_PR_SET_DUMPABLE,)))
    families = [(_EQUAL, 3, 0, 1), (_EQUAL, 2, 0, 2), (_EQUAL, 1, 0, 10)] if loopback else []
    program += _only_if(_SOCKET[column], [_argument(0), *families, _refuse(errno.EAFNOSUPPORT)])
    stream = [(_AND, 0, 0, 0xF), (_EQUAL, 1, 0, 1)]  # a datagram pair could be pointed at any path
    program += _only_if(_SOCKETPAIR[column], [_argument(1), *stream, _refuse(errno.EAFNOSUPPORT)])
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *each) for each in program)


def _refuse(number: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _ERRNO | number)


def _answered(
    calls: dict[str, tuple[int | None, int | None]], column: int, number: int
) -> list[tuple[int, int, int, int]]:
    """Calls that are not made, and answered with an error, or with success where it is 0."""
    known = [numbers[column] for numbers in calls.values()]
    return [step for each in known if each is not None for step in ((_EQUAL, 0, 1, each), _refuse(number))]


def _argument(index: int) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, 16 + 8 * index)


def _refused_with(index: int, values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """A body that refuses a call with one of some values of an argument."""
    last = len(values) - 1
    compared = [(_EQUAL, last - at, int(at == last), value) for at, value in enumerate(values)]
    return [_argument(index), *compared, _refuse(errno.EPERM)]


def _only_if(call: int, body: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """A body for one system call; behind it the call's number is loaded again."""
    return [(_EQUAL, 0, len(body) + 1, call), *body, (_LOAD, 0, 0, 0)]


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
