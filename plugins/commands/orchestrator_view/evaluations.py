"""The pages of evaluations: the list, and one with its arms, cells and regressions."""

import os
from collections.abc import Iterator
from typing import Any

from orchestrator.cli.kit import Reader
from orchestrator.errors import OrchestrateError
from orchestrator.models import CellOutcome
from orchestrator.reading import Texts
from orchestrator_eval import result_lines
from orchestrator_eval.evaluation_state import existing, folded, names, plan_of, stream_name
from orchestrator_eval.result_json import baseline_of, document, regressions
from orchestrator_eval.results import EvalResult, result_of


def eval_rows(log: Reader | None) -> list[dict[str, Any]]:
    """Every evaluation, newest first."""
    return [] if log is None else [_row(log, name) for name in reversed(names(log))]


def _row(log: Reader, name: str) -> dict[str, Any]:
    state = folded(log, name)
    live = log.locks.is_held(stream_name(name))
    return {
        "name": name,
        "status": "running" if live else "completed" if state.finished is not None else "interrupted",
        "cells": 0 if state.started is None else state.started.cells,
        "begun": len(state.cells),
        "solved": state.count(CellOutcome.SOLVED),
        "errors": state.count(CellOutcome.ERROR),
        "at": state.at,
    }


def eval_values(log: Reader, name: str, baseline: str) -> dict[str, Any]:
    """What the page of an evaluation shows.

    Raises:
        UsageError: there is none of the name.
    """
    existing(log, name)
    others = [each for each in names(log) if each != name]
    values: dict[str, Any] = {"name": name, "problem": "", "baseline": baseline, "others": others}
    try:
        found = _result(log, name)
    except OrchestrateError as error:
        return {**values, "problem": str(error)}
    return {
        **values,
        "head": result_lines.HEAD,
        "arms": list(result_lines.rows(found)),
        "compared": [result_lines.compared(each) for each in found.pairings],
        "remarks": list(result_lines.remarks(found)),
        "errors": list(result_lines.error_lines(found)),
        "spent": found.spent,
        "cap": found.cap,
        "columns": [arm.name for arm in found.arms],
        "cases": list(_cases(log, found)),
        **_beside(log, found, baseline),
    }


def _beside(log: Reader, found: EvalResult, baseline: str) -> dict[str, Any]:
    """The regressions against another evaluation, or why there is nothing to say of them."""
    if not baseline:
        return {"regressions": [], "regression_problem": ""}
    try:
        worse = regressions(found, baseline_of(document(_result(log, baseline))), strict=False)
    except OrchestrateError as error:
        return {"regressions": [], "regression_problem": str(error)}
    return {"regressions": list(result_lines.regression_lines(worse, baseline)), "regression_problem": ""}


def _result(log: Reader, name: str) -> EvalResult:
    state = existing(log, name)
    texts = Texts(log, stream_name(name), os.urandom, log.redactor)
    return result_of(log, name, state, plan_of(state, texts), texts)


def _cases(log: Reader, found: EvalResult) -> Iterator[dict[str, Any]]:
    """A row for each case: the cells of each arm, one for each repetition."""
    cells = {(each.cell.case, each.cell.arm, each.cell.repetition): each.state for each in found.cells}
    runs = {state.run for state in cells.values() if log.last(state.run) is not None}
    unfinished = "running" if log.locks.is_held(stream_name(found.name)) else "interrupted"

    def cell(case: str, arm: int, number: int) -> dict[str, Any] | None:
        state = cells.get((case, arm, number))
        if state is None:
            return None
        outcome = unfinished if state.outcome is None else state.outcome.value
        return {"run": state.run if state.run in runs else "", "outcome": outcome, "number": number}

    for case in found.plan.suite.cases:
        numbers = range(1, found.plan.repetitions + 1)
        row = [[cell(case.id, arm.number, number) for number in numbers] for arm in found.arms]
        yield {"id": case.id, "cells": row}
