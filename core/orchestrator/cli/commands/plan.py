"""``orchestrate plan``: which model would be called for what, before a cent is spent."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import ShowGroup
from orchestrator.cli.commands.plan_edit import edit
from orchestrator.cli.logs.opening_logs import open_log_if_any
from orchestrator.cli.options.shared_options import (
    allow_option,
    backend_option,
    command,
    context_option,
    exact_option,
    home,
    home_option,
    json_option,
    loop_option,
    models_option,
    plugin_option,
    policy_option,
    set_option,
)
from orchestrator.cli.options.value_types import AMOUNT, FILE
from orchestrator.cli.running.forecast_table import plain_forecast, plain_plays, print_plays
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import line, money, notice, result, seconds
from orchestrator.cli.wording.code_words import DOING, REMOVED, UNMEASURED
from orchestrator.cli.wording.progress_wording import forecast_line
from orchestrator.cli.wording.shared_sentences import forbidden
from orchestrator.decide.compliance import binding
from orchestrator.engine.route_preview import Option, Route, RunOutlook, TaskRoute
from orchestrator.models import RejectionReason, Role
from orchestrator.policy import Policy

if TYPE_CHECKING:
    from orchestrator.engine.vendors.session_providers import Connected
    from orchestrator.events import Prior
    from orchestrator.spec import Spec

_NONE: Final = "–"
_NO_MODEL: Final = "no model"
_MOST_DETAILED: Final = 10
"""Tasks of which each model is shown unasked, at most."""
_NODES: Final = frozenset({"plan", "enhance", "advise"})
_OF_TASKS: Final = ("level", "task", "after")
_OF_TYPES: Final = ("type", "generate", "critique", "evaluate", "an iteration at worst")


@click.group(cls=ShowGroup, subcommand_metavar="[show] SPEC [OPTIONS] | edit RUN [OPTIONS]")
def plan() -> None:
    """Show a spec's tasks, the models for each, and a forecast; change the plan of a run."""


plan.add_command(edit)


@plan.command("show")
@click.argument("spec_file", metavar="SPEC", type=FILE)
@click.option("--budget", type=AMOUNT, help="The ceiling, in US dollars.")
@models_option
@set_option
@policy_option
@context_option
@backend_option
@loop_option
@click.option(
    "--simulate", "plays", type=click.IntRange(1, 100_000), metavar="N", help="Simulate the plan N times (Monte Carlo)."
)
@click.option(
    "--decompose", is_flag=True, help="Let a model make the plan. This costs money; resume continues the run."
)
@allow_option
@plugin_option
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Seed of the simulation. Equal seeds give equal results."
)
@click.option("--all", "everything", is_flag=True, help="Show the models of every task, of a long plan, too.")
@json_option
@exact_option
@home_option
def show(
    spec_file: Path,
    budget: Any,
    models: Path | None,
    sets: tuple[str, ...],
    policies: tuple[Path, ...],
    context: tuple[str, ...],
    backend: str | None,
    loop: str | None,
    plays: int | None,
    decompose: bool,
    allow: tuple[str, ...],
    seed: int,
    everything: bool,
    as_json: bool,
) -> int:
    """Show a spec's tasks, the models for each, and a forecast. Nothing is spent or recorded.

    '-' is the spec on stdin. A spec without tasks has no plan yet: --decompose lets a model make one, as the beginning
    of a run, and plan edit RUN changes it. --simulate N plays the plan N times (Monte Carlo) on outcomes drawn from
    what earlier runs measured.
    """
    from orchestrator.cli.running.asking_consent import prepare
    from orchestrator.cli.running.spec_from_options import bound, named_output, spec_of_file, with_backend, with_loop
    from orchestrator.engine.reading_given_files import gather
    from orchestrator.engine.route_preview import outlook, rehearse
    from orchestrator.engine.spec_checks import check_names, check_prices
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.engine.vendors.session_providers import connect
    from orchestrator.engine.vendors.user_admission import admission_of
    from orchestrator.plugins import Catalogue

    catalogue = Catalogue.discover()
    spec = with_backend(spec_of_file(spec_file, sets, {"budget_usd": budget}, models, context), backend)
    environment = Environment.of_process(lambda secret: None)
    admission = prepare(admission_of(catalogue, environment, home()), allow)
    spec = bound(with_loop(spec, loop), admission, catalogue, policies, named_output(spec), is_run=False)
    check_names(spec, catalogue, environment)
    gathered = gather(spec.named_files, Path(spec.folder), spec.stdin) if spec.named_files else None
    connected = connect(catalogue, spec, environment)
    check_prices(spec, connected)
    run = None
    if decompose and not spec.tasks:
        spec, run = _decomposed(spec)
    priors = _priors(connected)
    found = outlook(spec, connected, priors, gathered)
    played = None if plays is None else rehearse(spec, connected, priors, plays, seed, gathered)
    if as_json:
        simulated = None if played is None else plain_plays(played)
        result_json({**_plain(found), "simulated": simulated, "run_id": run})
    else:
        _print(found, run, {task.id: task.title for task in spec.tasks}, everything)
        if played is not None:
            result("")
            print_plays(played)
    return 0


