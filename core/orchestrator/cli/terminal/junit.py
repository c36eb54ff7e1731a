"""JUnit XML, the form in which build servers read results."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from attrs import frozen

from orchestrator.cli.options.replaced_files import check_target

_BEGINNING: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<testsuites?[\s/>]", re.DOTALL
)
"""How JUnit XML begins, also that of other programs."""


class CaseOutcome(StrEnum):
    """What became of a case, by the name of its XML element."""

    PASSED = "passed"
    FAILURE = "failure"
    """The result is wrong."""
    ERROR = "error"
    """There is no result: something else went wrong."""
    SKIPPED = "skipped"


_COUNTED: Final = {"failures": CaseOutcome.FAILURE, "errors": CaseOutcome.ERROR, "skipped": CaseOutcome.SKIPPED}


@frozen
class JunitCase:
    """One case.

    Attributes:
        classname: the group that a build server shows it in.
        name: its name in the group.
        outcome: what became of it.
        message: why it did not pass, in one line.
        details: more of it, such as what a check printed.
        seconds: how long it took.
    """

    classname: str
    name: str
    outcome: CaseOutcome = CaseOutcome.PASSED
    message: str = ""
    details: str = ""
    seconds: float = 0.0


@frozen
class JunitSuite:
    """Cases under a name; ``seconds`` is their sum where it is left out."""

    name: str
    cases: Sequence[JunitCase]
    seconds: float | None = None


def check_junit(path: Path | None) -> None:
    """Refuse, before anything is done, a ``--junit`` that could not be written or is another file.

    Raises:
        OutputError: it is to be refused.
    """
    if path is not None:
        check_target("--junit", path, lambda found: _BEGINNING.match(found) is not None, "JUnit XML")


def junit_xml(name: str, suites: Sequence[JunitSuite]) -> str:
    """The suites as an XML document that ends with a line break; what XML cannot hold is replaced."""
    root = ElementTree.Element("testsuites", name=_clean(name))
    for suite in suites:
        element = ElementTree.SubElement(root, "testsuite", _counts(suite))
        for case in suite.cases:
            _add(element, case)
    ElementTree.indent(root)
    found: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return found.decode() + "\n"


def _counts(suite: JunitSuite) -> dict[str, str]:
    seconds = sum(case.seconds for case in suite.cases) if suite.seconds is None else suite.seconds
    counts = {key: str(sum(case.outcome is one for case in suite.cases)) for key, one in _COUNTED.items()}
    return {"name": _clean(suite.name), "tests": str(len(suite.cases)), **counts, "time": f"{seconds:.3f}"}


def _add(suite: ElementTree.Element, case: JunitCase) -> None:
    names = {"classname": _clean(case.classname), "name": _clean(case.name), "time": f"{case.seconds:.3f}"}
    test = ElementTree.SubElement(suite, "testcase", names)
    if case.outcome is not CaseOutcome.PASSED:
        found = ElementTree.SubElement(test, case.outcome.value, message=_clean(case.message))
        found.text = _clean(case.details) or None


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(
        each if each in "\t\n" or " " <= each < "\ud800" or "\ue000" <= each < "\ufffe" or each > "\uffff" else "�"
        for each in text
    )
