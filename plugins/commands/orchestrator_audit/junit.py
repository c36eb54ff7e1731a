"""A report as JUnit XML: a suite for each stream, a case for each check."""

from pathlib import Path
from typing import Final

from orchestrator.cli.kit import CaseOutcome, JunitCase, JunitSuite, junit_xml
from orchestrator.errors import OutputError
from orchestrator_audit.checks import CHECKS, AuditCheck, AuditReport, AuditResult

_LOG: Final = "log"
_OUTCOMES: Final = {
    AuditResult.PASSED: CaseOutcome.PASSED,
    AuditResult.FAILED: CaseOutcome.FAILURE,
    AuditResult.SKIPPED: CaseOutcome.SKIPPED,
}


def xml(report: AuditReport) -> str:
    """The report as an XML document."""
    subjects = dict.fromkeys(check.subject for check in report.checks)
    suites = [
        JunitSuite(subject or _LOG, [_case(check) for check in report.checks if check.subject == subject])
        for subject in subjects
    ]
    return junit_xml("audit", suites)


def _case(check: AuditCheck) -> JunitCase:
    message, details = "", ""
    if check.result is AuditResult.SKIPPED:
        message = check.reason
    if check.result is AuditResult.FAILED:
        message = f"not true: {CHECKS[check.name]}"
        details = "\n".join(f"event {each.event}: {each.message}" for each in check.problems)
    return JunitCase(f"audit.{check.subject or _LOG}", check.name, _OUTCOMES[check.result], message, details)


def write(report: AuditReport, path: Path) -> None:
    """Write the report to a file.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        path.write_text(xml(report), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; choose another file with --junit") from error
