"""Run several specs or backends side by side."""

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.kit import (
    AMOUNT,
    BACKEND,
    FILE,
    INTERRUPTED,
    OUTPUT,
    STRATEGY,
    SYSTEM,
    allow_option,
    code_of,
    exact_option,
    force_option,
    home,
    home_option,
    json_option,
    models_option,
    money,
    plugin_option,
)
from orchestrator.money import Usd
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.cli.kit import Engine, Loop, RunEnd, Session, Spec
    from orchestrator.models import ProjectState


@click.command()
@click.argument("spec_files", metavar="SPEC...", nargs=-1, required=True, type=FILE)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    type=BACKEND,
    help="Run the one spec with each of these backends.",
)
@click.option(
    "--loop",
    "loops",
    multiple=True,
    metavar="NAME",
    type=STRATEGY,
    help="Run with this strategy; several: the one spec with each.",
)
@click.option(
    "--output-dir", "-o", type=OUTPUT, help="Write each agent's results into a folder of its own in this one."
)
@click.option("--budget", type=AMOUNT, help="The ceiling of each run, in US dollars.")
@models_option
@click.option("--cache", is_flag=True, help="Let the agents reuse answers of earlier runs and of each other.")
@force_option
@allow_option
@plugin_option
@json_option
@exact_option
@home_option
def pool(
    spec_files: tuple[Path, ...],
    backends: tuple[str, ...],
    loops: tuple[str, ...],
    output_dir: Path | None,
    budget: Any,
    models: Path | None,
    cache: bool,
    force: bool,
    allow: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run several specs, or one spec with several backends, side by side. Show the winner and why.

    The winner has the highest mean score, then the lower cost. The exit code is that of the winner's run.
    """
    from orchestrator.errors import UsageError

    if backends and len(spec_files) > 1:
        raise UsageError("--backend compares backends on one spec; give one SPEC, or leave --backend out")
    if len(loops) > 1 and (backends or len(spec_files) > 1):
        raise UsageError("several --loop compare strategies on one spec; give one SPEC and no --backend")
    compared = loops if len(loops) > 1 else backends or spec_files
    if len(compared) < 2:
        raise UsageError("a pool needs two or more: give several SPECs, several --backend, or several --loop")
    if len(set(loops)) < len(loops):
        raise UsageError("a strategy is named twice; agents are named for their strategies")
    if len(set(backends)) < len(backends):
        raise UsageError("a backend is named twice; agents are named for their backends")
    specs = _agents(spec_files, backends, loops, {"budget_usd": budget, "cache": cache}, models)
    states, problems = asyncio.run(_run(specs, output_dir, force, allow))
    return _report(states, problems, as_json)


def _agents(
    files: tuple[Path, ...],
    backends: tuple[str, ...],
    loops: tuple[str, ...],
    flags: dict[str, Any],
    models: Path | None,
) -> "dict[str, Spec]":
    """The spec of each agent, by its name; a run's id is ``NAME-agent``, where the spec gives one."""
    from attrs import evolve

    from orchestrator.cli.kit import spec_of_file, with_backend, with_loop
    from orchestrator.errors import UsageError

    one = loops[0] if len(loops) == 1 else None
    if len(loops) > 1:
        spec = spec_of_file(files[0], (), flags, models)
        named = {loop: with_loop(spec, loop) for loop in loops}
    elif backends:
        spec = with_loop(spec_of_file(files[0], (), flags, models), one)
        named = {backend: with_backend(spec, backend) for backend in backends}
    else:
        named = {}
        for path in files:
            if path.stem in named:
                raise UsageError(f"two specs are called {path.stem}; agents are named for their files")
            named[path.stem] = with_loop(spec_of_file(path, (), flags, models), one)
    return {
        name: evolve(spec, project_id=f"{spec.project_id}-{name}") if spec.project_id else spec
        for name, spec in named.items()
    }


class _Sessions:
    """The sessions of a pool, which a signal ends together: those that began, and those that begin after it."""

    def __init__(self) -> None:
        self._loops: list[Loop] = []
        self._cause: str | None = None

    def add(self, loop: "Loop") -> None:
        """Take a session before its first step."""
        self._loops.append(loop)
        if self._cause is not None:
            loop.interrupt(self._cause)

    def stop(self, cause: str) -> None:
        """End every session; at the second signal, the process."""
        from orchestrator.cli.kit import notice

        if self._cause is not None:
            notice("stopped at once; resume each of the runs above with: orchestrate resume")
            os._exit(INTERRUPTED)
        notice("stopping: calls in flight are recorded (Ctrl-C again to exit at once)")
        self._cause = cause
        for loop in self._loops:
            loop.interrupt(cause)


async def _run(
    specs: "Mapping[str, Spec]", output: Path | None, force: bool, allow: tuple[str, ...]
) -> "tuple[dict[str, ProjectState], dict[str, BaseException]]":
    """Run every agent to its end; one that fails stops no other."""
    from orchestrator.cli.kit import Engine, bound, prepare, project_state

    workspace = Engine.open(home())
    prepare(workspace.admission, allow)
    sessions = _Sessions()
    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup a hangup is to be ignored
            running.add_signal_handler(number, sessions.stop, number.name)
    states, problems = {}, {}
    try:
        places = {name: None if output is None else output / name for name in specs}
        specs = {  # all of them before the first begins, so that its progress is not between the questions
            name: bound(spec, workspace.admission, workspace.catalogue, output=places[name])
            for name, spec in specs.items()
        }
        ended = await asyncio.gather(
            *(_one(workspace, spec, places[name], force, sessions) for name, spec in specs.items()),
            return_exceptions=True,
        )
        for name, outcome in zip(specs, ended, strict=True):
            if isinstance(outcome, BaseException):
                problems[name] = outcome
            else:
                states[name] = project_state(outcome.state, outcome.run, outcome.head, outcome.texts.get)
    finally:
        workspace.close()
    return states, problems


async def _one(workspace: "Engine", spec: "Spec", output: Path | None, force: bool, sessions: "_Sessions") -> "RunEnd":
    from orchestrator.cli.kit import Watchers, notice

    def begin(session: "Session", loop: "Loop") -> None:
        sessions.add(loop)
        notice(f"{session.stream.run}: started")

    outcome = await workspace.start(spec, output=output, force=force, watchers=Watchers(on_session=begin, write=notice))
    finished = outcome.state.finished
    notice(f"{outcome.run}: {'interrupted' if finished is None else finished.status.value}")
    return outcome


def _report(states: "Mapping[str, ProjectState]", problems: "Mapping[str, BaseException]", as_json: bool) -> int:
    """Show the agents side by side, the best first; what was raised comes last."""
    from orchestrator.cli.kit import EXIT_CODES, print_table, result, result_json
    from orchestrator.errors import OrchestrateError
    from orchestrator_insight.agents import best_of, mean_score

    strange = [error for error in problems.values() if not isinstance(error, OrchestrateError)]
    if strange:
        raise strange[0]
    best = best_of(states)
    order = sorted(states, key=lambda name: (name != best, -mean_score(states[name]), states[name].budget.spent_usd))
    rows = [_row(name, states[name]) for name in order]
    why = _why(rows)
    if as_json:
        failed = {name: str(error) for name, error in problems.items()}
        result_json({"winner": best, "why": why, "agents": rows, "failed": failed})
    else:
        print_table(
            ("agent", "run", "status", "score", "cost", "seconds"),
            [
                *(_cells(row) for row in rows),
                *((name, "–", f"failed ({error})", "–", "–", "–") for name, error in problems.items()),
            ],
            right=("score", "cost", "seconds"),
            spare=("seconds", "score"),
        )
        result("")
        result(f"winner: {best} ({why})" if best else "there is no winner: no agent's run started")
    if best is None:
        codes = {code_of(error) for error in problems.values() if isinstance(error, OrchestrateError)}
        return codes.pop() if len(codes) == 1 else SYSTEM
    return INTERRUPTED if states[best].is_open else EXIT_CODES[states[best].status]


def _row(name: str, state: "ProjectState") -> dict[str, Any]:
    from orchestrator_insight.agents import mean_score

    return {
        "agent": name,
        "run_id": state.project_id,
        "status": "interrupted" if state.is_open else state.status.value,
        "score": round(mean_score(state), 4),
        "cost_usd": str(Usd.rounded(state.budget.spent_usd)),
        "seconds": round(state.budget.elapsed_seconds, 3),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    figures = (f"{row['score']:.3f}", money(Usd.parse(row["cost_usd"])), f"{row['seconds']:.1f}")
    return (row["agent"], row["run_id"], row["status"], *figures)


def _why(rows: list[dict[str, Any]]) -> str:
    """What decided between the first and the second."""
    if not rows:
        return ""
    if len(rows) == 1:
        return "the only one that ran"
    first, second = rows[0], rows[1]
    if first["score"] != second["score"]:
        return f"mean score {first['score']:.3f}, the next has {second['score']:.3f}"
    if first["cost_usd"] != second["cost_usd"]:
        costs = (money(Usd.parse(each["cost_usd"])) for each in (first, second))
        return f"the same score for {' rather than '.join(costs)}"
    return "the same score and cost; it was named first"


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return pool
