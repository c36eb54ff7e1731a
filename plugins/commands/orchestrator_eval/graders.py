"""Grading: an answer becomes the files it would be delivered as, and every grader of its case looks at them."""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Unpack

from attrs import Factory, define, evolve, frozen

from orchestrator.engine.answers.result_block import Wanted
from orchestrator.engine.outputs.files_in_answer import output_files
from orchestrator.errors import OrchestrateError, SandboxError
from orchestrator.models import Verdict
from orchestrator.spi import (
    Candidate,
    Finding,
    Job,
    Ran,
    RunOptions,
    Sandbox,
    Score,
    Scorer,
    ScorerContext,
    Validator,
    ValidatorContext,
)
from orchestrator_eval.grading_rules import SECONDS, CommandRule, Grader, GraderKind, ScorerRule
from orchestrator_eval.suite_file import Case, fingerprint

ANSWER: Final = "answer.txt"
"""The file in which a command finds the answer as the model gave it."""

_MOST: Final = 2000
"""Characters of what a grader says that are kept."""
_RAISED: Final = re.compile(r"Traceback \(most recent call last\):.*\n(?P<name>[A-Za-z_][\w.]*)[^\n]*\s*\Z", re.DOTALL)
_SEARCH: Final = """\
import re, sys
with open("pattern.txt", encoding="utf-8") as pattern, open("answer.txt", encoding="utf-8") as answer:
    sys.exit(0 if re.search(pattern.read(), answer.read(), re.MULTILINE) else 1)
"""


@frozen
class Mark:
    """What one grader says.

    Attributes:
        passed: None where it gave no verdict, which is an error of the grader.
        details: a few lines.
        right: checks that passed.
        checks: of how many.
        sandbox: the way in which what it ran was contained; None where it ran nothing.
        judge: the id of the run in which a model judged.
    """

    passed: bool | None
    details: str = ""
    right: int = 0
    checks: int = 1
    sandbox: str | None = None
    judge: str | None = None

    @classmethod
    def of(cls, passed: bool, details: str = "", sandbox: str | None = None) -> "Mark":
        """The mark of a grader that is one check."""
        return cls(passed, details[:_MOST], int(passed), 1, sandbox)

    @classmethod
    def error(cls, details: str, sandbox: str | None = None) -> "Mark":
        """No verdict."""
        return cls(None, details[:_MOST], 0, 1, sandbox)


@frozen
class GradeSheet:
    """What all graders of a case say of an answer.

    Attributes:
        marks: in the order of the graders.
        latency: microseconds.
    """

    marks: tuple[Mark, ...]
    latency: int = 0

    @property
    def passed(self) -> bool | None:
        """Whether every grader passed; False where one did not, else None where one gave no verdict."""
        said = [mark.passed for mark in self.marks]
        if False in said:
            return False
        return None if None in said else True

    @property
    def right(self) -> int:
        """Checks that passed."""
        return sum(mark.right for mark in self.marks)

    @property
    def checks(self) -> int:
        """Checks in all."""
        return sum(mark.checks for mark in self.marks)

    @property
    def details(self) -> str:
        """What the graders said that did not pass."""
        return "\n".join(mark.details for mark in self.marks if mark.passed is not True and mark.details)

    @property
    def sandbox(self) -> str | None:
        """The way in which graders that ran code were contained."""
        return next((mark.sandbox for mark in self.marks if mark.sandbox), None)

    @property
    def judges(self) -> tuple[str, ...]:
        """The ids of the runs in which a model judged."""
        return tuple(mark.judge for mark in self.marks if mark.judge)


def candidate_of(case: Case, text: str) -> Candidate:
    """An answer to a case as a run would deliver it, without what the graders know."""
    files = output_files(1, case.type, text, case.path, Wanted(case.prompt, case.tests or ""))
    return Candidate(case.id, case.type, text, next(iter(files.values()), ""), files=files)


