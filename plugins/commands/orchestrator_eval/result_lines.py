"""The result for people: lines for a terminal, Markdown for a pull request."""

from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.cli.kit import clean
from orchestrator.models import CellOutcome, CellProblem
from orchestrator_eval.result_json import Regression
from orchestrator_eval.results import ArmResult, CellResult, EvalResult, Pairing, Part
from orchestrator_eval.statistics import Comparison

HEAD: Final = ("arm", "solved", "95 %", "pass^k", "checks", "calls", "tokens", "$", "s", "errors", "remark")
"""The columns of the table of arms; from calls to seconds they are for each solved case."""

PROBLEMS: Final = {
    CellProblem.VENDOR: "no model gave an answer",
    CellProblem.GRADER: "the grader gave no verdict",
    CellProblem.INFRASTRUCTURE: "the run did not come to its end",
    CellProblem.BUDGET: "the ceiling of the evaluation was reached",
}
"""What the codes of errors mean."""

_NONE: Final = "–"
_SHOWN: Final = 20


def percent(value: float | None) -> str:
    """A share for people."""
    return _NONE if value is None else f"{value:.0%}"


def rows(result: EvalResult) -> Iterator[tuple[str, ...]]:
    """The table of arms: one row each, as ``HEAD`` says."""
    for arm in result.arms:
        share = arm.solved_at_1
        yield (
            arm.name,
            f"{arm.solved}/{len(arm.evidence)} {percent(share.value)}",
            f"{share.low:.2f}–{share.high:.2f}",
            percent(arm.pass_all),
            percent(arm.check_share),
            _figure(arm.per_solved(arm.calls), ",.1f"),
            _figure(arm.per_solved(arm.tokens), ",.0f"),
            _figure(arm.per_solved(float(arm.settled)), ".6f"),
            _figure(arm.per_solved(arm.seconds), ",.1f"),
            str(arm.outcomes(CellOutcome.ERROR)),
            _remark(arm, result),
        )


def _figure(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _remark(arm: ArmResult, result: EvalResult) -> str:
    remarks = ["control"] if arm.control else []
    if arm.name in result.dominated:
        remarks.append(f"dominated by {result.dominated[arm.name]}")
    return ", ".join(remarks)


def compared(pairing: Pairing) -> str:
    """One comparison on one line."""
    return f"{pairing.arm} beside {pairing.other}: {evidence(pairing.comparison)}"


def evidence(found: Comparison) -> str:
    """The figures of a comparison."""
    said = f"+{found.gained} −{found.lost} of {found.cases}, p = {found.p:.3f}"
    if found.proved or not found.cases:
        return said
    needs = "no difference seen" if found.needs is None else f"needs n = {found.needs}"
    return f"{said}, {needs}"


def quality(arm: ArmResult) -> Iterator[str]:
    """What else is known of an arm's cells, as far as there is anything to count."""
    for what, part in (
        ("right, then wrong", arm.right_to_wrong),
        ("right, but rejected", arm.right_rejected),
        ("judge agrees with grade", arm.judge_agreement),
        ("unreadable answers", arm.unreadable),
    ):
        if part.of:
            yield f"{what} {_of(part)}"


def _of(part: Part) -> str:
    return f"{part.count} of {part.of}"


def remarks(result: EvalResult) -> Iterator[str]:
    """What follows from the comparisons, and what is missing."""
    for pairing in result.unbeaten:
        says = "is not proved to beat" if pairing.comparison.difference > 0 else "does not beat"
        yield f"{pairing.arm} {says} {pairing.other}: {evidence(pairing.comparison)}"
    if result.open:
        yield f"{result.open} of {result.plan.size} cells have no grade yet"


def error_lines(result: EvalResult) -> Iterator[str]:
    """The cells that are errors, the first of them."""
    errors = result.errors
    for each in errors[:_SHOWN]:
        yield f"{_name(each, result)}: {why(each)}"
    if len(errors) > _SHOWN:
        yield f"and {len(errors) - _SHOWN} more"


def failure_lines(result: EvalResult) -> Iterator[str]:
    """The cells that failed, the first of them."""
    failed = [each for each in result.cells if each.outcome is CellOutcome.FAILED]
    for each in failed[:_SHOWN]:
        yield f"{_name(each, result)}: {short(each.details)}"
    if len(failed) > _SHOWN:
        yield f"and {len(failed) - _SHOWN} more"


def _name(each: CellResult, result: EvalResult) -> str:
    arm = result.plan.arms[each.cell.arm - 1].name
    repetition = f" #{each.cell.repetition}" if result.plan.repetitions > 1 else ""
    return f"{each.cell.case}, {arm}{repetition}"


def why(each: CellResult) -> str:
    """Whose error a cell is, and what was said of it."""
    graded = each.state.graded
    said = "" if graded is None or graded.problem is None else PROBLEMS[graded.problem]
    return f"{said}: {short(each.details)}" if each.details else said


def short(text: str) -> str:
    """A text on one line, not too long."""
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:199]}…"


def regression_lines(found: Sequence[Regression], baseline: str) -> Iterator[str]:
    """An arm beside its baseline on one line each."""
    for each in found:
        verdict = "REGRESSION" if each.is_one else "lower, not proved" if each.comparison.difference < 0 else "no worse"
        lost = f"; lost: {', '.join(each.lost[:10])}" if each.lost else ""
        changed = f"; {each.changed} cases are others now" if each.changed else ""
        yield f"{each.arm} beside {baseline}: {verdict}: {evidence(each.comparison)}{lost}{changed}"


HEADING: Final = "## Evaluation "
"""How the result begins as Markdown."""


def markdown(result: EvalResult, found: Sequence[Regression] = (), baseline: str = "") -> str:
    """The result as Markdown."""
    return clean("\n".join(_markdown(result, found, baseline)) + "\n")


def _markdown(result: EvalResult, found: Sequence[Regression], baseline: str) -> Iterator[str]:
    plan = result.plan
    yield f"{HEADING}{_cell_text(result.name)}"
    yield ""
    times = f", {plan.repetitions} times each" if plan.repetitions > 1 else ""
    spent = f"spent {result.spent.shown} of {result.cap.shown}"
    yield f"{len(plan.suite.cases)} cases of `{plan.suite.name}`{times}; {spent}."
    yield ""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    for row in rows(result):
        yield "| " + " | ".join(map(_cell_text, row)) + " |"
    yield ""
    yield "Calls, tokens, dollars and seconds are for each solved case. Errors count nowhere else."
    yield from _section("Compared, case by case", [compared(each) for each in result.pairings])
    yield from _section("Remarks", list(remarks(result)))
    yield from _section(f"Beside the baseline {baseline}", list(regression_lines(found, baseline)))
    yield from _section("Errors", list(error_lines(result)))
    yield from _section("Failed", list(failure_lines(result)))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"### {_cell_text(title)}", "")
        yield from (f"- {_cell_text(each)}" for each in lines)


def _cell_text(text: str) -> str:
    """A text as Markdown shows it, on one line: no HTML, no cell border, no image."""
    text = " ".join(text.split())
    for letter in "\\`*_[]|#":
        text = text.replace(letter, f"\\{letter}")
    return text.replace("<", "&lt;")
