"""Whole projects on a small model: ``python -m benchmarks.quality.projects --base-url URL --model ID``.

Two specs without tasks are run, one is planned with ``plan --decompose``, and one application is built. Each is to end
with a plan, and each but the plan with files.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.quality.specs import Settings, provider_fields
from orchestrator import events as e
from orchestrator.errors import LogError
from orchestrator.ledger.event_log import EventLog
from orchestrator.spec import spec_from

_SLACK: Final = 300.0
"""Seconds beyond its active time after which a command is killed."""
_OWN: Final = frozenset({"README.md", "summary.json", ".orchestrate-run"})


@frozen
class Project:
    """One command.

    Attributes:
        id: the run's id.
        description: what is asked for.
        criteria: when it is good.
        words: the command, to which spec, id and folders are added: ``run``, ``plan`` or ``build``.
        more: further words of the command.
        files: whether it is to leave files.
    """

    id: str
    description: str
    criteria: str
    words: str
    more: tuple[str, ...] = ()
    files: bool = True


PROJECTS: Final = (
    Project(
        "roman",
        "A Python module that turns whole numbers from 1 to 3999 into Roman numerals and back, with tests.",
        "Numbers survive the way there and back; a wrong numeral raises ValueError.",
        "run",
    ),
    Project(
        "ledger",
        "A Python library that reads a CSV file of payments (date, payee, amount) and sums them by payee and by month.",
        "Sums are exact to the cent; a row that cannot be read is named with its line.",
        "run",
    ),
    Project(
        "bookmarks",
        "A bookmark manager for the terminal: bookmarks with tags, kept in a JSON file, found by word or by tag.",
        "Adding, finding and removing work; a damaged file is not overwritten.",
        "plan",
        ("--decompose",),
        files=False,
    ),
    Project(
        "wordcount",
        "A command that counts lines, words and characters of text files and prints a total.",
        "It counts like wc; a file that cannot be read is named, and the others are counted all the same.",
        "build",
        ("--type", "cli"),
    ),
)


@frozen
class Ended:
    """What became of a project.

    Attributes:
        code: the command's exit code; None where it was killed.
        status: of the run; ``open`` after ``plan``.
        tasks: of the plan; 0: there is none.
        files: delivered files; those that the run has to say of itself do not count.
        calls: attempts.
        seconds: by the clock.
    """

    id: str
    command: str
    code: int | None
    status: str
    tasks: int
    files: tuple[str, ...]
    calls: int
    seconds: float

    def is_met(self, project: Project) -> bool:
        """Whether it ended with a plan, and with files where there are to be some."""
        return self.tasks > 0 and (bool(self.files) or not project.files)


def run_project(project: Project, fields: dict[str, Any], settings: Settings, folder: Path) -> Ended:
    """Run the command in a folder of its own, with a data folder of its own."""
    folder.mkdir(parents=True)
    began = time.monotonic()
    code = _command(_words(project, fields, settings, folder), folder, settings.time_seconds + _SLACK)
    took = round(time.monotonic() - began, 1)
    history = _history(folder / "home", project.id)
    ends = [event.status.value for event in history if isinstance(event, e.RunFinished)]
    plans = [len(event.tasks) for event in history if isinstance(event, e.PlanMade)]
    return Ended(
        id=project.id,
        command=" ".join((project.words, *project.more)),
        code=code,
        status=ends[-1] if ends else "open",
        tasks=plans[-1] if plans else 0,
        files=tuple(_files(folder / "out")),
        calls=sum(isinstance(event, e.CallStarted) for event in history),
        seconds=took,
    )


def _words(project: Project, fields: dict[str, Any], settings: Settings, folder: Path) -> list[str]:
    limits = {"project_id": project.id, "budget_usd": 100.0, "time_seconds": settings.time_seconds}
    spec = spec_from(project.description, project.criteria, **limits, **fields)
    (folder / "spec.json").write_text(spec.canonical(), encoding="utf-8")
    if project.words == "build":
        return ["build", project.description, "--spec", "spec.json", "-o", "out", *project.more]
    return [project.words, "spec.json", *(("-o", "out") if project.files else ()), *project.more]


def _command(words: Sequence[str], folder: Path, seconds: float) -> int | None:
    """The exit code of a command line in a folder; None where it took too long and was killed."""
    environment = {**os.environ, "ORCHESTRATE_HOME": str(folder / "home")}
    with (folder / "said.txt").open("w", encoding="utf-8") as said:
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "orchestrator", *words],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return None
    return ended.returncode


def _history(home: Path, run: str) -> list[e.Event]:
    """The events of a run; none where there is no log, or no such run in it."""
    try:
        log = EventLog.open_to_read(home)
    except LogError:
        return []
    try:
        return [record.event for record in log.read(run)]
    finally:
        log.close()


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in _OWN and not name.startswith(".orchestrate/"):
            yield name


def markdown(ended: Sequence[Ended]) -> str:
    """The results as a table."""
    names = ("project", "command", "exit code", "status", "tasks", "files", "calls", "seconds")
    head = f"| {' | '.join(names)} |\n{'|---' * len(names)}|\n"
    return head + "".join(
        f"| {each.id} | `{each.command}` | {'killed' if each.code is None else each.code} | {each.status} "
        f"| {each.tasks or 'no plan'} | {len(each.files)} | {each.calls} | {each.seconds:,.0f} |\n"
        for each in ended
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.projects", description=__doc__)
    parser.add_argument("--base-url", required=True, help="of a server that speaks OpenAI's /chat/completions")
    parser.add_argument("--model", action="append", required=True, metavar="ID", help="cheapest first")
    parser.add_argument("--context", type=int, default=8192, help="tokens of the models' windows (default %(default)s)")
    parser.add_argument("--time", type=float, default=1800.0, help="seconds a run may take (default %(default)s)")
    parser.add_argument("--api-key-env", metavar="NAME", help="the variable that holds the server's key")
    parser.add_argument("--only", action="append", choices=[each.id for each in PROJECTS], help="only this project")
    parser.add_argument("--work", type=Path, help="a new folder for the runs (default: a temporary one, which is kept)")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run the projects; 0 where each ended with a plan and its files, 1 where one did not."""
    arguments = _parser().parse_args(words)
    settings = Settings(tuple(arguments.model), arguments.context, time_seconds=arguments.time)
    fields = provider_fields(settings, arguments.base_url, arguments.api_key_env)
    work = arguments.work or Path(tempfile.mkdtemp(prefix="quality-projects-"))
    chosen = [each for each in PROJECTS if not arguments.only or each.id in arguments.only]
    ended = []
    for project in chosen:
        ended.append(run_project(project, fields, settings, work.absolute() / project.id))
        print(f"{project.id}: {ended[-1].status}, {ended[-1].tasks} tasks", file=sys.stderr, flush=True)
    print(markdown(ended), end="")
    print(f"the runs are in {work}", file=sys.stderr)
    return 0 if all(each.is_met(project) for each, project in zip(ended, chosen, strict=True)) else 1


if __name__ == "__main__":
    sys.exit(main())
