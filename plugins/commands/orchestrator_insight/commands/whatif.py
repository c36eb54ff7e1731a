"""Replay a run under other policies, prices or budgets."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.kit import (
    AMOUNT,
    DOING,
    FILE,
    REMOVED,
    RUN,
    backend_option,
    exact_option,
    home_option,
    json_option,
    loop_option,
    money,
    notice,
    open_log,
    plugin_option,
    policy_option,
    print_table,
    result,
    result_json,
)
from orchestrator.errors import SpecError, UsageError
from orchestrator.models import RejectionReason, sample_words
from orchestrator.spi import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.cli.kit import Catalogue
    from orchestrator.models import Strategy, TaskType
    from orchestrator.money import Price, Usd
    from orchestrator.policy import Policy
    from orchestrator.reading import CallKey, EventLog, Rank, RunState, events
    from orchestrator_insight.rehearsal.whatif import ChangedCall, Side, Whatif

_NONE: Final = "–"
_UNFAITHFUL: Final = (
    "! under the run's own rules the replay differs from the record: the run was interrupted, resumed, forked, raised"
    " or reconciled, or bound by accounts; compare 'played again' with 'then'"
)
_NOT_MADE: Final = {"not_called": "not called any more", "no_money": "no money", "new": "new"}


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@policy_option
@backend_option
@click.option(
    "--parameters",
    metavar="JSON",
    help="What the backend is built with, such as '{\"epsilon\": 0.1}'; belongs to --backend.",
)
@plugin_option
@loop_option
@click.option("--prices", type=FILE, metavar="FILE", help="A models file whose prices replace the run's.")
@click.option("--budget", type=AMOUNT, help="Another ceiling, in US dollars.")
@json_option
@exact_option
@home_option
def whatif(
    run_id: str,
    policies: tuple[Path, ...],
    backend: str | None,
    parameters: str | None,
    loop: str | None,
    prices: Path | None,
    budget: Any,
    as_json: bool,
) -> int:
    """Replay a recorded run under other policies, prices, backends or budgets. No model is called.

    A call of the same model costs what its recorded tokens cost under the prices given. For another model the quality
    is unknown, and the recorded answer is used. Nothing is recorded.
    """
    from orchestrator.cli.kit import whole_run

    log = open_log(run_id)
    if parameters is not None and backend is None:
        raise UsageError("--parameters belongs to --backend; name one, also where it is the run's own")
    built_with = _parameters(parameters)
    found, recorded, is_here = _decided_again(
        log, whole_run(log, run_id), policies, backend, built_with, loop, prices, budget
    )
    if as_json:
        result_json(_plain(found, recorded))
    else:
        _print(found, recorded)
    if not is_here:
        notice("! the run's backend is not installed as it was: the routing table's order is used instead")
    if not found.faithful:
        notice(_UNFAITHFUL)
    return 0


def for_programs(
    log: "EventLog",
    run: str,
    policies: tuple[Path, ...],
    backend: str | None,
    parameters: "Mapping[str, Any]",
    loop: str | None,
    prices: Path | None,
    budget: "Usd | None",
) -> dict[str, Any]:
    """What ``--json`` gives, for programs; see the command.

    Raises:
        UsageError: no decision was made yet.
        SpecError: a file cannot be used.
    """
    found, recorded, is_here = _decided_again(log, run, policies, backend, parameters, loop, prices, budget)
    return {**_plain(found, recorded), "backend_is_here": is_here}


def _decided_again(
    log: "EventLog",
    run: str,
    policies: tuple[Path, ...],
    backend: str | None,
    parameters: "Mapping[str, Any]",
    loop: str | None,
    prices: Path | None,
    budget: "Usd | None",
) -> "tuple[Whatif, RunState, bool]":
    """The comparison, the recorded run, and whether the run's own backend is installed as it was."""
    from orchestrator.cli.kit import Catalogue, rank_of
    from orchestrator.reading import events, fold
    from orchestrator_insight.rehearsal.whatif import Rules
    from orchestrator_insight.rehearsal.whatif import whatif as decide_again

    history = [(record.at, record.event) for record in log.read(run)]
    sessions = [event for _, event in history if isinstance(event, events.SessionOpened)]
    if not sessions or not isinstance(history[0][1], events.RunStarted):
        raise UsageError(f"no decision was made in {run} yet")
    catalogue = Catalogue.discover()
    own, is_here = _own_rank(rank_of(catalogue)(sessions[-1]))
    named, rank = (None, own) if backend is None else _backend(catalogue, backend, parameters)
    recorded = fold(history)
    everywhere, by_node = _policies(policies, recorded, sessions[-1], catalogue)
    rules = Rules(
        policies=everywhere,
        node_policies=by_node,
        prices={} if prices is None else _prices(prices, sessions[-1]),
        cap=budget,
        backend=named,
        loop=_loop(loop),
    )
    return decide_again(history, rules, rank, own), recorded, is_here


