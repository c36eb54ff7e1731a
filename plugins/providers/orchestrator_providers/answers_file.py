"""The answers file of the provider ``scripted``: its values, and how it is read. See ``scripted`` for its form."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from orchestrator.documents import Address, Document, load_yaml
from orchestrator.spi import Billed, CallRef, ErrorKind, Finish, ModelInfo, Price, Role, SpecError, Usage, Usd

DEFAULT_DELAY_MS: Final = 30

_LARGEST: Final = 10**9
_PASSING: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED, ErrorKind.SERVER, ErrorKind.CONNECTION})
_UNCERTAIN: Final = frozenset({ErrorKind.TIMEOUT, ErrorKind.BAD_ANSWER})
_TOKEN_CLASSES: Final = ("input", "cached_input", "cache_write", "output", "reasoning")
_MATCHERS: Final[Mapping[str, tuple[type, str]]] = {
    "task": (str, "a task's id"),
    "role": (str, "a role"),
    "iteration": (int, "a whole number"),
    "sample": (int, "a whole number"),
    "try": (int, "a whole number"),
    "model": (str, "a model's id"),
}


@frozen
class Failure:
    """How a scripted call fails."""

    kind: ErrorKind
    message: str
    retryable: bool
    billed: Billed
    retry_after: float | None
    status: int | None


@frozen
class Answer:
    """One entry of the script: the keys it matches, and a text or a failure."""

    keys: Mapping[str, str | int]
    text: str
    failure: Failure | None
    delay: float
    """Seconds."""
    usage: Usage | None
    counted: bool
    """Whether tokens are counted from bytes; else ``usage`` is what the vendor says."""
    finish: Finish | None = None
    """How the text ends, which is then given whole; None: as the call's limit has it."""


@frozen
class Script:
    """What an answers file amounts to."""

    models: tuple[ModelInfo, ...]
    answers: tuple[Answer, ...]

    def find(self, call: CallRef, model: str) -> Answer | None:
        """The answer with the most keys among those that match; the later one of equals."""
        asked = {
            "task": call.node,
            "role": call.role.value,
            "iteration": call.iteration,
            "sample": call.sample,
            "try": call.try_,
            "model": model,
        }
        found: Answer | None = None
        for answer in self.answers:
            fits = all(asked[key] == value for key, value in answer.keys.items())
            if fits and (found is None or len(answer.keys) >= len(found.keys)):
                found = answer
        return found


