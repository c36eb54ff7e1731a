"""What a failed test says, in one short line: the call, what it returned and what was expected, as far as known."""

import ast
import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from orchestrator.suites.python_source import statements

SHOWN: Final = 3
"""How many failures are shown."""
LONGEST: Final = 300
"""Characters of each."""
_WHERE: Final = re.compile(r"^ *\+ +where (.+?) = (.+)$", re.MULTILINE)
_ASSERT: Final = re.compile(r"^(?:AssertionError: )?assert (.+)$", re.MULTILINE)
_COMPARED: Final = (" == ", " is ")


@frozen
class FailedTest:
    """A failed test, or a file of tests that could not be loaded.

    Attributes:
        test: pytest's name of it.
        line: the line of the test in which it failed; empty where unknown.
        message: what pytest says, on one line or several.
        at: the last line of the code under test, with its file and number; empty where the test itself failed.
    """

    test: str
    line: str
    message: str
    at: str = ""

    def brief(self) -> str:
        """The failure in at most ``LONGEST`` characters, on one line."""
        name = self.test.partition("::")[2] or self.test
        return short(f"{name}: {self._what()}")

    def _what(self) -> str:
        asserted = _ASSERT.search(self.message)
        if asserted is None:
            said = self.message
        else:
            returned = _returned(asserted[1].strip(), self.message, self.line)
            if returned is not None:
                return returned
            said = "; ".join(
                [asserted[0], *(f"where {value} = {call}" for value, call in _WHERE.findall(self.message))]
            )
        where = f" (at {self.at})" if self.at else ""
        return f"`{self.line}`: {said}{where}" if self.line else f"{said}{where}"


def _returned(asserted: str, message: str, line: str) -> str | None:
    """The call with its result and the expected one, out of pytest's explanation of an assertion."""
    for value, call in _WHERE.findall(message):
        for sign in _COMPARED:
            if asserted.startswith(value + sign):
                return f"{call} returned {value}, expected {asserted[len(value + sign) :]}"
            if asserted.endswith(sign + value):
                return f"{call} returned {value}, expected {asserted[: -len(sign + value)]}"
        if asserted in (value, f"not {value}"):
            wanted = "a false value" if asserted.startswith("not ") else "a true value"
            return f"{call} returned {value}, expected {wanted}"
    return _compared(asserted, line)


def _compared(asserted: str, line: str) -> str | None:
    """The same out of the test's line: of texts, lists and mappings pytest shows the values, and not the call."""
    match next(iter(statements(line)), None):
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            values = asserted.split(_COMPARED[0])
            if len(values) != 2:
                return None
            if isinstance(left, ast.Call):
                return f"{ast.unparse(left)} returned {values[0]}, expected {values[1]}"
            if isinstance(right, ast.Call):
                return f"{ast.unparse(right)} returned {values[1]}, expected {values[0]}"
    return None


def short(text: str) -> str:
    """The text on one line, cut to ``LONGEST`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def failure_lines(failures: Sequence[FailedTest], more: int = 0) -> str:
    """The first failures, a line each; ``more``: how many there are beside the given ones."""
    left = len(failures) - SHOWN + more
    lines = [failure.brief() for failure in failures[:SHOWN]]
    return "\n".join([*lines, *([f"and {left} more"] if left > 0 else [])])
