"""A machine that lacks something: space, descriptors, permissions, a reader, patience. The command from outside."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field

from orchestrator.errors import LogError
from orchestrator.log import read_heads
from orchestrator.models import ProjectStatus
from orchestrator.state.run import RunState
from tests.fire.harness import Command, Ended, assert_sound, environment, finish, models_file, spec_file
from tests.servers.openai_server import Fault, OpenAIServer
from tests.servers.roles import play

IS_ROOT: Final = os.geteuid() == 0
STRACE: Final = shutil.which("strace")
HOLD: Final = Fault(stall=60.0)
"""A server that keeps its callers waiting until it ends."""


def heavy(value: Any) -> Any:
    """A parameter whose test only the whole suite runs."""
    return pytest.param(value, marks=pytest.mark.heavy)


@define
class Machine:
    """The command, a server that can be slow, and a folder."""

    folder: Path
    server: OpenAIServer
    command: Command = field(init=False)
    pause: float = 0.0
    """Seconds before each answer."""
    silent_after: int = 10_000
    """From which request on the server keeps its callers waiting."""
    asked: int = 0

    def __attrs_post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.command = Command(self.folder, self.server)
        self.server.answer = self.answer

    def answer(self, request: Mapping[str, Any]) -> str | Fault:
        """The server's answer function."""
        self.asked += 1
        if self.asked >= self.silent_after:
            return HOLD
        time.sleep(self.pause)
        return play(request)

    def arguments(self, run: str = "fire") -> list[str]:
        """The command line that begins the run, or goes on with it."""
        folder = self.folder / run
        folder.mkdir(exist_ok=True)
        spec, models = spec_file(folder, project_id=run), models_file(self.folder)
        return ["run", str(spec), "--models", str(models), "-o", str(folder / "out")]

    def start(self, *arguments: str, limit: Callable[[], None] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start the command with limits that are set in its process first."""
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments, "--home", str(self.command.home)],
            cwd=self.folder,
            env=environment(self.server),
            text=True,
            start_new_session=True,
            preexec_fn=limit,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def run(self, *arguments: str, limit: Callable[[], None] | None = None) -> Ended:
        """Start the command with limits and wait for its end."""
        return self.command.run(*arguments) if limit is None else finish(self.start(*arguments, limit=limit))

    def is_finished(self, run: str = "fire") -> bool:
        """Whether the log says that the run has ended."""
        return bool(self.command.history(run)) and type(self.command.history(run)[-1][1]).__name__ == "RunFinished"

    def completes(self, run: str = "fire") -> RunState:
        """With everything it needs, the run goes on to its end, and every law holds."""
        self.silent_after = 10_000
        ended = plain(self.run(*self.arguments(run)))
        assert ended.code == 0, ended.stderr
        state = assert_sound(self.command, run)
        assert state.finished is not None
        assert state.finished.status is ProjectStatus.SUCCESS
        assert plain(self.run("audit", "verify")).code == 0
        assert (self.folder / run / "out" / "summary.json").is_file()
        asked = self.asked
        assert plain(self.run("resume", run)).code == 0
        assert self.asked == asked, "a finished run asks nothing"
        return state

    def wait_for(self, process: "subprocess.Popen[str]", requests: int) -> None:
        """Wait until the server has got so many requests."""
        deadline = time.monotonic() + 60
        while self.asked < requests:
            assert process.poll() is None, finish(process)
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with a running server."""
    with OpenAIServer() as server:
        yield Machine(tmp_path, server)


def plain(ended: Ended) -> Ended:
    """The same; it shows no traceback."""
    assert "Traceback" not in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stdout, ended.stdout
    assert "Exception ignored" not in ended.stderr, ended.stderr
    return ended


def refused(ended: Ended, code: int, *patterns: str) -> None:
    """The command ended with this code, and its last line on stderr says all of this."""
    plain(ended)
    assert ended.code == code, (ended.code, ended.stderr)
    last = ended.stderr.strip().splitlines()[-1]
    for pattern in patterns:
        assert re.search(pattern, last), last


def check_log(machine: Machine) -> None:
    """What is on disk is whole, and no call was made that is not in it."""
    try:
        begun = bool(machine.command.history())
    except LogError:  # not even its tables were made
        begun = False
    if begun:
        assert_sound(machine.command)
    else:
        assert machine.asked == 0


# ── disk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(machine: Machine) -> Iterator[Callable[..., None]]:
    """Makes the data folder a file system of its own, and changes its size or mode."""
    home = machine.command.home
    if not IS_ROOT or shutil.which("mount") is None:
        pytest.skip("mounting a small file system takes root")
    home.mkdir()
    mounted = False

    def mount(options: str, folder: Path = home) -> None:
        nonlocal mounted
        what = f"remount,{options}" if mounted else options
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", what, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode and not mounted:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted = True

    yield mount
    if mounted:
        subprocess.run(["umount", "-l", home], check=True)


@pytest.mark.parametrize("size", [heavy("96k"), heavy("200k"), "400k", heavy("640k")])
def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(
    machine: Machine, small_disk: Callable[..., None], size: str
) -> None:
    """One line, exit 3, no call after the failed write; with space again the run completes."""
    small_disk(f"size={size}")

    ended = machine.run(*machine.arguments())

    if size != "640k" or ended.code:
        refused(ended, 3, "full|No space left", "free some space|choose another")
    small_disk("size=64m")
    check_log(machine)
    machine.completes()


@pytest.mark.parametrize("size", [heavy(20_000), heavy(100_000), 200_000, heavy(300_000)])
def test_a_limit_on_file_sizes_stops_the_run_and_without_it_it_goes_on(machine: Machine, size: int) -> None:
    """The same for a process that may not write files above a size."""
    ended = machine.run(*machine.arguments(), limit=lambda: limited(resource.RLIMIT_FSIZE, size))

    refused(ended, 3, "event log|events.db|write.lock")
    check_log(machine)
    machine.completes()


@pytest.mark.heavy
@pytest.mark.skipif(STRACE is None, reason="strace makes single system calls fail")
@pytest.mark.parametrize(("call", "error"), [("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("ftruncate", "EIO")])
def test_a_system_call_of_the_database_may_fail(machine: Machine, call: str, error: str) -> None:
    """The N-th write or sync of the real program fails, N = 1, 2, 3, 5, 8, … until none does: never a bad log."""
    number, following = 1, 2
    while injected(machine, call, error, number, f"run-{number}"):
        number, following = following, number + following
    assert number > (3 if call == "ftruncate" else 30)


def injected(machine: Machine, call: str, error: str, number: int, run: str) -> bool:
    """Run with one failing call, then without; returns whether it was reached."""
    trace = machine.folder / "trace"
    arguments = [*machine.arguments(run), "--home", str(machine.command.home)]
    asked = machine.asked
    process = subprocess.Popen(
        [
            *(str(STRACE), "-f", "-qq", "-o", str(trace)),
            *("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}"),
            *(sys.executable, "-m", "orchestrator", *arguments),
        ],
        cwd=machine.folder,
        env=environment(machine.server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    ended = plain(finish(process))
    if "ptrace" in ended.stderr:
        pytest.skip(f"strace may not be used here: {ended.stderr.strip()}")
    reached = "(INJECTED)" in trace.read_text()
    if ended.code:
        refused(ended, 3, "event log|events.db|heads.jsonl")
    elif not reached:
        assert ended.code == 0
    try:
        started = [event for _, event in machine.command.history(run) if type(event).__name__ == "CallStarted"]
    except LogError:  # not even its tables were made
        started = []
    assert machine.asked - asked <= len(started)
    alone = Command(machine.folder, None)
    again = plain(machine.run(*machine.arguments(run)))
    assert again.code == 0, again.stderr
    state = assert_sound(alone, run)
    assert state.finished is not None
    assert state.finished.status is ProjectStatus.SUCCESS
    assert plain(machine.run("audit", "verify")).code == 0
    return reached


def limited(what: int, value: int) -> None:
    """Limit a resource of this process."""
    resource.setrlimit(what, (value, value))


@pytest.mark.parametrize("descriptors", [10, heavy(12), heavy(15), heavy(16), 20, heavy(24)])
def test_few_descriptors_end_in_a_line_or_in_a_run(machine: Machine, descriptors: int) -> None:
    """What cannot be opened costs calls, files or the session, never the log; nothing shows a traceback."""
    ended = machine.run(*machine.arguments(), limit=lambda: limited(resource.RLIMIT_NOFILE, descriptors))

    if descriptors < 15:
        refused(ended, 3, "open files", "ulimit -n")
    else:
        assert plain(ended).code in (0, 1, 3), ended.stderr
    check_log(machine)
    if machine.is_finished():
        assert_sound(machine.command)
    else:
        machine.completes()


# ── permissions ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def read_only(machine: Machine) -> Iterator[Callable[[Path], None]]:
    """Makes a folder read-only, for root too."""
    mounted: list[Path] = []
    closed: list[Path] = []

    def close(folder: Path) -> None:
        if not IS_ROOT:
            closed.append(folder)
            folder.chmod(0o500)
            return
        for options in (["--bind"], ["-o", "remount,ro,bind"]):
            done = subprocess.run(["mount", *options, folder, folder], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"a folder cannot be made read-only for root here: {done.stderr.strip()}")
            if folder not in mounted:
                mounted.append(folder)

    yield close
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)
    for folder in closed:
        folder.chmod(0o700)


def test_a_read_only_data_folder_is_refused_before_any_call(
    machine: Machine, read_only: Callable[[Path], None]
) -> None:
    """One line names the folder and the way on; what is in it can still be read."""
    machine.completes()
    before, asked = machine.command.history(), machine.asked
    read_only(machine.command.home)

    for arguments in (machine.arguments("second"), machine.arguments(), ["resume", "fire"]):
        ended = machine.run(*arguments)
        if ended.code:
            refused(ended, 3, re.escape(str(machine.command.home)), "--home")

    assert machine.asked == asked
    assert machine.command.history() == before
    assert plain(machine.run("runs", "list")).code == 0
    assert plain(machine.run("audit", "verify")).code == 0


def test_events_of_a_wal_that_cannot_be_read_are_not_passed_over(
    machine: Machine, read_only: Callable[[Path], None]
) -> None:
    """Of a folder as a crash leaves it, copied without its shared memory to a place that cannot be written."""
    machine.silent_after = 7
    process = machine.start(*machine.arguments())
    machine.wait_for(process, 7)
    process.kill()
    finish(process)
    (machine.command.home / "events.db-shm").unlink()
    read_only(machine.command.home)

    for arguments in (["audit", "verify"], ["runs", "list"]):
        refused(machine.run(*arguments), 3, r"latest events are in events\.db-wal", "make it writable")


def test_a_new_data_folder_in_a_read_only_place_is_refused(machine: Machine, read_only: Callable[[Path], None]) -> None:
    """Where the folder cannot even be made, the line says so."""
    arguments = machine.arguments()
    read_only(machine.folder)

    refused(machine.run(*arguments), 3, re.escape(str(machine.command.home)), "--home")
    assert machine.asked == 0


def test_a_read_only_output_folder_is_refused_or_costs_files_only(
    machine: Machine, read_only: Callable[[Path], None]
) -> None:
    """One that cannot become the run's stops it before any call; one that can no longer be written costs no task."""
    out = machine.folder / "fire" / "out"
    out.mkdir(parents=True)
    machine.pause = 0.1
    arguments = machine.arguments()
    process = machine.start(*arguments)
    machine.wait_for(process, 6)
    process.send_signal(signal.SIGINT)
    assert plain(finish(process)).code == 130
    read_only(out)

    ended = plain(machine.run("resume", "fire"))

    assert ended.code == 0
    assert "Read-only file system" in ended.stderr or "Permission denied" in ended.stderr
    assert "runs export fire" in ended.stderr
    state = assert_sound(machine.command)
    assert state.finished is not None
    assert state.finished.status is ProjectStatus.SUCCESS
    asked = machine.asked
    other = machine.run("run", arguments[1], "--models", arguments[3], "--new-project", "-o", str(out))
    refused(other, 2, re.escape(str(out)))
    assert machine.asked == asked
    fresh = machine.folder / "fresh"
    assert plain(machine.run("runs", "export", "fire", "-o", str(fresh))).code == 0
    assert (fresh / "summary.json").is_file()
    assert len(list(fresh.glob("task_*"))) == 5


# ── no reader ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("more", [heavy([]), ["--json"], heavy(["--verbose"])], ids=["table", "json", "verbose"])
@pytest.mark.parametrize("how", ["closed", "reader gone", "full device"])
def test_a_closed_stdout_costs_no_run(machine: Machine, how: str, more: Sequence[str]) -> None:
    """The run goes on to its end and is in the log; nothing is shown, and no traceback."""
    options: dict[str, Any] = {}
    opened: list[int] = []
    if how == "reader gone":
        reader, writer = os.pipe()
        os.close(reader)
        opened, options = [writer], {"stdout": writer}
    elif how == "full device":
        opened = [os.open("/dev/full", os.O_WRONLY)]
        options = {"stdout": opened[0]}
    limit = (lambda: os.close(1)) if how == "closed" else None
    process = machine.start(*machine.arguments(), *more, limit=limit, **options)
    for descriptor in opened:
        os.close(descriptor)

    ended = finish_silent(process)

    assert machine.is_finished(), ended.stderr
    assert ended.code in ((0, 3, 141) if how == "full device" else (0, 141))
    machine.completes()


def finish_silent(process: "subprocess.Popen[str]") -> Ended:
    """Wait for a process whose stdout is not ours to read."""
    _, stderr = process.communicate(timeout=120)
    return plain(Ended(process.returncode, "", stderr))


@pytest.mark.parametrize("arguments", ["log show fire", heavy("runs list"), heavy("log export fire")])
@pytest.mark.parametrize("how", ["closed", "reader gone"])
def test_commands_that_only_print_end_quietly_when_the_reader_has_gone(
    machine: Machine, how: str, arguments: str
) -> None:
    """As in ``orchestrate log show RUN | head -1``."""
    machine.completes()
    options: dict[str, Any] = {}
    if how == "reader gone":
        reader, writer = os.pipe()
        os.close(reader)
        options = {"stdout": writer}
    process = machine.start(*arguments.split(), limit=(lambda: os.close(1)) if how == "closed" else None, **options)
    if options:
        os.close(options["stdout"])

    assert finish_silent(process).code in (0, 141)


# ── several at once ──────────────────────────────────────────────────────────────────────────────────────────────


def test_of_three_that_resume_one_run_one_goes_on(machine: Machine) -> None:
    """The others say who has it and exit with 2, without a call."""
    machine.pause = 0.05
    first = machine.start(*machine.arguments())
    machine.wait_for(first, 4)
    first.send_signal(signal.SIGTERM)
    assert plain(finish(first)).code == 130
    asked = machine.asked
    machine.pause = 0.4

    processes = [machine.start("resume", "fire") for _ in range(3)]
    ended = [plain(finish(process)) for process in processes]

    assert sorted(each.code for each in ended) == [0, 2, 2]
    winner = next(process for process, each in zip(processes, ended, strict=True) if each.code == 0)
    for each in ended:
        if each.code == 2:
            refused(each, 2, rf"fire is being run by process {winner.pid} on ", "wait for it to end")
    assert machine.asked > asked
    assert sum(type(event).__name__ == "SessionOpened" for _, event in machine.command.history()) == 2
    machine.completes()


def test_six_runs_share_a_data_folder(machine: Machine) -> None:
    """Different runs in different processes at once all complete, and the log of all of them verifies."""
    runs = [f"run-{letter}" for letter in "abcdef"]

    processes = [machine.start(*machine.arguments(run)) for run in runs]
    ended = [plain(finish(process)) for process in processes]

    assert [each.code for each in ended] == [0] * 6, [each.stderr for each in ended]
    done = plain(machine.run("audit", "verify"))
    assert (done.code, done.stdout.count("ok: ")) == (0, 6)
    alone = Command(machine.folder, None)
    states = [assert_sound(alone, run) for run in runs]
    assert sum(state.spend.settled.nano for state in states) == machine.server.billed.nano
    assert {head.run for head in read_heads(machine.command.home)} == set(runs)


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGINT],
        [signal.SIGTERM],
        [signal.SIGHUP],
        [signal.SIGINT, signal.SIGINT],
        heavy([signal.SIGTERM, signal.SIGTERM]),
        heavy([signal.SIGHUP, signal.SIGTERM]),
        heavy([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]),
    ],
    ids=lambda numbers: "+".join(number.name for number in numbers),
)
@pytest.mark.parametrize("pause", [heavy(0.0), 0.05])
def test_signals_end_the_session_soon_and_leave_nothing_behind(
    machine: Machine, numbers: Sequence[signal.Signals], pause: float
) -> None:
    """With calls that would wait a minute: exit 130 within ten seconds, the resume command, no process left."""
    machine.silent_after = 7
    process = machine.start(*machine.arguments())
    machine.wait_for(process, 8)
    began = time.monotonic()

    for number in numbers:
        if process.poll() is None:
            process.send_signal(number)
        time.sleep(pause)
    ended = plain(finish(process, 30))

    assert time.monotonic() - began < 10
    assert ended.code == 130, ended.stderr
    assert "orchestrate resume fire" in ended.stderr
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    state = assert_sound(machine.command)
    assert state.finished is None
    machine.completes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_at_any_moment_ends_in_a_line(machine: Machine, number: signal.Signals) -> None:
    """Also while the program is still starting, where nothing is recorded yet."""
    arguments = machine.arguments()
    for delay in (0.3, 0.6):
        process = machine.start(*arguments)
        time.sleep(delay)
        process.send_signal(number)
        ended = finish(process)
        assert "Traceback" not in ended.stderr, (delay, ended.stderr)
        assert ended.code in (0, 130, -number)
    machine.completes()
