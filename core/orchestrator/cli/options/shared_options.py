"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from orchestrator.cli.options.shell_completion import BACKEND, PLUGIN, STRATEGY
from orchestrator.cli.options.value_types import FILE, OUTPUT

if TYPE_CHECKING:
    from orchestrator.ledger.event_log import EventLog

F = TypeVar("F", bound=Callable[..., Any])

_HOME: Final = "orchestrate.home"
_HOMES: Final[list[Path]] = []
"""The data folder of the latest command line, for what is said after its end."""


def _remember_home(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None:
        context.meta[_HOME] = value
        _HOMES[:] = [value]
    return value


def _remember_store(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from orchestrator.plugins.store_of_folder import choose_store

    if value is not None:
        choose_store(value)
        context.find_root().call_on_close(lambda: choose_store(None))
    return value


def context_option(command: F) -> F:
    """Add ``--context``."""
    return click.option(
        "--context",
        "context",
        multiple=True,
        metavar="PATH",
        help="A file, folder or pattern that the run works with ('-': stdin). May be repeated.",
    )(command)


def home_option(command: F) -> F:
    """Add ``--home``; the innermost one given counts."""
    return click.option(
        "--home",
        type=FILE,
        expose_value=False,
        is_eager=True,
        callback=_remember_home,
        help="The data folder. [default: $ORCHESTRATE_HOME, else the platform's]",
    )(_store_option(command))


def _store_option(command: F) -> F:
    return click.option(
        "--store",
        metavar="URL",
        expose_value=False,
        is_eager=True,
        callback=_remember_store,
        help="Where the event log is, such as sqlite:FOLDER. [default: $ORCHESTRATE_STORE, else the data folder]",
    )(command)


def given_home() -> Path | None:
    """The data folder of the command line, or None."""
    home: Path | None = click.get_current_context().meta.get(_HOME)
    return home


def home_of_latest() -> Path | None:
    """The data folder of the command line that has just ended, or None."""
    return _HOMES[-1] if _HOMES else None


def home() -> Path:
    """The data folder; it may not exist yet. It may also be a database alone, such as of a bundle: to read.

    Raises:
        UsageError: it is something else, or must not be looked into.
    """
    import os

    from orchestrator.engine.vendors.environment import data_folder
    from orchestrator.errors import UsageError
    from orchestrator.log.sqlite import is_database

    folder = data_folder(given_home(), os.environ)
    try:
        if folder.exists() and not folder.is_dir() and not is_database(folder):
            raise UsageError(f"{folder} is no folder; name another data folder with --home")
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}; name another data folder with --home") from error
    return folder


def command(words: str) -> str:
    """A command for the user to type, on this data folder."""
    import shlex

    folder = given_home()
    return f"orchestrate {words}" if folder is None else f"orchestrate {words} --home {shlex.quote(str(folder))}"


def has_log() -> bool:
    """Whether the data folder has an event log; one that does not exist yet has none.

    Raises:
        UsageError: the data folder is no folder, or must not be looked into.
    """
    from orchestrator.errors import UsageError
    from orchestrator.plugins.store_of_folder import has_store

    folder = home()
    try:
        return has_store(folder)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}; name another data folder with --home") from error


def existing_run(log: "EventLog", run: str, *, or_account: bool = False, or_archived: bool = False) -> str:
    """The id of a run that is in the log; with ``or_account`` it may be the stream of an account.

    Raises:
        UsageError: there never was one, or it is archived and may not be.
        DamagedLogError: there was one, and all of it is gone.
    """
    from orchestrator.errors import DamagedLogError, UsageError
    from orchestrator.ledger.accounts import is_account
    from orchestrator.log import read_heads
    from orchestrator.log.stream_names import EVAL, is_evaluation, is_worker

    if is_account(run) and not or_account:
        raise UsageError(f"{run!r} is an account, no run; see: {command('budget show')}")
    if is_evaluation(run) and not or_account:
        raise UsageError(f"{run!r} is an evaluation, no run; see: {command(f'eval show {run.removeprefix(EVAL)}')}")
    if is_worker(run) and not or_account:
        raise UsageError(f"{run!r} is a worker, no run; see: {command('workers list')}")
    if log.last(run) is None:
        if any(saved.run == run for saved in read_heads(home())):
            text = f"every event of {run} is missing, and heads.jsonl has a head of it"
            raise DamagedLogError(0, f"{text}; see: {command(f'audit verify {run}')}")
        raise UsageError(f"there is no run {run!r} in {home()}; see: {command('runs list')}")
    if not or_archived:
        log.refuse_archived(run)
    return run


