"""Where attacks are run: each sandbox level that this machine has, as root and as an ordinary user."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
OTHER_UID = 12345
"""An unprivileged user id that is not in use."""
SECRET = "sk-secret-4711"
LEVELS = ("bwrap", "landlock", "none")
USERS = ("root", "user")


def interpreter(user: str) -> str:
    """A Python that the user may run, and that can import the program."""
    if user == "root" or os.geteuid() != 0:
        return sys.executable
    for candidate in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if candidate and _works(candidate):
            return candidate
    pytest.skip("an ordinary user can run no Python here that imports the program")


@cache
def _works(python: str) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import orchestrator_sandbox, sys; assert sys.version_info >= (3, 11)"],
            env=_environment(),
            cwd="/",
            user=OTHER_UID,
            group=OTHER_UID,
            extra_groups=[],
            capture_output=True,
            check=False,
            timeout=60,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _environment() -> dict[str, str]:
    paths = [str(ROOT / "core"), str(ROOT / "plugins" / "sandbox"), sysconfig.get_path("purelib")]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PROVIDER_API_KEY": SECRET,
    }


def drive(user: str, asked: Any, temporary: str = "/tmp") -> Any:
    """Start the driver as the user, and return what it says."""
    as_user: dict[str, Any] = {}
    if user == "user" and os.geteuid() == 0:
        as_user = {"user": OTHER_UID, "group": OTHER_UID, "extra_groups": []}
    done = subprocess.run(
        [interpreter(user), str(ROOT / "tests" / "plugins" / "sandbox" / "driver.py"), json.dumps(asked)],
        env={**_environment(), "TMPDIR": temporary},
        cwd="/",
        capture_output=True,
        check=False,
        timeout=120,
        **as_user,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@cache
def survey(user: str) -> Any:
    """Each sandbox level and the outcome of its probe, for a user."""
    if user == "root" and os.geteuid() != 0:
        pytest.skip("not root")
    return drive(user, "survey")


def require(user: str, level: str) -> None:
    """Skip, visibly, where the sandbox level does not exist for the user."""
    holds, detail = survey(user)[level]
    if not holds:
        pytest.skip(f"{level} as {user}: {detail}")


def with_argument(marker: str) -> list[str]:
    """The processes ``sleep MARKER`` that are there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"sleep", marker.encode()]:
                found.append(entry.name)
    return found


def attack(
    user: str,
    level: str,
    source: str,
    *arguments: str,
    seconds: float = 10.0,
    take: tuple[str, ...] = (),
    loopback: bool = False,
    temporary: str = "/tmp",
) -> Any:
    """Run a hostile source on a sandbox level as a user; ``temporary`` is where the job's folder lies."""
    require(user, level)
    asked = {"level": level, "source": source, "arguments": arguments, "seconds": seconds, "take": take}
    return drive(user, {**asked, "loopback": loopback}, temporary)
