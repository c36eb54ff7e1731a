"""The command ``log copy``: a whole log goes on in another store."""

import click

from orchestrator.cli.kit import json_option, line, notice, result, result_json
from orchestrator.errors import UsageError


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@json_option
def copy(source: str, target: str, as_json: bool) -> int:
    """Copy a whole log to another store, prove that both are equal, and close the old one.

    FROM and TO are addresses such as sqlite:FOLDER or postgresql://USER@HOST/DATABASE; TO is empty. Everything is
    copied as it is: events with their positions and hashes, texts, accounts, cached answers, open holds, requests,
    shared rate limits. No run may be live. FROM refuses writes afterwards; a copy that was interrupted is repeated by
    the same command. Heads and keys stay in the data folder.
    """
    from contextlib import closing

    from attrs import asdict

    from orchestrator.cli.kit import open_store, store_exists
    from orchestrator_stores.copying import copy_log

    if not store_exists(source):
        raise UsageError(f"there is no event log at {source}: name the one to copy from")
    with closing(open_store(source, write=True)) as old, closing(open_store(target, write=True)) as new:
        if not new.is_shared:
            raise UsageError(f"{target} ends with this command: copy to a store that lasts")
        if not as_json:
            notice(f"copying {old.url}")
        found = copy_log(old, new)
    if as_json:
        result_json(asdict(found))
        return 0
    result(line(f"{found.events:,} events and {found.texts:,} texts copied to {found.target}; every hash is the same"))
    result(line(f"{found.source} is closed: name the new one from now on, with --store, or in ORCHESTRATE_STORE"))
    return 0
