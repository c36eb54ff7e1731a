"""A vendor's own bill against the log: what calls of unknown cost have cost, and where the two differ.

A bill has lines of a day and a model, and seldom one of a single call. What the calls of known cost leave of a line is
what the others of that day and model have cost together; it is divided among them by what was held.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define, fields, frozen

from orchestrator.documents import load_yaml, read_text
from orchestrator.errors import SpecError
from orchestrator.money import Usd
from orchestrator_bills.known_bills import BILLS

_CENTS: Final = "cents"
_VARIANTS: Final = frozenset(
    ["mini", "nano", "lite", "pro", "max", "turbo", "flash", "air", "audio", "image", "realtime", "search", "vision"]
)
"""Words that make another model of a name, where they follow it."""
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


@frozen
class BillMapping:
    """The columns of a vendor's bill.

    Attributes:
        time: when the line was used: a date, a moment in ISO 8601 (UTC where it names no zone), or seconds since 1970.
        model: what was used, in which the name of the model stands.
        amount: what it cost.
        currency: where the currency stands; every line must be in US dollars.
        request: where the vendor's id of a request stands, in a bill of single requests.
        unit: ``usd`` or ``cents``.
    """

    time: str
    model: str
    amount: str
    currency: str | None = None
    request: str | None = None
    unit: str = "usd"

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that a bill must have."""
        return tuple(each for each in (self.time, self.model, self.amount, self.currency) if each is not None)


def known_mappings() -> Mapping[str, BillMapping]:
    """The bills that are known, by vendor."""
    return {vendor: BillMapping(**columns) for vendor, columns in BILLS.items()}


@frozen
class BilledLine:
    """A line of a bill."""

    number: int
    """Of the line in the file."""
    day: date
    model: str
    amount: Usd
    slack: Usd
    """Half a unit of the amount's last digit."""
    request: str | None


@frozen
class BilledCall:
    """A call of the log that a bill may tell of."""

    run: str
    version: int
    models: tuple[str, ...]
    """The names that its model may have on a bill."""
    day: date
    settled: Usd
    unreconciled: Usd
    request: str | None = None
    simulated: bool = False


@frozen
class ArchivedCalls:
    """The calls of an archived run to a model: what they cost together is known, on which days is in its bundle."""

    run: str
    model: str
    first: date
    last: date
    simulated: bool = False


@frozen
class BillDifference:
    """Where a bill and the log differ."""

    day: date
    model: str
    billed: Usd
    settled: Usd
    """What the log has of the same, once the bill has settled what it can."""
    unreconciled: Usd
    why: str

    @property
    def nano(self) -> int:
        """By how much the bill is higher, in nano-dollars."""
        return self.billed.nano - self.settled.nano


@define
class Reckoning:
    """What a bill says of the calls of a log."""

    costs: dict[str, dict[int, Usd]] = Factory(dict)
    """By run and version what a call of unknown cost has cost."""
    differences: list[BillDifference] = Factory(list)


def read_bill(text: str, source: str, mapping: BillMapping | None) -> list[BilledLine]:
    """The lines of a bill in CSV.

    Args:
        text: its content.
        source: its name, for problems.
        mapping: its columns; None: those of the known bill that has them.

    Raises:
        SpecError: it cannot be read; every problem with its line.
    """
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""))
    found, problems = [], []
    try:
        mapping = mapping or known_mapping(rows.fieldnames or ())
        if mapping is None:
            known = ", ".join(known_mappings())
            raise SpecError([f"{source}:1: its columns are of no known bill ({known}); name them with --mapping FILE"])
        missing = [name for name in mapping.columns if name not in (rows.fieldnames or ())]
        if missing:
            raise SpecError([f"{source}:1: the column {missing[0]!r} is missing"])
        for row in rows:
            try:
                found.append(_line(row, mapping, rows.line_num))
            except ValueError as error:
                problems.append(f"{source}:{rows.line_num}: {error}")
    except csv.Error as error:
        raise SpecError([f"{source}: {error}"]) from error
    if problems:
        raise SpecError(problems)
    return found


