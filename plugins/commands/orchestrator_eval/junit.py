"""The result as JUnit XML for a build server: a suite for each arm, a test for each cell."""

from xml.etree import ElementTree

from orchestrator.models import CellOutcome
from orchestrator_eval.rendering import short, why
from orchestrator_eval.results import ArmResult, CellResult, EvalResult


def junit(result: EvalResult) -> str:
    """The result as an XML document."""
    suites = ElementTree.Element("testsuites", name=_clean(result.name))
    for arm in result.arms:
        suite = ElementTree.SubElement(suites, "testsuite", _counts(arm))
        for each in arm.cells:
            _case(suite, each, arm, result)
    ElementTree.indent(suites)
    found: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return found.decode() + "\n"


def _counts(arm: ArmResult) -> dict[str, str]:
    return {
        "name": _clean(arm.name),
        "tests": str(len(arm.cells)),
        "failures": str(len(arm.evidence) - arm.solved),
        "errors": str(arm.outcomes(CellOutcome.ERROR)),
        "skipped": str(sum(each.outcome is None for each in arm.cells)),
        "time": f"{arm.seconds:.3f}",
    }


def _case(suite: ElementTree.Element, each: CellResult, arm: ArmResult, result: EvalResult) -> None:
    repetition = f" #{each.cell.repetition}" if result.plan.repetitions > 1 else ""
    test = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(f"{result.plan.suite.name}.{arm.name}"),
        name=_clean(f"{each.cell.case}{repetition}"),
        time=f"{each.measures.seconds:.3f}",
    )
    match each.outcome:
        case CellOutcome.FAILED:
            message = _clean(short(each.details)) or "failed"
            ElementTree.SubElement(test, "failure", message=message).text = _clean(each.details)
        case CellOutcome.ERROR:
            ElementTree.SubElement(test, "error", message=_clean(why(each))).text = _clean(each.details)
        case None:
            ElementTree.SubElement(test, "skipped", message="no grade yet")
        case _:
            return


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(
        each if each in "\t\n" or " " <= each < "\ud800" or "\ue000" <= each < "\ufffe" else "�" for each in text
    )
