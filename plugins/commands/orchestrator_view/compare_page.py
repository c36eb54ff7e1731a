"""The page that compares two runs."""

from typing import Any

from orchestrator.cli.kit import existing_run, seconds
from orchestrator.errors import OrchestrateError
from orchestrator.reading import TaskState
from orchestrator_insight.comparison import compare
from orchestrator_view.source import Source


def compare_values(source: Source, one: str, other: str) -> dict[str, Any]:
    """What the page shows; without two runs the form alone."""
    values: dict[str, Any] = {"one": one, "other": other, "problem": "", "found": None, "sides": [], "rows": []}
    values["known"] = source.runs.page().rows if source.has_log else []
    if not (one and other):
        return values
    try:
        log = source.log
        for run in (one, other):
            existing_run(log, run)
        found = compare(log, one, other, (source.texts(one), source.texts(other)))
    except OrchestrateError as error:
        return {**values, "problem": str(error)}
    values["found"] = found
    for run, state in zip((one, other), found.states, strict=True):
        status = "open" if state.finished is None else state.finished.status.value
        facts = {"spent": state.spend.total, "cap": state.cap, "active": seconds(state.active(state.at))}
        values["sides"].append({"run": run, "status": status, **facts})
    values["rows"] = [{"task": pair.task, "cells": [_cell(pair.one), _cell(pair.other)]} for pair in found.tasks]
    return values


def _cell(task: TaskState | None) -> dict[str, Any] | None:
    if task is None:
        return None
    end = task.finished
    return {
        "status": "open" if end is None else end.status.value,
        "score": None if end is None else end.score,
        "model": None if end is None else end.model,
        "cost": task.spend.total,
    }
