"""How a command line names runs and tasks: whole, by a unique beginning, or as ``last`` and ``last~1``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import suggestion
from orchestrator.cli.options.shared_options import has_log, home
from orchestrator.cli.options.shell_completion import completed
from orchestrator.cli.terminal.terminal_output import notice

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

RUN_HELP: Final = "RUN is an id or a unique beginning of one, with or without run-; or last, last~1, …"
"""What the help of a command says of its RUN."""


def _short_and_whole(runs: Sequence[str], begun: str) -> list[str]:
    """The runs; where what is typed leaves ``run-`` out, they do, too."""
    from orchestrator.past_runs.run_names import GIVEN

    return list(runs) if GIVEN.startswith(begun[: len(GIVEN)]) else [run.removeprefix(GIVEN) for run in runs]


def resolved_run(word: str) -> str:
    """The id of the run that a word of the command line means; the word itself where there is none like it.

    Raises:
        UsageError: it is not unique.
    """
    from orchestrator.past_runs.run_names import found_run

    return found_run(_known_runs(), word)


def latest(everything: bool) -> str | None:
    """The run that a command shows where none is named, said on stderr; None where all are wanted, or there is none."""
    known = [] if everything else _known_runs()
    if not known:
        return None
    notice(f"the last run, {known[-1]}:")
    return known[-1]


def _known_runs() -> list[str]:
    """The runs of the data folder; none where its log cannot be read, which the command itself then says."""
    from orchestrator.errors import OrchestrateError
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.past_runs.run_list import runs_in
    from orchestrator.plugins.store_of_folder import open_log_to_read

    try:
        if not has_log():
            return []
        log = open_log_to_read(home(), EventLog)
        try:
            return runs_in(log)
        finally:
            log.close()
    except OrchestrateError:
        return []


def resolved_task(run: str, tasks: Sequence[str], word: str) -> str:
    """The task, or other node, of a run that a word means: by its name, or a unique beginning of it.

    Raises:
        UsageError: there is none, or there are several.
    """
    from orchestrator.errors import UsageError

    if word in tasks:
        return word
    begun = [task for task in tasks if task.startswith(word)]
    if len(begun) == 1 and word:
        return begun[0]
    if len(begun) > 1:
        raise UsageError(f"{word!r} is not unique in {run}: {', '.join(begun)}")
    hint = suggestion(word, tasks) or f"there are: {', '.join(tasks)}"
    raise UsageError(f"run {run} has no task {word!r}; {hint}")


class RunType(click.ParamType[str]):
    """A parameter that names a run of the data folder."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Find the run that is meant; a name that is none's is left to the command."""
        return resolved_run(str(value))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        """The runs that begin so, newest first."""
        return completed(ctx, incomplete, lambda: ["last", *_short_and_whole(_known_runs()[::-1], incomplete)])


RUN: Final = RunType()

__all__ = ["RUN", "RUN_HELP", "RunType", "latest", "resolved_run", "resolved_task"]
