"""A validator that lets only capital letters pass."""

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl


def shout(candidate: Candidate, context: ValidatorContext) -> Finding:
    """Fail a text that has small letters."""
    if candidate.text == candidate.text.upper():
        return Finding.passed()
    return Finding.failed("say it in capital letters")


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return shout
