"""Runs problems through the product in several arms: ``python -m benchmarks.quality --help``.

A cell (a problem in an arm) that is in the results file is not run again. The arms are the names of strategies, and
``default`` for a spec without ``loop``.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import Factory, define, frozen

from benchmarks.quality.cells import Cell, CellError, run_cell
from benchmarks.quality.grading import Grader
from benchmarks.quality.problems import Problem, ProblemError, read_problems
from benchmarks.quality.results import Results, ResultsError
from benchmarks.quality.shared_answers import SharedAnswers
from benchmarks.quality.specs import Settings, provider_fields, spec_of
from benchmarks.quality.table import markdown
from orchestrator.engine.checks import selector_for
from orchestrator.errors import OrchestrateError
from orchestrator.settings import SandboxChoice

_ARMS: Final = "plain,best_of,reviewed,cascade"


@frozen
class Round:
    """What is run, and how."""

    problems: Sequence[Problem]
    arms: Sequence[str]
    results: Results
    base_url: str
    api_key_env: str | None
    at_once: int

    @property
    def folder(self) -> Path:
        """Where the runs and the answers of the model are kept, beside the results."""
        return self.results.path.with_suffix(".runs")


@define
class _Errors:
    """What went wrong. After several in a row the round ends: the server is gone."""

    most_in_a_row: int
    found: list[str] = Factory(list)
    in_a_row: int = 0

    def add(self, error: Exception) -> None:
        self.found.append(str(error))
        self.in_a_row += 1

    @property
    def are_too_many(self) -> bool:
        return self.in_a_row > self.most_in_a_row


async def play(round_: Round) -> list[str]:
    """Run every cell that is not done, the arms of a problem one after the other; returns what went wrong."""
    grader, places = Grader(selector_for(SandboxChoice.AUTO)), asyncio.Semaphore(round_.at_once)
    errors = _Errors(round_.at_once)
    with SharedAnswers(round_.base_url, round_.folder / "answers") as answers:
        async with asyncio.TaskGroup() as group:
            for problem in round_.problems:
                group.create_task(_play_problem(round_, problem, answers, grader, places, errors))
    return errors.found


async def _play_problem(
    round_: Round,
    problem: Problem,
    answers: SharedAnswers,
    grader: Grader,
    places: asyncio.Semaphore,
    errors: _Errors,
) -> None:
    async with places:
        for arm in round_.arms:
            if (problem.id, arm) in round_.results.cells or errors.are_too_many:
                continue
            settings = round_.results.settings
            fields = provider_fields(settings, answers.base_url(problem.id, arm), round_.api_key_env)
            try:
                cell = await run_cell(problem, arm, settings, fields, round_.folder / arm / problem.id, grader)
            except (CellError, OrchestrateError) as error:
                errors.add(error)
                continue
            errors.in_a_row = 0
            round_.results.add(cell)
            print(_progress(cell), file=sys.stderr, flush=True)


def _progress(cell: Cell) -> str:
    verdict = "solved" if cell.solved else "not solved"
    return f"{cell.problem} {cell.arm}: {verdict}, {cell.calls} calls, {cell.tokens_in + cell.tokens_out} tokens"


def _check_arms(round_: Round) -> None:
    """Have every arm read once, before the first run.

    Raises:
        SpecError: the program knows no such arm.
    """
    settings = round_.results.settings
    for arm in round_.arms:
        spec_of(round_.problems[0], arm, settings, provider_fields(settings, round_.base_url), round_.folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--problems", type=Path, action="append", required=True, metavar="FILE.jsonl")
    parser.add_argument("--base-url", required=True, help="of a server that speaks OpenAI's /chat/completions")
    parser.add_argument("--model", action="append", required=True, metavar="ID", help="cheapest first")
    parser.add_argument("--arms", default=_ARMS, help="(default %(default)s; default: a spec without loop)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N problems of each file")
    parser.add_argument("--out", type=Path, default=Path("quality.json"), metavar="FILE.json")
    parser.add_argument("--context", type=int, default=8192, help="tokens of the models' windows (default %(default)s)")
    parser.add_argument("--max-tokens", type=int, help="output limit for code (default: the program's)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="runs at once (default %(default)s)")
    parser.add_argument("--api-key-env", metavar="NAME", help="the variable that holds the server's key")
    return parser


def _round(arguments: argparse.Namespace) -> Round:
    problems = [each for path in arguments.problems for each in read_problems([path])[: arguments.limit]]
    read_problems(arguments.problems)  # no id twice
    settings = Settings(tuple(arguments.model), arguments.context, arguments.max_tokens, seed=arguments.seed)
    arms = tuple(dict.fromkeys(arm.strip() for arm in arguments.arms.split(",") if arm.strip()))
    results = Results.open(arguments.out, settings)
    return Round(problems, arms, results, arguments.base_url, arguments.api_key_env, max(1, arguments.at_once))


def main(words: Sequence[str] | None = None) -> int:
    """Run what the words say; 0 where every cell is done, 2 for a mistake in them, 3 where a cell is missing."""
    arguments = _parser().parse_args(words)
    try:
        round_ = _round(arguments)
        _check_arms(round_)
    except (ProblemError, ResultsError, OrchestrateError) as error:
        print(f"quality: {error}", file=sys.stderr)
        return 2
    problems = asyncio.run(play(round_))
    for problem in problems:
        print(f"quality: {problem}", file=sys.stderr)
    wanted = {each.id for each in round_.problems}
    print(markdown((cell for cell in round_.results.cells.values() if cell.problem in wanted), round_.arms), end="")
    return 3 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
