"""Answer what a run asks."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.kit import (
    AMOUNT,
    RUN,
    command,
    home_option,
    json_option,
    notice,
    on_terminal,
    question_of,
    result,
    result_json,
    send_answer,
    shown_with,
    spoken_to,
)
from orchestrator.errors import UsageError
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from orchestrator.cli.kit import SpokenTo
    from orchestrator.reading import events


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.argument("word", metavar="[yes|no]", required=False, type=click.Choice(["yes", "no", "y", "n"], False))
@click.option("--add-budget", type=AMOUNT, help="With yes to a higher ceiling: US dollars to add to it.")
@json_option
@home_option
def answer(run_id: str, word: str | None, add_budget: Any, as_json: bool) -> int:
    """Answer what a run asks: yes or no. Without an answer the question is shown, and asked on a terminal.

    A run that no process has takes the answer in once it is resumed.
    """
    from orchestrator.cli.kit import QuestionReply

    run = spoken_to(run_id)
    version, asked = _question(run)
    if word is None and not as_json:
        for each in shown_with(asked, run.state, run.texts.get):
            notice(f"  {each}")
    if word is None and on_terminal() and not as_json:
        words = question_of(asked, run.state)
        word = "yes" if click.confirm(f"{words[:1].upper()}{words[1:]}", default=False, err=True) else "no"
    if word is None:
        return _show(run, version, asked, as_json)
    accepted = word.startswith("y")
    if add_budget is not None and (not accepted or asked.node != "approve_ceiling"):
        raise UsageError("--add-budget belongs to a yes to a higher ceiling; more money at other times: resume RUN")
    taken = send_answer(run_id, version, QuestionReply(accepted, amount=add_budget))
    if as_json:
        result_json({**_plain(run, version, asked), "accepted": accepted, "taken": taken})
        return 0
    how = "has taken the answer" if taken else f"takes the answer once it goes on: {command(f'resume {run_id}')}"
    result(f"{run_id} {how}")
    return 0


def _question(run: "SpokenTo") -> "tuple[int, events.QuestionAsked]":
    if "edit" in run.waiting and not run.is_live:
        raise UsageError(
            f"the plan of {run.run} was changed; it asks about the new one: {command(f'resume {run.run}')}"
        )
    if run.question is None:
        state = "has ended" if run.state.finished is not None else "asks nothing now"
        raise UsageError(f"{run.run} {state}; see: {command(f'runs show {run.run}')}")
    return run.question


def _show(run: "SpokenTo", version: int, asked: "events.QuestionAsked", as_json: bool) -> int:
    if as_json:
        result_json(_plain(run, version, asked))
    else:
        result(f"{run.run} asks: {question_of(asked, run.state)}")
        notice(f"answer with: {command(f'answer {run.run} yes')}, or no")
    return 0


def _plain(run: "SpokenTo", version: int, asked: "events.QuestionAsked") -> dict[str, Any]:
    return {
        "run_id": run.run,
        "question": question_of(asked, run.state),
        "point": asked.node,
        "version": version,
        "task": asked.task,
        "amount_usd": None if asked.amount is None else str(asked.amount),
        "live": run.is_live,
    }


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return answer
