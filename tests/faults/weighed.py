"""The command in a process of its own, and the memory it took at its peak."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.cli.command import Ended, clean_environment, finish

_PROGRAM: Final = """
import atexit, os, re

def weigh():
    with open("/proc/self/status") as status, open(os.environ["WEIGHT"], "w") as weight:
        weight.write(re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1])

atexit.register(weigh)
from orchestrator.cli import main
main()
"""


@frozen
class Weighed:
    """How a command ended, and its greatest size."""

    ended: Ended
    megabytes: float


def weighed(home: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Weighed:
    """Run the command on a data folder to its end."""
    home.mkdir(parents=True, exist_ok=True)
    weight = home / "weight"
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments],
        cwd=home,
        env=clean_environment(home, WEIGHT=os.fspath(weight), **(environ or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ended = finish(process)
    return Weighed(ended, int(weight.read_text()) / 1024)
