"""Reading of a judge's verdict: whether it answers each success criterion."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.engine.answers.answer_schemas import ANSWERS


def is_partial(documents: Iterable[Any], criteria: int) -> bool:
    """Whether a verdict leaves a criterion without an answer.

    Args:
        documents: the JSON documents of the judge's answer.
        criteria: how many criteria it was to answer by their numbers from 1; with 0 nothing can be missing.
    """
    if not criteria:
        return False
    given = [each["criteria"] for each in documents if isinstance(each, Mapping) and "criteria" in each]
    answers = _by_number(given[-1]) if given else {}
    return any(answers.get(str(number)) not in ANSWERS for number in range(1, criteria + 1))


def _by_number(given: Any) -> dict[str, str]:
    """The answers by number: of an object by its keys, of a list by its places or its items' own numbers."""
    if isinstance(given, Mapping):
        return {str(number).strip(" .#"): _word(answer) for number, answer in given.items()}
    if not isinstance(given, list):
        return {}
    return {_number(item, place): _word(item) for place, item in enumerate(given, 1)}


def _number(item: Any, place: int) -> str:
    return str(item.get("number", place)) if isinstance(item, Mapping) else str(place)


def _word(answer: Any) -> str:
    """The answer's word: of a text its first, of an object that of its first text that is one."""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    texts = [each for each in answer.values() if isinstance(each, str)] if isinstance(answer, Mapping) else [answer]
    words = [each.strip().lower().split()[0].strip(".,:;") for each in texts if isinstance(each, str) and each.strip()]
    return next((word for word in words if word in ANSWERS), "")
