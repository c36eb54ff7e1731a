"""How the difference of two runs is shown."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestrator.cli.stdout import stdout
from orchestrator.cli.tables import print_table
from orchestrator.cli.terminal_output import line, money, result
from orchestrator.cli.text_fitting import width_of
from orchestrator_insight.run_difference import Comparison, TaskPair, TaskResult, compare

__all__ = ["compare", "plain", "show"]

_SIDE_BY_SIDE: Final = 120
"""The width of a screen from which on two runs stand beside each other."""
_NONE: Final = "–"


def show(found: Comparison, marks: Mapping[str, str]) -> None:
    """Write it as tables; ``marks`` stand beside the status and spend of runs that cannot be trusted."""
    _section("spec", found.spec)
    _section("settings", found.settings)
    if found.decisions:
        result(f"decisions ({len(found.decisions)} differ)")
        rows = [(each.what, each.one or _NONE, each.other or _NONE) for each in found.decisions]
        print_table(("decision", found.one, found.other), rows)
        result("")
    heads = ("task", "status", "score", "model", "cost", "", "status", "score", "model", "cost")
    pairs = [_row(pair) for pair in found.tasks]
    width = width_of(stdout())
    if width is not None and width < _SIDE_BY_SIDE:  # one below the other: nothing of a row is broken
        each = [(row[0], run, *row[at : at + 4]) for row in pairs for run, at in ((found.one, 1), (found.other, 6))]
        print_table(("task", "run", *heads[1:5]), each, right=("score", "cost"), spare=("score",))
    else:
        print_table(heads, pairs, right=("score", "cost"))
    result("")
    if found.common:
        result(f"shared: {found.common} versions of history")
    for run, state, status in zip((found.one, found.other), found.states, found.status, strict=True):
        spent = f"spend {money(state.spend.total)} of at most {money(state.cap)}"
        result(line(f"{run}: {status}, {spent}" + (f" ({marks[run]})" if run in marks else "")))
    if not (found.spec or found.settings or found.decisions):
        result("nothing differs in spec, settings and decisions")


def _section(name: str, lines: Sequence[str]) -> None:
    if lines:
        result(name)
        for each in lines:
            result(f"  {line(each)}")
        result("")


def _row(pair: TaskPair) -> tuple[str, ...]:
    one, other = _cells(pair.one), _cells(pair.other)
    return (pair.task, *one, "" if one == other else "≠", *other)


def _cells(found: TaskResult | None) -> tuple[str, str, str, str]:
    if found is None:
        return (_NONE, _NONE, _NONE, _NONE)
    score = _NONE if found.score is None else f"{found.score:.3f}"
    return (found.status, score, found.model or _NONE, money(found.cost))


def plain(found: Comparison) -> dict[str, Any]:
    """It as JSON has it."""
    return {
        "runs": [found.one, found.other],
        "shared_versions": found.common,
        "spec": list(found.spec),
        "settings": list(found.settings),
        "decisions": [{"decision": each.what, "values": [each.one, each.other]} for each in found.decisions],
        "tasks": [
            {"task": pair.task, "values": [_plain_task(pair.one), _plain_task(pair.other)]} for pair in found.tasks
        ],
        "status": list(found.status),
        "spent_usd": [str(amount) for amount in found.spend],
        "cap_usd": [str(state.cap) for state in found.states],
    }


def _plain_task(found: TaskResult | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"status": found.status, "score": found.score, "model": found.model, "cost_usd": str(found.cost)}
