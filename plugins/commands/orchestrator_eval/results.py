"""The result of an evaluation: the figures of each arm, and the arms compared, out of the log alone."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property

from attrs import frozen

from orchestrator.errors import MissingError
from orchestrator.models import CellOutcome
from orchestrator.money import Usd
from orchestrator.reading import EventLog, Texts, fold
from orchestrator.reading import events as e
from orchestrator_eval.cell_matrix import Cell, EvalPlan
from orchestrator_eval.evaluation_state import CellState, EvalState, stream_name
from orchestrator_eval.run_measures import RunMeasures, measured_run, total
from orchestrator_eval.statistics import Comparison, Share, compare, pass_all, share_of


@frozen
class CellResult:
    """A cell that has begun, with its grade and the figures of its run."""

    cell: Cell
    state: CellState
    measures: RunMeasures
    details: str

    @property
    def outcome(self) -> CellOutcome | None:
        """What became of it; None while it has no grade."""
        return self.state.outcome

    @property
    def is_solved(self) -> bool:
        """Whether its answer passes."""
        return self.outcome is CellOutcome.SOLVED

    @property
    def counts(self) -> bool:
        """Whether it is evidence: solved or failed, and no error."""
        return self.outcome in (CellOutcome.SOLVED, CellOutcome.FAILED)

    @property
    def share(self) -> float:
        """The share of the graders' checks that passed."""
        graded = self.state.graded
        return graded.passed / graded.checks if graded is not None and graded.checks else float(self.is_solved)


@frozen
class Part:
    """So many of so many."""

    count: int
    of: int

    @property
    def rate(self) -> float | None:
        """The share; None where there is nothing to count."""
        return self.count / self.of if self.of else None


@frozen(slots=False)
class ArmResult:
    """The figures of one arm. What is spent counts the cells that are evidence; errors stand apart.

    Attributes:
        number: its place in the plan, from 1.
        name: as it is shown.
        control: whether it is there for comparison only.
        cells: those that have begun.
        wanted: how many there are.
        weights: of the cases.
        repetitions: how often each case is run.
    """

    number: int
    name: str
    control: bool
    cells: Sequence[CellResult]
    wanted: int
    weights: Mapping[str, float]
    repetitions: int

    @cached_property
    def evidence(self) -> list[CellResult]:
        """The cells that count."""
        return [each for each in self.cells if each.counts]

    @cached_property
    def by_case(self) -> dict[str, list[bool]]:
        """Whether it is solved, for each repetition of each case that counts."""
        found: dict[str, list[bool]] = {}
        for each in self.evidence:
            found.setdefault(each.cell.case, []).append(each.is_solved)
        return found

    @cached_property
    def rates(self) -> dict[str, Fraction]:
        """In how many of its repetitions a case is solved."""
        return {case: Fraction(sum(each), len(each)) for case, each in self.by_case.items()}

    @cached_property
    def solved_at_1(self) -> Share:
        """The share of cases solved by one answer, with its interval."""
        return share_of(self.rates, self.weights)

    @property
    def pass_all(self) -> float | None:
        """pass^k: the chance that all repetitions of a case are solved; None without repetitions."""
        return pass_all(self.by_case.values(), self.repetitions) if self.repetitions > 1 else None

    def outcomes(self, outcome: CellOutcome) -> int:
        """How many cells came to an outcome."""
        return sum(each.outcome is outcome for each in self.cells)

    @property
    def solved(self) -> int:
        """Cells that are solved."""
        return self.outcomes(CellOutcome.SOLVED)

    @property
    def check_share(self) -> float | None:
        """The mean share of checks that passed."""
        return sum(each.share for each in self.evidence) / len(self.evidence) if self.evidence else None

    @property
    def calls(self) -> int:
        """Calls of the cells that count."""
        return sum(each.measures.calls for each in self.evidence)

    @property
    def tokens(self) -> int:
        """Tokens read and generated."""
        return sum(each.measures.tokens_in + each.measures.tokens_out for each in self.evidence)

    @property
    def settled(self) -> Usd:
        """What the cells that count cost."""
        return total(each.measures.settled for each in self.evidence)

    @property
    def unreconciled(self) -> Usd:
        """What calls of unknown cost may have cost at most."""
        return total(each.measures.unreconciled for each in self.cells)

    @property
    def seconds(self) -> float:
        """Active time of the runs."""
        return sum(each.measures.seconds for each in self.evidence)

    def per_solved(self, amount: float) -> float | None:
        """An amount of all cells for each solved one; None where none is."""
        return amount / self.solved if self.solved else None

    @property
    def right_to_wrong(self) -> Part:
        """Cells in which an author wrote a right answer and a wrong one, or none, was delivered."""
        right = [each for each in self.evidence if each.state.graded is not None and each.state.graded.right]
        return Part(sum(not each.is_solved for each in right), len(right))

    @property
    def right_rejected(self) -> Part:
        """Solved cells whose task the program did not take for completed."""
        solved = [each for each in self.evidence if each.is_solved]
        return Part(sum(not each.measures.completed for each in solved), len(solved))

    @property
    def judge_agreement(self) -> Part:
        """Cells scored by a model whose verdict is that of the graders."""
        judged = [each for each in self.evidence if each.measures.approved is not None]
        return Part(sum(each.measures.approved is each.is_solved for each in judged), len(judged))

    @property
    def unreadable(self) -> Part:
        """Answers that could not be used."""
        return Part(
            sum(each.measures.unreadable for each in self.evidence),
            sum(each.measures.answers for each in self.evidence),
        )


