"""Showing a result: printed, written in the forms that were asked for, and the exit code it means."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli.kit import STDOUT, line, money, notice, result, result_json

if TYPE_CHECKING:
    from orchestrator.cli.kit import Engine
    from orchestrator_eval.result_json import Regression
    from orchestrator_eval.results import EvalResult

BELOW: Final = 100
"""The exit code of a result below its bar, or worse than its baseline."""

_SYSTEM: Final = 3
_BUDGET: Final = 4
_INTERRUPTED: Final = 130


def show_result(found: "EvalResult", outputs: dict[str, Any], left: str) -> int:
    """Print and write the result, and give the exit code."""
    from orchestrator_eval.junit import junit
    from orchestrator_eval.result_json import document, read_baseline, regressions
    from orchestrator_eval.result_lines import markdown

    baseline = None if outputs["baseline"] is None else read_baseline(outputs["baseline"])
    worse = [] if baseline is None else regressions(found, baseline, strict=outputs["strict"])
    name = "" if baseline is None else baseline.name
    if outputs["out"] is not None:
        import json

        _write(outputs["out"], json.dumps(document(found), indent=2) + "\n")
    if outputs["junit"] is not None:
        _write(outputs["junit"], junit(found))
    if outputs["markdown"] not in (None, STDOUT):
        _write(outputs["markdown"], markdown(found, worse, name))
    if outputs["as_json"]:
        result_json(document(found))
    elif outputs["markdown"] == STDOUT:
        result(markdown(found, worse, name).rstrip("\n"))
    else:
        _print(found, worse, name)
    return _code(found, worse, outputs["fail_below"], left)


def _code(found: "EvalResult", worse: "Sequence[Regression]", bar: float | None, left: str) -> int:
    from orchestrator_eval.result_json import below

    lower = below(found, bar) if bar is not None else []
    for arm in lower:
        notice(f"! {line(arm.name)} solves {arm.solved} of {len(arm.evidence)}, below {bar:.0%}")
    for each in worse:
        if each.is_one:
            notice(
                f"! {line(each.arm)} is worse than the baseline: {', '.join(map(line, each.lost)) or 'by its rates'}"
            )
    if left == "signal":
        return _INTERRUPTED
    if any(arm.evidence for arm in lower) or any(each.is_one for each in worse):
        return BELOW
    if left == "budget":
        return _BUDGET
    return _SYSTEM if lower or found.errors or found.open else 0


def _write(path: Path, text: str) -> None:
    from orchestrator.errors import OutputError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; name another file") from error


def _print(found: "EvalResult", worse: "Sequence[Regression]", baseline: str) -> None:
    from orchestrator.cli.kit import print_table
    from orchestrator_eval import result_lines

    print_table(result_lines.HEAD, list(result_lines.rows(found)), right=result_lines.HEAD[4:10])
    for arm in found.arms:
        more = list(result_lines.quality(arm))
        if more:
            result(line(f"{arm.name}: {'; '.join(more)}"))
    for lines in (
        map(result_lines.compared, found.pairings),
        result_lines.remarks(found),
        result_lines.regression_lines(worse, baseline),
        (f"error: {each}" for each in result_lines.error_lines(found)),
    ):
        for each in lines:
            result(line(each))
    result(f"spent {money(found.spent)} of {money(found.cap)}" + (f", {money(found.held)} held" if found.held else ""))


def list_evaluations(workspace: "Engine", as_json: bool) -> int:
    """Print every evaluation with its counts."""
    from orchestrator.cli.kit import print_table, timestamp
    from orchestrator.models import CellOutcome
    from orchestrator_eval.evaluation_state import folded, names

    listed: list[tuple[str, int, int, int, int, bool, str]] = []
    for name in names(workspace.log):
        state = folded(workspace.log, name)
        solved, failed, errors = (state.count(outcome) for outcome in CellOutcome)
        cells = 0 if state.started is None else state.started.cells
        listed.append((name, cells, solved, failed, errors, state.finished is not None, timestamp(state.at)))
    keys: tuple[str, ...] = ("name", "cells", "solved", "failed", "errors", "finished", "latest_at")
    if as_json:
        result_json([dict(zip(keys, each, strict=True)) for each in listed], form="eval list")
    elif listed:
        shown = [(each[0], *map(str, each[1:5]), "yes" if each[5] else "no", each[6][:19]) for each in listed]
        print_table(("name", "cells", "solved", "failed", "errors", "finished", "latest"), shown)
    else:
        notice("there is no evaluation yet: orchestrate eval run SUITE")
    return 0
