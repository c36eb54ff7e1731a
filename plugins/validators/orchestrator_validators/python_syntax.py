"""The validator ``python_syntax``: the content compiles as Python. Nothing of it is run."""

import textwrap
import threading
import warnings
from typing import Final

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl

# Warning filters belong to the whole process, and validators run in threads.
_FILTERS: Final = threading.Lock()


def python_syntax(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Compile the content; a fragment that is indented as a whole is compiled without its margin."""
    source = candidate.content
    if not source.strip():
        return Finding.failed("there is no code in the output")
    problem = _problem(source)
    if isinstance(problem, IndentationError) and _problem(textwrap.dedent(source)) is None:
        problem = None
    if problem is None:
        return Finding.passed()
    return Finding.failed(_details(problem, source))


def _problem(source: str) -> Exception | None:
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "<output>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            return error
    return None


def _details(problem: Exception, source: str) -> str:
    if isinstance(problem, RecursionError | MemoryError):
        return "the code is nested too deeply to be compiled"
    if not isinstance(problem, SyntaxError):
        return f"the code cannot be compiled: {problem}"
    if problem.lineno is None:
        return f"SyntaxError: {problem.msg}"
    lines = source.splitlines()
    shown = lines[problem.lineno - 1].strip()[:200] if 0 < problem.lineno <= len(lines) else ""
    return f"line {problem.lineno}: {type(problem).__name__}: {problem.msg}" + (f"\n    {shown}" if shown else "")


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return python_syntax
