"""The result as JUnit XML for a build server: a suite for each arm, a case for each cell."""

from typing import Final

from orchestrator.cli.kit import CaseOutcome, JunitCase, JunitSuite, junit_xml
from orchestrator.models import CellOutcome
from orchestrator_eval.result_lines import short, why
from orchestrator_eval.results import ArmResult, CellResult, EvalResult

_OUTCOMES: Final = {
    CellOutcome.SOLVED: CaseOutcome.PASSED,
    CellOutcome.FAILED: CaseOutcome.FAILURE,
    CellOutcome.ERROR: CaseOutcome.ERROR,
    None: CaseOutcome.SKIPPED,
}


def junit(result: EvalResult) -> str:
    """The result as an XML document."""
    suites = [
        JunitSuite(arm.name, [_case(each, arm, result) for each in arm.cells], arm.seconds) for arm in result.arms
    ]
    return junit_xml(result.name, suites)


def _case(each: CellResult, arm: ArmResult, result: EvalResult) -> JunitCase:
    repetition = f" #{each.cell.repetition}" if result.plan.repetitions > 1 else ""
    outcome = _OUTCOMES[each.outcome]
    return JunitCase(
        f"{result.plan.suite.name}.{arm.name}",
        f"{each.cell.case}{repetition}",
        outcome,
        _message(each),
        "" if outcome in (CaseOutcome.PASSED, CaseOutcome.SKIPPED) else each.details,
        each.measures.seconds,
    )


def _message(each: CellResult) -> str:
    match each.outcome:
        case CellOutcome.FAILED:
            return short(each.details) or "failed"
        case CellOutcome.ERROR:
            return why(each)
        case None:
            return "no grade yet"
    return ""
