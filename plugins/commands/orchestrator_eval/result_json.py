"""The result as versioned JSON, whose schema is shipped beside this module; and comparing with an earlier one."""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from orchestrator.cli.kit import timestamp
from orchestrator.engine.session import VERSION
from orchestrator.errors import UsageError
from orchestrator_eval.results import ArmResult, CellResult, EvalResult, Part
from orchestrator_eval.statistics import LEVEL, Comparison, compare
from orchestrator_eval.suite_file import fingerprint

FORMAT: Final = "orchestrate-eval"
FORMAT_VERSION: Final = 1
_MOST_BYTES: Final = 256 * 1024 * 1024


def schema() -> Any:
    """The JSON Schema of a result."""
    return json.loads(files("orchestrator_eval").joinpath("result.schema.json").read_bytes())


def document(result: EvalResult) -> dict[str, Any]:
    """The result as plain data. Amounts are US dollars as decimal texts, times ISO 8601."""
    started, plan = result.started, result.plan
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "program": VERSION,
        "name": result.name,
        "suite": plan.suite.name,
        "simulated": started.simulated,
        "complete": result.open == 0,
        "started_at": timestamp(result.started_at),
        "latest_at": timestamp(result.latest_at),
        "settings": {
            "repetitions": plan.repetitions,
            "seed": plan.seed,
            "sandbox": started.sandbox,
            "memory_bytes": started.memory,
            "timeout_seconds": started.timeout / 1_000_000,
        },
        "money": {"cap_usd": str(result.cap), "settled_usd": str(result.spent), "held_usd": str(result.held)},
        "cases": [
            {
                "id": case.id,
                "type": case.type.value,
                "tags": list(case.tags),
                "weight": case.weight,
                "fingerprint": fingerprint(case),
            }
            for case in plan.suite.cases
        ],
        "arms": [_arm(arm, result.dominated.get(arm.name)) for arm in result.arms],
        "comparisons": [
            {"arm": each.arm, "other": each.other, **_compared(each.comparison)} for each in result.pairings
        ],
        "cells": [_cell(each, plan.arms[each.cell.arm - 1].name) for each in result.cells],
    }


def _arm(arm: ArmResult, dominated_by: str | None) -> dict[str, Any]:
    share = arm.solved_at_1
    return {
        "name": arm.name,
        "control": arm.control,
        "cells": arm.wanted,
        "cases": share.cases,
        "solved": arm.solved,
        "failed": len(arm.evidence) - arm.solved,
        "errors": sum(not each.counts and each.outcome is not None for each in arm.cells),
        "open": arm.wanted - sum(each.outcome is not None for each in arm.cells),
        "solved_at_1": share.value,
        "low": share.low,
        "high": share.high,
        "pass_all": arm.pass_all,
        "check_share": arm.check_share,
        "calls": arm.calls,
        "tokens": arm.tokens,
        "settled_usd": str(arm.settled),
        "unreconciled_usd": str(arm.unreconciled),
        "seconds": round(arm.seconds, 3),
        "per_solved": {
            "calls": arm.per_solved(arm.calls),
            "tokens": arm.per_solved(arm.tokens),
            "usd": arm.per_solved(float(arm.settled)),
            "seconds": arm.per_solved(arm.seconds),
        },
        "right_to_wrong": _part(arm.right_to_wrong),
        "right_rejected": _part(arm.right_rejected),
        "judge_agreement": _part(arm.judge_agreement),
        "unreadable": _part(arm.unreadable),
        "dominated_by": dominated_by,
    }


def _part(part: Part) -> dict[str, Any]:
    return {"count": part.count, "of": part.of, "rate": part.rate}


def _compared(found: Comparison) -> dict[str, Any]:
    return {
        "cases": found.cases,
        "gained": found.gained,
        "lost": found.lost,
        "difference": found.difference,
        "p": found.p,
        "proved": found.proved,
        "needs": found.needs,
    }


def _cell(each: CellResult, arm: str) -> dict[str, Any]:
    graded, measures = each.state.graded, each.measures
    return {
        "case": each.cell.case,
        "arm": arm,
        "repetition": each.cell.repetition,
        "attempt": each.state.attempt,
        "run": each.state.run,
        "outcome": None if graded is None else graded.outcome.value,
        "problem": None if graded is None or graded.problem is None else graded.problem.value,
        "details": each.details,
        "passed": 0 if graded is None else graded.passed,
        "checks": 0 if graded is None else graded.checks,
        "completed": measures.completed,
        "author": measures.author,
        "calls": measures.calls,
        "tokens_in": measures.tokens_in,
        "tokens_out": measures.tokens_out,
        "settled_usd": str(measures.settled),
        "unreconciled_usd": str(measures.unreconciled),
        "seconds": measures.seconds,
    }


