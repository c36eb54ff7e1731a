"""How a command line names runs and tasks: whole, by a unique beginning, or as ``last`` and ``last~1``."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.groups import suggestion
from orchestrator.cli.options import has_log, home
from orchestrator.cli.output import notice

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orchestrator.log import EventLog

_LAST: Final = re.compile(r"last(?:~([0-9]{1,6}))?")
_GIVEN: Final = "run-"
"""What the ids begin with that the program gives; it may be left out."""
_MOST_NAMED: Final = 4
_OWN_NAMES: Final = "SELECT stream FROM events GROUP BY stream ORDER BY min(position)"

RUN_HELP: Final = "RUN is an id or a unique beginning of one, with or without run-; or last, last~1, …"
"""What the help of a command says of its RUN."""


def runs_in(log: "EventLog") -> list[str]:
    """The ids of all runs of a log, in the order in which they began."""
    from orchestrator.log.accounts import PREFIX, SIMULATED

    return [run for (run,) in log.query(_OWN_NAMES) if not run.startswith((PREFIX, SIMULATED + PREFIX))]


def found_run(runs: Sequence[str], word: str) -> str:
    """The id that a word means among ``runs``, oldest first; the word itself where it means none.

    Raises:
        UsageError: several ids begin so, or there are not as many runs.
    """
    from orchestrator.errors import UsageError

    if word in runs or not word:
        return word
    counted = _LAST.fullmatch(word)
    if counted is not None:
        back = int(counted[1] or 0)
        if back < len(runs):
            return runs[-1 - back]
        have = "there are no runs" if not runs else f"there {'is 1 run' if len(runs) == 1 else f'are {len(runs)} runs'}"
        raise UsageError(f"{word}: {have}; see: orchestrate runs list")
    begun = _beginning_with(runs, word)
    if len(begun) > 1:
        more = f" and {len(begun) - _MOST_NAMED} more" if len(begun) > _MOST_NAMED else ""
        raise UsageError(f"{word!r} is not unique: {', '.join(begun[-_MOST_NAMED:][::-1])}{more}; say more of the id")
    return begun[0] if begun else word


def _beginning_with(runs: Sequence[str], word: str) -> list[str]:
    return [run for run in runs if run.startswith((word, _GIVEN + word))]


def resolved_run(word: str) -> str:
    """The id of the run that a word of the command line means; the word itself where there is none like it.

    Raises:
        UsageError: it is not unique.
    """
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
    from orchestrator.log import EventLog

    try:
        if not has_log():
            return []
        log = EventLog.open_to_read(home())
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
        from click.shell_completion import CompletionItem

        begun = _beginning_with(_known_runs(), incomplete)[::-1]
        return [CompletionItem(each) for each in (["last"] if "last".startswith(incomplete) else []) + begun]


RUN: Final = RunType()

__all__ = ["RUN", "RUN_HELP", "RunType", "found_run", "latest", "resolved_run", "resolved_task", "runs_in"]
