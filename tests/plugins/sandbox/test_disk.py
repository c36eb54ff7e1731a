"""Ways to use more of the disk than is counted, on each sandbox level that the machine has, as root and as a user."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator_sandbox import disk_usage
from orchestrator_sandbox.disk_usage import DiskUsage
from orchestrator_sandbox.job_environment import tool_paths
from orchestrator_sandbox.job_limits import WRITTEN
from tests.plugins.sandbox.places import LEVELS, ROOT, USERS, attack

PLACES = [pytest.param(user, level, id=f"{level}-{user}") for level in LEVELS for user in USERS]
CONTAINED = [place for place in PLACES if "none" not in str(place.id)]

WRITES = """
import json, os, sys, time
written = 0
def fill(file):
    global written
    for _ in range(50):
        file.write(bytes(1 << 20))
        file.flush()
        written += 1
"""
HIDES = {
    "unlinked": """
kept = []
for number in range(30):
    kept.append(open(f"f{number}", "wb"))
    os.unlink(f"f{number}")
    fill(kept[-1])
""",
    "too deep": """
for _ in range(1500):
    os.mkdir("folder")
    os.chdir("folder")
for number in range(30):
    with open(f"f{number}", "wb") as file:
        fill(file)
""",
    "closed": """
os.mkdir("closed", 0o300)
for number in range(30):
    with open(f"closed/f{number}", "wb") as file:
        fill(file)
""",
    "mapped": """
import mmap
kept = []
for number in range(30):
    with open(f"f{number}", "w+b") as file:
        fill(file)
        kept.append(mmap.mmap(file.fileno(), 4096))
    os.unlink(f"f{number}")
""",
    "another's": """
for number in range(6):
    if os.fork() == 0:
        os.setsid()
        kept = []
        for each in range(5):
            kept.append(open(f"f{number}-{each}", "wb"))
            os.unlink(f"f{number}-{each}")
            fill(kept[-1])
            time.sleep(0.1)
        time.sleep(60)
""",
}


@pytest.mark.parametrize("way", HIDES)
@pytest.mark.parametrize(("user", "level"), PLACES)
def test_what_is_hidden_on_the_disk_counts(user: str, level: str, way: str) -> None:
    """Of 1.5 GiB, little more than the bound is written before the job ends: it is ended, or the disk is full."""
    source = f"{WRITES}\ntry:\n{_indented(HIDES[way])}\n    time.sleep(60)\nexcept OSError:\n    time.sleep(2)\n"
    ran = attack(user, level, source, seconds=60.0)
    assert ran["ended"] == "disk", ran
    assert ran["seconds"] < 50


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.strip().splitlines())


UNDER_WAY = """
import os, socket, array
one, two = socket.socketpair()
file = open("f", "wb")
os.unlink("f")
try:
    socket.send_fds(one, [b"x"], [file.fileno()])
    print("sent")
except OSError:
    print("refused")
"""
UNSEEN = """
import ctypes
print("hidden" if ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0 else "refused")
"""


@pytest.mark.parametrize("source", [UNDER_WAY, UNSEEN], ids=["in a socket", "by a process that cannot be looked at"])
@pytest.mark.parametrize("user", USERS)
def test_no_file_can_be_where_it_is_not_counted(user: str, source: str) -> None:
    """Where what is open is counted, a descriptor cannot be under way, and no process makes itself unseen."""
    assert attack(user, "landlock", source)["output"] == "refused\n"


MANY = """
import os, time
try:
    for number in range(200_000):
        os.close(os.open(f"{folder}/f{number}", os.O_CREAT))
except OSError:
    pass
time.sleep(20)
"""


@pytest.mark.parametrize("folder", [".", "/tmp"])
@pytest.mark.parametrize("user", USERS)
def test_empty_files_are_bounded_in_memory_too(user: str, folder: str) -> None:
    """In a file system in memory each file takes memory, whatever is in it."""
    assert attack(user, "bwrap", f"folder = {folder!r}\n{MANY}", seconds=60.0)["ended"] == "disk"


MOVING = """
import os, time
os.makedirs("a/b/c/d")
os.makedirs("other")
until = time.monotonic() + 1.5
while time.monotonic() < until:
    os.rename("a/b", "other/b")
    os.rename("other/b", "a/b")
print("done")
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_folders_that_move_are_no_offence(user: str, level: str) -> None:
    """A job that moves folders while they are counted goes on, for it is not met in the middle each time."""
    ran = attack(user, level, MOVING)
    assert (ran["code"], ran["output"]) == (0, "done\n"), ran


