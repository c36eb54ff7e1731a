"""The matrix: which cells an evaluation has, and everything it needs to go on, as one text in its stream."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator.errors import SpecError
from orchestrator.models import Lane
from orchestrator.money import Usd
from orchestrator.spec import Spec
from orchestrator.spec.value_kinds import Place, Refused
from orchestrator_eval.arms import Arm
from orchestrator_eval.suite_file import CASE, Case, Suite, parsed, plain_number, spec_document

_LONGEST: Final = 64
_SEED_BITS: Final = 53


@frozen
class Cell:
    """A case in an arm, once."""

    case: str
    arm: int
    """The arm's place in the plan, from 1."""
    repetition: int
    """From 1."""


@frozen
class EvalPlan:
    """What an evaluation does.

    Attributes:
        suite: its cases are those chosen.
        arms: in the order of the results.
        repetitions: how often each case is run in each arm.
        seed: run seeds are functions of it.
    """

    suite: Suite
    arms: tuple[Arm, ...]
    repetitions: int = 1
    seed: int = 1

    def cells(self) -> Iterator[Cell]:
        """Every cell; those of one case and repetition, which are compared, follow each other."""
        for case in self.suite.cases:
            for repetition in range(1, self.repetitions + 1):
                for arm in range(1, len(self.arms) + 1):
                    yield Cell(case.id, arm, repetition)

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.suite.cases) * len(self.arms) * self.repetitions

    @property
    def is_batched(self) -> bool:
        """Whether the models of every arm are called in batches."""
        shared = {"lane": self.suite.spec.get("lane")}
        return all(arm.applied(shared).get("lane") == Lane.BATCH for arm in self.arms)

    def case(self, name: str) -> Case:
        """The case of an id."""
        return next(case for case in self.suite.cases if case.id == name)

    def seed_of(self, cell: Cell) -> int:
        """The run seed of a cell: the same in every arm."""
        digest = hashlib.sha256(f"{self.seed}/{cell.case}/{cell.repetition}".encode()).digest()
        return int.from_bytes(digest) >> (8 * len(digest) - _SEED_BITS)

    def spec(self, cell: Cell, run: str) -> Spec:
        """The spec of a cell's run.

        Raises:
            SpecError: the suite and the arm make none.
            UsageError: a change of the arm leads nowhere.
        """
        return spec_of(self.suite, self.case(cell.case), self.arms[cell.arm - 1], run)

    def text(self) -> str:
        """The plan as canonical JSON; ``of`` reads it."""
        suite = self.suite
        value = {
            "suite": suite.name,
            "source": suite.source,
            "folder": str(suite.folder.absolute()),
            "spec": suite.spec,
            "budget": suite.budget.nano,
            "cases": [CASE.dump(case) for case in suite.cases],
            "arms": [arm.plain() for arm in self.arms],
            "repetitions": self.repetitions,
            "seed": self.seed,
        }
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=plain_number)

    @classmethod
    def of(cls, text: str) -> "EvalPlan":
        """The plan that ``text`` wrote.

        Raises:
            SpecError: another version of the program wrote it.
        """
        value = json.loads(text)
        place = Place("the plan of the evaluation")
        try:
            cases = tuple(CASE.read(each, place.below("cases").below(n)) for n, each in enumerate(value["cases"]))
        except Refused:
            raise place.error() from None
        suite = Suite(
            value["suite"], value["source"], Path(value["folder"]), value["spec"], cases, Usd(value["budget"])
        )
        return cls(suite, tuple(Arm.of(each) for each in value["arms"]), value["repetitions"], value["seed"])


def spec_of(suite: Suite, case: Case, arm: Arm, run: str) -> Spec:
    """The spec of a case in an arm; see ``EvalPlan.spec``."""
    document = {**spec_document(suite, case), "project_id": run}
    folder = str(suite.folder.absolute())
    as_read = evolve(parsed(suite, case, document), folder=folder, source=suite.path)
    applied = arm.applied(document)
    changed = parsed(suite, case, applied, arm.options(applied))
    return evolve(changed, folder=folder, source=suite.path, as_read=as_read)


def run_id(name: str, cell: Cell, attempt: int = 1) -> str:
    """The id of a cell's run; what is too long for an id is cut, and told apart by a digest."""
    end = f".a{cell.arm}.r{cell.repetition}" + (f".t{attempt}" if attempt > 1 else "")
    whole = f"{name}.{cell.case}{end}"
    if len(whole) <= _LONGEST - 4:  # a judge's run has a few letters more
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: _LONGEST - 13 - len(end)]}-{digest}{end}"


def chosen(suite: Suite, cases: Sequence[str], tags: Sequence[str], limit: int | None) -> tuple[Case, ...]:
    """The cases of some ids, with one of some tags, and only the first of them; nothing given chooses all.

    Raises:
        SpecError: there is no such case, or none is left.
    """
    known: Mapping[str, Case] = {case.id: case for case in suite.cases}
    missing = [name for name in cases if name not in known]
    if missing:
        raise SpecError([f"--case {missing[0]}: {suite.source} has no such case; it has {_some(known)}"])
    tags_known = sorted({tag for case in suite.cases for tag in case.tags})
    unknown = [tag for tag in tags if tag not in tags_known]
    if unknown:
        raise SpecError([f"--tag {unknown[0]}: no case of {suite.source} has it; there are {_some(tags_known)}"])
    found = [case for case in suite.cases if not cases or case.id in cases]
    found = [case for case in found if not tags or set(tags) & set(case.tags)]
    if not found:
        raise SpecError(["no case has both: leave out --case or --tag"])
    return tuple(found[:limit])


def _some(names: Any) -> str:
    found = list(names)
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return (", ".join(found[:10]) or "none") + more
