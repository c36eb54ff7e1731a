"""The validator ``length``: between 10 and 50,000 characters, the white space around them left out.

Settings: ``shortest`` and ``longest``, whole numbers of characters.
"""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.spi import Candidate, Finding, Validator, ValidatorContext, hookimpl

SHORTEST: Final = 10
LONGEST: Final = 50_000


def length(candidate: Candidate, check: ValidatorContext) -> Finding:
    """Judge the number of characters of what is delivered, all its files together."""
    problem = _problem(check.settings)
    if problem:
        return Finding.unknown(f"validators.settings.length: {problem}")
    shortest, longest = check.settings.get("shortest", SHORTEST), check.settings.get("longest", LONGEST)
    count = sum(len(text.strip()) for text in candidate.files.values() or [candidate.content])
    if count < shortest:
        return Finding.failed(f"the output has {count} characters, at least {shortest} are needed")
    if count > longest:
        return Finding.failed(f"the output has {count} characters, at most {longest} are allowed")
    return Finding.passed()


def _problem(settings: Mapping[str, Any]) -> str:
    unknown = sorted(set(settings) - {"shortest", "longest"})
    if unknown:
        return f"unknown {', '.join(map(repr, unknown))}; known are 'shortest' and 'longest'"
    wrong = [name for name, value in settings.items() if isinstance(value, bool) or not isinstance(value, int)]
    return f"{', '.join(wrong)} must be a whole number" if wrong else ""


@hookimpl
def orchestrator_validator() -> Validator:
    """Return the validator."""
    return length
