"""What a grader is, as a suite's ``grade`` says it: one kind and what it needs, or a list of these."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import field, frozen

from orchestrator.spec.container_kinds import FreeMapping, MapOf, Record, key
from orchestrator.spec.value_kinds import NAME, Kind, Place, Real, Refused, Text, described, suggestion

SECONDS: Final = 30.0
"""What one grader may take where it says nothing."""


class GraderKind(StrEnum):
    """The kinds of graders."""

    PYTEST = "pytest"
    """A module of tests, run in the sandbox beside the answer's files."""
    JSON_SCHEMA = "json_schema"
    """The answer is JSON that meets a schema."""
    EXACT = "exact"
    """The answer is this text, white space around it aside; or it is JSON of this value."""
    REGEX = "regex"
    """A pattern is found in the answer."""
    COMMAND = "command"
    """A command in the sandbox, beside the answer's files, ends with status 0."""
    SCORER = "scorer"
    """A scorer plugin gives a score."""
    JUDGE = "judge"
    """A named model gives a score."""


@frozen(kw_only=True)
class CommandRule:
    """A command that judges: status 0 passes, 1 fails, everything else is an error of the grader."""

    run: str = field(metadata=key(Text(longest=10_000), "The command, for the shell, in a folder with the answer."))
    files: dict[str, str] = field(
        factory=dict, metadata=key(MapOf(Text()), "Further files beside the answer, by name.")
    )
    seconds: float = field(default=SECONDS, metadata=key(Real(0, 600, above=True), "What it may take."))


@frozen(kw_only=True)
class ScorerRule:
    """A scorer plugin that judges."""

    name: str = field(metadata=key(NAME, "The scorer."))
    parameters: dict[str, Any] = field(factory=dict, metadata=key(FreeMapping(), "What it is built with."))
    at_least: float = field(default=0.7, metadata=key(Real(0, 1), "The score, from 0 to 1, that passes."))


@frozen(kw_only=True)
class JudgeRule:
    """A model that judges. Its call is a run of its own, under the evaluation's ceiling."""

    model: str = field(metadata=key(NAME, "The id of the model."))
    rubric: str = field(metadata=key(Text(), "What makes an answer right."))
    at_least: float = field(default=0.7, metadata=key(Real(0, 1), "The score, from 0 to 1, that passes."))


@frozen
class Grader:
    """One grader."""

    kind: GraderKind
    rule: Any
    """By kind: a text, a schema, a JSON value, a ``CommandRule``, a ``ScorerRule``, a ``JudgeRule``."""


class _Pattern(Kind[str]):
    """A regular expression."""

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        text = Text().read(value, at)
        try:
            re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise at.refuse(f"this is no regular expression: {error}") from None
        return text

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "format": "regex"}


class _Value(Kind[Any]):
    """A text, or any JSON value."""

    def read(self, value: Any, at: Place) -> Any:
        """See ``Kind``."""
        return FreeMapping().read({"value": value}, at)["value"]

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {}


class _Python(Kind[str]):
    """The text of a Python module."""

    def read(self, value: Any, at: Place) -> str:
        """See ``Kind``."""
        text = Text().read(value, at)
        try:
            compile(text, "tests", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
            raise at.refuse(f"the tests are no Python: {line}") from None
        return text

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": "string", "minLength": 1}


class _Named(Kind[Any]):
    """A rule, or the text of its first key alone."""

    def __init__(self, rule: type, first: str) -> None:
        self._record: Record[Any] = Record(rule)
        self._first = first

    def read(self, value: Any, at: Place) -> Any:
        """See ``Kind``."""
        return self._record.read({self._first: value} if isinstance(value, str) else value, at)

    def dump(self, value: Any) -> Any:
        """See ``Kind``."""
        return self._record.dump(value)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"anyOf": [{"type": "string", "minLength": 1}, self._record.schema()]}


_RULES: Final[Mapping[GraderKind, Kind[Any]]] = {
    GraderKind.PYTEST: _Python(),
    GraderKind.JSON_SCHEMA: FreeMapping(),
    GraderKind.EXACT: _Value(),
    GraderKind.REGEX: _Pattern(),
    GraderKind.COMMAND: _Named(CommandRule, "run"),
    GraderKind.SCORER: _Named(ScorerRule, "name"),
    GraderKind.JUDGE: Record(JudgeRule),
}
_KNOWN: Final = {kind.value: kind for kind in GraderKind}


class Graders(Kind[tuple[Grader, ...]]):
    """A mapping of graders by kind, or a list of such mappings; an answer must pass all of them."""

    def read(self, value: Any, at: Place) -> tuple[Grader, ...]:
        """See ``Kind``."""
        if isinstance(value, list | tuple):
            found = [grader for number, each in enumerate(value) for grader in self._of(each, at.below(number))]
        else:
            found = self._of(value, at)
        if not found:
            raise at.refuse("a case needs a grader")
        return tuple(found)

    def _of(self, value: Any, at: Place) -> list[Grader]:
        if not isinstance(value, Mapping):
            raise at.refuse(f"expected a mapping with one of {', '.join(_KNOWN)}, found {described(value)}")
        before, found = len(at.problems), []
        for name, rule in value.items():
            here = at.below(str(name))
            kind = _KNOWN.get(name)
            if kind is None:
                here.report("no grader is called so" + (suggestion(name, _KNOWN) or f"; there are {', '.join(_KNOWN)}"))
                continue
            try:
                found.append(Grader(kind, _RULES[kind].read(rule, here)))
            except Refused:
                continue
        if len(at.problems) > before:
            raise Refused
        return found

    def dump(self, value: tuple[Grader, ...]) -> list[dict[str, Any]]:
        """See ``Kind``."""
        return [{grader.kind.value: _RULES[grader.kind].dump(grader.rule)} for grader in value]

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        one = {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {kind.value: rule.schema() for kind, rule in _RULES.items()},
        }
        return {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}


GRADERS: Final = Graders()
