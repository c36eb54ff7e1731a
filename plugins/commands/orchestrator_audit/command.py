"""Verify logs; export signed bundles."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.kit import (
    FILE,
    OUTPUT,
    RUN,
    CommandGroup,
    Reader,
    always_json_option,
    check_junit,
    clean,
    command,
    has_log,
    home,
    home_option,
    json_option,
    kind_of,
    line,
    notice,
    open_log,
    open_log_if_any,
    resolved_run,
    result,
    result_json,
    whole_run,
)
from orchestrator.errors import LogError, UnreadableWalError, UsageError, present
from orchestrator.reading import Head, read_heads, unreadable_lines
from orchestrator.spi import hookimpl
from orchestrator_audit.anchors import append_line, read_anchor
from orchestrator_audit.archive_command import archive
from orchestrator_audit.checks import AuditReport, AuditResult, Problem

_FAILED: Final = 6
_HEAD: Final = re.compile("[0-9a-f]{64}")


@click.group(cls=CommandGroup)
@home_option
def audit() -> None:
    """Prove what happened: verify runs, bundle them for others, list what policies did."""


@audit.command()
@click.argument("what", metavar="[RUN|BUNDLE]", required=False)
@click.option("--all", "everything", is_flag=True, help="Verify every run and account. The default without RUN.")
@click.option("--head", help="A hash that must be in the log, such as one printed at the end of a run.")
@click.option("--strict", is_flag=True, help="Fail also where something cannot be checked.")
@click.option("--anchor", type=FILE, metavar="FILE", help="Heads that audit anchor wrote, which must be in the log.")
@click.option("--key", type=FILE, metavar="PUBKEY", help="The public key a bundle must be signed with.")
@click.option("--junit", type=OUTPUT, metavar="FILE", help="Write the checks as JUnit XML, for CI.")
@json_option
@home_option
def verify(
    what: str | None,
    everything: bool,
    head: str | None,
    anchor: Path | None,
    strict: bool,
    key: Path | None,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Verify every invariant of the log, of one run, or of a bundle. Exit code 6 where anything is wrong.

    A chain alone cannot show that its end was cut off or that all of it was computed anew: keep heads elsewhere, with
    audit anchor, and pass them with --anchor, or a single one with --head.
    """
    if what is not None and everything:
        raise click.UsageError("give a RUN, or --all")
    check_junit(junit)
    report = _audited(what, head, anchor, key)
    if junit is not None:
        from orchestrator_audit.junit import write

        write(report, junit)
    if as_json:
        result_json(_plain(report, strict))
    else:
        _print(report, strict)
    return 0 if report.passes(strict=strict) else _FAILED


def _audited(what: str | None, head: str | None, anchor: Path | None, key: Path | None) -> AuditReport:
    if head is not None and not _HEAD.fullmatch(head):
        raise UsageError(f"--head {line(head, 80)!r} is no head: it has 64 hexadecimal digits")
    anchored, unreadable = ([], []) if anchor is None else read_anchor(anchor)
    if what is not None and _is_file(Path(what)):
        report = _of_bundle(Path(what), head, None if anchor is None else anchored, key)
    elif key is not None:
        raise click.UsageError("--key belongs to a bundle")
    else:
        report = _of_log(what, head, anchored)
    for number in unreadable:
        report.skip("", ["heads"], f"line {number} of {anchor} cannot be read")
    return report


def _of_bundle(path: Path, head: str | None, heads: Sequence[Head] | None, key: Path | None) -> AuditReport:
    """A bundle is to be signed with the key given, else with that of the data folder, where it has one."""
    from orchestrator_audit.bundles.checking import verify as verified
    from orchestrator_audit.bundles.signing import own_public, read_public, small_file

    public = own_public(home()) if key is None else read_public(small_file(key))
    return verified(path, key=public, is_own_key=key is None, head=head, heads=heads)


def _of_log(what: str | None, head: str | None, anchored: Sequence[Head]) -> AuditReport:
    """What an audit of the data folder finds; a file that cannot be read is found, too, and no error of the command."""
    try:
        return _of_readable(what, [*read_heads(home()), *anchored], head)
    except LogError as error:
        if isinstance(error.__cause__, UnreadableWalError):
            raise
        report = AuditReport()
        report.add(what or "", {"chain": [Problem(0, str(error))]})
        return report


