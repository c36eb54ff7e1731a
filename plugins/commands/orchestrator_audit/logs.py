"""Auditing a log: the chain, the texts, the heads, and every law, run by run and account by account."""

import os
from collections.abc import Iterable, Sequence

from orchestrator.errors import LogError
from orchestrator.events import RunForked, RunStarted
from orchestrator.log import EventLog, Head, LogFinding, Texts
from orchestrator.log.accounts import PREFIX, SIMULATED, stream_of
from orchestrator.log.naming import is_evaluation
from orchestrator.log.transaction import Recorded
from orchestrator_audit.accounts import AccountLaws, AccountUse, side_of
from orchestrator_audit.checks import AuditReport, Problem
from orchestrator_audit.laws import Laws
from orchestrator_audit.readings import Readings
from orchestrator_audit.shadow_state import OF_A_HISTORY
from orchestrator_audit.storage import layout, rows

_OF_THE_LOG = ("chain", "texts", "heads")


def audit(
    log: EventLog,
    run: str | None = None,
    *,
    head: str | None = None,
    heads: Sequence[Head] | None = None,
    texts: bool = True,
    accounts: bool = True,
) -> AuditReport:
    """Check everything that must hold of a log, or of one run with its ancestors and its accounts.

    Args:
        log: it is only read, as it stands at one moment.
        run: the run; None: all there is.
        head: a hash that must be that of some event looked at.
        heads: what was written down of runs elsewhere, oldest first; None: nothing could have been.
        texts: whether the log has the texts; without them their check is skipped.
        accounts: whether it has the accounts.
    """
    report = AuditReport()
    with log.snapshot():
        _log(log, run, head, heads, texts, report)
        if accounts:  # a bundle has neither a layout of its own nor rows beside its events
            _storage(log, run, report)
        broken = {check.subject for check in report.failed if check.name == "chain"}
        names = [run] if run is not None else [name for name in log.streams() if is_run(name)]
        used, seen = AccountUse(), set[str]()
        for name in names:
            if log.last(name) is None:
                continue
            hurt = broken & {name, "", *(segment.stream for segment in log.segments(name))}
            if hurt:
                report.skip(name, OF_A_HISTORY, "the chain is broken")
                continue
            seen |= _run(log, name, used, report, texts)
        if accounts:
            _accounts(log, run, used, seen, broken, report)
        elif seen:
            report.skip(run or "", ["accounts"], f"there are no accounts here: {', '.join(sorted(seen))}")
    return report


def is_account(stream: str) -> bool:
    """Whether a stream is that of an account."""
    return stream.startswith((PREFIX, SIMULATED + PREFIX))


def is_run(stream: str) -> bool:
    """Whether a stream is that of a run, and neither of an account nor of an evaluation."""
    return not is_account(stream) and not is_evaluation(stream)


# ── the log ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _log(
    log: EventLog, run: str | None, head: str | None, heads: Sequence[Head] | None, texts: bool, report: AuditReport
) -> None:
    """Chain, texts and heads of every stream looked at, the first finding of each kind."""
    found = log.verify(run, head, texts=texts)
    hurt = {finding.stream for finding in found}
    found += [finding for finding in against_heads(log, run, heads or ()) if finding.stream not in hurt]
    names = [run] if run is not None else log.streams()
    lasts = {name: last for name in names if (last := log.last(name)) is not None}
    report.heads = {name: (last.version, last.hash) for name, last in lasts.items()}
    kept = {each.run for each in heads or ()}
    subjects = dict.fromkeys((*lasts, *(finding.stream for finding in found)))
    for subject in subjects:
        for kind in _OF_THE_LOG:
            problems = [
                Problem(each.position, each.message, each.version)
                for each in found
                if (each.stream, each.check) == (subject, kind)
            ]
            if kind == "texts" and not problems and (not texts or is_account(subject)):
                if not is_account(subject):
                    report.skip(subject, ["texts"], "there are no texts here")
                continue
            if kind == "heads" and not problems and head is None and subject not in kept:
                if heads is not None and subject and not is_account(subject):
                    report.skip(subject, ["heads"], "no head of it was kept; pass one with --head")
                continue
            report.add(subject, {kind: problems})


