"""The validator ``ruff``: the linter finds no error in the code. No configuration file is read."""

from typing import Final

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl
from orchestrator_validators.sources import python_files

_SECONDS: Final = 15.0
_LINES: Final = 30
_OPTIONS: Final = (
    "--isolated",
    "--no-cache",
    "--quiet",
    "--select=E,F",
    "--ignore=E501,E402,F401",
    "--output-format=concise",
)


def ruff_lint(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Lint every Python file of the output. The code is only read, never run."""
    ruff = check.tool("ruff")
    if ruff is None:
        return Finding.skipped("ruff is not installed: pip install ruff")
    sources = {name: source.encode(errors="replace") for name, source in python_files(candidate).items()}
    if not any(source.strip() for source in sources.values()):
        return Finding.failed("there is no Python code in the output")
    seconds = min(_SECONDS, check.timeout)
    ran = check.run((ruff, "check", *_OPTIONS, "--", *sources), sources, seconds=seconds, executes=False)
    if ran.ended:
        return Finding.unknown(f"ruff was ended ({ran.ended}) after {seconds:g} s")
    lines = ran.output.strip().splitlines()
    shown = "\n".join(lines[:_LINES]) + (f"\nand {len(lines) - _LINES} more lines" if len(lines) > _LINES else "")
    if ran.code == 0:
        return Finding.passed()
    return Finding.failed(shown) if ran.code == 1 else Finding.unknown(f"ruff ended with status {ran.code}\n{shown}")


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return ruff_lint