def _of_readable(what: str | None, heads: Sequence[Head], head: str | None) -> AuditReport:
    from orchestrator_audit.log_audit import audit as audited

    there = has_log()
    if not there and (heads or head is not None):
        return _gone(what, heads, head)
    log = open_log_if_any()
    what = what and resolved_run(what)
    if log is None:  # nothing is proved by nothing: the folder may be a wrong one
        named = "no log to verify" if what is None else f"no run or bundle {what!r}"
        raise UsageError(f"there is {named} in {home()}: name the folder of a log with --home")
    if what is not None and (kind := kind_of(what)) != "run":
        article = "a" if kind == "worker" else "an"
        every = command("audit verify")
        raise UsageError(f"{what!r} is {article} {kind}, no run; all of them are verified with: {every}")
    if what is not None and log.last(what) is None and what not in {each.run for each in heads}:
        raise UsageError(f"there is no run or bundle {what!r}; see: orchestrate runs list, for {home()}")
    bundle = None if what is None else _of_its_bundle(log, what, head, heads)
    report = audited(log, what, head=head if bundle is None else None, heads=heads)
    report.checks += [] if bundle is None else bundle.checks
    for number in unreadable_lines(home()):
        report.skip("", ["heads"], f"line {number} of heads.jsonl cannot be read")
    return report


def _of_its_bundle(log: Reader, run: str, head: str | None, heads: Sequence[Head]) -> AuditReport | None:
    """What an audit of the bundle of an archived run finds; None for another run, or where its bundle is not here."""
    from orchestrator_audit.bundles.checking import verify as verified
    from orchestrator_audit.bundles.signing import own_public

    archived, last = log.archived(run), log.last(run)
    path = None if archived is None else Path(log.bundle_of(run, archived))
    if archived is None or path is None or not _is_file(path):
        return None
    known = [each for each in heads if each.run == run and each.version <= archived.version]
    inside = None if last is not None and head == last.hash else head
    report = verified(path, key=own_public(home()), is_own_key=True, head=inside, heads=known)
    # accounts are of the log, which checks them
    report.checks = [check for check in report.checks if check not in report.skipped or check.name != "accounts"]
    return report


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for one, or a folder that must not be looked into
        return False


def _gone(what: str | None, heads: Sequence[Head], head: str | None) -> AuditReport:
    """Where heads are known, and the whole log is missing."""
    report = AuditReport()
    named = dict.fromkeys(each.run for each in heads if what in (None, each.run))
    if what is not None and not named:
        raise UsageError(f"there is no run or bundle {what!r}; see: {command('runs list')}")
    missing = f"the event log of {home()} is missing"
    for run in named:
        report.add(run, {"heads": [Problem(0, f"{missing}, and heads.jsonl has a head of this run")]})
    if head is not None:
        report.add(what or "", {"heads": [Problem(0, f"{missing}: no event has the head {head}")]})
    return report


def _print(report: AuditReport, strict: bool) -> None:
    bad = report.first_problem
    if bad is not None:
        result(f"first bad event: {bad.event}" if bad.position else line(f"bad: {bad.message}"))
    problems = sorted(
        (problem.position, check.subject, check.name, problem.message, problem.event)
        for check in report.failed
        for problem in check.problems
    )
    for _, subject, name, message, event in problems:
        result(line(f"{event}: {subject + ': ' if subject else ''}{name}: {message}"))
    wrong = {check.subject for check in report.failed}
    for name, (events, found) in report.heads.items():
        if name not in wrong and "" not in wrong:
            result(f"ok: {line(name)}, {events} events, head {found}")
    if not report.heads and not problems:
        result(f"ok: there are no events in {home()}")
    for check in report.skipped:
        notice(line(f"not checked: {check.subject + ', ' if check.subject else ''}{check.name}: {check.reason}"))
    if strict and report.skipped and not problems:
        result(f"failed: {len(report.skipped)} checks could not be made")
    names = dict.fromkeys(check.name for check in report.checks if check.result is not AuditResult.SKIPPED)
    if not problems and names:
        notice(f"checked: {', '.join(names)}")


def _plain(report: AuditReport, strict: bool) -> dict[str, object]:
    from orchestrator_audit.checks import CHECKS

    bad = report.first_problem
    return {
        "ok": report.passes(strict=strict),
        "first_bad_event": bad and {"position": bad.position, "version": bad.version},
        "findings": [
            {
                "position": problem.position,
                "version": problem.version,
                "run": check.subject,
                "check": check.name,
                "message": problem.message,
            }
            for check in report.failed
            for problem in check.problems
        ],
        "checks": [
            {
                "run": check.subject,
                "check": check.name,
                "what": CHECKS[check.name],
                "result": check.result.value,
                "problems": len(check.problems),
                "reason": check.reason or None,
            }
            for check in report.checks
        ],
        "heads": {name: head for name, (_, head) in report.heads.items()},
    }


