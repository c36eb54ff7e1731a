"""Standard output is for results: while a command works, whatever else is written to it is shown on stderr.

A plugin that prints, or that starts a program that does, can so not spoil what another program reads.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from io import TextIOWrapper
from typing import Any, Final, TextIO

import click

_DESCRIPTOR: Final = 1
_RESULTS: Final[list[TextIO | None]] = []
"""The stream for results, while it is kept."""


def stdout() -> TextIO | None:
    """The stream for results; None where the process has none."""
    return _RESULTS[-1] if _RESULTS else sys.stdout


def keep_stdout(command: click.Command) -> click.Command:
    """The command, and every one below it, working with stdout kept for its results."""
    if command.callback is not None and not hasattr(command.callback, "keeps_stdout"):
        command.callback = keeping_stdout(command.callback)
    for below in getattr(command, "commands", {}).values():
        keep_stdout(below)
    return command


def keeping_stdout(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run with stdout kept for results."""

    @wraps(function)
    def saved(*arguments: Any, **options: Any) -> Any:
        with _saved():
            return function(*arguments, **options)

    saved.keeps_stdout = True  # type: ignore[attr-defined]
    return saved


@contextmanager
def _saved() -> Iterator[None]:
    stream = sys.stdout
    if _RESULTS or stream is None or sys.stderr is None:
        yield
        return
    with _descriptor_saved(stream) as results, redirect_stdout(sys.stderr):
        _RESULTS.append(results)
        try:
            yield
        finally:
            _RESULTS.clear()


@contextmanager
def _descriptor_saved(stream: TextIO) -> Iterator[TextIO]:
    """The stream; where it is the process's own, one like it on another descriptor, and stderr in its place."""
    try:
        own = isinstance(stream, TextIOWrapper) and stream.fileno() == _DESCRIPTOR and sys.stderr.fileno() > _DESCRIPTOR
    except (OSError, ValueError):
        own = False
    if not own:
        yield stream
        return
    with suppress(OSError):  # what cannot be written is said when something is to be
        stream.flush()
    aside = os.dup(_DESCRIPTOR)
    results = open(aside, "w", encoding=stream.encoding, errors=stream.errors, closefd=False)  # noqa: SIM115
    try:
        os.dup2(sys.stderr.fileno(), _DESCRIPTOR)
        yield results
    finally:
        os.dup2(aside, _DESCRIPTOR)
        with suppress(OSError, ValueError):
            results.close()  # every result is flushed as it is written
        os.close(aside)
