"""The command ``audit archive``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.kit import (
    AGE,
    FILE,
    OUTPUT,
    clean,
    command,
    has_log,
    home,
    home_option,
    json_option,
    line,
    notice,
    result,
    result_json,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from orchestrator_audit.bundles.archiving import Archived


@click.command()
@click.option(
    "--older-than", type=AGE, required=True, metavar="AGE", help="How old the last event must be: 30d, 12h, 26w."
)
@click.option("--to", "folder", type=OUTPUT, required=True, metavar="DIR", help="The folder that the bundles go to.")
@click.option("--dry-run", is_flag=True, help="Only show what would be archived, and what would be left and why.")
@click.option("--policy", "files", type=FILE, multiple=True, metavar="FILE", help="A policy file that holds runs.")
@click.option(
    "--sign", type=FILE, metavar="KEYFILE", help="The private key. [default: that of the data folder, made if missing]"
)
@json_option
@home_option
def archive(
    older_than: int, folder: Path, dry_run: bool, files: tuple[Path, ...], sign: Path | None, as_json: bool
) -> int:
    """Move runs that have ended out of the log, each into a signed bundle in DIR.

    A run keeps one event, which says when it was archived, where its bundle is, its digest, and what was spent; audit
    verify checks both. Runs that are open, live, held or damaged, or have calls of unknown cost, stay.
    """
    from orchestrator_audit.bundles.archiving import Archived, archive_runs

    if not has_log():
        found = Archived()
        if not as_json:
            notice(f"there are no events in {home()}")
    else:
        key = None if dry_run else _signing_key(sign)
        found = archive_runs(home(), folder.absolute(), older_than, key=key, files=files)
    if as_json:
        result_json(found.plain(dry_run=dry_run))
    else:
        _print_archived(found, folder, dry_run)
    return 0


def _signing_key(sign: Path | None) -> "Ed25519PrivateKey":
    """The key that bundles are signed with: the one given, else that of the data folder, which is made if missing."""
    from orchestrator_audit.bundles.signing import OWN_KEY, make_key, read_private, small_file

    own = home() / OWN_KEY
    if sign is None and not own.is_file():
        home().mkdir(mode=0o700, parents=True, exist_ok=True)
        beside, name = make_key(own)
        notice(f"made a key to sign bundles with, {name}; give {clean(str(beside))} to those who check")
    return read_private(small_file(sign or own))


def _print_archived(found: "Archived", folder: Path, dry_run: bool) -> None:
    if found.bundles:
        result(line(f"{'would go' if dry_run else 'went'} to {folder}:"))
    for each in found.bundles:
        result(line(f"{Path(each.path).name}: {each.events} events" + ("" if dry_run else f", {each.size:,} bytes")))
        if not dry_run:
            result(line(f"head {each.head}"))
    for run, why in found.left.items():
        notice(line(f"left: {run}: {why}"))
    if not found.bundles:
        result("no run is archived")
    elif not dry_run:
        notice(found.remains or f"give the space back to the disk with: {command('log gc')}")
