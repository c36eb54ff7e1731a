"""The page that compares two runs."""

from typing import Any

from orchestrator.cli.kit import existing_run, resolved_run, seconds, shown_status
from orchestrator.errors import OrchestrateError
from orchestrator_insight.run_difference import compare
from orchestrator_view.log_source import Source


def compare_values(source: Source, one: str, other: str) -> dict[str, Any]:
    """What the page shows; without two runs the form alone."""
    one, other = one.strip(), other.strip()
    values: dict[str, Any] = {"one": one, "other": other, "problem": "", "found": None, "sides": [], "rows": []}
    values["known"] = source.runs.page().rows if source.has_log else []
    if not (one and other):
        return values
    try:
        log = source.log
        one, other = resolved_run(one), resolved_run(other)
        for run in (one, other):
            existing_run(log, run)
        found = compare(log, one, other, (source.texts(one), source.texts(other)))
    except OrchestrateError as error:
        return {**values, "problem": str(error)}
    values["found"] = found
    for run, state, status in zip((one, other), found.states, found.status, strict=True):
        facts = {"spent": state.spend.total, "cap": state.cap, "active": seconds(state.active(state.at))}
        values["sides"].append({"run": run, "status": shown_status(log, run, status), **facts})
    values["rows"] = [{"task": pair.task, "cells": [pair.one, pair.other]} for pair in found.tasks]
    return values