def read_mapping(path: Path) -> BillMapping:
    """The columns of a bill from a file in YAML or JSON, with the keys that ``BillMapping`` has.

    Raises:
        SpecError: it cannot be used.
    """
    value = load_yaml(read_text(path), str(path)).value
    names = {each.name for each in fields(BillMapping)}
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        raise SpecError([f"{path}:1: expected a mapping of {', '.join(sorted(names))} to names of columns"])
    unknown = sorted(value.keys() - names)
    missing = sorted({"time", "model", "amount"} - value.keys())
    if unknown or missing:
        what = f"unknown key {unknown[0]!r}" if unknown else f"the key {missing[0]!r} is required"
        raise SpecError([f"{path}:1: {what}; known are {', '.join(sorted(names))}"])
    if value.get("unit", "usd") not in ("usd", _CENTS):
        raise SpecError([f"{path}:1: unit: it is usd or cents"])
    return BillMapping(**value)


def known_mapping(columns: Sequence[str]) -> BillMapping | None:
    """The known bill that has these columns."""
    return next((each for each in known_mappings().values() if set(each.columns) <= set(columns)), None)


def _line(row: Mapping[str, Any], mapping: BillMapping, number: int) -> BilledLine:
    currency = str(row[mapping.currency] or "").strip().upper() if mapping.currency else "USD"
    if currency != "USD":
        raise ValueError(f"the amount is in {currency or 'no currency'}, not in USD")
    text = str(row[mapping.amount] or "").strip().lstrip("$").replace(",", "")
    try:
        amount = Decimal(text or "0")
    except InvalidOperation:
        raise ValueError(f"{text!r} is no amount") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{text!r} is no amount from 0")
    scale = Decimal("0.01") if mapping.unit == _CENTS else Decimal(1)
    exponent = amount.as_tuple().exponent
    slack = Decimal(5).scaleb(int(exponent) - 1) * scale
    request = str(row.get(mapping.request) or "").strip() or None if mapping.request else None
    day = _day(str(row[mapping.time] or "").strip())
    return BilledLine(number, day, str(row[mapping.model] or ""), _usd(amount * scale), _usd(slack), request)


def _usd(amount: Decimal) -> Usd:
    return Usd(int((amount * 1_000_000_000).to_integral_value()))


def _day(text: str) -> date:
    try:
        if re.fullmatch(r"[0-9]{9,13}(\.[0-9]+)?", text):
            seconds = float(text)
            return datetime.fromtimestamp(seconds if seconds < _LATEST else seconds / 1000, UTC).date()
        when = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no date such as 2026-11-29") from None
    return when.date() if when.tzinfo is None else when.astimezone(UTC).date()


def reckon(
    lines: Sequence[BilledLine],
    calls: Sequence[BilledCall],
    models: Iterable[str] = (),
    archived: Sequence[ArchivedCalls] = (),
) -> Reckoning:
    """What a bill says of calls: by the request where both name it, else by day and model.

    Args:
        lines: of the bill.
        calls: of the log, of whatever vendors.
        models: names of further models, so that a line of theirs is not taken for one of a shorter name.
        archived: calls that a bill has, too: of a day and model that may be theirs nothing is settled.
    """
    found = Reckoning()
    real = {name for each in calls if not each.simulated for name in each.models}
    calls = [each for each in calls if not each.simulated or not real & set(each.models)]
    lines, calls = _by_request(lines, calls, found)
    names = _Names(calls, [*models, *(each.model for each in archived)])
    others = [each for each in archived if not each.simulated or each.model not in real]
    billed: dict[tuple[date, str], list[BilledLine]] = defaultdict(list)
    for line in lines:
        billed[line.day, names.of(line.model) or line.model].append(line)
    made: dict[tuple[date, str], list[BilledCall]] = defaultdict(list)
    for call in calls:
        made[call.day, names.of(call.models[0]) or call.models[0]].append(call)
    days = {line.day for line in lines}
    for key in sorted(billed.keys() | made.keys()):
        if key in billed or (key[0] in days and any(each.unreconciled for each in made[key])):
            _reckon_day(key, billed.get(key, []), made.get(key, []), found, _owner(key, others, names))
    return found


