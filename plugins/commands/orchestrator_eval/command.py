"""Compare strategies, models, prompts or backends on graded cases."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.kit import (
    AMOUNT,
    FILE,
    OUTPUT,
    OUTPUT_OR_STDOUT,
    RUN,
    STDOUT,
    TASK,
    CommandGroup,
    allow_option,
    check_junit,
    check_target,
    command,
    exact_option,
    home,
    home_option,
    json_option,
    line,
    models_files,
    models_option,
    money,
    notice,
    plugin_option,
)
from orchestrator.models import Lane
from orchestrator.spi import hookimpl
from orchestrator_eval.result_output import list_evaluations, show_result

if TYPE_CHECKING:
    from orchestrator.cli.kit import Engine
    from orchestrator_eval.cell_matrix import Cell, EvalPlan
    from orchestrator_eval.evaluation import Evaluation
    from orchestrator_eval.runner import CellGrade

_PERCENT: Final = 100.0
_JOBS: Final = 4
_JOBS_IN_BATCHES: Final = 100
"""A cell that waits for a batch costs next to nothing."""
_jobs = click.option(
    "--jobs",
    type=click.IntRange(1, 100),
    help=f"Cells at once. [default: {_JOBS}, in the lane batch {_JOBS_IN_BATCHES}]",
)


class _Share(click.ParamType[float]):
    """A share: 0.8 or 80%."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or fail with a usage error."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (_PERCENT if text.endswith("%") else 1.0)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share: write 0.8 or 80%", param, ctx)
        return share


