"""What a shell completes: the names of tasks, models, backends, providers, strategies, plugins and accounts."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import click
from click.shell_completion import CompletionItem


def completed(context: click.Context, begun: str, names: Callable[[], Iterable[str]]) -> list[CompletionItem]:
    """The names that begin so; none where they cannot be found out, because a shell shows no error."""
    try:
        with context:  # for the data folder of the command line
            return [CompletionItem(name) for name in dict.fromkeys(names()) if name.startswith(begun)]
    except Exception:
        return []


class NameParam(click.ParamType[str]):
    """A text that is usually one of some names; only a shell is told them.

    Args:
        name: what is named.
        names: the names, for a command line so far.
    """

    def __init__(self, name: str, names: Callable[[click.Context], Iterable[str]]) -> None:
        self.name = name
        self._names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is; the command says what is wrong with it."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so."""
        return completed(ctx, incomplete, lambda: self._names(ctx))


def _tasks(context: click.Context) -> Iterable[str]:
    from orchestrator.cli.options.shared_options import has_log, home
    from orchestrator.events import PLAN
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.plugins.store_of_folder import open_log_to_read

    run = context.params.get("run_id")
    if run is None or not has_log():
        return []
    log = open_log_to_read(home(), EventLog)
    try:
        return [*dict.fromkeys(row["task_id"] for row in log.view("tasks", {"run_id": run})), PLAN]
    finally:
        log.close()


def _models(context: click.Context) -> Iterable[str]:
    from orchestrator.engine.vendors.environment import Environment
    from orchestrator.engine.vendors.provider_survey import offers_of, survey
    from orchestrator.plugins import Catalogue

    offers = offers_of(survey(Catalogue.discover(), Environment.of_process(lambda secret: None)))
    return [*sorted(offers.slots), *sorted(model.id for model in offers.models)]


def _plugins(kind: str) -> Callable[[click.Context], Iterable[str]]:
    def names(context: click.Context) -> Iterable[str]:
        from orchestrator.plugins import Catalogue

        return sorted(entry.name for entry in Catalogue.discover().entries() if kind in ("", entry.kind))

    return names


def _strategies(context: click.Context) -> Iterable[str]:
    from orchestrator.decide.strategies import STRATEGIES

    return STRATEGIES


def _statuses(context: click.Context) -> Iterable[str]:
    from orchestrator.past_runs.run_list import STATUSES

    return STATUSES


def _accounts(context: click.Context) -> Iterable[str]:
    from orchestrator.cli.options.shared_options import has_log, home
    from orchestrator.engine.accounts import account_names
    from orchestrator.ledger.accounts import called
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.plugins.store_of_folder import open_log_to_read

    if not has_log():
        return []
    log = open_log_to_read(home(), EventLog)
    try:
        return [called(name, simulated) for name, simulated in account_names(log)]
    finally:
        log.close()


def provider_names() -> list[str]:
    """The providers that are installed."""
    from orchestrator.plugins import Catalogue

    return sorted(entry.name for entry in Catalogue.discover().entries("provider"))


STATUS: Final = NameParam("status", _statuses)
TASK: Final = NameParam("task", _tasks)
MODEL: Final = NameParam("model", _models)
BACKEND: Final = NameParam("backend", _plugins("backend"))
EXPORTER: Final = NameParam("exporter", _plugins("exporter"))
PLUGIN: Final = NameParam("plugin", _plugins(""))
STRATEGY: Final = NameParam("strategy", _strategies)
ACCOUNT: Final = NameParam("account", _accounts)
PROVIDER: Final = NameParam("provider", lambda context: provider_names())
