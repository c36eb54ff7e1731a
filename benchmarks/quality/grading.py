"""Grading a file by the hidden tests of its problem, in the sandbox."""

import secrets
import sys
from typing import Final

from attrs import Factory, define

from benchmarks.quality.problems import Problem
from orchestrator.spi import Job, Sandbox

SECONDS: Final = 20.0
"""What one grading may take; a function that needs longer is wrong."""

_DRIVER: Final = """\
import sys

def run(name):
    with open(name, encoding="utf-8") as file:
        exec(compile(file.read(), name, "exec"), space)

space = {"__name__": "solution"}
for name in ("header.py", "code.py", "hidden.py"):
    run(name)
space["check"](space[sys.argv[1]])
print(sys.argv[2])
"""
"""The parts are compiled one by one, for a ``from __future__ import`` has to be the first line of its own."""


@define
class Grader:
    """Grades files; equal files of a problem are graded once. Blocks; safe to use from threads.

    Raises:
        SandboxError: no sandbox holds on this machine.
    """

    selector: Sandbox
    seconds: float = SECONDS
    _known: dict[tuple[str, str], bool] = Factory(dict)

    def is_right(self, problem: Problem, code: str) -> bool:
        """Whether a file passes the hidden tests, its problem's header before it."""
        key = (problem.id, code)
        if key not in self._known:
            self._known[key] = self._passes(problem, code)
        return self._known[key]

    def _passes(self, problem: Problem, code: str) -> bool:
        token = secrets.token_hex(16)
        parts = {"header.py": problem.header, "code.py": code, "hidden.py": problem.hidden, "grade.py": _DRIVER}
        files = {name: text.encode(errors="replace") for name, text in parts.items()}
        command = (sys.executable, "-I", "grade.py", problem.entry_point, token)
        _, ran = self.selector.run(Job(command, files, seconds=self.seconds))
        return ran.code == 0 and ran.output.rstrip().endswith(token)  # a file may end the process with status 0
