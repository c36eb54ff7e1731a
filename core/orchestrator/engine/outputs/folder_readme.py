"""The page of an output folder: the table of what a run made."""

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.engine.outputs.folder_writing import ASIDE
from orchestrator.money import Usd


def tables(summary: Mapping[str, Any], *, is_app: bool, remark: str = "") -> dict[str, str]:
    """``summary.json`` and the table ``README.md`` of a run, by name; of a build not among the application's files.

    Args:
        summary: see ``orchestrator.engine.outputs.run_results.summary``.
        is_app: whether the folder is an application's own.
        remark: what the table begins with.
    """
    folder, files_in = (f"{ASIDE}/", "../") if is_app else ("", "")
    data = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    return {f"{folder}summary.json": data, f"{folder}README.md": remark + _table(summary, files_in)}


def _table(summary: Mapping[str, Any], files_in: str) -> str:
    """What the run did, as a table. ``files_in`` leads to the tasks' files."""
    lines = [
        f"# {summary['run_id']}: {summary['status']}",
        "",
        f"Spent {_money(summary['spent_usd'])} of at most {_money(summary['cap_usd'])}"
        + (" (simulated: no provider was called)" if summary["simulated"] else "")
        + f". Head of the log: `{summary['head']}`.",
        "",
        *_verification_lines(summary["verification"]),
        "| task | type | file | status | score | iterations | model | reviewer | cost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for task in summary["tasks"]:
        score = "–" if task["score"] is None else f"{task['score']:.3f}"
        cells = (
            task["id"],
            task["type"],
            _file_cell(task, files_in),
            task["status"] + (f" ({task['reason']})" if task["reason"] else ""),
            score,
            str(task["iterations"]),
            task["model"] or "–",
            task["reviewer_model"] or "–",
            _money(task["cost_usd"]),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _money(exact: str) -> str:
    return Usd.parse(exact).shown


def _file_cell(task: Mapping[str, Any], files_in: str) -> str:
    if not task["file"]:
        return "–"
    left_out = task["blocks_left_out"]
    more = f" ({left_out} code {'block' if left_out == 1 else 'blocks'} of the answer left out)" if left_out else ""
    if renamed := task["files_renamed"]:
        more += f" ({renamed} renamed: {'its name is' if renamed == 1 else 'their names are'} not allowed)"
    return f"[{task['file']}]({files_in}{task['file']}){more}"


def _verification_lines(verification: Mapping[str, Any] | None) -> list[str]:
    if verification is None:
        return []
    code, problem, sandbox = (verification[name] for name in ("exit_code", "problem", "sandbox"))
    how = [f"exit status {code}"] if code is not None else [problem] if problem else []
    how += [f"sandbox {sandbox}"] if sandbox else []
    return [f"Verification of the whole: {verification['verdict']}" + (f" ({', '.join(how)})." if how else "."), ""]