@frozen
class Pairing:
    """Two arms, compared."""

    arm: str
    other: str
    comparison: Comparison


@frozen(slots=False)
class EvalResult:
    """The result of an evaluation, as far as it has come."""

    name: str
    plan: EvalPlan
    started: e.EvalStarted
    started_at: int
    latest_at: int
    finished: bool
    cells: tuple[CellResult, ...]
    cap: Usd
    spent: Usd
    held: Usd

    @cached_property
    def arms(self) -> list[ArmResult]:
        """The figures of each arm, in the order of the plan."""
        weights = {case.id: case.weight for case in self.plan.suite.cases}
        wanted = len(self.plan.suite.cases) * self.plan.repetitions
        return [
            ArmResult(
                number,
                arm.name,
                arm.control,
                [each for each in self.cells if each.cell.arm == number],
                wanted,
                weights,
                self.plan.repetitions,
            )
            for number, arm in enumerate(self.plan.arms, 1)
        ]

    @cached_property
    def pairings(self) -> list[Pairing]:
        """Every two arms; those compared before the control arms."""
        ordered = sorted(self.arms, key=lambda arm: arm.control)
        return [
            Pairing(arm.name, other.name, compare(arm.rates, other.rates))
            for place, arm in enumerate(ordered)
            for other in ordered[place + 1 :]
        ]

    @cached_property
    def dominated(self) -> dict[str, str]:
        """By name, arms beside which another one solves no less for no more: money, or tokens where all are free."""
        free = all(not arm.settled for arm in self.arms)
        points = [
            (arm.name, arm.solved_at_1.value, (arm.tokens if free else arm.settled.nano) / len(arm.evidence))
            for arm in self.arms
            if arm.evidence and arm.solved_at_1.value is not None
        ]
        found: dict[str, str] = {}
        for name, solved, cost in points:
            better = [
                (cost_, other)
                for other, solved_, cost_ in points
                if other != name and solved_ >= solved and cost_ <= cost and (solved_, cost_) != (solved, cost)
            ]
            if better:
                found[name] = min(better)[1]
        return found

    @property
    def errors(self) -> list[CellResult]:
        """The cells that are errors."""
        return [each for each in self.cells if each.outcome is CellOutcome.ERROR]

    @property
    def open(self) -> int:
        """How many cells have no grade."""
        return self.plan.size - sum(each.outcome is not None for each in self.cells)

    @property
    def unbeaten(self) -> Iterator[Pairing]:
        """The comparisons in which an arm does not beat a control arm."""
        controls = {arm.name for arm in self.arms if arm.control or arm.name == "loop=plain"}
        for pairing in self.pairings:
            gains = pairing.comparison.difference > 0 and pairing.comparison.proved
            if pairing.other in controls and pairing.arm not in controls and not gains:
                yield pairing


def result_of(log: EventLog, name: str, state: EvalState, plan: EvalPlan, texts: Texts) -> EvalResult:
    """The result of an evaluation.

    Raises:
        LogError: the log cannot be read.
    """
    if state.started is None:
        raise MissingError("first event")
    account = log.account(stream_name(name), state.started.simulated)
    began = next(log.read_own(stream_name(name), upto=1)).at
    return EvalResult(
        name=name,
        plan=plan,
        started=state.started,
        started_at=began,
        latest_at=state.at,
        finished=state.finished is not None,
        cells=tuple(_cell(log, cell, state.cells[cell], texts) for cell in plan.cells() if cell in state.cells),
        cap=account.cap,
        spent=account.settled,
        held=account.held,
    )


def _cell(log: EventLog, cell: Cell, known: CellState, texts: Texts) -> CellResult:
    records = list(log.read(known.run))
    measures = RunMeasures()
    if records:
        run = fold((record.at, record.event) for record in records)
        measures = measured_run([record.event for record in records], run.active(run.at))
    details = ""
    if known.graded is not None and known.graded.details is not None:
        try:
            details = texts.get(known.graded.details)
        except KeyError:
            details = ""
    return CellResult(cell, known, measures, details)
