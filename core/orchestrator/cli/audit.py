"""``orchestrate audit``: was the log changed?"""

import click

from orchestrator.cli.options import home, home_option, json_option, open_log
from orchestrator.cli.output import line, result, result_json
from orchestrator.errors import UsageError
from orchestrator.log import EventLog, Finding, read_heads

_FAILED = 6


@click.group()
@home_option
def audit() -> None:
    """Verify that the log was not changed."""


@audit.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--head", help="A hash that must be in the log, such as one printed at the end of a run.")
@json_option
@home_option
def verify(run_id: str | None, head: str | None, as_json: bool) -> int:
    """Verify the hash chain, the texts, and the heads kept in heads.jsonl; exit 6 where anything is wrong.

    A chain alone cannot show that its end was cut off, or that all of it was computed anew: keep the head of a run
    elsewhere, and give it with --head.
    """
    log = open_log()
    kept = [kept.run for kept in read_heads(home())]
    if run_id is not None and log.last(run_id) is None and run_id not in kept:
        raise UsageError(f"there is no run {run_id!r} in {home()}; see: orchestrate runs list")
    findings = log.verify(run_id, head)
    known = {finding.stream for finding in findings}
    findings += [finding for finding in _against_heads(log, run_id) if finding.stream not in known]
    findings.sort(key=lambda finding: finding.position)
    streams = _heads(log, run_id)
    if as_json:
        result_json(
            {
                "ok": not findings,
                "first_bad_event": findings[0].position if findings else None,
                "findings": [
                    {"position": each.position, "run": each.stream, "message": each.message} for each in findings
                ],
                "heads": {name: found for name, _, found in streams},
            }
        )
    elif findings:
        result(f"first bad event: {findings[0].position}")
        for finding in findings:
            result(line(f"{finding.position}: {finding.stream + ': ' if finding.stream else ''}{finding.message}"))
    else:
        for name, events, found in streams:
            result(f"ok: {line(name)}, {events} events, head {found}")
        if not streams:
            result("ok: the log is empty")
    return _FAILED if findings else 0


def _heads(log: EventLog, run: str | None) -> list[tuple[str, int, str]]:
    """Name, number of events and head of the streams looked at."""
    names = [run] if run is not None else log.streams()
    lasts = ((name, log.last(name)) for name in names)
    return [(name, last.version, str(last.hash)) for name, last in lasts if last is not None]


def _against_heads(log: EventLog, run: str | None) -> list[Finding]:
    """What contradicts the heads that were written down beside the database: at most one finding per run."""
    found: dict[str, Finding] = {}
    for kept in read_heads(home()):
        if kept.run in found or (run is not None and kept.run != run):
            continue
        rows = log.query(
            "SELECT version, position, hash FROM events WHERE stream = ? AND version <= ?"
            " ORDER BY version DESC LIMIT 1",
            [kept.run, kept.version],
        )
        version, position, digest = rows[0] if rows else (0, 0, "")
        if version < kept.version:
            message = (
                f"heads.jsonl has a head of version {kept.version}; the events after version {version} are missing"
            )
        elif digest != kept.head:
            message = (
                f"heads.jsonl has another head for version {kept.version}: this event, or one before it, was changed"
            )
        else:
            continue
        found[kept.run] = Finding(int(position), kept.run, message)
    return list(found.values())