def _in_environment(name: str, value: str) -> None:
    """Set a variable until the command has ended."""
    import os

    before = os.environ.get(name)
    os.environ[name] = value

    def restore() -> None:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

    click.get_current_context().call_on_close(restore)


def _disable(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> None:
    if names:
        import os

        already = os.environ.get("ORCHESTRATE_DISABLE_PLUGINS", "")
        _in_environment("ORCHESTRATE_DISABLE_PLUGINS", ",".join(filter(None, [already, *names])))


def _add_plugins(context: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    if files:
        import os

        already = os.environ.get("ORCHESTRATE_PLUGINS", "")
        named = [str(file.absolute()) for file in files]
        _in_environment("ORCHESTRATE_PLUGINS", os.pathsep.join(filter(None, [already, *named])))


def _be_strict(context: click.Context, parameter: click.Parameter, strict: bool) -> None:
    if strict:
        _in_environment("ORCHESTRATE_STRICT_PLUGINS", "1")


disable_option: Final = click.option(
    "--disable",
    multiple=True,
    metavar="PLUGIN",
    type=PLUGIN,
    expose_value=False,
    callback=_disable,
    help="Disable a plugin, or all of a package: NAME or DISTRIBUTION:NAME.",
)
plugin_option: Final = click.option(
    "--plugin",
    "plugin_files",
    type=FILE,
    multiple=True,
    metavar="FILE",
    expose_value=False,
    callback=_add_plugins,
    help="A file with a plugin, such as ./check.py; its name is the plugin's.",
)
strict_plugins_option: Final = click.option(
    "--strict-plugins",
    is_flag=True,
    expose_value=False,
    callback=_be_strict,
    help="Stop if an installed plugin is broken.",
)


_EXACT: Final = [False]


def _remember_exact(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    _EXACT[0] = value


def wants_exact() -> bool:
    """Whether the latest command line wants every digit of an amount; in any thread."""
    return _EXACT[0]


exact_option: Final = click.option(
    "--exact", is_flag=True, expose_value=False, callback=_remember_exact, help="Print amounts with all nine decimals."
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
always_json_option: Final = click.option(
    "--json", "as_json", is_flag=True, expose_value=False, help="Changes nothing: the output is JSON anyway."
)
output_option: Final = click.option(
    "--output-dir", "-o", "output_dir", type=OUTPUT, help="Write the results into this folder."
)
models_option: Final = click.option(
    "--models",
    type=FILE,
    metavar="FILE",
    envvar="ORCHESTRATE_MODELS",
    help="A models file: models to add, facts to override. [default: $ORCHESTRATE_MODELS]",
)
backend_option: Final = click.option(
    "--backend", metavar="NAME", type=BACKEND, help="The backend that ranks the models."
)
set_option: Final = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a key of the spec, such as evaluate.runs=1."
)
policy_option: Final = click.option(
    "--policy", "policies", multiple=True, type=FILE, metavar="FILE", help="A file with more policies."
)
loop_option: Final = click.option(
    "--loop",
    metavar="NAME",
    type=STRATEGY,
    help="The strategy of the review loop: reviewed, plain, best_of, repair, cascade.",
)
approve_option: Final = click.option(
    "--approve",
    multiple=True,
    metavar="POINT",
    help="Stop until you have agreed: plan, tasks, ceiling or spend=USD. May be repeated.",
)
enhance_option: Final = click.option(
    "--enhance/--no-enhance", default=None, help="Let a model suggest improvements first; you accept or refuse each."
)
advise_option: Final = click.option(
    "--advise/--no-advise", default=None, help="Let a model choose the architecture before planning."
)
allow_option: Final = click.option(
    "--allow",
    multiple=True,
    metavar="KIND=VALUE",
    help="Agree to what a spec wants beside calling models, such as sandbox=none.",
)
yes_option: Final = click.option(
    "--yes", "-y", is_flag=True, help="Ask no questions: accept every suggestion, start at any risk."
)
force_option: Final = click.option(
    "--force", is_flag=True, help="Write into a folder that is not empty, over files of the same names."
)
verbose_option: Final = click.option("--verbose", "-v", is_flag=True, help="Log every event to stderr.")
quiet_option: Final = click.option("--quiet", "-q", is_flag=True, help="Print only warnings on stderr.")
log_format_option: Final = click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="json: write stderr as JSON lines."
)
