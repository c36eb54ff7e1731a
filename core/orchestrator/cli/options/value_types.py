"""Values on the command line: amounts, times, ages, files."""

import math
import re
from pathlib import Path
from typing import Any, Final

import click

_LONGEST: Final = 1e8
_NEGATIVE: Final = re.compile(r"-(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?|-inf(inity)?", re.IGNORECASE)
_AGE: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Amount(click.ParamType[Any]):
    """A positive amount of US dollars, exact to nine decimals; with ``or_nothing`` 0 is one, too."""

    name = "usd"

    def __init__(self, *, or_nothing: bool = False) -> None:
        self._or_nothing = or_nothing

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it, or fail with a usage error."""
        from orchestrator.money import Usd

        try:
            amount = Usd.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if amount < Usd.ZERO:
            self.fail(f"an amount may not be negative: {value}", param, ctx)
        if not amount and not self._or_nothing:
            self.fail(f"{value} is not more than nothing", param, ctx)
        return amount


class Seconds(click.ParamType[float]):
    """A positive number of seconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or fail with a usage error."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if seconds < 0:
            self.fail(f"a time may not be negative: {value}", param, ctx)
        if not 0 < seconds <= _LONGEST:
            self.fail(f"{value!r} is no number of seconds above 0 and at most {_LONGEST:.0f}", param, ctx)
        return seconds


class Since(click.ParamType[str]):
    """A moment, as a date, a date with a time (UTC), or an age such as ``90m``, ``12h`` or ``7d``."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The moment in ISO 8601, or a usage error."""
        from datetime import UTC, datetime, timedelta

        age = _AGE.fullmatch(str(value))
        try:
            if age is not None:
                when = datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})
            else:
                when = datetime.fromisoformat(str(value))
                when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a date such as 2026-11-29 nor an age such as 90m, 12h or 7d", param, ctx)
        return f"{when:%Y-%m-%dT%H:%M:%S}"


class AgeType(click.ParamType[int]):
    """A length of time such as ``90m``, ``12h`` or ``30d``, as microseconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it, or fail with a usage error."""
        from datetime import timedelta

        if isinstance(value, int):
            return value
        age = _AGE.fullmatch(str(value))
        if age is None:
            self.fail(f"{value!r} is no length of time such as 90m, 12h or 30d", param, ctx)
        try:
            return timedelta(**{_UNITS[age[2]]: int(age[1])}) // timedelta(microseconds=1)
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)


class Named(click.Path):
    """A file or folder; ``~`` is the home folder, and an empty name, such as that of an unset variable, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it, or fail with a usage error."""
        if value == "":
            self.fail("the name is empty; name a file or a folder", param, ctx)
        if str(value).startswith("~"):  # a shell leaves it as it is in --home=~/runs
            value = self._expanded(value, param, ctx)
        return super().convert(value, param, ctx)

    def _expanded(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from orchestrator.documents import expanded
        from orchestrator.errors import UsageError

        try:
            return expanded(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class OutputPath(Named):
    """A file or folder that a command writes. ``-`` is stdout, where the command can write to it; ``./-`` is a file."""

    def __init__(self, *, or_stdout: bool = False) -> None:
        super().__init__(path_type=Path)
        self._or_stdout = or_stdout

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it, or fail with a usage error."""
        if str(value) == str(STDOUT) and not self._or_stdout and not isinstance(value, Path):
            self.fail("stdout has other content: name a file or a folder", param, ctx)
        found = super().convert(value, param, ctx)
        is_file = value != str(STDOUT) and found == STDOUT
        return found.absolute() if is_file and not isinstance(value, Path) else found


class WithAmounts(click.Command):
    """A command whose arguments are amounts: ``-1`` is a negative one, and no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse negative amounts by what they are."""
        for each in args:
            if _NEGATIVE.fullmatch(each):
                raise click.UsageError(f"an amount may not be negative: {each}", ctx)
        return super().parse_args(ctx, args)


AMOUNT: Final = Amount()
SECONDS: Final = Seconds()
SINCE: Final = Since()
AGE: Final = AgeType()
CONCURRENCY: Final = click.IntRange(1, 1000)
FILE: Final = Named(path_type=Path)
STDOUT: Final = Path("-")
"""What ``OUTPUT_OR_STDOUT`` gives where stdout is meant."""
OUTPUT: Final = OutputPath()
OUTPUT_OR_STDOUT: Final = OutputPath(or_stdout=True)
