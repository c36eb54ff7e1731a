"""Kinds of value a spec holds: each reads it strictly, writes it back, and says its JSON Schema.

A kind reads at a ``Place``, which knows the line and collects what is wrong; it raises ``Refused`` after it has said
why, so that a container can go on to the next value and all problems come out together.
"""

import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from attrs import evolve, field, frozen

from orchestrator.documents import Address, LineOf
from orchestrator.documents.document import shown
from orchestrator.documents.nearest import nearest
from orchestrator.errors import SpecError
from orchestrator.models import TaskType
from orchestrator.money import NANO, Usd

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

MAX_MONEY: Final = Usd(1_000_000_000 * NANO)


class Refused(Exception):  # noqa: N818 - a signal between readers, never shown
    """The value cannot be used, and the place has recorded why."""


class NameOf(StrEnum):
    """What a name in a document refers to."""

    PROVIDER = "provider"
    PARTY = "provider or vendor"
    MODEL = "model or slot"
    SLOT = "slot"
    REGION = "region"
    VALIDATOR = "validator"
    BACKEND = "backend"
    EXPORTER = "exporter"
    SCORER = "scorer"


@frozen
class NameUse:
    """A name that a document uses, and where; whether there is such a thing is known only where it is used."""

    kind: NameOf
    name: str
    place: str
    """``FILE:LINE: a.b[0]``."""
    line: int = 1


@frozen
class FileUse:
    """A file or folder that a document names to be read, and where."""

    path: str
    """As it is written."""
    place: str
    """As of ``NameUse``."""
    line: int = 1


ELSEWHERE: Final = "?"
"""What stands before a name of something that is not installed here, and is meant all the same."""


@frozen
class Place:
    """Where a value stands in a document, and the list that collects what is wrong there.

    ``line_of`` None means that the values come from Python and have no lines.
    """

    source: str
    line_of: LineOf | None = None
    path: Address = ()
    problems: list[tuple[int, str]] = field(factory=list)
    """What is wrong, with its line; shared by all places of one reading."""
    uses: list[NameUse] = field(factory=list)
    """The names that refer to something outside the document; shared by all places of one reading."""
    files: list[FileUse] = field(factory=list)
    """The files that the document names to be read; shared by all places of one reading."""
    given: Mapping[Address, str] = field(factory=dict)
    """The options that gave parts of the document, such as ``--set``, by the address of each part."""

    def below(self, step: str | int) -> "Place":
        """The place of a key or an item."""
        return evolve(self, path=(*self.path, step))

    def report(self, message: str) -> None:
        """Record a problem here."""
        self.problems.append((self.line, f"{self}: {message}"))

    def __str__(self) -> str:
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:80]}" for step in self.path).lstrip(".")
        where = "".join(letter if letter.isprintable() else "?" for letter in where)
        start = self._option or (f"{self.source}:{self.line}" if self.line_of else self.source)
        return f"{start}: {where}" if where else start

    @property
    def _option(self) -> str | None:
        """The option that gave what stands here."""
        above = (self.path[:length] for length in range(len(self.path), -1, -1))
        return next((self.given[address] for address in above if address in self.given), None)

    def refuse(self, message: str) -> Refused:
        """Record a problem here; raise the answer."""
        self.report(message)
        return Refused()

    def error(self) -> SpecError:
        """The error of all problems so far, in the order of their lines."""
        return SpecError([text for _, text in sorted(self.problems, key=lambda problem: problem[0])])

    @property
    def line(self) -> int:
        """The line (from 1) of the nearest part of the document that has one."""
        for length in range(len(self.path), -1, -1):
            found = self.line_of(self.path[:length]) if self.line_of else None
            if found is not None:
                return found
        return 1


def described(value: object) -> str:
    """What a value is, in a few words for a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {shown(value)}"
        case int() | float() | Decimal():
            return f"the number {shown(_digits(value))[1:-1]}"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f"a Python {type(value).__name__}"


def _digits(value: int | float | Decimal) -> str:
    if isinstance(value, int) and value.bit_length() > 1024:
        return "with more than 300 digits"
    return str(value)


class Kind(Generic[T]):
    """Reads one kind of value. The base writes a value back as it is."""

    def read(self, value: Any, at: Place) -> T:
        """The value as the program uses it.

        Raises:
            Refused: it is of another kind, or out of range; ``at`` has recorded why.
        """
        raise NotImplementedError

    def dump(self, value: T) -> Any:
        """Plain data that reads as this value."""
        return value

    def output(self, value: T) -> Any:
        """The value as ``--json`` prints it: as ``dump`` has it, but an amount of money as a text."""
        return self.dump(value)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what it reads."""
        raise NotImplementedError


