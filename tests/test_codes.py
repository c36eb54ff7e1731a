"""Every code is explained wherever codes are explained: a new one without words fails here."""

from collections.abc import Mapping
from enum import StrEnum

import pytest

from orchestrator.cli.wording.code_words import (
    FALLBACKS,
    HALTED,
    LEFT_OUT,
    REMOVED,
    SELECTED,
    SHORTFALLS,
    UNADVISED,
    UNVERIFIED,
)
from orchestrator.engine.answers.task_prompt_sections import _SHORTFALLS
from orchestrator.models import (
    PLAN_PROBLEMS,
    CallEnd,
    InputProblem,
    PlanProblem,
    ReadingProblem,
    RejectionReason,
    RunEndReason,
    SelectionReason,
    SkipReason,
    SpendLimit,
    TaskEndReason,
    VerificationProblem,
    Waiver,
)
from orchestrator_insight.decisions_in_words import LIMITS, WAIVED

_TABLES: tuple[tuple[Mapping[StrEnum, str], type[StrEnum]], ...] = (
    (LIMITS, SpendLimit),
    (REMOVED, RejectionReason),
    (SELECTED, SelectionReason),
    (FALLBACKS, SelectionReason),
    (WAIVED, Waiver),
    (HALTED, RunEndReason),
    (LEFT_OUT, SkipReason),
    (SHORTFALLS, TaskEndReason),
    (UNADVISED, InputProblem),
    (UNVERIFIED, VerificationProblem),
    (PLAN_PROBLEMS, PlanProblem),
)  # type: ignore[assignment]  # mappings are invariant in their keys


@pytest.mark.parametrize(("table", "kind"), _TABLES, ids=lambda each: getattr(each, "__name__", ""))
def test_every_member_has_words(table: Mapping[StrEnum, str], kind: type[StrEnum]) -> None:
    """A table of words has each member of its enumeration, and nothing else, and no words are empty."""
    assert set(table) == set(kind)
    assert all(table.values())


def test_every_end_of_a_degraded_task_is_told_to_its_dependants() -> None:
    """Only a task that never began has no output that others could build on."""
    without = {TaskEndReason.DEPENDENCY, TaskEndReason.DECLINED, TaskEndReason.REPLACED}
    assert set(_SHORTFALLS) == set(TaskEndReason) - without


def test_ends_of_calls_are_ends_of_what_they_were_made_for() -> None:
    """A call's end has the same code as the skipped step, the ended task or the input that it leaves."""
    for kind in (SkipReason, TaskEndReason):
        assert {kind(end) for end in CallEnd} <= set(kind)
    assert {InputProblem(end) for end in set(CallEnd) - {CallEnd.UNREADABLE}} <= set(InputProblem)


def test_problems_of_readings_are_problems_of_what_was_to_be_read() -> None:
    """A reading's problem that refuses a plan or an input has the same code there."""
    of_scores = {ReadingProblem.NO_SCORE, ReadingProblem.AMBIGUOUS_SCORE, ReadingProblem.SCORE_OUT_OF_RANGE}
    of_pairs = {ReadingProblem.NO_CHOICE, ReadingProblem.AMBIGUOUS_CHOICE}
    reported = {problem.value for problem in (*PlanProblem, *InputProblem)}
    assert {problem.value for problem in set(ReadingProblem) - of_scores - of_pairs} <= reported
