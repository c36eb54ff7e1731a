"""The suite file: cases, the graders that no model sees, and what all cases have in common."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from orchestrator.documents import Address, Document, read_document, read_text
from orchestrator.errors import SpecError
from orchestrator.models import TaskType
from orchestrator.money import Usd
from orchestrator.spec import Spec, parse_changed
from orchestrator.spec.container_kinds import FreeMapping, ListOf, Record, key
from orchestrator.spec.plan import IDENTIFIER
from orchestrator.spec.value_kinds import NAME, PATH, Choice, Money, Place, Real, Refused, Text
from orchestrator_eval.grading_rules import GRADERS, Grader
from orchestrator_eval.json_lines import FROM, Row, rows

DEFAULT_BUDGET: Final = Usd.parse("8")
"""The ceiling of an evaluation whose suite says nothing."""

_SUITE_KEYS: Final = ("suite", "about", "budget_usd", "spec", "cases")
_OF_CASES: Final = ("project_id", "tasks", "task_paths", "output_dir", "app", "cache", "node_policies")
"""Keys of a spec that a suite may not set: the cases do."""
_TEXTS: Final = frozenset({"prompt", "criteria", "tests", "oracle"})
_MOST_CASES: Final = 10_000


@frozen(kw_only=True)
class Case:
    """One case: a task as in a spec, and how its answer is graded."""

    id: str = field(metadata=key(IDENTIFIER, "The case's name."))
    type: TaskType = field(metadata=key(Choice(TaskType), "What kind of task it is."))
    prompt: str = field(metadata=key(Text(), "What is asked of the model."))
    grade: tuple[Grader, ...] = field(metadata=key(GRADERS, "How the answer is graded; no model sees it."))
    oracle: str | None = field(
        default=None, metadata=key(Text(), "An answer that must pass; it is checked before money is spent.")
    )
    criteria: str | None = field(default=None, metadata=key(Text(), "When the answer is good, as the model is told."))
    path: str | None = field(default=None, metadata=key(PATH, "The name of the file that the answer becomes."))
    hard_validators: tuple[str, ...] = field(
        default=(), metadata=key(ListOf(NAME, unique=True, most=100), "Validators of the task.")
    )
    schema: Mapping[str, Any] | None = field(
        default=None, metadata=key(FreeMapping(), "The JSON Schema of the task, which models see.")
    )
    tests: str | None = field(default=None, metadata=key(Text(), "The tests of the task, which models see."))
    budget_usd: Usd | None = field(default=None, metadata=key(Money(), "The ceiling of each of its runs."))
    tags: tuple[str, ...] = field(
        default=(), metadata=key(ListOf(IDENTIFIER, unique=True, most=100), "Words to choose cases by.")
    )
    weight: float = field(default=1.0, metadata=key(Real(0, 1000, above=True), "How much it counts."))


CASE: Final = Record(Case)


def plain_number(value: Any) -> Any:
    """An exact decimal as JSON writes it, for ``json.dumps``."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{value!r} is no plain data")


def fingerprint(case: Case) -> str:
    """A digest under which equal cases, graders included, are equal: results are compared on these."""
    text = json.dumps(CASE.dump(case), sort_keys=True, ensure_ascii=False, default=plain_number)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@frozen
class Suite:
    """A suite that was read and can be run.

    Attributes:
        name: of letters, digits, ``_``, ``.`` and ``-``.
        source: the file, for messages.
        folder: what paths in it are relative to.
        spec: keys of a spec that all cases share, as plain data.
        cases: in the order of the file.
        budget: the ceiling of an evaluation.
        lines: of addresses in the file.
        places: the address of each case by its id.
    """

    name: str
    source: str
    folder: Path
    spec: Mapping[str, Any]
    cases: tuple[Case, ...]
    budget: Usd = DEFAULT_BUDGET
    document: Document | None = None
    places: Mapping[str, int] = field(factory=dict)

    @property
    def path(self) -> str:
        """The file's absolute path: under it is remembered what its user agreed to."""
        return str(self.folder.absolute() / Path(self.source).name)

    def line_of(self, case: str | None = None) -> int:
        """The line of a case, or of the file's first line."""
        place = self.places.get(case or "")
        line = None if self.document is None or place is None else self.document.line_of(("cases", place))
        return line or 1

    def where(self, case: str) -> str:
        """File and line of a case, for messages; the file alone where it was not read from one."""
        return f"{self.source}:{self.line_of(case)}" if self.document is not None else self.source


def read_suite(path: Path) -> Suite:
    """The suite in a YAML or JSON file.

    Raises:
        SpecError: it cannot be used; all problems together, each with file and line.
    """
    document = read_document(path)
    place = Place(document.source, document.line_of)
    value = document.value
    if not isinstance(value, Mapping):
        raise SpecError([f"{document.source}:1: a suite is a mapping with the keys {', '.join(_SUITE_KEYS)}"])
    suite = _read(value, place, path, document)
    if place.problems:
        raise place.error()
    return suite