def encodable(text: str, at: Place) -> str:
    """The text itself, proved to be Unicode.

    Raises:
        Refused: it holds half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise at.refuse("the text holds half of a surrogate pair") from None
    return str(text)


@frozen
class Text(Kind[str]):
    """A text that is not blank; with a pattern, ``hint`` says what the pattern wants."""

    pattern: str | None = None
    hint: str = ""
    longest: int | None = None

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        if not isinstance(value, str):
            quotes = "; put it in quotes" if isinstance(value, bool | int | float | Decimal) else ""
            raise at.refuse(f"expected a text, found {described(value)}{quotes}")
        if not value.strip():
            raise at.refuse("the text is empty")
        if self.longest is not None and len(value) > self.longest:
            raise at.refuse(f"the text is longer than {self.longest} characters")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise at.refuse(f"{shown(value)} is not allowed; {self.hint}")
        return encodable(value, at)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if self.longest is not None:
            schema["maxLength"] = self.longest
        if self.pattern is not None:
            schema["pattern"] = f"^{self.pattern}$"
        return schema


NAME: Final = Text(r"[^\x00-\x1f\x7f]+", "a name is one line without control characters", 200)
"""A name of anything: one line."""


@frozen
class Reference(Kind[str]):
    """A name that refers to something outside the document. A ``?`` before it keeps it from being looked for."""

    kind: NameOf

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        name = NAME.read(value, at)
        if name.startswith(ELSEWHERE):
            return NAME.read(name.removeprefix(ELSEWHERE), at)
        at.uses.append(NameUse(self.kind, name, str(at), at.line))
        return name

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return NAME.schema()


PATH: Final = Text(r"[^\x00-\x1f\x7f]+", "a path is one line without control characters", 4096)
"""A path of a file or folder."""


@frozen
class GivenFile(Kind[str]):
    """A path of a file or folder that is read."""

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        path = PATH.read(value, at)
        at.files.append(FileUse(path, str(at), at.line))
        return path

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return PATH.schema()


@frozen
class Flag(Kind[bool]):
    """True or false."""

    def read(self, value: Any, at: Place) -> bool:
        """See ``Kind``."""
        if not isinstance(value, bool):
            raise at.refuse(f"expected true or false, found {described(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "boolean"}


@frozen
class Whole(Kind[int]):
    """A whole number within bounds."""

    least: int
    most: int

    def read(self, value: Any, at: Place) -> int:
        """See ``Kind``."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise at.refuse(f"expected a whole number, found {described(value)}")
        if not self.least <= value <= self.most:
            raise at.refuse(f"{_digits(value)} is not between {self.least} and {self.most}")
        return value

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@frozen
class Real(Kind[float]):
    """A finite number within bounds; ``above`` excludes the lower one."""

    least: float
    most: float
    above: bool = False

    def read(self, value: Any, at: Place) -> float:
        """See ``Kind``."""
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise at.refuse(f"expected a number, found {described(value)}")
        if value != value or value in (math.inf, -math.inf):
            raise at.refuse(f"expected a finite number, found {value}")
        if not self.least <= value <= self.most or (self.above and value == self.least):
            low = f"above {self.least:g} and at most" if self.above else f"between {self.least:g} and"
            raise at.refuse(f"{_digits(value)} is not {low} {self.most:g}")
        return float(value)

    def dump(self, value: float) -> int | float:
        """Whole numbers without a fraction."""
        return int(value) if value.is_integer() and abs(value) < 2**53 else value

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        low = "exclusiveMinimum" if self.above else "minimum"
        return {"type": "number", low: self.least, "maximum": self.most}


@frozen
class Money(Kind[Usd]):
    """An exact amount of US dollars, from 0 to ``most``."""

    most: Usd = MAX_MONEY

    def read(self, value: Any, at: Place) -> Usd:
        """See ``Kind``."""
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise at.refuse(f"expected an amount in US dollars as a number, found {described(value)}")
        if value != value or value in (math.inf, -math.inf):
            raise at.refuse(f"expected a finite amount, found {value}")
        if not 0 <= value <= float(self.most):
            raise at.refuse(f"{_digits(value)} is not between 0 and {float(self.most):g}")
        try:
            return Usd.parse(value)
        except ValueError as error:
            raise at.refuse(str(error)) from None

    def dump(self, value: Usd) -> int | Decimal:
        """A number with as many decimals as it needs."""
        whole, rest = divmod(value.nano, NANO)
        return Decimal(str(value)) if rest else whole

    def output(self, value: Usd) -> str:
        """A text with nine decimals."""
        return str(value)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "number", "minimum": 0, "maximum": int(float(self.most))}


class Choice(Kind[E]):
    """One word of an enumeration; ``later`` are words of the specification that nothing enforces yet."""

    def __init__(self, words: type[E], later: frozenset[E] = frozenset()) -> None:
        self.words = {word.value: word for word in words if word not in later}
        self.later = {word.value for word in later}

    def read(self, value: Any, at: Place) -> E:
        """See ``Kind``."""
        known = self.words.get(value) if isinstance(value, str) else None
        if known is not None:
            return known
        if isinstance(value, str) and value in self.later:
            raise at.refuse(f"{value!r} is not enforced yet; use {' or '.join(self.words)}")
        near = suggestion(value, self.words)
        raise at.refuse(f"expected {_either(list(self.words))}, found {described(value)}{near}")

    def dump(self, value: E) -> str:
        """The word."""
        return str(value.value)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "enum": list(self.words)}


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def suggestion(word: object, known: Iterable[str]) -> str:
    """``; did you mean X?`` where a known word is close, else nothing."""
    found = nearest(word, known)
    return "" if found is None else f"; did you mean {found!r}?"


TASK_TYPES: Final = {kind.value: kind for kind in TaskType}
"""Task types by name."""
