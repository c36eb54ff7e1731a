"""What hostile code tries, on each sandbox level that the machine has, as root and as an ordinary user."""

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.plugins.sandbox import attempts
from tests.plugins.sandbox.places import LEVELS, OTHER_UID, USERS, attack, require, with_argument

CLAIMS = {"bwrap": attempts.CONTAINED, "landlock": attempts.CONTAINED, "none": attempts.NOWHERE}
PLACES = [pytest.param(user, level, id=f"{level}-{user}") for level in LEVELS for user in USERS]


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder that anybody may read and write: only the sandbox level stands before it."""
    folder = Path(tempfile.mkdtemp(prefix="outside-"))
    folder.chmod(0o777)
    (folder / "secret").write_text("treasure")
    (folder / "secret").chmod(0o644)
    yield folder
    shutil.rmtree(folder)


@cache
def _could(user: str, level: str) -> dict[str, bool]:
    """What the program of many attempts could do in a place."""
    require(user, level)
    folder = Path(tempfile.mkdtemp(prefix="outside-"))
    folder.chmod(0o777)
    (folder / "secret").write_text("treasure")
    (folder / "mine").write_text("of the user who runs the program")
    if user == "user" and os.geteuid() == 0:
        os.chown(folder / "mine", OTHER_UID, OTHER_UID)
    abstract = f"orchestrate-test-{os.getpid()}"
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    named, datagram = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    hidden = socket.socket(socket.AF_UNIX)
    with socket.create_server(("127.0.0.1", 0)) as tcp, udp, named, datagram, hidden:
        udp.bind(("127.0.0.1", 0))
        named.bind(str(folder / "stream"))
        named.listen()
        datagram.bind(str(folder / "datagram"))
        hidden.bind("\0" + abstract)
        hidden.listen()
        for path in folder.iterdir():
            path.chmod(0o666)
        ports = (str(tcp.getsockname()[1]), str(udp.getsockname()[1]))
        try:
            where = (str(folder), *ports, abstract, str(os.getppid()), "PROGRAM")
            ran = attack(user, level, attempts.SOURCE, *where, seconds=20.0)
        finally:
            shutil.rmtree(folder)
        assert ran["error"] == "", ran
        udp.setblocking(False)
        could: dict[str, bool] = json.loads(ran["output"])
        try:
            could["udp_send"] = udp.recv(100) == b"stolen"
        except BlockingIOError:
            could["udp_send"] = False
    return could


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_what_a_level_claims_to_stop_is_stopped(user: str, level: str) -> None:
    """No attempt that the sandbox level claims to stop gets through."""
    could = _could(user, level)
    assert CLAIMS[level] <= set(could)
    assert [name for name in sorted(CLAIMS[level]) if could[name]] == []


def test_the_attempts_can_succeed() -> None:
    """Where nothing is contained the same program reads, writes, connects and signals: it is a real test."""
    user = "root" if os.geteuid() == 0 else "user"
    could = _could(user, "none")
    wanted = {"read_secret", "read_system_file", "write_outside", "tcp_connect", "tcp_listen", "udp_send", "netlink"}
    wanted |= {"unix_abstract", "unix_path", "unix_datagram_from_a_pair"}
    assert {name for name in wanted if not could[name]} == set()


FORKS = """
import os, sys, time
forked = 0
for number in range(300):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        forked += 1
    except OSError:
        break
print(forked)
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_a_fork_bomb_stops_early_and_leaves_nothing(user: str, level: str) -> None:
    """Not all of 300 processes come about, and the job ends at once all the same."""
    ran = attack(user, level, FORKS)
    assert ran["code"] == 0
    assert 0 < int(ran["output"]) < 200


MEMORY = """
try:
    held = bytearray(3 << 30)
    print("held", len(held))
except MemoryError:
    print("refused")
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_three_gibibytes_are_refused(user: str, level: str) -> None:
    """A process gets no more memory than its limit."""
    assert attack(user, level, MEMORY)["output"] == "refused\n"


FILE = """
try:
    with open("large", "wb") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
except OSError:
    pass
import os
print(os.stat("large").st_size >> 20)
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_a_file_cannot_grow_beyond_its_limit(user: str, level: str) -> None:
    """Of 300 MiB at most 64 are written, whether the signal is caught or not."""
    ran = attack(user, level, FILE)
    assert ran["code"] == -25 or int(ran["output"]) <= 64  # SIGXFSZ


FILES = """
import time
for number in range(30):
    with open(f"large{number}", "wb") as file:
        for _ in range(60):
            file.write(bytes(1 << 20))
time.sleep(60)
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_many_large_files_end_the_job(user: str, level: str) -> None:
    """What is on disk is watched: a job that writes too much in all is ended long before its deadline."""
    ran = attack(user, level, FILES, seconds=60.0)
    assert ran["ended"] == "disk"


ENDLESS = "import sys\nwhile True:\n    sys.stdout.write('x' * 10_000)\n"


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_endless_output_is_bounded_and_ends(user: str, level: str) -> None:
    """Of output without end 64 KiB are kept, and the deadline ends it."""
    ran = attack(user, level, ENDLESS, seconds=1.0)
    assert (ran["code"], ran["ended"]) == (None, "time")
    assert len(ran["output"]) < 65 * 1024


STUBBORN = """
import signal, time
for number in range(1, 64):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_a_program_that_ignores_signals_ends_at_its_deadline(user: str, level: str) -> None:
    """No handler keeps a job alive."""
    assert attack(user, level, STUBBORN, seconds=1.0)["ended"] == "time"