def _owner(key: tuple[date, str], archived: Iterable[ArchivedCalls], names: "_Names") -> str | None:
    """The first archived run that may have called a model on a day."""
    day, model = key
    of_model = (each for each in archived if (names.of(each.model) or each.model) == model)
    return next((each.run for each in of_model if each.first <= day <= each.last), None)


def _by_request(
    lines: Sequence[BilledLine], calls: Sequence[BilledCall], found: Reckoning
) -> tuple[list[BilledLine], list[BilledCall]]:
    """Settle what is billed by request; returns what is left of both."""
    by_request = {each.request: each for each in calls if each.request is not None}
    sums: dict[str, list[BilledLine]] = defaultdict(list)
    for line in lines:
        if line.request in by_request:
            sums[str(line.request)].append(line)
    for request, own in sums.items():
        _reckon_day((own[0].day, own[0].model), own, [by_request[request]], found)
    left = [line for line in lines if line.request not in sums]
    return left, [call for call in calls if call.request not in sums]


def _reckon_day(
    key: tuple[date, str],
    lines: Sequence[BilledLine],
    calls: Sequence[BilledCall],
    found: Reckoning,
    archived: str | None = None,
) -> None:
    billed, slack = _sum(each.amount for each in lines), _sum(each.slack for each in lines)
    settled, held = _sum(each.settled for each in calls), _sum(each.unreconciled for each in calls)
    rest, unknown = billed.nano - settled.nano, [each for each in calls if each.unreconciled]
    if archived is not None and lines:
        why = f"calls of {archived}, which is archived, may be among them; nothing is settled by it"
    elif not calls:
        why = "no call of the log"
    elif not lines:
        why = "not on the bill, and left unreconciled"
    elif not unknown:
        why = "" if abs(rest) <= slack.nano else "the bill and the log differ"
    elif rest < -slack.nano:
        why = "the bill has less than the calls of known cost; nothing is settled by it"
    elif rest > held.nano:
        why = "the bill has more than these calls can have cost; nothing is settled by it"
    else:
        for call, nano in zip(
            unknown, _shares(max(rest, 0), [each.unreconciled.nano for each in unknown]), strict=True
        ):
            found.costs.setdefault(call.run, {})[call.version] = Usd(nano)
        return
    if why:
        found.differences.append(BillDifference(*key, billed, settled, held, why))


def _shares(whole: int, weights: Sequence[int]) -> Iterator[int]:
    """A whole divided by weights, exactly."""
    left, total = whole, sum(weights)
    for weight in weights:
        share = left * weight // total if total else 0
        yield share
        left, total = left - share, total - weight


def _sum(amounts: Iterable[Usd]) -> Usd:
    return Usd(sum(each.nano for each in amounts))


class _Names:
    """Finds the model that a bill speaks of, however it writes the name."""

    def __init__(self, calls: Iterable[BilledCall], models: Iterable[str]) -> None:
        self._known = {f" {_plain(name)} ": name for name in models}
        self._known |= {f" {_plain(name)} ": each.models[0] for each in calls for name in each.models}
        self._found: dict[str, str | None] = {}

    def of(self, text: str) -> str | None:
        """The model whose name is the longest in a text; None where none is."""
        if text not in self._found:
            there = f" {_plain(text)} "
            fitting = (name for name in self._known if name in there and not _is_variant(there, name))
            longest = max(fitting, key=len, default=None)
            self._found[text] = None if longest is None else self._known[longest]
        return self._found[text]


def _is_variant(text: str, name: str) -> bool:
    """Whether a text goes on after a name with a word that makes it another."""
    following = text.partition(name)[2].split()
    return bool(following) and following[0] in _VARIANTS


def _plain(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))
