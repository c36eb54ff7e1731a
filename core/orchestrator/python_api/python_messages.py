"""Messages for people who write Python: the ways on that they name are calls, not commands."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from orchestrator.errors import OrchestrateError

_WAYS: Final = (
    (re.compile(r"orchestrate resume (\S+) --add-budget USD"), r'await ws.run("\1").resume(add_budget=…)'),
    (re.compile(r"orchestrate resume (\S+) --add-time SECONDS"), r'await ws.run("\1").resume(add_time=…)'),
    (re.compile(r"orchestrate resume ([^\s;,]+)"), r'await ws.run("\1").resume()'),
    (re.compile(r"orchestrate runs list"), "ws.runs()"),
    (re.compile(r"--new-project"), "new_project=True"),
    (re.compile(r"--allow (['\"]?)([a-z_]+=[^\s'\"]+)\1"), r'Workspace.open(allow=["\2"])'),
    (re.compile(r"--home"), "Workspace.open(home)"),
)


def in_python(text: str) -> str:
    """A message with its commands and flags as the calls that do the same."""
    for pattern, call in _WAYS:
        text = pattern.sub(call, text)
    return text


@contextmanager
def python_words() -> Iterator[None]:
    """Let errors name the Python way."""
    try:
        yield
    except OrchestrateError as error:
        error.args = tuple(in_python(each) if isinstance(each, str) else each for each in error.args)
        raise