DAEMON = """
import os, sys
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid() if os.getpid() != os.getsid(0) else None
            for descriptor in range(3):
                os.close(descriptor)
            os.execv("/usr/bin/sleep", ["sleep", sys.argv[1]])
        os._exit(0)
print("started")
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_a_daemon_does_not_outlive_its_job(user: str, level: str) -> None:
    """A process that leaves its session and its parent is ended with the job."""
    marker = str(900_000 + os.getpid() % 90_000)
    ran = attack(user, level, DAEMON, marker)
    assert ran["output"] == "started\n"
    assert _running(marker) == []


def _running(marker: str) -> list[str]:
    until = time.monotonic() + 2
    while (found := with_argument(marker)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


REPORTS = """
import os, sys
os.symlink(sys.argv[1] + "/secret", "link")
os.mkfifo("pipe")
os.mkdir("folder")
os.symlink(sys.argv[1], "elsewhere")
with open("large", "wb") as file:
    for _ in range(9):
        file.write(bytes(1 << 20))
with open("plain", "w") as file:
    file.write("mine")
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_results_that_are_links_pipes_or_huge_are_not_taken(user: str, level: str, outside: Path) -> None:
    """Only a regular file of a sensible size comes out, and a pipe blocks nothing."""
    take = ("link", "pipe", "folder", "elsewhere/secret", "large", "plain", "absent")
    ran = attack(user, level, REPORTS, str(outside), take=take)
    assert ran["files"] == {"plain": "mine"}


STUCK = """
import os
os.mkdir("closed")
os.mkdir("closed/inner")
open("closed/inner/file", "w").close()
os.chmod("closed/inner", 0)
os.chmod("closed", 0)
for _ in range(1200):
    os.mkdir("d")
    os.chdir("d")
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_folders_that_resist_are_removed(user: str, level: str, outside: Path) -> None:
    """Closed and endlessly deep folders are gone after the job."""
    assert attack(user, level, STUCK, temporary=str(outside))["code"] == 0
    assert [path.name for path in outside.iterdir()] == ["secret"]


ORDINARY = """
import os, resource, shutil, socket, subprocess, sys, tempfile, threading
os.makedirs("a/b")
with open("a/b/file", "w") as file:
    file.write("text")
shutil.copy("a/b/file", "copied")
shutil.copy2("a/b/file", "copied2")
shutil.copytree("a", "c")
shutil.move("c/b/file", "moved")
os.truncate("moved", 2)
with tempfile.TemporaryDirectory() as folder, open(folder + "/x", "w") as file:
    file.truncate(10)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
one, two = socket.socketpair()
one.send(b"hello")
thread = threading.Thread(target=two.recv, args=(10,))
thread.start()
thread.join()
child = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"])
child.terminate()
child.wait()
print(subprocess.run([sys.executable, "-I", "-c", "print(1 + 1)"], capture_output=True, check=True).stdout)
"""


@pytest.mark.parametrize(("user", "level"), PLACES)
def test_ordinary_work_goes_on(user: str, level: str) -> None:
    """Files are copied and moved, processes, threads and pairs of sockets come and go."""
    ran = attack(user, level, ORDINARY)
    assert (ran["code"], ran["output"]) == (0, "b'2\\n'\n")


KILLER = """
import os, signal, time
try:
    os.kill(os.getppid(), signal.SIGKILL)
except OSError:
    pass
try:
    os.kill(-1, signal.SIGKILL)
except OSError:
    pass
time.sleep(0.5)
print("alive")
"""


@pytest.mark.parametrize(("user", "level"), [place for place in PLACES if "none" not in str(place.id)])
def test_code_that_kills_its_watcher_harms_only_itself(user: str, level: str) -> None:
    """Killing everything within reach ends the job, with a report or with an error, and nothing else."""
    ran = attack(user, level, KILLER)
    assert ran["error"] or ran["code"] is not None


SERVER = """
import socket, threading
with socket.create_server(("127.0.0.1", 0)) as server:
    threading.Thread(target=lambda: server.accept()[0].sendall(b"hello"), daemon=True).start()
    with socket.create_connection(server.getsockname(), 5) as client:
        print(client.recv(10).decode())
"""


@pytest.mark.parametrize("user", USERS)
def test_the_second_profile_has_a_loopback_of_its_own(user: str) -> None:
    """An app can listen and be asked inside the sandbox; the same code finds no network without the profile."""
    assert attack(user, "bwrap", SERVER, loopback=True)["output"] == "hello\n"
    assert attack(user, "bwrap", SERVER)["code"] == 1


@pytest.mark.parametrize("user", USERS)
def test_the_private_loopback_does_not_reach_the_machine(user: str) -> None:
    """What listens outside cannot be reached from the private loopback."""
    source = "import socket, sys\nsocket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)\nprint('through')\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        ran = attack(user, "bwrap", source, str(server.getsockname()[1]), loopback=True)
    assert "ConnectionRefusedError" in ran["output"]
