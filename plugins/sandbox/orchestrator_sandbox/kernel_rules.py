"""What a job may ask of the kernel: the rules of Landlock and the filter of system calls, as the bytes it takes.

The launcher takes this file along: it uses the standard library only and imports nothing of the program.
"""

import errno
import struct

_SET_DUMPABLE = 4
"""Of prctl."""


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
        program += _only_if(_PRCTL[column], _refused_with(0, (_SET_DUMPABLE,)))
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
