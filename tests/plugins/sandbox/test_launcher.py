"""What the launcher asks of the kernel, by the version of Landlock and the architecture: without a sandbox."""

import errno
import struct
from itertools import pairwise

import pytest

from orchestrator_sandbox.kernel_rules import beyond_landlock, landlock_rules, seccomp_filter

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOWED, _ERROR = 0x7FFF0000, 0x00050000
_CALLS = {
    "truncate": (76, 45),
    "kill": (62, 129),
    "fchmod": (91, 52),
    "setxattr": (188, 5),
    "prlimit64": (302, 261),
    "socket": (41, 198),
    "read": (0, 63),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "inotify_init1": (294, 26),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
}


def _answer(machine: str, groups: list[str], call: str, first: int = 0, loopback: bool = False, second: int = 0) -> int:
    """What the filter says of a call with two arguments, as the kernel would compute it."""
    number = _CALLS[call][list(_ARCHITECTURES).index(machine)]
    data = struct.pack("=IIQ6Q", number, _ARCHITECTURES[machine], 0, first, second, 0, 0, 0, 0)
    program = [step[0] for step in zip(struct.iter_unpack("=HBBI", seccomp_filter(machine, loopback, groups)))]
    accumulator = position = 0
    while True:
        code, jump, otherwise, value = program[position]
        position += 1
        match code:
            case 0x20:
                accumulator = int(struct.unpack_from("=I", data, value)[0])
            case 0x54:
                accumulator &= value
            case 0x06:
                return int(value)
            case _:
                holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}
                position += jump if holds[code] else otherwise


@pytest.mark.parametrize(
    ("abi", "rights", "size"),
    [
        (1, 0x1FFF, 8),
        (2, 0x3FFF, 8),
        (3, 0x7FFF, 8),
        (4, 0x7FFF, 16),
        (5, 0xFFFF, 16),
        (6, 0xFFFF, 24),
        (9, 0xFFFF, 24),
    ],
)
def test_a_ruleset_asks_for_no_more_than_the_version_knows(abi: int, rights: int, size: int) -> None:
    """An older kernel refuses a right or an attribute that it does not know: each version gets its own."""
    given, attributes = landlock_rules(abi)
    assert (given, len(attributes)) == (rights, size)
    assert attributes == struct.pack("QQQ", rights, 3, 3)[:size]


def test_an_older_version_leaves_more_to_the_filter() -> None:
    """What a version does not know is stopped by the filter: truncating before 3, signals to one's own before 6."""
    assert beyond_landlock(2, same_user=False) == ["others", "truncate"]
    assert "truncate" not in beyond_landlock(3, same_user=True)
    assert beyond_landlock(5, same_user=True) == ["others", "owned", "signals"]
    assert beyond_landlock(5, same_user=False) == ["others"]
    assert beyond_landlock(6, same_user=True) == ["others", "owned"]
    for older, newer in pairwise(range(1, 9)):
        for same_user in (False, True):
            assert set(beyond_landlock(newer, same_user)) <= set(beyond_landlock(older, same_user))


@pytest.mark.parametrize("machine", _ARCHITECTURES)
def test_the_filter_stops_what_its_groups_name(machine: str) -> None:
    """Refused with EPERM, or answered with a success that did nothing; without the group the call is made."""
    for group, call, answer in (
        ("truncate", "truncate", _ERROR | errno.EPERM),
        ("signals", "kill", _ERROR | errno.EPERM),
        ("others", "setxattr", _ERROR | errno.EPERM),
        ("owned", "fchmod", _ERROR),
    ):
        assert _answer(machine, [group], call) == answer
        assert _answer(machine, [], call) == _ALLOWED
    assert _answer(machine, ["others", "owned", "truncate", "signals"], "read") == _ALLOWED


@pytest.mark.parametrize("machine", _ARCHITECTURES)
def test_memory_without_a_file_and_signals_by_descriptor(machine: str) -> None:
    """Neither is made on any level; what else fcntl and ioctl are for stays possible."""
    refused = _ERROR | errno.EPERM
    assert {_answer(machine, [], call) for call in ("memfd_create", "memfd_secret")} == {refused}
    assert [number for number in range(20) if _answer(machine, [], "fcntl", second=number) == refused] == [8, 10, 15]
    assert {_answer(machine, [], "ioctl", second=number) for number in (0x5412, 0x8901, 0x8902)} == {refused}
    assert _answer(machine, [], "ioctl", second=0x5413) == _ALLOWED
    assert _answer(machine, ["others"], "inotify_init1") == refused


@pytest.mark.parametrize("machine", _ARCHITECTURES)
def test_limits_are_set_for_oneself_only(machine: str) -> None:
    """A process may bound itself (0), and no other of its user."""
    assert _answer(machine, ["others"], "prlimit64", 0) == _ALLOWED
    assert _answer(machine, ["others"], "prlimit64", 4711) == _ERROR | errno.EPERM


@pytest.mark.parametrize("machine", _ARCHITECTURES)
def test_sockets_are_for_the_second_profile(machine: str) -> None:
    """No family is open without the loopback, and with it only those that an app needs."""
    assert _answer(machine, [], "socket", 2) == _ERROR | errno.EAFNOSUPPORT
    assert [family for family in range(45) if _answer(machine, [], "socket", family, True) == _ALLOWED] == [1, 2, 10]


def test_an_unknown_architecture_has_no_filter() -> None:
    """There the sandbox level does not come about, instead of filtering the wrong calls."""
    with pytest.raises(OSError, match="riscv64"):
        seccomp_filter("riscv64", False, [])
