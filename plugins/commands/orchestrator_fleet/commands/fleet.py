"""Start, scale and stop many workers at once."""

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import asdict, define, evolve

from orchestrator.cli.kit import (
    SECONDS,
    CommandGroup,
    allow_option,
    command,
    has_log,
    home,
    home_option,
    json_option,
    line,
    notice,
    plugin_option,
    print_table,
    result,
    result_json,
)
from orchestrator.errors import UsageError
from orchestrator.spi import hookimpl
from orchestrator_fleet.commands.worker import JOBS

if TYPE_CHECKING:
    from orchestrator.spi import Executor, Fleet

LOCAL: Final = "local"
_FOLDER: Final = "fleet"
_FILE: Final = "fleet.json"
_NAMED: Final = 8
GRACE: Final = 30.0
"""Seconds in which a worker stops, unless it is told."""


@define
class FleetSettings:
    """What ``fleet up`` was told, for the commands that come after it."""

    executor: str = LOCAL
    address: str | None = None
    workers: int = 1
    jobs: int = JOBS
    grace: float = GRACE
    allow: tuple[str, ...] = ()
    store: str | None = None
    """The address of the log, without a password; None: the data folder."""

    @classmethod
    def read(cls) -> "FleetSettings | None":
        """Those of the data folder; None: no fleet was started from here.

        Raises:
            UsageError: the file is not what was written.
        """
        path = _folder() / _FILE
        try:
            found = json.loads(path.read_text())
            return cls(**_checked({**found, "allow": tuple(found["allow"])}))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError) as error:
            advice = "delete it, then say --executor and --address"
            raise UsageError(f"{path} cannot be read ({type(error).__name__}); {advice}") from error

    def write(self) -> None:
        """Remember them in the data folder."""
        _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        (_folder() / _FILE).write_text(json.dumps(asdict(self)))

    def fleet(self) -> "Fleet":
        """The workers that are wanted."""
        from orchestrator.cli.kit import store_variables
        from orchestrator.spi import Fleet

        digest = hashlib.sha256(str(home().absolute()).encode()).hexdigest()
        words = ["worker", "--jobs", str(self.jobs), "--grace", f"{self.grace:g}", "--home", str(home().absolute())]
        words += [word for each in self.allow for word in ("--allow", each)]
        return Fleet(
            command=(sys.executable, "-m", "orchestrator", *words),
            workers=self.workers,
            folder=_folder(),
            name=f"worker-{digest[:_NAMED]}",
            address=self.address,
            grace=self.grace,
            environment=store_variables(),
        )

    def made(self) -> "Executor":
        """The executor.

        Raises:
            PluginError: it is not installed, or cannot be used.
        """
        from orchestrator.cli.kit import Catalogue

        return Catalogue.discover().executor(self.executor)


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    """What a file says, where it is of the kinds that are written.

    Raises:
        ValueError: it is not.
    """
    kinds: dict[str, Any] = {"executor": str, "workers": int, "jobs": int, "grace": int | float}
    kinds |= {"address": str | None, "store": str | None}
    wrong = [name for name, kind in kinds.items() if name in found and not isinstance(found[name], kind)]
    if wrong or not all(isinstance(each, str) for each in found["allow"]):
        raise ValueError(wrong)
    return found


def _folder() -> Path:
    return home().absolute() / _FOLDER


def _where(function: Any) -> Any:
    """The options that say which fleet is meant."""
    address = click.option("--address", metavar="ADDRESS", help="The executor's cluster, such as 10.0.0.5:6379.")
    named = click.option("--executor", metavar="NAME", help="What starts workers: local, ray, or a plugin's.")
    return named(address(function))


@click.group(cls=CommandGroup)
def fleet() -> None:
    """Start, scale and stop many workers at once: here, or on a cluster.

    The address of a store (--store, ORCHESTRATE_STORE) reaches them in their environment, never in a command line.
    """


