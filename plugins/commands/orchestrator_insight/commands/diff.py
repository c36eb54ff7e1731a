"""``orchestrate runs diff``: what differs between two runs, and how it is shown."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.kit import (
    RUN,
    exact_option,
    existing_run,
    home_option,
    json_option,
    line,
    money,
    open_log,
    print_table,
    result,
    result_json,
    stdout,
    trust_in,
    width_of,
)

if TYPE_CHECKING:
    from orchestrator_insight.run_difference import Comparison, TaskPair, TaskResult

_SIDE_BY_SIDE: Final = 120
"""The width of a screen from which on two runs stand beside each other."""
_NONE: Final = "–"


@click.command()
@click.argument("one", metavar="A", type=RUN)
@click.argument("other", metavar="B", type=RUN)
@json_option
@exact_option
@home_option
def diff(one: str, other: str, as_json: bool) -> int:
    """Show what differs between two runs: spec, settings, decisions, results, spend."""
    from orchestrator.reading import Texts
    from orchestrator_insight.run_difference import compare

    log = open_log(one)
    trust = trust_in(log, *(existing_run(log, run) for run in (one, other)))
    texts = tuple(Texts(log, run, os.urandom, log.redactor) for run in (one, other))
    found = trust.read(lambda: compare(log, one, other, (texts[0], texts[1])))
    if as_json:
        result_json(_plain(found) | trust.plain())
    else:
        _show(found, {each.run: trust.mark for each in trust.damage})
    return trust.code


def _show(found: "Comparison", marks: Mapping[str, str]) -> None:
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


def _row(pair: "TaskPair") -> tuple[str, ...]:
    one, other = _cells(pair.one), _cells(pair.other)
    return (pair.task, *one, "" if one == other else "≠", *other)


def _cells(found: "TaskResult | None") -> tuple[str, str, str, str]:
    if found is None:
        return (_NONE, _NONE, _NONE, _NONE)
    score = _NONE if found.score is None else f"{found.score:.3f}"
    return (found.status, score, found.model or _NONE, money(found.cost))


def _plain(found: "Comparison") -> dict[str, Any]:
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


def _plain_task(found: "TaskResult | None") -> dict[str, Any] | None:
    if found is None:
        return None
    return {"status": found.status, "score": found.score, "model": found.model, "cost_usd": str(found.cost)}
