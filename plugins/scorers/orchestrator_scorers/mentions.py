"""The scorer ``mentions``: the share of the wanted terms that an output names, less for those that it must not name.

Parameters: ``terms``, the wanted ones, in which ``a | b`` is either; ``without``, those it must not name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from orchestrator.spi import Candidate, Score, Scorer, ScorerContext, SpecError, hookimpl

orchestrator_interface = ">=1,<2"
orchestrator_contract = {
    "options": {"terms": ["refund", "14 days | two weeks"], "without": ["guarantee"]},
    "better": "You get a refund within two weeks.",
    "worse": "There is a guarantee.",
}
_PARAMETERS = ("terms", "without")


def mentions(candidate: Candidate, context: ScorerContext, *, terms: Sequence[str], without: Sequence[str]) -> Score:
    """Whole words count, in capitals or not, over line breaks too; a forbidden term costs as much as a wanted one."""
    text = " ".join(candidate.content.split())
    missing = [term for term in terms if not _named(text, term.split("|"))]
    forbidden = [term for term in without if _named(text, term.split("|"))]
    share = (len(terms) - len(missing) - len(forbidden)) / len(terms)
    lines = [f"it does not mention: {term}" for term in missing]
    lines += [f"it must not mention: {term}" for term in forbidden]
    return Score(max(0.0, share), "\n".join(lines))


def _named(text: str, words: Iterable[str]) -> bool:
    return any(_pattern(word).search(text) for word in words if word.strip())


def _pattern(term: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(' '.join(term.split()))}(?!\w)", re.IGNORECASE)


@hookimpl
def orchestrator_scorer(parameters: Mapping[str, Any]) -> Scorer:
    """Build the scorer."""
    unknown = [name for name in parameters if name not in _PARAMETERS]
    problems = [f"evaluate.parameters.{name}: mentions takes terms and without" for name in unknown]
    for name in _PARAMETERS:
        terms = parameters.get(name, [])
        if not isinstance(terms, list) or not all(isinstance(term, str) and term.strip(" |") for term in terms):
            problems.append(f"evaluate.parameters.{name}: expected a list of terms")
    if not problems and not parameters.get("terms"):
        problems.append("evaluate.parameters.terms: name the terms that an output has to mention")
    if problems:
        raise SpecError(problems)
    return partial(mentions, terms=tuple(parameters["terms"]), without=tuple(parameters.get("without", ())))