@fleet.command()
@_where
@click.option("--workers", type=click.IntRange(0, 999), default=1, show_default=True, help="Processes.")
@click.option("--jobs", type=click.IntRange(1, 1000), help=f"Runs at once in each: as before, at first {JOBS}.")
@click.option("--grace", type=SECONDS, help=f"Seconds in which a worker stops: as before, at first {GRACE:g}.")
@allow_option
@plugin_option
@json_option
@home_option
def up(
    executor: str | None,
    address: str | None,
    workers: int,
    jobs: int | None,
    grace: float | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> int:
    """See to it that as many workers run: one that dies is started again. With another number it scales.

    Workers that run go on as they are: another --jobs, --grace or --allow holds for those that are added.
    """
    known, store = FleetSettings.read(), _store()
    _refuse_another(known, executor, address, store)
    before = known or FleetSettings()
    wanted = FleetSettings(
        executor or before.executor,
        address or before.address,
        workers,
        jobs or before.jobs,
        before.grace if grace is None else grace,
        allow,
        store,
    )
    made = wanted.made()
    made.scale(wanted.fleet())
    wanted.write()
    if as_json:
        result_json(_plain(wanted, made))
    else:
        result(f"{_shown(wanted, known)}; see: {command('fleet status')}")
    return 0


def _shown(wanted: FleetSettings, known: FleetSettings | None) -> str:
    """A fleet in words; of workers that ran before it is not known how many runs each of them plays."""
    runs = f"{wanted.jobs} run{'' if wanted.jobs == 1 else 's'}"
    if known is not None and known.workers:
        return f"{_workers(wanted.workers)} by {wanted.executor}; one that is added plays {runs} at once"
    return f"{_workers(wanted.workers)} of {runs} each by {wanted.executor}"


def _workers(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"


@fleet.command()
@_where
@json_option
@home_option
def status(executor: str | None, address: str | None, as_json: bool) -> int:
    """Show the workers that the executor keeps. Exit code 1 where one of them does not run just now."""
    known = _known(executor, address)
    found = _plain(known, known.made())
    if as_json:
        result_json(found)
    elif not found["workers"]:
        notice(f"no worker is kept; start some with: {command('fleet up --workers 4')}")
    else:
        rows = [(each["worker"], "up" if each["alive"] else "down", line(each["place"])) for each in found["workers"]]
        print_table(("worker", "state", "place"), rows)
        notice(f"their runs: {command('workers list')}")
    return 0 if all(each["alive"] for each in found["workers"]) else 1


@fleet.command()
@_where
@json_option
@home_option
def down(executor: str | None, address: str | None, as_json: bool) -> int:
    """End all workers in order: calls in flight may end, and the runs stay open for others."""
    known = evolve(_known(executor, address), workers=0)
    made = known.made()
    made.scale(known.fleet())
    (_folder() / _FILE).unlink(missing_ok=True)
    if as_json:
        result_json(_plain(known, made))
    else:
        result(f"no worker is kept by {known.executor} any more")
    return 0


def _known(executor: str | None, address: str | None) -> FleetSettings:
    """The fleet that is meant: the one that was started from here, or the one that is named."""
    found = FleetSettings.read() or FleetSettings()
    return evolve(found, executor=executor or found.executor, address=address or found.address)


def _store() -> str | None:
    """Where the workers' log is, once the store there has answered.

    Raises:
        LogError: it does not.
    """
    from orchestrator.cli.kit import shown_store

    found = shown_store()
    if found is not None:
        has_log()
    return found


def _refuse_another(known: FleetSettings | None, executor: str | None, address: str | None, store: str | None) -> None:
    """Refuse to forget a fleet that was started elsewhere: nothing would end it. All its workers have one log.

    Raises:
        UsageError: there is one.
    """
    if known is None or known.workers == 0:
        return
    if executor not in (None, known.executor) or address not in (None, known.address):
        at = f" at {known.address}" if known.address else ""
        kept = f"{_workers(known.workers)} {'is' if known.workers == 1 else 'are'} kept by {known.executor}{at}"
        raise UsageError(f"{kept}; first: {command('fleet down')}")
    if store != known.store:
        at = known.store or "in the data folder"
        raise UsageError(f"the log of the fleet's workers is {at}; name it, or first: {command('fleet down')}")


def _plain(known: FleetSettings, made: "Executor") -> dict[str, Any]:
    workers = [
        {"worker": each.name, "alive": each.is_alive, "place": each.place} for each in made.status(known.fleet())
    ]
    wanted = {"executor": known.executor, "address": known.address, "wanted": known.workers, "jobs": known.jobs}
    return {**wanted, "workers": workers}


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the group of commands."""
    return fleet
