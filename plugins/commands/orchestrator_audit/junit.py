"""A report as JUnit XML: a suite for each stream, a case for each check."""

from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from orchestrator.errors import UsageError
from orchestrator_audit.checks import CHECKS, AuditReport, AuditResult

_LOG: Final = "log"


def xml(report: AuditReport) -> bytes:
    """The report as the bytes of an XML document."""
    suites = ElementTree.Element("testsuites", name="audit")
    for subject in dict.fromkeys(check.subject for check in report.checks):
        checks = [check for check in report.checks if check.subject == subject]
        counts = {result: sum(check.result is result for check in checks) for result in AuditResult}
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=_clean(subject) or _LOG,
            tests=str(len(checks)),
            failures=str(counts[AuditResult.FAILED]),
            errors="0",
            skipped=str(counts[AuditResult.SKIPPED]),
        )
        for check in checks:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"audit.{_clean(subject) or _LOG}", name=check.name, time="0"
            )
            if check.result is AuditResult.SKIPPED:
                ElementTree.SubElement(case, "skipped", message=_clean(check.reason))
            if check.result is AuditResult.FAILED:
                failure = ElementTree.SubElement(case, "failure", message=f"not true: {CHECKS[check.name]}")
                failure.text = "\n".join(f"event {each.event}: {_clean(each.message)}" for each in check.problems)
    ElementTree.indent(suites)
    found: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def write(report: AuditReport, path: Path) -> None:
    """Write the report to a file.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.write_bytes(xml(report))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; choose another file with --junit") from error


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(
        each if each == "\t" or " " <= each < "\ud800" or "\ue000" <= each < "\ufffe" else "�" for each in text
    )