def _outputs(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options for the forms of a result, and for its bar."""
    for option in reversed(
        (
            json_option,
            exact_option,
            click.option(
                "--markdown", type=OUTPUT_OR_STDOUT, metavar="FILE", help="Write the result as Markdown ('-': stdout)."
            ),
            click.option("--junit", type=OUTPUT, metavar="FILE", help="Write the result as JUnit XML."),
            click.option(
                "--out", type=OUTPUT, metavar="FILE", help="Write the result as JSON, for a later --baseline."
            ),
            click.option("--baseline", type=FILE, metavar="FILE", help="An earlier result: a regression exits 100."),
            click.option("--strict", is_flag=True, help="One lost case is a regression, whatever chance says."),
            click.option(
                "--fail-below", type=_Share(), metavar="X", help="Exit 100 where an arm solves less: 0.8, 80%."
            ),
        )
    ):
        function = option(function)
    return function


@click.group("eval", cls=CommandGroup)
def eval_() -> None:
    """Prove which strategy, model, prompt or backend pays: cases, graders that no model sees, arms compared."""


@eval_.command("run")
@click.argument("suite_file", metavar="SUITE", type=FILE)
@click.option(
    "--vary", multiple=True, metavar="KEY=A,B", help="Compare values: loop, models, model, backend, prompts, or a key."
)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a key of the spec in every arm.")
@click.option(
    "--repeat", type=click.IntRange(1, 1000), default=1, show_default=True, help="Answers to each case in each arm."
)
@models_option
@click.option("--limit", type=click.IntRange(1), help="Only the first N cases.")
@click.option("--case", "cases", multiple=True, metavar="ID", help="Only this case.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only cases with this tag.")
@click.option("--budget", type=AMOUNT, help="The ceiling of the whole evaluation, in US dollars.")
@click.option("--lane", type=click.Choice([each.value for each in Lane]), help="batch: call models in batches.")
@_jobs
@click.option("--name", metavar="NAME", help="The evaluation's name. The same name again goes on with it.")
@click.option("--no-controls", is_flag=True, help="Leave out the control arms: plain, and the best single model.")
@click.option("--teach", is_flag=True, help="Let the grades count in which models later runs call.")
@click.option("--dry-run", is_flag=True, help="Check the suite and print the forecast; spend nothing.")
@allow_option
@plugin_option
@_outputs
@home_option
def run(
    suite_file: Path,
    vary: tuple[str, ...],
    sets: tuple[str, ...],
    repeat: int,
    models: Path | None,
    limit: int | None,
    cases: tuple[str, ...],
    tags: tuple[str, ...],
    budget: Any,
    lane: str | None,
    jobs: int | None,
    name: str | None,
    no_controls: bool,
    teach: bool,
    dry_run: bool,
    allow: tuple[str, ...],
    **outputs: Any,
) -> int:
    """Run a suite in every arm, grade every answer, and compare the arms.

    Interrupted or killed, the same command goes on: no cell is run twice. Exit codes: 0 done, 2 usage or suite,
    3 cells without a grade, 4 the ceiling was reached, 100 below the bar or worse than the baseline, 130 interrupted.
    """
    from attrs import evolve

    from orchestrator_eval.arms import arms_of, with_models
    from orchestrator_eval.cell_matrix import chosen
    from orchestrator_eval.evaluation import Evaluation, name_for, prepared
    from orchestrator_eval.evaluation_state import folded
    from orchestrator_eval.preflight import check_graders
    from orchestrator_eval.suite_file import read_suite

    _check_name(name)
    _check_outputs(outputs)
    sets = sets if lane is None else (*sets, f"lane={lane}")
    suite = with_models(read_suite(suite_file), models_files(models))
    suite = evolve(suite, cases=chosen(suite, cases, tags, limit))
    arms = arms_of(vary, sets)
    with _workspace(allow) as workspace:
        plan, connected, bench = prepared(workspace, suite, arms, sets, repeat, controls=not no_controls)
        found = name_for(workspace, suite, name, plan)
        if folded(workspace.log, found).started is None:  # else they were checked
            check_graders(suite, bench)
        _print_forecast(workspace, plan, found, budget or suite.budget)
        if dry_run:
            return 0
        evaluation = Evaluation(workspace, found, plan, connected.simulated, bench)
        code = _played(evaluation, budget, jobs, outputs)
        if teach:
            _teach(evaluation, True)
        return code


@eval_.command("retry")
@click.argument("name", metavar="NAME")
@click.option("--errors", is_flag=True, help="Run the cells that are errors once more.")
@click.option("--budget", type=AMOUNT, help="Another ceiling of the whole evaluation, in US dollars.")
@_jobs
@allow_option
@plugin_option
@_outputs
@home_option
def retry(name: str, errors: bool, budget: Any, jobs: int | None, allow: tuple[str, ...], **outputs: Any) -> int:
    """Go on with an evaluation: the cells without a grade, and with --errors those that are errors."""
    from orchestrator.models import CellOutcome
    from orchestrator_eval.evaluation import known_evaluation

    _check_outputs(outputs)
    with _workspace(allow) as workspace:
        again = (CellOutcome.ERROR,) if errors else ()
        return _played(known_evaluation(workspace, name), budget, jobs, outputs, again)


@eval_.command("grade")
@click.argument("suite_file", metavar="SUITE", type=FILE)
@click.option("--again", is_flag=True, required=True, help="Grade the recorded answers by the suite's graders of now.")
@click.option("--name", metavar="NAME", help="The evaluation. [default: the latest one of the suite]")
@click.option("--case", "cases", multiple=True, metavar="ID", help="Only this case.")
@allow_option
@plugin_option
@_outputs
@home_option
def grade(
    suite_file: Path, again: bool, name: str | None, cases: tuple[str, ...], allow: tuple[str, ...], **outputs: Any
) -> int:
    """Grade recorded answers once more, by other graders. No model is called, nothing is spent."""
    from attrs import evolve

    from orchestrator_eval.cell_matrix import chosen
    from orchestrator_eval.evaluation import known_evaluation
    from orchestrator_eval.preflight import check_graders
    from orchestrator_eval.suite_file import read_suite

    _check_outputs(outputs)
    suite = read_suite(suite_file)
    suite = evolve(suite, cases=chosen(suite, cases, (), None))
    with _workspace(allow) as workspace:
        evaluation = known_evaluation(workspace, name or _latest(workspace, suite.name))
        suite = evolve(suite, cases=tuple(_also_there(suite.cases, evaluation.plan)))
        check_graders(suite, evaluation.bench)
        changed = asyncio.run(evaluation.regrade(suite, _progress(evaluation)))
        notice(f"{evaluation.name}: {changed} grades changed")
        return show_result(evaluation.result(), outputs, "")


@eval_.command("teach")
@click.argument("name", metavar="NAME")
@click.option("--remove", is_flag=True, help="Take back what was taught.")
@home_option
def teach(name: str, remove: bool) -> int:
    """Let the grades of an evaluation count in which models later runs call, or no longer."""
    from orchestrator_eval.evaluation import known_evaluation

    with _workspace() as workspace:
        _teach(known_evaluation(workspace, name, grades=False), not remove)
    return 0


@eval_.command("show")
@click.argument("name", metavar="[NAME]", required=False)
@_outputs
@home_option
def show(name: str | None, **outputs: Any) -> int:
    """Show the result of an evaluation, finished or not; without a name, list them."""
    from orchestrator_eval.evaluation import known_evaluation

    _check_outputs(outputs)
    with _workspace() as workspace:
        if name is None:
            return list_evaluations(workspace, outputs["as_json"])
        return show_result(known_evaluation(workspace, name, grades=False).result(), outputs, "")


@eval_.command("add")
@click.argument("run_id", metavar="RUN", type=RUN)
@click.argument("task", metavar="TASK", type=TASK)
@click.option("--to", "suite_file", type=FILE, required=True, metavar="SUITE", help="The suite file to add it to.")
@click.option("--id", "case", metavar="ID", help="The id of the case. [default: the task's]")
@click.option("--oracle", type=FILE, metavar="FILE", help="A right answer. [default: the run's own output]")
@click.option("--grade", "grader", type=FILE, metavar="FILE", help="A grader: .py tests, .json a schema.")
@home_option
def add(run_id: str, task: str, suite_file: Path, case: str | None, oracle: Path | None, grader: Path | None) -> int:
    """Make a case of a task of a run, and add it to a suite: what went wrong once is asked for ever after."""
    from orchestrator_eval.added_cases import add_case

    with _workspace() as workspace:
        added = add_case(workspace, run_id, task, suite_file, case, oracle, grader)
    notice(f"added the case {line(added)} to {line(str(suite_file))}")
    notice(f"check it with: {command(f'eval run {suite_file} --dry-run')}")
    return 0


def _teach(evaluation: "Evaluation", on: bool) -> None:
    asyncio.run(evaluation.teach(on))
    name = evaluation.name
    if on:
        notice(f"the grades of {name} count from now on; take back with: {command(f'eval teach {name} --remove')}")
    else:
        notice(f"the grades of {name} no longer count")


@contextmanager
def _workspace(allow: tuple[str, ...] = ()) -> "Iterator[Engine]":
    from orchestrator_eval.evaluation import open_workspace

    workspace = open_workspace(home(), allow)
    try:
        yield workspace
    finally:
        workspace.close()


def _check_outputs(outputs: dict[str, Any]) -> None:
    """Refuse what could not be read or written in the end, before money is spent."""
    from orchestrator_eval.result_json import FORMAT, read_baseline
    from orchestrator_eval.result_lines import HEADING

    if outputs["as_json"] and outputs["markdown"] == STDOUT:
        raise click.UsageError("--json and --markdown - both write to stdout; give one of them")
    if outputs["baseline"] is not None:
        read_baseline(outputs["baseline"])
    check_junit(outputs["junit"])
    if outputs["out"] is not None:
        mark = f'"format": "{FORMAT}"'.encode()
        check_target("--out", outputs["out"], lambda found: mark in found, "result of an evaluation")
    if outputs["markdown"] is not None and outputs["markdown"] != STDOUT:
        heading = HEADING.encode()
        check_target(
            "--markdown", outputs["markdown"], lambda found: found.startswith(heading), "page of an evaluation"
        )


def _check_name(name: str | None) -> None:
    from orchestrator.cli.kit import IDENTIFIER, Place, Refused
    from orchestrator.errors import UsageError

    try:
        if name is not None:
            IDENTIFIER.read(name, Place("--name"))
    except Refused:
        raise UsageError(f"--name {line(name or '')}: {IDENTIFIER.hint}") from None


def _latest(workspace: "Engine", suite: str) -> str:
    from orchestrator.errors import UsageError
    from orchestrator_eval.evaluation_state import names

    found = [each for each in names(workspace.log) if each == suite or each.startswith(f"{suite}-")]
    if not found:
        raise UsageError(f"there is no evaluation of the suite {suite}; see: {command('eval show')}")
    return found[-1]


def _also_there(cases: "Sequence[Any]", plan: "EvalPlan") -> Iterator[Any]:
    from orchestrator.errors import UsageError

    known = {case.id for case in plan.suite.cases}
    found = [case for case in cases if case.id in known]
    if not found:
        raise UsageError("the evaluation has none of these cases")
    yield from found


def _print_forecast(workspace: "Engine", plan: "EvalPlan", name: str, ceiling: Any) -> None:
    from orchestrator.money import Usd
    from orchestrator_eval.evaluation import forecast

    arms = forecast(workspace, plan)
    expected = Usd(sum(each.nano for _, each in arms))
    notice(f"{name}: {len(plan.suite.cases)} cases × {len(plan.arms)} arms × {plan.repetitions} = {plan.size} cells")
    for arm, cost in arms:
        notice(f"  {line(arm)}: about {money(cost)}")
    notice(f"forecast {money(expected)}, ceiling {money(ceiling)}")
    if expected > ceiling:
        notice(
            "! the forecast is above the ceiling: cells that it does not reach have no grade; raise it with --budget"
        )


def _progress(evaluation: "Evaluation") -> "Callable[[Cell, CellGrade], None]":
    arms, size = evaluation.plan.arms, evaluation.plan.size
    done = 0

    def report(cell: "Cell", grade: "CellGrade") -> None:
        nonlocal done
        done += 1
        problem = (
            f" ({grade.problem.value}): {line(grade.details or grade.sheet.details, 120)}" if grade.problem else ""
        )
        notice(f"{done}/{size} {line(cell.case)}, {line(arms[cell.arm - 1].name)}: {grade.outcome.value}{problem}")

    return report


def _played(
    evaluation: "Evaluation", budget: Any, jobs: int | None, outputs: dict[str, Any], again: "Sequence[Any]" = ()
) -> int:
    jobs = jobs or (_JOBS_IN_BATCHES if evaluation.plan.is_batched else _JOBS)
    left = asyncio.run(evaluation.play(budget, jobs, _progress(evaluation), again=again))
    if left == "signal":
        notice(f"interrupted; the same command goes on, and: {command(f'eval retry {evaluation.name}')}")
    elif left == "budget":
        notice(f"! the ceiling is reached; go on with: {command(f'eval retry {evaluation.name}')} --budget USD")
    elif left == "errors":
        notice("! too many errors one after the other: nothing more was begun")
    return show_result(evaluation.result(), outputs, left)


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the group of commands."""
    return eval_
