"""The validator ``length``: between 10 and 50,000 characters, the white space around them left out."""

from typing import Final

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl

SHORTEST: Final = 10
LONGEST: Final = 50_000


def length(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Judge the number of characters of the content."""
    count = len(candidate.content.strip())
    if count < SHORTEST:
        return Finding.failed(f"the output has {count} characters, at least {SHORTEST} are needed")
    if count > LONGEST:
        return Finding.failed(f"the output has {count} characters, at most {LONGEST} are allowed")
    return Finding.passed()


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return length
