"""What a run tells a build server: JUnit XML, a step summary and annotations of GitHub Actions."""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click
from attrs import define, field

from orchestrator.cli.options.shared_options import command
from orchestrator.cli.options.value_types import OUTPUT
from orchestrator.cli.terminal.junit import CaseOutcome, JunitCase, JunitSuite, check_junit, junit_xml
from orchestrator.cli.terminal.terminal_output import line, money, notice
from orchestrator.cli.wording.code_words import HALTED, SHORTFALLS
from orchestrator.cli.wording.progress_wording import verification
from orchestrator.errors import DamagedLogError
from orchestrator.models import ProjectStatus, TaskStatus, Verdict
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Check, TaskState

SUMMARY: Final = "GITHUB_STEP_SUMMARY"
"""The variable that names the file of GitHub's step summary."""

junit_option: Final = click.option(
    "--junit", type=OUTPUT, metavar="FILE", help="Write the result as JUnit XML: a case for each task and check."
)
github_option: Final = click.option(
    "--github", is_flag=True, help="Write GitHub's step summary, and an annotation for each task that failed."
)

_CHECKED: Final = {
    Verdict.PASSED: CaseOutcome.PASSED,
    Verdict.FAILED: CaseOutcome.FAILURE,
    Verdict.UNKNOWN: CaseOutcome.ERROR,
    Verdict.SKIPPED: CaseOutcome.SKIPPED,
}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+|~!@&$])")
"""What Markdown, HTML or GitHub itself could read as more than text."""
_NONE: Final = "–"


@define
class Pipeline:
    """Writes what a build server reads, at the end of a session.

    Attributes:
        junit: the file for JUnit XML; None: none is written.
        github: whether GitHub Actions reads along.
    """

    junit: Path | None = None
    github: bool = False
    _pause: str = field(init=False, default="")

    def begin(self) -> None:
        """Refuse what could not be written in the end; keep GitHub from obeying lines that models write.

        Raises:
            OutputError: the file cannot be written, or is another one.
        """
        check_junit(self.junit)
        if self.github:
            self._pause = secrets.token_hex(16)
            self._set_obeyed(False)

    def end(self, run: str, state: RunState, text_of: Callable[[str], str]) -> str:
        """Write the result.

        Args:
            run: the run's id.
            state: the run's.
            text_of: the text of a digest.

        Returns:
            What could not be written, in one line; empty where all is.
        """
        lost = "" if self.junit is None else _written(self.junit, junit_of(run, state, text_of), "w")
        if self.github:
            self._set_obeyed(True)
            for annotation in annotations(state, text_of):
                notice(annotation)
            self._set_obeyed(False)
            lost = lost or _summarized(summary_of(run, state, text_of))
        return lost

    def close(self) -> None:
        """Let GitHub obey the lines of what comes after."""
        if self._pause:
            self._set_obeyed(True)

    def _set_obeyed(self, obeyed: bool) -> None:
        notice(f"::{self._pause}::" if obeyed else f"::stop-commands::{self._pause}")


def _summarized(text: str) -> str:
    path = os.environ.get(SUMMARY)
    if not path:
        notice(f"{SUMMARY} is not set, so that no step summary is written")
        return ""
    return _written(Path(path), text, "a")