def _read(value: Mapping[str, Any], place: Place, path: Path, document: Document) -> Suite:
    for name in value:
        if name not in _SUITE_KEYS:
            place.below(str(name)).report(f"unknown key; known are {', '.join(_SUITE_KEYS)}")
    name = _kept(
        IDENTIFIER, value, "suite", place, re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem).lstrip("_.-") or "suite"
    )
    shared = _kept(FreeMapping(empty=True), value, "spec", place, {})
    for key_ in _OF_CASES:
        if key_ in (shared or {}):
            place.below("spec").below(key_).report("the cases and the evaluation set this; take it out")
    budget = _kept(Money(), value, "budget_usd", place, DEFAULT_BUDGET)
    cases = list(_cases(value.get("cases"), place.below("cases"), path.parent))
    places: dict[str, int] = {}
    for number, here, case in cases:
        if case.id in places:
            here.report(f"the id {case.id!r} stands above already")
        places.setdefault(case.id, number)
    if not cases and not place.problems:
        place.below("cases").report("a suite needs a case")
    return Suite(
        str(name or "suite"),
        document.source,
        path.parent,
        shared or {},
        tuple(case for _, _, case in cases),
        budget or DEFAULT_BUDGET,
        document,
        places,
    )


def _kept(kind: Any, value: Mapping[str, Any], name: str, place: Place, default: Any) -> Any:
    """A key's value; its default where it is left out, None where it cannot be used."""
    if value.get(name) is None:
        return default
    try:
        return kind.read(value[name], place.below(name))
    except Refused:
        return None


def _cases(value: Any, at: Place, folder: Path) -> Iterator[tuple[int, Place, Case]]:
    if not isinstance(value, list):
        at.report("expected a list of cases")
        return
    if len(value) > _MOST_CASES:
        at.report(f"{len(value)} cases are more than {_MOST_CASES}")
        return
    for number, raw in enumerate(value):
        for here, row in _rows(raw, at.below(number), folder):
            try:
                yield number, here, CASE.read(_with_files(row, here, folder), here)
            except Refused:
                continue


def _rows(raw: Any, here: Place, folder: Path) -> Iterator[tuple[Place, Any]]:
    """A case as it stands, or those that a file of JSON lines holds."""
    if not isinstance(raw, Mapping) or FROM not in raw:
        yield here, raw
        return
    try:
        found: Sequence[Row] = rows(raw, here, folder)
    except Refused:
        return
    for row in found:
        yield row.place(here), row.case


def _with_files(raw: Any, at: Place, folder: Path) -> Any:
    """The case with the text of files in the place of ``{file: NAME}``."""
    if not isinstance(raw, Mapping):
        return raw
    return {
        name: _filled(value, at.below(str(name)), folder, 3) if name in _TEXTS or name == "grade" else value
        for name, value in raw.items()
    }


def _filled(value: Any, at: Place, folder: Path, depth: int) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"file"} and isinstance(value["file"], str):
            return _text(value["file"], at, folder)
        if depth:
            return {name: _filled(each, at.below(str(name)), folder, depth - 1) for name, each in value.items()}
    if isinstance(value, list) and depth:
        return [_filled(each, at.below(number), folder, depth) for number, each in enumerate(value)]
    return value


def _text(name: str, at: Place, folder: Path) -> str:
    try:
        return read_text(folder / Path(name).expanduser())
    except SpecError as error:
        raise at.refuse(str(error.problems[0])) from None


def spec_document(suite: Suite, case: Case) -> dict[str, Any]:
    """What a spec file of one case would hold: nothing of its graders, nor of its oracle."""
    task: dict[str, Any] = {"id": case.id, "type": case.type.value, "prompt": case.prompt}
    if case.hard_validators:
        task["hard_validators"] = list(case.hard_validators)
    if case.schema is not None:
        task["schema"] = dict(case.schema)
    if case.tests is not None:
        task["tests"] = case.tests
    document: dict[str, Any] = {
        "project": "Answer one task.",
        "criteria": "The answer does what the task asks.",
        **suite.spec,
        "tasks": [task],
        "cache": False,
    }
    if case.criteria is not None:
        document["criteria"] = case.criteria
    if case.path is not None:
        document["task_paths"] = {case.id: case.path}
    if case.budget_usd is not None:
        document["budget_usd"] = Money().dump(case.budget_usd)
    return document


def parsed(suite: Suite, case: Case, document: Mapping[str, Any], options: Mapping[Address, str] | None = None) -> Spec:
    """The spec that a case's document means; problems name the line in the suite, or the option that made them.

    Args:
        suite: the suite.
        case: one of its cases.
        document: see ``spec_document``.
        options: what changed a document that is a spec without them, by address.

    Raises:
        SpecError: it cannot be used.
    """

    def line_of(address: Address) -> int | None:
        if suite.document is None:
            return None
        place = suite.places.get(case.id, 0)
        if address[:2] == ("tasks", 0):
            return suite.document.line_of(("cases", place, *address[2:]))
        return suite.document.line_of(("spec", *address)) if address else suite.line_of(case.id)

    lines = line_of if suite.document is not None else None
    return parse_changed(document, suite.source, lines, options or {}, is_sound=options is not None)