def _decomposed(spec: "Spec") -> "tuple[Spec, str]":
    """The spec with the plan that a model makes of it, and the id of the run that was begun for it.

    Raises:
        UsageError: the run of the spec's id is past its plan.
        OrchestrateError: there is no plan; the message says why.
    """
    import asyncio

    from attrs import evolve

    from orchestrator.engine.loop import Loop
    from orchestrator.engine.runs import Engine
    from orchestrator.engine.session_lifetime import Watchers
    from orchestrator.errors import OrchestrateError
    from orchestrator.events import Event, PlanMade
    from orchestrator.spec import TaskSpec

    loops: list[Loop] = []

    def observe(version: int, at: int, event: Event) -> None:
        if isinstance(event, PlanMade):
            loops[0].interrupt("planned")

    workspace = Engine.open(home())
    try:
        watchers = Watchers(observers=[observe], on_session=lambda session, loop: loops.append(loop))
        outcome = asyncio.run(workspace.start(spec, watchers=watchers))
        state, get = outcome.state, outcome.texts.get
        if not state.planned:
            why = "it was interrupted" if state.finished is None else state.finished.status.value
            raise OrchestrateError(f"there is no plan: {why}; see: {command(f'explain {outcome.run}')}")
        tasks = tuple(
            TaskSpec(
                id=name,
                type=planned.type,
                prompt=get(planned.prompt),
                title=get(planned.title) if planned.title else None,
                dependencies=planned.dependencies,
            )
            for name in state.execution_order
            for planned in (state.tasks[name].planned,)
        )
        return evolve(spec, tasks=tasks), outcome.run
    finally:
        workspace.close()


def _priors(connected: "Connected") -> "tuple[Prior, ...]":
    """What earlier runs of the data folder measured; nothing where there is no log."""
    from orchestrator.errors import LogError
    from orchestrator.telemetry import measured, priors

    log = open_log_if_any()
    try:
        if log is None:
            return ()
        known = measured(log, keep=False).of(connected.simulated)
        return priors(known, connected.models)
    except LogError as error:
        notice(line(f"! what earlier runs measured is left out: {error}; see: {command('audit verify')}", 300))
        return ()


def _print(found: RunOutlook, run: str | None, titles: Mapping[str, str | None], everything: bool) -> None:
    """Write a plan: a table of the tasks, then for each its models. ``titles`` are those of the tasks, by id."""
    settings = found.settings
    if found.planning is not None:
        result(
            "the spec has no tasks; a model plans them; plan now (costs money) with: orchestrate plan SPEC --decompose"
        )
        _print_routes("plan", [found.planning], binding(settings, "plan"))
        result("")
    skipped = 0 if found.planning is None else len(_OF_TASKS)
    print_table(
        (*_OF_TASKS, *_OF_TYPES, "title")[skipped:],
        [(*_row(task), line(titles.get(task.task) or ""))[skipped:] for task in found.tasks],
        right=("level", "an iteration at worst"),
        spare=("evaluate", "critique", "level", "type", "generate"),
    )
    detailed = everything or len(found.tasks) <= _MOST_DETAILED
    if not detailed:
        result("the models of every task, and why: orchestrate plan SPEC --all")
    for task in found.tasks if found.planning is None and detailed else ():
        result("")
        _print_routes(task.task, task.routes, binding(settings, task.task))
    result("")
    if found.forecast is not None:
        result(forecast_line(found.forecast))
    result(f"ceiling {money(settings.cap)}; time limit {seconds(settings.time_limit)}")
    for warning in _warnings(found):
        notice(f"! {warning}")
    estimated = "amounts are worst cases, with estimated inputs; a run holds the exact bound"
    if run is None:
        notice(f"{estimated}; no model was called, nothing was spent")
    else:
        notice(f"{estimated}; the plan was made by run {run}, resume with: {command(f'resume {run}')}")