def against_heads(log: EventLog, run: str | None, heads: Sequence[Head]) -> list[LogFinding]:
    """What contradicts the heads that were written down: at most one finding per run."""
    found: dict[str, LogFinding] = {}
    for head in heads:
        if head.run in found or (run is not None and head.run != run):
            continue
        rows = log.query(
            "SELECT version, position, hash FROM events WHERE stream = ? AND version <= ?"
            " ORDER BY version DESC LIMIT 1",
            [head.run, head.version],
        )
        version, position, digest = rows[0] if rows else (0, 0, "")
        if version < head.version:
            message = f"heads.jsonl has a head of v{head.version}; the events after v{version} are missing"
        elif digest != head.head:
            message = f"heads.jsonl has another head for v{head.version}: this event, or one before it, was changed"
        else:
            continue
        found[head.run] = LogFinding(int(position), head.run, message, "heads", int(version) or None)
    return list(found.values())


def _storage(log: EventLog, run: str | None, report: AuditReport) -> None:
    """The layout of the database, and the rows beside the events."""
    report.add(run or "", {"layout": layout(log)})
    found: dict[str, list[Problem]] = {name: [] for name in ([run] if run is not None else log.streams())}
    for subject, problem in rows(log, run):
        found.setdefault(subject, []).append(problem)
    for subject, problems in found.items():
        report.add(subject, {"rows": problems})


# ── runs ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run(log: EventLog, run: str, used: AccountUse, report: AuditReport, texts: bool) -> set[str]:
    """Every law over a run's history; returns the streams of its accounts."""
    laws, readings = Laws(), Readings(Texts(log, run, os.urandom, log.redactor))
    misread: list[Problem] = []
    problems: dict[str, list[Problem]] = {name: [] for name in OF_A_HISTORY}
    accounts: set[str] = set()
    record: Recorded | None = None
    try:
        for record in log.read(run):
            event = record.event
            if texts:
                found = readings.take(record.version, event, laws.state)
                misread += [Problem(record.position, each, record.version) for each in found if record.stream == run]
            laws.take(record.at, event)
            if record.stream == run:
                used.take(run, record.version, event)
                if isinstance(event, RunStarted | RunForked):
                    accounts |= {stream_of(name, event.settings.simulated) for name in event.settings.accounts}
            _collect(laws, record, run, problems)
    except (LogError, ValueError, LookupError, AssertionError) as error:
        at = (0, None) if record is None else (record.position, record.version)
        problems["intents"].append(Problem(at[0], f"it does not follow from the events before it: {error}", at[1]))
    else:
        if laws.finished is not None:
            laws.finish()
        else:
            laws.add_up()
        if record is not None:
            _collect(laws, record, run, problems)
    report.add(run, {name: found for name, found in problems.items() if name != "limits" or found or not laws.foreign})
    if laws.foreign and not problems["limits"]:
        report.skip(run, ["limits"], "a session was under other rules than this program's")
    if texts:
        _add_readings(run, misread, readings, laws, report)
    return accounts


def _add_readings(run: str, misread: list[Problem], readings: Readings, laws: Laws, report: AuditReport) -> None:
    """The readings that do not follow from their texts; where these are deleted or of other rules, none is checked."""
    if laws.state.content_deleted:
        report.checks = [each for each in report.checks if (each.subject, each.name) != (run, "texts")]
        report.skip(run, ["texts", "readings"], "they were deleted")
    elif laws.foreign and not misread:
        report.skip(run, ["readings"], "a session was under other rules than this program's")
    else:
        report.add(run, {"readings": misread})


def _collect(laws: Laws, record: Recorded, run: str, problems: dict[str, list[Problem]]) -> None:
    """Take the breaches that the latest event showed; those in what a fork shares are its parent's."""
    for breach in laws.breaches:
        if record.stream == run:
            problems[breach.check].append(Problem(record.position, breach.message, record.version))
    laws.breaches.clear()


# ── accounts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _accounts(
    log: EventLog, run: str | None, used: AccountUse, seen: Iterable[str], broken: set[str], report: AuditReport
) -> None:
    """Every account there is, or those of one run."""
    streams = sorted(seen) if run is not None else [name for name in log.streams() if is_account(name)]
    missing = {name for _, _, name in used.missing}
    for stream in streams:
        if broken & {stream, ""}:
            report.skip(stream, ["accounts"], "the chain is broken")
            continue
        laws = AccountLaws(side_of(used, stream), None if run is None else frozenset([run]))
        problems: list[Problem] = []
        position, at = 0, None
        for record in log.read_own(stream):
            position, at = record.position, record.version
            problems += [Problem(position, problem, at) for problem in laws.take(record.event)]
        problems += [Problem(position, problem, at) for problem in laws.finish()]
        if stream in missing:
            calls = ", ".join(f"{owner} v{version}" for owner, version, account in used.missing if account == stream)
            problems.append(Problem(position, f"calls that are held nowhere: {calls}", at))
        report.add(stream, {"accounts": problems})