def _written(path: Path, text: str, mode: str) -> str:
    try:
        with path.open(mode, encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def junit_of(run: str, state: RunState, text_of: Callable[[str], str]) -> str:
    """The run as JUnit XML: the tasks, then the checks of each task's result, then the verification."""
    tasks = [state.tasks[name] for name in state.execution_order]
    checks = [case for task in tasks for case in _checks(task, text_of)]
    suites = {"tasks": [_case(task, text_of) for task in tasks], "checks": checks, "run": [_run(run, state, text_of)]}
    return junit_xml(run, [JunitSuite(name, cases) for name, cases in suites.items() if cases])


def _case(task: TaskState, text_of: Callable[[str], str]) -> JunitCase:
    seconds = sum(call.took for call in task.calls.values()) / 1_000_000
    name = f"{task.name} {_title(task, text_of)}".rstrip()
    outcome, why = _outcome(task)
    return JunitCase("tasks", name, outcome, why, seconds=seconds)


def _outcome(task: TaskState) -> tuple[CaseOutcome, str]:
    end = task.finished
    if end is None:
        return CaseOutcome.SKIPPED, "not ended"
    if end.status is TaskStatus.COMPLETED:
        return CaseOutcome.PASSED, ""
    why = f"{end.status.value}: {SHORTFALLS[end.reason]}" if end.reason else end.status.value
    return (CaseOutcome.FAILURE if task.output is not None else CaseOutcome.ERROR), why


def _checks(task: TaskState, text_of: Callable[[str], str]) -> Iterator[JunitCase]:
    """The checks of the task's result; where it has none, those of its latest answer."""
    version = task.output.call if task.output is not None else max(task.checks, default=0)
    for name, check in task.checks.get(version, {}).items():
        outcome = CaseOutcome.SKIPPED if check.verdict is None else _CHECKED[check.verdict]
        details = "" if outcome is CaseOutcome.PASSED else _details(check, text_of)
        why = "" if outcome is CaseOutcome.PASSED else line(details, 200) or outcome.value
        yield JunitCase(f"checks.{task.name}", name, outcome, why, details)


def _details(check: Check, text_of: Callable[[str], str]) -> str:
    return _text(check.details, text_of)


def _run(run: str, state: RunState, text_of: Callable[[str], str]) -> JunitCase:
    seconds = state.active(state.at) / 1_000_000
    if state.finished is None:
        return JunitCase("run", run, CaseOutcome.SKIPPED, "not ended", seconds=seconds)
    status, checked = state.finished.status, state.verified
    outcome = CaseOutcome.PASSED if status is ProjectStatus.SUCCESS else CaseOutcome.FAILURE
    why = "" if outcome is CaseOutcome.PASSED else _stands(state)
    details = "" if checked is None or outcome is CaseOutcome.PASSED else _text(checked.details, text_of)
    return JunitCase("run", run, outcome, why, details, seconds)


def _stands(state: RunState) -> str:
    """How the run stands, in words."""
    if state.finished is None:
        return "interrupted"
    why = f": {HALTED[state.finished.reason]}" if state.finished.reason else ""
    return state.finished.status.value + why


def annotations(state: RunState, text_of: Callable[[str], str]) -> Iterator[str]:
    """A command of GitHub Actions for the run and each task that is not as it should be, and for its verification."""
    if state.finished is None or state.finished.status is not ProjectStatus.SUCCESS:
        is_partial = state.finished is not None and state.finished.status is ProjectStatus.PARTIAL_SUCCESS
        yield f"::{'warning' if is_partial else 'error'} title=run::{_data(_stands(state))}"
    for name in state.execution_order:
        task = state.tasks[name]
        outcome, why = _outcome(task)
        if task.finished is not None and outcome is not CaseOutcome.PASSED:
            kind = "warning" if task.finished.status is TaskStatus.DEGRADED else "error"
            title = f"{name} {_title(task, text_of)}".rstrip()
            yield f"::{kind} title={_property(title)}::{_data(why)}"
    if state.verified is not None and state.verified.verdict is not Verdict.PASSED:
        yield f"::error title=verification::{_data(verification(state.verified))}"


def _data(text: str) -> str:
    return line(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary_of(run: str, state: RunState, text_of: Callable[[str], str]) -> str:
    """The run as Markdown: status, money, and a row for each task."""
    lines = [
        f"### orchestrate: {_plain(run)}: {_plain(_stands(state))}",
        "",
        f"{_plain(money(state.spend.total))} of at most {_plain(money(state.cap))}"
        + (", simulated" if state.settings.simulated else ""),
        "",
        "| task | status | score | model | cost | title |",
        "|---|---|---|---|---|---|",
        *(_row(state.tasks[name], text_of) for name in state.execution_order),
        "",
    ]
    if state.verified is not None:
        lines += [f"verification: {_plain(verification(state.verified))}", ""]
    return "\n".join([*lines, f"How every choice was made: `{command(f'explain {run}')}`", "", ""])


def _row(task: TaskState, text_of: Callable[[str], str]) -> str:
    end = task.finished
    status = TaskStatus.PENDING if not task.started else TaskStatus.RUNNING
    score = None if end is None else end.score
    cells = (
        task.name,
        status.value if end is None else _outcome(task)[1] or end.status.value,
        _NONE if score is None else f"{score:.3f}",
        (end.model if end is not None else None) or _NONE,
        money(task.spend.total),
        _title(task, text_of),
    )
    return f"| {' | '.join(map(_plain, cells))} |"


def _title(task: TaskState, text_of: Callable[[str], str]) -> str:
    return line(_text(task.planned.title, text_of), 120)


def _text(digest: str | None, text_of: Callable[[str], str]) -> str:
    """A text; empty where there is none, or where it is gone."""
    try:
        return text_of(digest) if digest else ""
    except (KeyError, DamagedLogError):
        return ""


def _plain(text: str) -> str:
    """The text for a cell of Markdown, where nothing in it commands anything."""
    return _SPECIAL.sub(r"\\\1", line(text)).replace("\\<", "&lt;").replace("\\@", "@\u200b")
