"""``orchestrate plan edit``: another plan for a run whose tasks have not begun."""

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.logs.run_ids import RUN
from orchestrator.cli.options.shared_options import command, home_option, json_option
from orchestrator.cli.options.value_types import FILE
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.terminal_output import notice, on_terminal, result
from orchestrator.errors import SpecError, UsageError

if TYPE_CHECKING:
    from orchestrator.cli.logs.mailbox_messages import SpokenTo
    from orchestrator.documents import Document

_HEAD: Final = "# The plan of {run}. Save to change it; delete everything to leave it as it is.\n"


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--file", "-f", "file", type=FILE, metavar="FILE", help="Take the plan from this file ('-': stdin).")
@click.option("--show", is_flag=True, help="Print the plan as YAML; change nothing.")
@json_option
@home_option
def edit(run_id: str, file: Path | None, show: bool, as_json: bool) -> int:
    """Change the plan of a run before its first task: in your editor, or from a file.

    Tasks are written as in a spec. A run that has asked to approve its plan asks again, about the new one.
    """
    from orchestrator.cli.logs.mailbox_messages import send, spoken_to
    from orchestrator.engine.answers.given_files_in_prompts import names_of
    from orchestrator.engine.plan_editing import checked_plan, plan_of
    from orchestrator.engine.vendors.environment import called_by
    from orchestrator.ledger.mailbox_requests import EDIT

    run = spoken_to(run_id)
    _refuse_begun(run)
    text = _written(plan_of(run.state, run.texts.get))
    if show:
        result(text, as_is=True)
        return 0
    used = () if run.state.session is None else run.state.session.plugins
    validators = tuple(each.name for each in used if each.kind == "validator")
    names = names_of(run.state, run.texts.get)

    def check(document: "Document") -> dict[str, Any]:
        return checked_plan(document.value, names, validators, document.source, document.line_of)

    plan = check(_document(file)) if file is not None else _edited(run_id, text, check)
    if plan is None:
        notice(f"{run_id}: the plan stays as it is")
        return 0
    before = run.state.plan_version
    brought = {**plan, "by": by} if (by := called_by(os.environ)) else plan
    taken = send(run_id, EDIT, json.dumps(brought, default=str), lambda state: state.plan_version > before)
    if as_json:
        result_json({"run_id": run_id, "tasks": [task["id"] for task in plan["tasks"]], "taken": taken})
    else:
        how = "has taken the plan" if taken else f"takes the plan once it goes on: {command(f'resume {run_id}')}"
        result(f"{run_id} {how}; {len(plan['tasks'])} tasks")
    return 0


def _refuse_begun(run: "SpokenTo") -> None:
    if run.state.finished is not None or run.state.begun:
        raise UsageError(f"the tasks of {run.run} have begun: their plan cannot be changed any more")
    if not run.state.planned:
        raise UsageError(f"{run.run} has no plan yet; see: {command(f'runs show {run.run}')}")


def _document(file: Path) -> "Document":
    from orchestrator.documents import read_document, read_stream

    return read_document(file) if str(file) != "-" else read_stream(sys.stdin.buffer, "<stdin>")


def _edited(run: str, text: str, check: Any) -> dict[str, Any] | None:
    """The plan as the person leaves it in their editor; None: as it was."""
    from orchestrator.documents import load_yaml

    if not on_terminal():
        raise UsageError(
            "there is no terminal for an editor: write the plan with plan edit RUN --show, and give it with --file"
        )
    given = text
    while True:
        found = click.edit(_HEAD.format(run=run) + given, extension=".yaml")
        if found is None or not found.strip() or found.split("\n", 1)[-1] == text:
            return None
        try:
            plan: dict[str, Any] = check(load_yaml(found, "the plan"))
        except SpecError as error:
            notice(str(error))
            if not click.confirm("Edit it again?", default=True, err=True):
                raise
            given = found.removeprefix(_HEAD.format(run=run))
            continue
        return plan


def _written(plan: dict[str, Any]) -> str:
    """A plan as YAML, texts of several lines as blocks."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import LiteralScalarString

    def shaped(value: Any) -> Any:
        match value:
            case str() if "\n" in value.strip():
                return LiteralScalarString(value)
            case dict():
                return {name: shaped(each) for name, each in value.items()}
            case list():
                return [shaped(each) for each in value]
        return value

    yaml = YAML()
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump(shaped(plan), stream)
    return stream.getvalue()