def _loop(name: str | None) -> "dict[TaskType, Strategy] | None":
    """The strategies of a flag, by type."""
    from orchestrator.cli.kit import spec_from, with_loop

    return None if name is None else with_loop(spec_from("-", "-"), name).settings(simulated=False).loop


def _own_rank(rank: "Rank | None") -> "tuple[Rank | None, bool]":
    """The ranking of the run's backend, and whether it is here."""
    from orchestrator.reading import UnavailableBackendError

    if rank is None:
        return None, True
    try:
        rank((), {}, 0.5)
    except UnavailableBackendError:
        return None, False
    except Exception:
        return rank, True  # what it makes of nothing does not matter
    return rank, True


def _parameters(text: str | None) -> dict[str, Any]:
    """The parameters of a flag: a JSON object.

    Raises:
        UsageError: it is none.
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--parameters: this is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f'--parameters: expected a JSON object, such as {{"epsilon": 0.1}}, found {text:.80}')
    return found


def _backend(catalogue: "Catalogue", name: str, parameters: "Mapping[str, Any]") -> "tuple[events.PluginUsed, Rank]":
    from orchestrator.cli.kit import ranking

    return catalogue.used("backend", name, parameters), ranking(catalogue, name, parameters)


def _policies(
    files: tuple[Path, ...], run: "RunState", session: "events.SessionOpened", catalogue: "Catalogue"
) -> "tuple[tuple[Policy, ...], Mapping[str, tuple[Policy, ...]]]":
    """The policies of the files, as they bind a run of this team and job with these tasks, and those of single nodes.

    Raises:
        SpecError: a name in them is neither one of the run's nor of anything installed.
    """
    if not files:
        return (), {}
    from attrs import evolve

    from orchestrator.cli.kit import check_policy_names, parse_spec, with_policies

    fields: dict[str, Any] = {"project": "-", "criteria": "-"}
    if run.tasks:
        fields["tasks"] = [{"id": name, "type": task.planned.type, "prompt": "-"} for name, task in run.tasks.items()]
    for account in run.settings.accounts:
        level, _, name = account.partition("/")
        if level in ("team", "job"):
            fields["team" if level == "team" else "job_id"] = name
    spec = with_policies(parse_spec(fields, "whatif"), files, catalogue)
    check_policy_names(evolve(spec, models=session.models), catalogue)
    settings = spec.settings(False)
    return tuple(settings.policies), settings.node_policies


def _prices(path: Path, session: "events.SessionOpened") -> "dict[str, Price]":
    """The prices of a models file, for models of the run.

    Raises:
        SpecError: it cannot be used, or has no price of any of them.
    """
    from orchestrator.cli.kit import read_models

    known = {model.id for model in session.models}
    found = {model.id: model.price for model in read_models(path) if model.price is not None}
    if not known & found.keys():
        raise SpecError([f"{path}: it has no price of any model of the run: {', '.join(sorted(known))}"])
    return {model: price for model, price in found.items() if model in known}


def _print(found: "Whatif", recorded: "RunState") -> None:
    sides = (("as it was" if found.faithful else "played again", found.was), ("then", found.now))
    rows = [
        (name, _status(side), str(side.calls), str(len(side.refused)), money(side.spend), money(side.exact))
        for name, side in sides
    ]
    if not found.faithful:
        rows.insert(0, ("as it was", _recorded_status(recorded), _NONE, _NONE, money(recorded.spend.total), _NONE))
    print_table(
        ("", "status", "calls", "refused", "spend", "exact part"),
        rows,
        right=("calls", "refused", "spend", "exact part"),
    )
    result("")
    result(
        f"difference {_signed(found.difference.nano)}, {_signed(found.repriced.nano)} of it by unchanged calls (exact)"
    )
    if found.changes:
        result("")
        print_table(("call", "was", "then", "why", "quality"), [_row(change) for change in found.changes])
    for title, refused in _refusals(found):
        result("")
        result(title)
        for each in refused:
            result(f"  {_name(each)}")
    notice("no model was called, nothing was recorded")


def _signed(nano: int) -> str:
    from orchestrator.money import Usd

    return ("+" if nano > 0 else "") + money(Usd(nano))


def _status(side: "Side") -> str:
    return "waits" if side.status is None else side.status.value


def _recorded_status(recorded: "RunState") -> str:
    return "open" if recorded.finished is None else recorded.finished.status.value


def _name(key: "CallKey") -> str:
    return f"{key.node} {DOING[key.role]}, iteration {key.iteration}{sample_words(key.sample)}"


def _row(change: "ChangedCall") -> tuple[str, ...]:
    quality = _NONE if change.now is None else "unknown"
    return _name(change.key), change.was or _NONE, change.now or _NONE, _why(change), quality


def _why(change: "ChangedCall") -> str:
    from orchestrator_insight.rehearsal.whatif import ChangeReason

    if change.policy is not None:
        return f"policy {change.policy!r} forbids it"
    if isinstance(change.why, ChangeReason):
        return _NOT_MADE[change.why.value]
    return "another comes first" if change.why is RejectionReason.RANKED else REMOVED[change.why]


def _refusals(found: "Whatif") -> "list[tuple[str, list[CallKey]]]":
    """Calls that only one of the two has no money for."""
    was, now = ({each.key for each in side.refused} for side in (found.was, found.now))
    both = (("no money then:", sorted(now - was)), ("no money as it was, enough then:", sorted(was - now)))
    return [(title, keys) for title, keys in both if keys]


def _plain(found: "Whatif", recorded: "RunState") -> dict[str, Any]:
    return {
        "faithful": found.faithful,
        "recorded": {"status": _recorded_status(recorded), "spend_usd": str(recorded.spend.total)},
        "was": _plain_side(found.was),
        "then": _plain_side(found.now),
        "difference_usd": str(found.difference),
        "repriced_usd": str(found.repriced),
        "changes": [
            {
                **_plain_key(change.key),
                "was": change.was,
                "then": change.now,
                "why": change.why,
                "policy": change.policy,
                "quality": None if change.now is None else "unknown",
            }
            for change in found.changes
        ],
    }


def _plain_side(side: "Side") -> dict[str, Any]:
    return {
        "status": None if side.status is None else side.status.value,
        "spend_usd": str(side.spend),
        "exact_usd": str(side.exact),
        "calls": side.calls,
        "refused": [
            {**_plain_key(each.key), "need_usd": str(each.need), "free_usd": str(each.free)} for each in side.refused
        ],
    }


def _plain_key(key: "CallKey") -> dict[str, Any]:
    return {"task": key.node, "role": key.role.value, "iteration": key.iteration, "sample": key.sample}


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return whatif
