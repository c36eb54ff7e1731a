"""Times as a document writes them: a moment, and a part of the day."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from attrs import frozen

from orchestrator.spec.value_kinds import Kind, Place, described

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP: Final = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?"
_TIME: Final = r"([01]\d|2[0-3]):[0-5]\d"


@frozen
class Timestamp(Kind[int]):
    """A date or a moment in ISO 8601, in UTC where it names no zone, as microseconds."""

    def read(self, value: Any, at: Place) -> int:
        """See ``Kind``."""
        text = value.isoformat() if isinstance(value, date | datetime) else value
        if not isinstance(text, str) or not re.fullmatch(_TIMESTAMP, text):
            raise at.refuse(f"expected a date such as 2027-01-31 or 2027-01-31T16:00Z, found {described(value)}")
        try:
            instant = datetime.fromisoformat(text)
            instant = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
            found = (instant.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError):
            raise at.refuse(f"{text} is no date of the calendar") from None
        if found < 0:
            raise at.refuse(f"{text} is before 1970")
        return found

    def dump(self, value: int) -> str:
        """ISO 8601 in UTC."""
        return (_EPOCH + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "pattern": f"^{_TIMESTAMP}$"}


_AGE: Final = r"([1-9][0-9]{0,8})([smhdw])"
_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


@frozen
class Age(Kind[int]):
    """A length of time such as ``12h`` or ``180d``, as microseconds."""

    def read(self, value: Any, at: Place) -> int:
        """See ``Kind``."""
        found = re.fullmatch(_AGE, value) if isinstance(value, str) else None
        if found is None:
            raise at.refuse(f"expected a length of time such as 12h, 30d or 26w, found {described(value)}")
        return int(found[1]) * _UNITS[found[2]] * 1_000_000

    def dump(self, value: int) -> str:
        """The number of the largest unit that divides it."""
        seconds = value // 1_000_000
        unit = next(unit for unit, size in _UNITS.items() if seconds % size == 0)
        return f"{seconds // _UNITS[unit]}{unit}"

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "pattern": f"^{_AGE}$"}


@frozen
class Date(Kind[str]):
    """A day in ISO 8601, kept as text."""

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        text = value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
        if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise at.refuse(f"expected a day such as 2027-01-31, found {described(value)}")
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise at.refuse(f"{text} is no date of the calendar") from None

    def dump(self, value: str) -> str:
        """The day itself."""
        return value

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}


@frozen
class Hours(Kind[tuple[int, ...]]):
    """A part of every UTC day, as (start, end) in minutes; the end is excluded and may lie after midnight."""

    def read(self, value: Any, at: Place) -> tuple[int, ...]:
        """See ``Kind``."""
        if not isinstance(value, str) or not re.fullmatch(f"{_TIME}-{_TIME}", value):
            raise at.refuse(f'expected times of the UTC day such as "16:30-00:30", found {described(value)}')
        start, end = (int(time[:2]) * 60 + int(time[3:]) for time in value.split("-"))
        if start == end:
            raise at.refuse("the times are equal; leave hours out where a rate holds all day")
        return start, end

    def dump(self, value: tuple[int, ...]) -> str:
        """The two times."""
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in value)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "pattern": f"^{_TIME}-{_TIME}$"}


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = "(" + "|".join(_DAYS) + ")"


@frozen
class Weekdays(Kind[tuple[int, ...]]):
    """Weekdays in UTC, such as ``mon-fri`` or ``sat, sun``, as numbers from 1 for Monday to 7."""

    def read(self, value: Any, at: Place) -> tuple[int, ...]:
        """See ``Kind``."""
        text = value.replace(" ", "").lower() if isinstance(value, str) else value
        if not isinstance(text, str) or not re.fullmatch(f"{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*", text):
            raise at.refuse(f"expected weekdays such as mon-fri or sat,sun, found {described(value)}")
        found: set[int] = set()
        for part in text.split(","):
            first, _, last = part.partition("-")
            start = _DAYS.index(first)
            found.update((start + step) % 7 + 1 for step in range((_DAYS.index(last or first) - start) % 7 + 1))
        return tuple(sorted(found))

    def dump(self, value: tuple[int, ...]) -> str:
        """The days, as a span where they are one."""
        is_span = len(value) > 1 and value == tuple(range(value[0], value[-1] + 1))
        names = [_DAYS[day - 1] for day in value]
        return f"{names[0]}-{names[-1]}" if is_span else ",".join(names)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        day = "(" + "|".join(f"[{name[0]}{name[0].upper()}]{name[1:]}" for name in _DAYS) + ")"
        return {"type": "string", "pattern": f"^ *{day} *(- *{day} *)?(, *{day} *(- *{day} *)?)*$"}