def _row(task: TaskRoute) -> tuple[str, ...]:
    by = {route.role: route.first.model if route.first else _NO_MODEL for route in task.routes}
    worst = task.iteration_hold
    return (
        str(task.level),
        task.task,
        ", ".join(task.dependencies) or _NONE,
        task.type.value,
        *(by.get(role, _NONE) for role in (Role.GENERATOR, Role.CRITIC, Role.EVALUATOR)),
        _NONE if worst is None else money(worst),
    )


def _print_routes(name: str, routes: tuple[Route, ...] | list[Route], policies: tuple[Policy, ...]) -> None:
    result(name)
    width = max(len(_doing(route)) for route in routes)
    for route in routes:
        first = route.first
        what = f"  {_doing(route):<{width}}  "
        if first is None:
            result(f"{what}{_NO_MODEL} is left")
        else:
            hold = "" if first.hold is None else f", at worst {money(first.hold)}{' each' if route.times > 1 else ''}"
            order = "" if route.backend == "row" else f", ranked by {route.backend}"
            waived = f" (waived: {first.waiver})" if first.waiver else ""
            result(f"{what}{first.model}{waived}{hold}{order}")
        then = ", ".join(_with_hold(option) for option in route.options if option.rejection is RejectionReason.RANKED)
        if then:
            result(f"  {'':<{width}}  then {then}")
        for option in route.options:
            if option.rejection not in (None, RejectionReason.RANKED):
                result(f"  {'':<{width}}  not {option.model}: {_why(option, policies)}")


def _doing(route: Route) -> str:
    what = "compare in pairs" if route.compares else DOING[route.role]
    return what + (f" × {route.times}" if route.times > 1 else "")


def _with_hold(option: Option) -> str:
    return option.model if option.hold is None else f"{option.model} ({money(option.hold)})"


def _why(option: Option, policies: tuple[Policy, ...]) -> str:
    if option.policy is not None:
        return forbidden(option.policy, next((policy for policy in policies if policy.name == option.policy), None))
    return "" if option.rejection is None else REMOVED[option.rejection]


def _warnings(found: RunOutlook) -> list[str]:
    """What the run could not do as it stands."""
    warnings = []
    if found.settings.backend_named and not found.measured:
        warnings.append(f"the backend knows no model yet; {UNMEASURED}")
    if found.planning is not None and (unseen := sorted({*found.settings.node_policies} - _NODES)):
        warnings.append(
            f"the policies of {', '.join(unseen)} name tasks that are not planned yet; they are not applied here"
        )
    for task in found.tasks:
        draft = task.routes[0].first
        if draft is None:
            warnings.append(f"{task.task}: no model is left for a draft")
        elif draft.hold is not None and draft.hold > found.settings.cap:
            warnings.append(
                f"{task.task}: a draft by {draft.model} may cost {money(draft.hold)}, more than the ceiling; the run"
                " would lower max_tokens or call another model"
            )
    return warnings


def _plain(found: RunOutlook) -> dict[str, Any]:
    settings, given = found.settings, found.planning is None
    tasks = [
        {
            "task": task.task,
            "type": task.type.value,
            "level": task.level,
            "dependencies": list(task.dependencies),
            "iteration_hold_usd": None if task.iteration_hold is None else str(task.iteration_hold),
            "routes": [_plain_route(route, binding(settings, task.task)) for route in task.routes],
        }
        for task in found.tasks
    ]
    return {
        "given": given,
        "planning": None if found.planning is None else _plain_route(found.planning, binding(settings, "plan")),
        "tasks" if given else "types": tasks,
        "cap_usd": str(settings.cap),
        "forecast": None if found.forecast is None else plain_forecast(found.forecast),
        "warnings": _warnings(found),
    }


def _plain_route(route: Route, policies: tuple[Policy, ...]) -> dict[str, Any]:
    return {
        "role": route.role.value,
        "times": route.times,
        "compares": route.compares,
        "max_tokens": route.max_tokens,
        "backend": route.backend,
        "model": route.first.model if route.first else None,
        "options": [
            {
                "model": option.model,
                "vendor": option.vendor,
                "hold_usd": None if option.hold is None else str(option.hold),
                "score": option.score,
                "rejection": option.rejection,
                "policy": option.policy,
                "why": None if option.rejection is None else _why(option, policies),
                "waiver": option.waiver,
                "max_tokens": option.max_tokens,
            }
            for option in route.options
        ],
    }
