"""``orchestrate log stats`` and ``log gc``: what a log takes, and deleting what nothing needs or keeps any longer."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.logs.opening_logs import open_log_if_any
from orchestrator.cli.options.shared_options import command, has_log, home, home_option, json_option
from orchestrator.cli.options.value_types import FILE
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.terminal_output import line, notice, result
from orchestrator.ledger.history_sizes import LogStats
from orchestrator.ledger.removal import Collected

if TYPE_CHECKING:
    from orchestrator.engine.content_retention import Expired


def nothing_recorded() -> int:
    """Say that there is nothing to show, which is no error."""
    notice(f"there are no events in {home()}; begin with: {command('run SPEC')}")
    return 0


@click.command()
@json_option
@home_option
def stats(as_json: bool) -> int:
    """Show the size of the log by run: events, texts, bytes."""
    from orchestrator.cli.terminal.tables import print_table

    store = open_log_if_any()
    if store is None and not as_json:
        return nothing_recorded()
    found = LogStats((), 0, 0, 0) if store is None else store.stats()
    if as_json:
        result_json(
            {
                "file_bytes": found.file,
                "wal_bytes": found.wal,
                "free_bytes": found.free,
                "runs": [
                    {
                        "run_id": each.run,
                        "events": each.events,
                        "event_bytes": each.event_bytes,
                        "texts": each.texts,
                        "text_bytes": each.text_bytes,
                        "cached_answers": each.cached,
                        "content_deleted": each.deleted,
                        "archived": each.archived,
                        "large": each.is_large,
                    }
                    for each in found.runs
                ],
            }
        )
        return 0
    heads = ("run", "events", "bytes", "texts", "text bytes", "cached", "")
    notes = [
        ("large" if each.is_large else "")
        + ("content deleted" if each.deleted else "")
        + ("archived" if each.archived else "")
        for each in found.runs
    ]
    print_table(
        heads,
        [
            (
                each.run,
                f"{each.events:,}",
                f"{each.event_bytes:,}",
                f"{each.texts:,}",
                f"{each.text_bytes:,}",
                f"{each.cached:,}",
                note,
            )
            for each, note in zip(found.runs, notes, strict=True)
        ],
        right=heads[1:6],
    )
    result("")
    result(f"database {found.file:,} bytes, {found.free:,} of them unused; WAL {found.wal:,} bytes")
    return 0


@click.command()
@click.option("--policy", "files", type=FILE, multiple=True, metavar="FILE", help="A policy file that says retention.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted; delete nothing.")
@json_option
@home_option
def gc(files: tuple[Path, ...], dry_run: bool, as_json: bool) -> int:
    """Delete texts that no event refers to and those a policy no longer keeps, and free unused space.

    How long texts are kept says retention in the configuration, in policy files and in a run's spec: the shortest time
    counts. Live runs are skipped.
    """
    import asyncio
    import os

    from orchestrator.engine.content_retention import Expired, expire
    from orchestrator.engine.runs import Engine
    from orchestrator.policy_dsl import retention_in_force

    policy = retention_in_force(files, os.environ)
    if not has_log():
        if as_json:
            nothing = {**_collected(Collected(0, 0, 0, (), 0, 0)), **_expired(Expired())}
            result_json({**nothing, "lock_files": 0, "dry_run": dry_run})
        return 0 if as_json else nothing_recorded()
    workspace = Engine.open(home())

    async def collected() -> tuple[Expired, Collected]:
        expired = await expire(workspace, policy, dry_run=dry_run)
        if dry_run:
            return expired, workspace.log.collectable(each.run for each in expired.deleted)
        return expired, await workspace.log.collect()

    try:
        expired, found = asyncio.run(collected())
        lock_files = 0 if dry_run else workspace.log.locks.discard_free()
    finally:
        workspace.close()
    if as_json:
        result_json({**_collected(found), **_expired(expired), "lock_files": lock_files, "dry_run": dry_run})
        return 0
    done = "would be deleted" if dry_run else "deleted"
    for each in expired.deleted:
        result(line(f"{each.run}: {each.texts} texts {done} ({each.size:,} bytes), which are kept no longer"))
    for names, why in (
        (expired.held, "they are held"),
        (expired.live, "they are live"),
        (expired.damaged, "they are damaged"),
        (expired.without_key, "forks share their encrypted texts, and a key is not here"),
    ):
        if names:
            notice(f"older than they are kept, and not deleted, because {why}: {line(', '.join(names))}")
    result(f"{found.texts} texts ({found.size:,} bytes) and {found.cached} cached answers {done}")
    if not dry_run:
        result(f"database {found.before:,} → {found.after:,} bytes")
    if lock_files:
        result(f"{lock_files} unused lock file{'' if lock_files == 1 else 's'} removed")
    if found.skipped:
        notice(f"skipped, because they are live: {line(', '.join(found.skipped))}; the file gets smaller when none is")
    return 0


def _expired(found: "Expired") -> dict[str, object]:
    return {
        "expired": [{"run_id": each.run, "texts": each.texts, "bytes": each.size} for each in found.deleted],
        "held": found.held,
        "expired_live": found.live,
        "expired_damaged": found.damaged,
        "expired_without_key": found.without_key,
    }


def _collected(found: Collected) -> dict[str, object]:
    return {
        "texts": found.texts,
        "text_bytes": found.size,
        "cached_answers": found.cached,
        "live": list(found.skipped),
        "bytes_before": found.before,
        "bytes_after": found.after,
    }