class _Reader:
    """Turns the plain data of an answers file into a script, collecting every problem with its line."""

    def __init__(self, document: Document, source: str) -> None:
        self._document = document
        self._source = source
        self.problems: list[str] = []

    def problem(self, path: Address, text: str) -> None:
        steps = len(path)
        while (line := self._document.line_of(path[:steps])) is None and steps:
            steps -= 1
        place = self._source if line is None else f"{self._source}:{line}"
        self.problems.append(f"{place}: {text}")

    def mapping(self, value: Any, path: Address, allowed: Sequence[str]) -> Mapping[str, Any]:
        """The value if it is a mapping, without the keys that mean nothing here."""
        if not isinstance(value, Mapping):
            self.problem(path, "a mapping is needed here")
            return {}
        for key in value:
            if key not in allowed:
                self.problem((*path, key), f"unknown key {key!r}; known here: {', '.join(allowed)}")
        return {key: value[key] for key in allowed if key in value}

    def items(self, value: Any, path: Address) -> Sequence[Any]:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return value
        self.problem(path, "a list is needed here")
        return ()

    def typed(self, value: Any, kinds: tuple[type, ...], path: Address, wanted: str, default: Any) -> Any:
        """The value if it is of one of the kinds (a bool is no number), else the default and a problem."""
        if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
            return value
        self.problem(path, f"{path[-1]} must be {wanted}")
        return default

    def number(self, value: Any, path: Address, default: float) -> float:
        """A number of at least 0 that is no absurdity."""
        found = self.typed(value, (int, float), path, f"a number from 0 to {_LARGEST}", default)
        if 0 <= found <= _LARGEST:
            return float(found)
        self.problem(path, f"{path[-1]} must be a number from 0 to {_LARGEST}")
        return default

    # -- models

    def models(self, value: Any, provider: str) -> tuple[ModelInfo, ...]:
        found = (
            self.model(each, ("models", index), provider) for index, each in enumerate(self.items(value, ("models",)))
        )
        return tuple(each for each in found if each is not None)

    def model(self, value: Any, path: Address, provider: str) -> ModelInfo | None:
        allowed = ("id", "vendor", "price", "slots", "context", "max_output", "tier", "regions", "trains_on_data")
        fields = self.mapping(value, path, allowed)
        name = self.typed(fields.get("id"), (str,), (*path, "id"), "text", "")
        if not name or "price" not in fields:
            self.problem(path, "a model needs an id and a price")
            return None
        return ModelInfo(
            id=name,
            provider=provider,
            vendor=self.typed(fields.get("vendor", name), (str,), (*path, "vendor"), "text", name),
            price=self.price(fields["price"], (*path, "price")),
            context=self.optional(fields, "context", (int,), path, "a whole number of tokens"),
            max_output=self.optional(fields, "max_output", (int,), path, "a whole number of tokens"),
            tier=self.optional(fields, "tier", (str,), path, "text"),
            regions=self.names(fields, "regions", path),
            trains_on_data=self.optional(fields, "trains_on_data", (bool,), path, "true or false"),
            slots=self.names(fields, "slots", path),
            source="script",
        )

    def names(self, fields: Mapping[str, Any], key: str, path: Address) -> tuple[str, ...]:
        here = (*path, key)
        return tuple(
            self.typed(each, (str,), here, "a list of names", "") for each in self.items(fields.get(key, ()), here)
        )

    def optional(self, fields: Mapping[str, Any], key: str, kinds: tuple[type, ...], path: Address, wanted: str) -> Any:
        value = fields.get(key)
        return None if value is None else self.typed(value, kinds, (*path, key), wanted, None)

    def price(self, value: Any, path: Address) -> Price | None:
        token_classes: dict[str, Any] = {}
        for token_class, amount in self.mapping(value, path, _TOKEN_CLASSES).items():
            try:
                token_classes[token_class] = Usd.parse(amount)
            except ValueError as error:
                self.problem((*path, token_class), f"{token_class}: {error}")
        try:
            return Price(**token_classes)
        except (TypeError, ValueError):
            self.problem(path, "a price needs input and output, in US dollars per million tokens, not negative")
            return None

    # -- answers

    def answer(self, value: Any, path: Address, delay_ms: float) -> Answer | None:
        failing = ("message", "retry_after", "retryable", "billed", "status")
        fields = self.mapping(value, path, (*_MATCHERS, "text", "error", "delay_ms", "usage", "finish", *failing))
        if ("text" in fields) == ("error" in fields):
            self.problem(path, "an answer needs either text or error")
            return None
        if "text" in fields and any(key in fields for key in failing):
            self.problem(path, f"{', '.join(key for key in failing if key in fields)}: only beside error")
        text = self.typed(fields.get("text", ""), (str,), (*path, "text"), "text (quote it, or write |)", "")
        usage = fields.get("usage", ...)
        return Answer(
            keys=self.keys(fields, path),
            text=text.encode("utf-8", "replace").decode(),
            failure=self.failure(fields, path) if "error" in fields else None,
            delay=self.number(fields.get("delay_ms", delay_ms), (*path, "delay_ms"), 0) / 1000,
            usage=None if usage in (..., None, "none") else self.usage(usage, (*path, "usage")),
            counted=usage is ...,
            finish=self.member(Finish, fields["finish"], (*path, "finish"), None) if "finish" in fields else None,
        )

    def keys(self, fields: Mapping[str, Any], path: Address) -> Mapping[str, str | int]:
        found: dict[str, str | int] = {}
        for key, (kind, wanted) in _MATCHERS.items():
            if key in fields:
                found[key] = self.typed(fields[key], (kind,), (*path, key), wanted, "")
        if "role" in found and found["role"] not in tuple(Role):
            self.problem((*path, "role"), f"unknown role {found['role']!r}; known: {', '.join(Role)}")
        return found

    def failure(self, fields: Mapping[str, Any], path: Address) -> Failure:
        kind = self.member(ErrorKind, fields["error"], (*path, "error"), ErrorKind.SERVER)
        billed = Billed.UNKNOWN if kind in _UNCERTAIN else Billed.NO
        passing = kind in _PASSING or kind in _UNCERTAIN
        wait = fields.get("retry_after")
        return Failure(
            kind=kind,
            message=str(fields.get("message", f"scripted error: {kind.value}")),
            retryable=self.typed(
                fields.get("retryable", passing), (bool,), (*path, "retryable"), "true or false", passing
            ),
            billed=self.member(Billed, fields.get("billed", billed.value), (*path, "billed"), billed),
            retry_after=None if wait is None else self.number(wait, (*path, "retry_after"), 0),
            status=self.optional(fields, "status", (int,), path, "an HTTP status"),
        )

    def member(self, kinds: Any, value: Any, path: Address, default: Any) -> Any:
        if value in tuple(kinds):
            return kinds(value)
        self.problem(path, f"{path[-1]} must be one of {', '.join(kinds)}")
        return default

    def usage(self, value: Any, path: Address) -> Usage:
        token_classes = {
            token_class: self.typed(count, (int,), (*path, token_class), "a whole number of tokens", 0)
            for token_class, count in self.mapping(value, path, _TOKEN_CLASSES).items()
        }
        return Usage(**token_classes)


def read_script(text: str, source: str, provider: str = "scripted") -> Script:
    """Read the text of an answers file.

    Raises:
        SpecError: with every problem, each line naming ``source`` and the line.
    """
    document = load_yaml(text, source)
    reader = _Reader(document, source)
    top = reader.mapping(document.value, (), ("models", "delay_ms", "answers"))
    delay_ms = reader.number(top.get("delay_ms", DEFAULT_DELAY_MS), ("delay_ms",), DEFAULT_DELAY_MS)
    models = reader.models(top["models"], provider) if "models" in top else _default_models(provider)
    entries = enumerate(reader.items(top.get("answers"), ("answers",)))
    answers = [reader.answer(each, ("answers", index), delay_ms) for index, each in entries]
    if reader.problems:
        raise SpecError(reader.problems)
    return Script(models, tuple(each for each in answers if each is not None))


def _default_models(provider: str) -> tuple[ModelInfo, ...]:
    """Three models of three pretended vendors, which fill every slot that the routing table asks first."""

    def sold(vendor: str, price: tuple[str, str], tier: str, *slots: str) -> ModelInfo:
        return ModelInfo(
            id=f"{vendor}-1",
            provider=provider,
            vendor=vendor,
            price=Price(Usd.parse(price[0]), Usd.parse(price[1])),
            context=128_000,
            max_output=16_384,
            tier=tier,
            slots=slots,
            source="script",
        )

    return (
        sold("northwind", ("0.28", "0.42"), "standard", "deepseek-chat", "deepseek-reasoner", "gemini-2.5-flash"),
        sold("aurora", ("0.56", "2.92"), "standard", "moonshot-v1", "claude-opus", "claude-sonnet", "claude-haiku"),
        sold("kestrel", ("2.50", "10"), "premium", "gpt-4o", "gpt-4o-mini", "gemini-2.5-pro"),
    )
