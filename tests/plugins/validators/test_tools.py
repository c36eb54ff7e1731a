"""The validators ``ruff`` and ``latex``, with their tools, without them, and with tools that pretend."""

import pytest

from orchestrator.models import TaskType, Verdict
from orchestrator.spi import Ran, ValidatorContext
from orchestrator_validators.latex_build import latex_build
from orchestrator_validators.ruff_lint import ruff_lint
from tests.plugins.validators.contained import candidate, judge


def context(ran: Ran | None = None, tool: str | None = "/usr/bin/tool") -> ValidatorContext:
    """A context whose tool ends in a given way."""
    return ValidatorContext(run=lambda *args, **kwargs: ran or Ran(0, ""), tool=lambda name: tool)


@pytest.mark.parametrize("validator", [ruff_lint, latex_build])
def test_an_absent_tool_skips_the_check(validator: type) -> None:
    """The finding says what to install."""
    finding = validator(candidate("x = 1"), context(tool=None))
    assert finding.verdict is Verdict.SKIPPED
    assert "install" in finding.details


def test_ruff_finds_errors_and_nothing_of_style() -> None:
    """An undefined name fails with its line; long lines, late and unused imports do not."""
    assert judge(ruff_lint, candidate("```python\nx = 1\nimport os\n" + f"y = '{'x' * 200}'\n```")).verdict is (
        Verdict.PASSED
    )
    finding = judge(ruff_lint, candidate("```python\nx = undefined\n```"))
    assert finding.verdict is Verdict.FAILED
    assert "F821" in finding.details


@pytest.mark.parametrize("ran", [Ran(2, "panic"), Ran(None, "", {}, "time"), Ran(-9, "")])
def test_a_tool_that_breaks_down_is_unknown(ran: Ran) -> None:
    """A crash or a deadline of the linter is no verdict on the code."""
    assert ruff_lint(candidate("x = 1"), context(ran)).verdict is Verdict.UNKNOWN


def test_latex_passes_when_a_pdf_came_of_it() -> None:
    """The exit status alone is not enough; errors come from the log with their lines; a deadline is unknown."""
    given = candidate("\\section{a}", kind=TaskType.CREATIVE_WRITING)
    assert latex_build(given, context(Ran(0, "", {"output.pdf": b"%PDF-1.5 ..."}))).verdict is Verdict.PASSED
    assert latex_build(given, context(Ran(0, "done"))).verdict is Verdict.FAILED
    log = b"! Undefined control sequence.\nl.3 \\nope\n"
    failed = latex_build(given, context(Ran(1, "", {"output.log": log})))
    assert failed.details == "Undefined control sequence. l.3 \\nope"
    assert latex_build(given, context(Ran(None, "", {}, "time"))).verdict is Verdict.UNKNOWN


def test_latex_is_built_without_a_shell() -> None:
    """The command forbids shell escape, and a fragment becomes a document."""
    seen: list[tuple[tuple[str, ...], dict[str, bytes]]] = []

    def run(argv: tuple[str, ...], files: dict[str, bytes], **rest: object) -> Ran:
        seen.append((argv, files))
        return Ran(1, "")

    latex_build(
        candidate("```latex\nx^2\n```", kind=TaskType.CREATIVE_WRITING),
        ValidatorContext(run=run, tool=lambda name: "/usr/bin/pdflatex"),  # type: ignore[arg-type]
    )
    assert "-no-shell-escape" in seen[0][0]
    assert seen[0][1]["output.tex"].startswith(b"\\documentclass")