@audit.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--output", "-o", type=OUTPUT, required=True, metavar="FILE", help="The new file.")
@click.option(
    "--sign", type=FILE, metavar="KEYFILE", help="Sign it with this private key. [default: that of the data folder]"
)
@click.option("--without-texts", is_flag=True, help="Leave out prompts, answers and all other texts.")
@json_option
@home_option
def export(run_id: str, output: Path, sign: Path | None, without_texts: bool, as_json: bool) -> int:
    """Write a run into one file that audit verify checks anywhere, without the database.

    The file holds the events, the texts, the plugin versions and the head. The same run gives the same file.
    """
    from orchestrator_audit.bundles.signing import OWN_KEY, read_private, small_file
    from orchestrator_audit.bundles.writing import make

    own = home() / OWN_KEY
    key = read_private(small_file(sign or own)) if sign is not None or own.is_file() else None
    log = open_log(run_id)
    made = make(log, whole_run(log, run_id), output, texts=not without_texts, key=key)
    why = None if without_texts else log.why_unread(run_id)
    if why is not None:
        notice(f"! texts of {made.run} are not in the bundle: {why}")
    if as_json:
        result_json(
            {
                "run_id": made.run,
                "path": str(output),
                "events": made.events,
                "texts": made.texts,
                "head": made.head,
                "bytes": made.size,
                "signed_by": made.key,
            }
        )
        return 0
    signed = f", signed by {made.key}" if made.key is not None else ""
    result(line(f"{output}: {made.events} events and {made.texts} texts of {made.run}, head {made.head}{signed}"))
    return 0


@audit.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--to", type=OUTPUT, required=True, metavar="FILE", help="The file; a line is added to it.")
@json_option
@home_option
def anchor(run_id: str, to: Path, as_json: bool) -> int:
    """Add the head of a run to a file that you keep elsewhere, for audit verify --anchor.

    Those who can rewrite the log cannot rewrite that file. The run is verified first. RUN may be an account.
    """
    log = open_log(run_id)
    run = whole_run(log, run_id, or_account=True)
    last = present(log.last(run), "last event")
    append_line(to, Head(run, last.hash, last.version))
    if as_json:
        result_json({"run_id": run, "version": last.version, "head": last.hash, "path": str(to)})
    else:
        result(line(f"{to}: {run} v{last.version}, head {last.hash}"))
    return 0


@audit.command("import")
@click.argument("bundle", metavar="BUNDLE", type=FILE)
@click.option("--into", type=OUTPUT, required=True, metavar="FILE.db", help="A new database, or one of imported runs.")
@click.option("--key", type=FILE, metavar="PUBKEY", help="The public key the bundle must be signed with.")
@click.option("--anchor", type=FILE, metavar="FILE", help="Heads that audit anchor wrote, which must be in the bundle.")
@json_option
@home_option
def import_(bundle: Path, into: Path, key: Path | None, anchor: Path | None, as_json: bool) -> int:
    """Verify a bundle, and put its run into a database that replay, explain, report and audit read.

    Nothing is imported where anything is wrong: exit code 6. The run cannot be gone on with.
    """
    from orchestrator_audit.bundles.importing import import_bundle
    from orchestrator_audit.bundles.signing import read_public, small_file

    public = None if key is None else read_public(small_file(key))
    heads = None if anchor is None else read_anchor(anchor)[0]
    report = import_bundle(bundle, into, key=public, heads=heads)
    if as_json:
        result_json({**_plain(report, strict=False), "path": None if report.failed else str(into)})
    elif report.failed:
        _print(report, strict=False)
    else:
        for name, (events, head) in report.heads.items():
            result(line(f"{into}: {name}, {events} events, head {head}"))
            notice(f"read it with: orchestrate replay {name} --verify --home {shlex.quote(str(into))}")
    return _FAILED if report.failed else 0


@audit.command()
@click.argument("file", metavar="[FILE]", type=OUTPUT, required=False)
@home_option
def keygen(file: Path | None) -> int:
    """Make a key to sign bundles with: the private one in FILE, the public one in FILE.pub.

    Without FILE it is that of the data folder: audit export signs with it, and audit verify expects its signature.
    """
    from orchestrator_audit.bundles.signing import OWN_KEY, make_key

    if file is None:
        home().mkdir(mode=0o700, parents=True, exist_ok=True)
        file = home() / OWN_KEY
    beside, name = make_key(file)
    result(line(f"{beside}: {name}"))
    notice(f"keep {clean(str(file))} secret; give {clean(str(beside))} to those who check")
    return 0


def _has_runs() -> bool:
    log = open_log_if_any()
    return log is not None and any(kind_of(name) == "run" for name in log.streams())


@audit.command()
@click.argument("run_id", metavar="[RUN]", required=False, type=RUN)
@always_json_option
@home_option
def records(run_id: str | None) -> int:
    """Print as JSON lines what policies did: one record for each model considered. Default: the newest run."""
    import orjson

    from orchestrator_audit.audit_log import AuditLog

    if run_id is None and not _has_runs():
        notice(f"there are no runs in {home()}; begin with: {command('run SPEC')}")
        return 0
    if run_id is not None:
        whole_run(open_log(run_id), run_id)
    for record in AuditLog(run_id, home=home()):
        result(clean(orjson.dumps(record.plain()).decode()), as_is=True)
    return 0


audit.add_command(archive)


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return audit
