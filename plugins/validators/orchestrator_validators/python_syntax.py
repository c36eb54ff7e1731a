"""The validator ``python_syntax``: the content compiles as Python. Nothing of it is run."""

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl
from orchestrator.suites import UNREADABLE, unwarned
from orchestrator_validators.sources import python_files


def python_syntax(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Compile every Python file."""
    sources = python_files(candidate)
    if not any(source.strip() for source in sources.values()):
        return Finding.failed("there is no code in the output")
    found = {name: problem for name, source in sources.items() if (problem := _problem_of(source))}
    if not found:
        return Finding.passed()
    if len(sources) == 1:
        return Finding.failed(next(iter(found.values())))
    return Finding.failed("\n".join(f"{name}: {problem}" for name, problem in found.items()))


def _problem_of(source: str) -> str:
    problem = _problem(source)
    return "" if problem is None else _details(problem, source)


def _problem(source: str) -> Exception | None:
    try:
        with unwarned():
            compile(source, "<output>", "exec", dont_inherit=True)
    except UNREADABLE as error:
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
