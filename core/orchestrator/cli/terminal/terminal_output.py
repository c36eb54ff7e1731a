"""How anything reaches a terminal: results to stdout, the rest to stderr, control characters nowhere."""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.options.shared_options import wants_exact
from orchestrator.cli.terminal.stdout import stdout
from orchestrator.cli.terminal.text_fitting import width_of, wrapped

if TYPE_CHECKING:
    from orchestrator.money import Usd

_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""C0 (but tab and line feed), C1, what turns the direction of writing, lone surrogates."""

_COLOURED: Final = re.compile(r"(\x1b\[[0-9;]*m)|[^\x1b]+|\x1b")


class OutputClosedError(Exception):
    """Stdout takes nothing more: its reader has gone, or the disk is full.

    Attributes:
        reason: what to tell the user; empty where the reader has simply gone.
    """

    def __init__(self, error: OSError) -> None:
        self.reason = "" if isinstance(error, BrokenPipeError) else f"stdout: {error.strerror}"
        super().__init__(self.reason)


def on_terminal() -> bool:
    """Whether a person can be asked: both what they type and what they are shown is a terminal's."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def clean(text: str) -> str:
    """The text without characters that could command a terminal; line breaks and tabs stay."""
    return _CONTROL.sub("\ufffd", text)


def line(text: str, width: int | None = None) -> str:
    """The text on one line, cut to ``width`` characters where one is given."""
    text = clean(" ".join(text.split()))
    return text if width is None or len(text) <= width else f"{text[: max(0, width - 1)]}…"


def result(text: str, *, as_is: bool = False) -> None:
    """Write lines to stdout; on a terminal long ones are wrapped at spaces, unless they are to stay ``as_is``.

    Raises:
        OutputClosedError: stdout takes nothing more.
    """
    stream = stdout()
    if stream is None:
        return
    shown = _COLOURED.sub(_kept_colour, text) if as_is else _fitted(clean(text), stream)
    if _PAGES:
        _PAGES[-1].append(shown)
        return
    try:
        click.echo(shown, file=stream)
    except OSError as error:
        raise OutputClosedError(error) from error


def _kept_colour(found: re.Match[str]) -> str:
    """A colour as it is, and anything else without what could command a terminal."""
    return found[0] if found[1] else clean(found[0])


def _fitted(text: str, stream: Any) -> str:
    """The text as it is shown on a stream: on a terminal no line is longer than the screen is wide."""
    width = width_of(stream)
    return text if width is None else "\n".join(wrapped(text, width))


_PAGES: Final[list[list[str]]] = []
"""The lines of results that a pager is to show, while they are collected."""


@contextmanager
def paged() -> Iterator[None]:
    """Show what is written to stdout meanwhile in the terminal's pager, where it is longer than the screen is high."""
    if not _can_page():
        yield
        return
    _PAGES.append([])
    try:
        yield
    finally:
        lines = _PAGES.pop()
        if sum(text.count("\n") + 1 for text in lines) < shutil.get_terminal_size().lines:
            for text in lines:
                result(text, as_is=True)
        else:
            click.echo_via_pager("\n".join(lines) + "\n")


def _can_page() -> bool:
    """Whether a person looks at stdout, and can turn pages: a pager writes where stderr does while a command works."""
    stream = stdout()
    return stream is not None and stream.isatty() and on_terminal()


def notice(text: str) -> None:
    """Write lines to stderr, as far as there is one."""
    with suppress(OSError, ValueError):
        click.echo(_fitted(clean(text), sys.stderr), err=True)


def money(amount: "Usd") -> str:
    """An amount, the same way wherever it is printed: ``$0.0259``; with ``--exact`` ``$0.025941000``."""
    return amount.exact if wants_exact() else amount.shown


def timestamp(at: int) -> str:
    """Microseconds as ISO 8601 in UTC, with microseconds."""
    from datetime import UTC, datetime, timedelta

    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond:06d}Z"


def seconds(microseconds: int) -> str:
    """A duration for people: ``0.8 s``, ``12 s``, ``5 min``, ``1 h 30 min``."""
    if microseconds < 10_000_000:
        return f"{microseconds / 1_000_000:.1f} s"
    whole = microseconds // 1_000_000
    if whole < 120:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    if not hours:
        rest = whole % 60
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
