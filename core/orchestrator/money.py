"""Money as exact integers, and what tokens cost.

An amount is a whole number of nano-dollars (10⁻⁹ USD). A price is an amount per million tokens, so a price of
up to nine decimals is exact, and so is the sum over a call's token classes, which is rounded up once.
"""

import math
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import ClassVar

from attrs import field, frozen

NANO = 1_000_000_000
_SHOWN = 100_000  # nano-dollars in the last decimal that is shown to people
_MILLION = 1_000_000
_LOWEST_EXPONENT = -60  # what is written with more places would build gigantic integers
_MINUTE = 60_000_000  # in microseconds
_MINUTES_A_DAY = 24 * 60
_FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday
_LARGEST = 2**62  # what a signed 64-bit column holds, with space for a sum


@frozen(repr=False, order=False)
class Usd:
    """An exact amount of US dollars. ``nano`` is the number of nano-dollars and may be negative."""

    nano: int = 0
    """Whole nano-dollars."""

    ZERO: ClassVar["Usd"]

    @classmethod
    def parse(cls, value: "str | int | float | Decimal | Usd") -> "Usd":
        """The exact amount written in ``value``; a float means the shortest decimal that prints like it.

        Raises:
            ValueError: not a finite number, more than nine decimals, or beyond what a column can hold.
        """
        if isinstance(value, Usd):
            return value
        if isinstance(value, bool):
            raise ValueError(f"{value!r} is not an amount of money")
        try:
            exact = Decimal(repr(value) if isinstance(value, float) else value)
        except (InvalidOperation, TypeError) as error:
            raise ValueError(f"{value!r} is not an amount of money") from error
        if not exact.is_finite():
            raise ValueError(f"{value!r} is not a finite amount of money")
        if exact.adjusted() > 9:
            raise ValueError(f"{value!r} is larger than any amount this program handles")
        exponent = exact.as_tuple().exponent
        nano = Fraction(exact) * NANO if isinstance(exponent, int) and exponent >= _LOWEST_EXPONENT else None
        if nano is None or nano.denominator != 1:
            raise ValueError(f"{value!r} has more than nine decimals")
        return cls(nano.numerator)

    @classmethod
    def rounded(cls, value: float) -> "Usd":
        """The nearest amount to a float; for the edge of the Python API only.

        Raises:
            ValueError: not finite, or too large.
        """
        if not math.isfinite(value) or abs(value) * NANO > _LARGEST:
            raise ValueError(f"{value!r} is not an amount of money")
        return cls(round(value * NANO))

    def __add__(self, other: "Usd") -> "Usd":
        return Usd(self.nano + other.nano)

    def __sub__(self, other: "Usd") -> "Usd":
        return Usd(self.nano - other.nano)

    def __neg__(self) -> "Usd":
        return Usd(-self.nano)

    def __lt__(self, other: "Usd") -> bool:
        return self.nano < other.nano

    def __le__(self, other: "Usd") -> bool:
        return self.nano <= other.nano

    def __gt__(self, other: "Usd") -> bool:
        return self.nano > other.nano

    def __ge__(self, other: "Usd") -> bool:
        return self.nano >= other.nano

    def __bool__(self) -> bool:
        return self.nano != 0

    def __float__(self) -> float:
        return self.nano / NANO

    def __str__(self) -> str:
        """The exact decimal with nine places, such as ``0.001234567``."""
        sign = "-" if self.nano < 0 else ""
        whole, rest = divmod(abs(self.nano), NANO)
        return f"{sign}{whole}.{rest:09d}"

    def __repr__(self) -> str:
        return f"Usd({str(self)!r})"

    @property
    def shown(self) -> str:
        """For people, with four decimals: ``$0.0259``; ``<$0.0001`` for what is less and not nothing."""
        size = abs(self.nano)
        whole, rest = divmod((size + _SHOWN // 2) // _SHOWN, 10_000)
        text = "<$0.0001" if 0 < size < _SHOWN // 2 else f"${whole}.{rest:04d}"
        return f"-{text}" if self.nano < 0 else text

    @property
    def exact(self) -> str:
        """For people who want every digit: ``$0.025941000``."""
        return f"-${-self}" if self.nano < 0 else f"${self}"

    @property
    def trimmed(self) -> str:
        """Exact, without the zeros at its end beyond cents, as prices are printed: ``$0.28``, ``$0.075``."""
        whole, _, rest = self.exact.partition(".")
        return f"{whole}.{rest.rstrip('0'):0<2}"

    def part(self, numerator: int, denominator: int) -> "Usd":
        """This amount × numerator / denominator, rounded down."""
        return Usd(self.nano * numerator // denominator)


Usd.ZERO = Usd(0)


@frozen
class Usage:
    """Tokens of one call, each counted in exactly one token class.

    A provider whose vendor counts cached tokens inside the input, or reasoning inside the output, subtracts
    them before it fills this in.
    """

    input: int = 0
    """Tokens that were read afresh."""
    cached_input: int = 0
    """Tokens that were read from the vendor's cache."""
    cache_write: int = 0
    """Tokens that were written to it."""
    output: int = 0
    """Tokens that were generated, thinking aside."""
    reasoning: int = 0
    """Tokens of thinking."""

    @property
    def input_tokens(self) -> int:
        """All that was read: fresh, cached and written to the cache."""
        return self.input + self.cached_input + self.cache_write

    @property
    def output_tokens(self) -> int:
        """All that was generated, thinking included."""
        return self.output + self.reasoning

    @property
    def is_sane(self) -> bool:
        """Every token class a non-negative integer, and below a billion tokens."""
        token_classes = (self.input, self.cached_input, self.cache_write, self.output, self.reasoning)
        return all(type(token_class) is int and 0 <= token_class < NANO for token_class in token_classes)


@frozen
class TokenClasses:
    """US dollars per million tokens, by token class. One that is left out costs what ``input`` or ``output`` costs."""

    input: Usd
    """US dollars per million tokens read."""
    output: Usd
    """US dollars per million tokens generated."""
    cached_input: Usd = field()
    """Left out: as ``input``."""
    cache_write: Usd = field()
    """Left out: as ``input``."""
    reasoning: Usd = field()
    """Left out: as ``output``."""

    @cached_input.default
    def _cached(self) -> Usd:
        return self.input

    @cache_write.default
    def _written(self) -> Usd:
        return self.input

    @reasoning.default
    def _thought(self) -> Usd:
        return self.output

    def __attrs_post_init__(self) -> None:
        if any(
            token_class.nano < 0
            for token_class in (self.input, self.output, self.cached_input, self.cache_write, self.reasoning)
        ):
            raise ValueError("a price cannot be negative")

    @property
    def dearest_input(self) -> int:
        """Nano-dollars per million tokens of the dearest token class a token read can count in."""
        return max(self.input.nano, self.cached_input.nano, self.cache_write.nano)

    @property
    def dearest_output(self) -> int:
        """Nano-dollars per million tokens of the dearest token class a generated token can count in."""
        return max(self.output.nano, self.reasoning.nano)

    def total(self, usage: Usage) -> int:
        """What this usage costs, in millionths of a nano-dollar: an exact sum over the token classes."""
        return (
            usage.input * self.input.nano
            + usage.cached_input * self.cached_input.nano
            + usage.cache_write * self.cache_write.nano
            + usage.output * self.output.nano
            + usage.reasoning * self.reasoning.nano
        )


@frozen
class Rate(TokenClasses):
    """Token classes that replace the usual ones while all of the conditions are met."""

    over: int = 0
    """More tokens were read than this; then every token of the call is charged so."""
    since: int | None = None
    """From this moment on, in microseconds UTC."""
    hours: tuple[int, ...] = ()
    """(start, end) in minutes of the UTC day, the end excluded; a start after the end spans midnight."""
    days: tuple[int, ...] = ()
    """The weekdays in UTC, 1 for Monday to 7; none: every day. Hours across midnight are of the day they begin on."""

    def holds(self, input_tokens: int, at: int | None) -> bool:
        """Whether a call that read this many tokens and ended ``at`` is charged so; None: whether it can be."""
        if self.over and input_tokens <= self.over:
            return False
        if at is None:
            return True
        if self.since is not None and at < self.since:
            return False
        day, minute = divmod(at // _MINUTE, _MINUTES_A_DAY)
        start, end = self.hours or (0, _MINUTES_A_DAY)
        if start > end and minute < end:
            day, minute = day - 1, minute + _MINUTES_A_DAY
        if self.days and (day + _FIRST_WEEKDAY) % 7 + 1 not in self.days:
            return False
        return start <= minute < (end if start <= end else end + _MINUTES_A_DAY)


@frozen
class Price(TokenClasses):
    """What a model's tokens cost. Of its rates that hold for a call, the last one counts."""

    rates: tuple[Rate, ...] = ()
    """Other prices by date, hour or size; the last one that holds counts."""

    @property
    def blended(self) -> Usd:
        """(3 × input + output) / 4, per million tokens, of the usual token classes."""
        return Usd((3 * self.input.nano + self.output.nano) // 4)

    def cost(self, usage: Usage, at: int | None = None) -> Usd:
        """What this usage costs: token classes summed exactly, rounded up once to a nano-dollar.

        Args:
            usage: the tokens by token class.
            at: when the call ended, in microseconds UTC; None: the dearest moment.
        """
        holding = [rate for rate in self.rates if rate.holds(usage.input_tokens, at)]
        if at is None:
            total = max(token_classes.total(usage) for token_classes in (self, *holding))
        else:
            total = (holding[-1] if holding else self).total(usage)
        return Usd(-(-total // _MILLION))

    def bound(self, input_tokens: int, output_tokens: int) -> Usd:
        """The most a call of at most this many tokens can cost: every token at its dearest class, tier and hour."""
        total = input_tokens * self.dearest_input + output_tokens * self.dearest_output
        for rate in self.rates:
            if rate.holds(input_tokens, None):
                total = max(total, input_tokens * rate.dearest_input + output_tokens * rate.dearest_output)
        return Usd(-(-total // _MILLION))

    @property
    def halved(self) -> "Price":
        """Half of it, each token class rounded up to a nano-dollar."""
        return Price(*_halves(self), tuple(_half_rate(rate) for rate in self.rates))

    def affordable_output(self, input_tokens: int, amount: Usd) -> int:
        """The largest number of output tokens whose bound, with this input, is within ``amount``; may be negative."""
        return min(_affordable(token_classes, input_tokens, amount) for token_classes in self._possible(input_tokens))

    def _possible(self, input_tokens: int) -> tuple[TokenClasses, ...]:
        return (self, *(rate for rate in self.rates if rate.holds(input_tokens, None)))


def _halves(of: TokenClasses) -> tuple[Usd, Usd, Usd, Usd, Usd]:
    whole = (of.input, of.output, of.cached_input, of.cache_write, of.reasoning)
    first, second, *others = (Usd(-(-each.nano // 2)) for each in whole)
    return first, second, *others  # type: ignore[return-value]


def _half_rate(rate: Rate) -> Rate:
    return Rate(*_halves(rate), rate.over, rate.since, rate.hours, rate.days)


def _affordable(token_classes: TokenClasses, input_tokens: int, amount: Usd) -> int:
    left = amount.nano * _MILLION - input_tokens * token_classes.dearest_input
    if token_classes.dearest_output == 0:
        return _MILLION if left >= 0 else -1
    return left // token_classes.dearest_output