@frozen
class Regression:
    """An arm beside the same arm of an earlier result.

    Attributes:
        arm: its name.
        comparison: on the cases that are the same in both.
        lost: cases that were solved every time and no longer are, by id.
        changed: cases left out, for they are others now.
        is_one: whether it got worse, and not by chance.
    """

    arm: str
    comparison: Comparison
    lost: tuple[str, ...]
    changed: int
    is_one: bool


@frozen
class Baseline:
    """An earlier result, as far as it is compared with.

    Attributes:
        name: of the evaluation.
        simulated: whether its providers were.
        cases: fingerprint by case.
        rates: by arm, in how many of its repetitions each case was solved.
    """

    name: str
    simulated: bool
    cases: Mapping[str, str]
    rates: Mapping[str, Mapping[str, Fraction]]


def read_baseline(path: Path) -> Baseline:
    """The result in a file that ``eval run --json`` or ``eval show --json`` wrote.

    Raises:
        UsageError: it cannot be read, or is no result.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path}: the file is larger than {_MOST_BYTES} bytes")
        value: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise UsageError(f"{path}: the baseline cannot be read: {why}") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise UsageError(
            f"{path}: this is no result of an evaluation; write one with: orchestrate eval show NAME --json"
        )
    if value.get("version") != FORMAT_VERSION:
        raise UsageError(f"{path}: a result of version {value.get('version')!r}; known is {FORMAT_VERSION}")
    try:
        return baseline_of(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: the result is damaged ({type(error).__name__}: {error})") from None


def baseline_of(value: Mapping[str, Any]) -> Baseline:
    """A result, as ``document`` gives it, for later ones to be compared with."""
    solved: dict[str, dict[str, list[bool]]] = {}
    for cell in value["cells"]:
        if cell["outcome"] in ("solved", "failed"):
            solved.setdefault(cell["arm"], {}).setdefault(cell["case"], []).append(cell["outcome"] == "solved")
    rates = {
        arm: {case: Fraction(sum(each), len(each)) for case, each in cases.items()} for arm, cases in solved.items()
    }
    cases = {str(case["id"]): str(case["fingerprint"]) for case in value["cases"]}
    return Baseline(str(value["name"]), bool(value["simulated"]), cases, rates)


def regressions(result: EvalResult, baseline: Baseline, *, strict: bool) -> list[Regression]:
    """Every arm that both have, compared with what it was.

    An arm is a regression where it is worse and the exact test, one-sided, has it below 5 %. Where both results are of
    simulated providers there is no chance in it: one lost case is enough, as with ``strict``.

    Raises:
        UsageError: they have no arm and case in common.
    """
    same = {case.id for case in result.plan.suite.cases if baseline.cases.get(case.id) == fingerprint(case)}
    found = [
        _regression(arm, baseline.rates[arm.name], same, strict or (baseline.simulated and result.started.simulated))
        for arm in result.arms
        if arm.name in baseline.rates
    ]
    if not any(each.comparison.cases for each in found):
        raise UsageError(f"the baseline {baseline.name} has no arm and case in common with {result.name}")
    return found


def _regression(arm: ArmResult, before: Mapping[str, Fraction], same: set[str], certain: bool) -> Regression:
    rates = {case: rate for case, rate in arm.rates.items() if case in same}
    comparison = compare(rates, before)
    lost = tuple(case for case, rate in rates.items() if before.get(case, 0) == 1 and rate < 1)
    worse = comparison.difference < 0 and comparison.p_worse <= LEVEL
    changed = len(arm.rates) - len(rates)
    return Regression(arm.name, comparison, lost, changed, worse or (certain and comparison.lost > 0))


def below(result: EvalResult, bar: float) -> Sequence[ArmResult]:
    """The arms, controls aside, that solve less than a share of the cases; those without evidence among them."""
    return [
        arm for arm in result.arms if not arm.control and (arm.solved_at_1.value is None or arm.solved_at_1.value < bar)
    ]