def test_the_count_is_of_blocks_and_of_each_file_once(tmp_path: Path) -> None:
    """A sparse file is as large as its blocks, and a second name makes no second file."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2 * WRITTEN)
    usage = DiskUsage((tmp_path,), os.getpid(), 1 << 20)
    assert not usage.is_too_much()
    (tmp_path / "half").write_bytes(bytes(WRITTEN * 2 // 3))
    os.link(tmp_path / "half", tmp_path / "again")
    assert not usage.is_too_much()
    (tmp_path / "more").write_bytes(bytes(WRITTEN * 2 // 3))
    assert usage.is_too_much()


def test_a_process_that_is_slow_to_start_does_not_hide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be looked at for a while; one that never can be is ended."""
    usage = DiskUsage((tmp_path,), os.getpid(), 1 << 20)
    monkeypatch.setattr(disk_usage, "_descendants", lambda process: [os.getpid()])
    assert not usage.is_too_much()

    def unreadable(pid: int) -> Iterator[os.stat_result]:
        raise PermissionError

    monkeypatch.setattr(disk_usage, "_open_in", unreadable)
    assert not any(usage.is_too_much() for _ in range(20))
    assert any(usage.is_too_much() for _ in range(40))


# ── the settings of the package index ────────────────────────────────────────────────────────────────────────────────


def test_settings_of_a_package_index_are_in_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an environment with a ``pip.conf`` everything is named but that."""
    for name in ("bin", "lib"):
        (tmp_path / name).mkdir()
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://user:password@example.org/simple\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    paths = tool_paths("python3")
    assert {str(tmp_path / "bin"), str(tmp_path / "lib")} <= set(paths)
    assert not {str(tmp_path), str(tmp_path / "pip.conf")} & set(paths)


READS = """
import sys
try:
    print("read", open(sys.argv[1]).read())
except OSError:
    print("refused")
"""
_IN_A_PREFIX = """
import sys, json
sys.base_prefix = sys.argv[1]
from orchestrator.spi import Job
from orchestrator_sandbox.levels import Bwrap, Landlock
from orchestrator_sandbox.job_process import run_job
containment = Landlock() if sys.argv[2] == "landlock" else Bwrap.find()
job = Job((sys.executable, "-I", "reads.py", sys.argv[1] + "/" + sys.argv[4]), {"reads.py": sys.argv[3].encode()})
print(run_job(containment, job).output)
"""


@pytest.mark.parametrize("level", ["bwrap", "landlock"])
def test_the_settings_of_a_package_index_cannot_be_read(level: str, tmp_path: Path) -> None:
    """A job reads another file of the environment, and not this one."""
    attack("root" if os.geteuid() == 0 else "user", level, "print('there')")
    for name in ("pip.conf", "readme"):
        (tmp_path / name).write_text("treasure")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder != Path("/tmp"):
            folder.chmod(0o755)
    said = [
        subprocess.run(
            [sys.executable, "-c", _IN_A_PREFIX, str(tmp_path), level, READS, name],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.split()
        for name in ("pip.conf", "readme")
    ]
    assert said == [["refused"], ["read", "treasure"]]


# ── what killed programs leave ───────────────────────────────────────────────────────────────────────────────────────

_SLOW = """
import sys
from orchestrator.spi import Job
from orchestrator_sandbox.levels import Plain
from orchestrator_sandbox.job_process import run_job
print("began", flush=True)
run_job(Plain(), Job(("/bin/sh", "-c", sys.argv[1])))
"""


def _start(temporary: Path, command: str) -> "subprocess.Popen[bytes]":
    paths = [str(ROOT / "core"), str(ROOT / "plugins" / "sandbox"), sysconfig.get_path("purelib")]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(temporary)}
    return subprocess.Popen([sys.executable, "-c", _SLOW, command], env=environment, stdout=subprocess.DEVNULL)


def _folders(temporary: Path) -> set[str]:
    return {path.name for path in temporary.iterdir() if path.name.startswith("orchestrate-job-")}


def test_folders_of_killed_programs_are_swept(tmp_path: Path) -> None:
    """The next program removes what a killed one left, and nothing of one that goes on or of somebody else."""
    (tmp_path / "orchestrate-notes").mkdir()
    killed, living = _start(tmp_path, "sleep 60"), _start(tmp_path, "sleep 60")
    try:
        until = time.monotonic() + 30
        while len(_folders(tmp_path)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        both = _folders(tmp_path)
        assert len(both) == 2
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(10)
        assert _folders(tmp_path) == both
        assert _start(tmp_path, "true").wait(60) == 0
        left = _folders(tmp_path)
        assert len(left) == 1
        assert left < both
        assert (tmp_path / "orchestrate-notes").is_dir()
        assert living.poll() is None
    finally:
        for each in (killed, living):
            each.terminate()
            each.wait(20)


def test_a_result_is_handed_out_whatever_its_bytes() -> None:
    """Files come out of a file system of the job's own as they are."""
    content = bytes(range(256)) * 1000
    source = (
        f"open('one', 'wb').write({content[:256]!r} * 1000)\nimport os\nos.mkdir('d')\nopen('d/two', 'w').write('2')"
    )
    ran = attack("root" if os.geteuid() == 0 else "user", "bwrap", source, take=("one", "absent", "d/two"))
    assert ran["files"] == {"one": content.decode("latin-1"), "d/two": "2"}
    assert json.dumps(ran["code"]) == "0"