@define
class Bench:
    """Grades answers in the sandbox. Blocks; safe to use from threads.

    Attributes:
        selector: runs what has to be run.
        validator: gives the validator of a name.
        scorer: gives the scorer of a name, built with parameters; None: there is none.
    """

    selector: Sandbox
    validator: Callable[[str], Validator]
    scorer: Callable[[str, Mapping[str, Any]], Scorer] | None = None
    _known: dict[tuple[str, str], GradeSheet] = Factory(dict)

    def grade(self, case: Case, text: str) -> GradeSheet:
        """What the graders say, those aside that ask a model; equal answers to a case are graded once."""
        key = fingerprint(case), text
        known = self._known.get(key)
        if known is not None:
            return known
        began = time.monotonic_ns()
        candidate = candidate_of(case, text)
        marks = tuple(self.mark(grader, candidate) for grader in case.grade if grader.kind is not GraderKind.JUDGE)
        sheet = GradeSheet(marks, (time.monotonic_ns() - began) // 1000)
        if sheet.passed is not None:
            self._known[key] = sheet
        return sheet

    def mark(self, grader: Grader, candidate: Candidate) -> Mark:
        """What one grader says. Whatever goes wrong in it is an error of its own, and none of the answer."""
        lent = _LentSandbox(self.selector)
        try:
            return _MARKS[grader.kind](self, grader.rule, candidate, lent)
        except (OrchestrateError, OSError, ValueError, RecursionError) as error:
            return Mark.error(f"the grader {grader.kind.value} was not run: {error}", lent.level)

    def found(self, name: str, candidate: Candidate, lent: "_LentSandbox") -> Mark:
        """What a validator says as a grader."""
        context = ValidatorContext(timeout=SECONDS, run=lent.run)
        try:
            finding = self.validator(name)(candidate, context)
        except SandboxError:
            raise
        except Exception as error:
            return Mark.error(f"the grader {name} raised {type(error).__name__}: {error}", lent.level)
        return _as_mark(name, finding, lent)


def _as_mark(name: str, finding: Finding, lent: "_LentSandbox") -> Mark:
    details = f"{name}: {finding.details}"[:_MOST]
    passed, total = finding.passed_tests, finding.total_tests
    counted = (passed or 0, total) if total else None
    if finding.verdict is Verdict.UNKNOWN and lent.ended in _OF_THE_ANSWER:
        return Mark(False, details, 0, total or 1, lent.level)
    if finding.permanent or finding.verdict not in (Verdict.PASSED, Verdict.FAILED):
        return Mark.error(details, lent.level)
    ok = finding.verdict is Verdict.PASSED
    right, checks = counted or (int(ok), 1)
    return Mark(ok, details, right, checks, lent.level)


_OF_THE_ANSWER: Final = frozenset({"time", "disk"})
"""Ends of a job that the answer is to blame for: the oracle's came in time."""


@define
class _LentSandbox:
    """The sandbox as one grader sees it; remembers its level, and how the latest job ended."""

    selector: Sandbox
    level: str | None = None
    ended: str = ""

    def run(self, argv: Sequence[str], files: Mapping[str, bytes], **options: Unpack[RunOptions]) -> Ran:
        """See ``orchestrator.spi.Run``."""
        seconds = options.get("seconds") or SECONDS
        job = Job(tuple(argv), dict(files), tuple(options.get("take", ())), seconds)
        level, ran = self.selector.run(job, options.get("executes", True))
        self.level, self.ended = level.value, ran.ended
        return ran


def _pytest(bench: Bench, rule: str, candidate: Candidate, lent: _LentSandbox) -> Mark:
    return bench.found("pytest", evolve(candidate, tests=rule), lent)


def _json_schema(bench: Bench, rule: Mapping[str, Any], candidate: Candidate, lent: _LentSandbox) -> Mark:
    return bench.found("json_schema", evolve(candidate, schema=rule), lent)


def _exact(bench: Bench, rule: Any, candidate: Candidate, lent: _LentSandbox) -> Mark:
    if isinstance(rule, str):
        same = rule.strip() in (candidate.text.strip(), candidate.content.strip())
        return Mark.of(same, "" if same else "exact: the answer is another text")
    try:
        value = json.loads(candidate.content)
    except (ValueError, RecursionError):
        return Mark.of(False, "exact: the answer is no JSON")
    same = _equal(value, rule)
    return Mark.of(same, "" if same else "exact: the answer is another value")


def _equal(value: Any, wanted: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, and neither equals true."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, dict) and isinstance(wanted, Mapping):
        return set(value) == set(wanted) and all(_equal(value[name], wanted[name]) for name in value)
    if isinstance(value, list) and isinstance(wanted, list | tuple):
        return len(value) == len(wanted) and all(map(_equal, value, wanted))
    return bool(value == wanted)


def _regex(bench: Bench, rule: str, candidate: Candidate, lent: _LentSandbox) -> Mark:
    """In a process that can be ended: a pattern may take for ever."""
    files = {"search.py": _SEARCH.encode(), "pattern.txt": rule.encode(), ANSWER: _bytes(candidate.text)}
    ran = lent.run((sys.executable, "-I", "search.py"), files, seconds=SECONDS, executes=False)
    if ran.code in (0, 1) and not ran.output:
        return Mark.of(ran.code == 0, "" if ran.code == 0 else "regex: the pattern is not found", lent.level)
    return Mark.error(f"regex: the search gave no answer: {_how(ran)}", lent.level)


def _command(bench: Bench, rule: CommandRule, candidate: Candidate, lent: _LentSandbox) -> Mark:
    files = {name: _bytes(text) for name, text in candidate.files.items()}
    files |= {ANSWER: _bytes(candidate.text), **{name: text.encode() for name, text in rule.files.items()}}
    ran = lent.run(("/bin/sh", "-c", rule.run), files, seconds=rule.seconds)
    details = f"command: {_how(ran)}\n{ran.output.strip()[-_MOST + 100 :]}".strip()
    if ran.ended in _OF_THE_ANSWER or (ran.code == 1 and not _has_raised(ran.output)):
        return Mark.of(False, details, lent.level)
    return Mark.of(True, "", lent.level) if ran.code == 0 else Mark.error(details, lent.level)


def _scorer(bench: Bench, rule: ScorerRule, candidate: Candidate, lent: _LentSandbox) -> Mark:
    if bench.scorer is None:
        return Mark.error("scorer: there is none here")
    scorer = bench.scorer(rule.name, rule.parameters)
    try:
        found: Any = scorer(candidate, ScorerContext(timeout=SECONDS, run=lent.run))
    except SandboxError:
        raise
    except Exception as error:
        return Mark.error(f"the grader {rule.name} raised {type(error).__name__}: {error}", lent.level)
    value = found.value if isinstance(found, Score) else None
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        return Mark.error(f"the grader {rule.name} gave no score from 0 to 1", lent.level)
    return Mark.of(value >= rule.at_least, f"{rule.name}: {value:.3f}; {found.reasons}", lent.level)


def _has_raised(output: str) -> bool:
    """Whether a grader in Python ended by an exception that is no failed assertion."""
    found = _RAISED.search(output)
    return found is not None and found["name"] != "AssertionError"


def _how(ran: Ran) -> str:
    return f"it was ended ({ran.ended})" if ran.ended else f"status {ran.code}"


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")


_MARKS: Final[Mapping[GraderKind, Callable[[Bench, Any, Candidate, _LentSandbox], Mark]]] = {
    GraderKind.PYTEST: _pytest,
    GraderKind.JSON_SCHEMA: _json_schema,
    GraderKind.EXACT: _exact,
    GraderKind.REGEX: _regex,
    GraderKind.COMMAND: _command,
    GraderKind.SCORER: _scorer,
}
