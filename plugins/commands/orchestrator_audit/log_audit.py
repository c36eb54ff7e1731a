"""Auditing a log: the chain, the texts, the heads, and every law, run by run and account by account."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.errors import LogError
from orchestrator.events import Event, RunArchived, RunForked, RunStarted, SessionOpened, Totals
from orchestrator.ledger.accounts import is_account, is_run, stream_of
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Head, LogFinding, Select
from orchestrator.log.heads import open_regular
from orchestrator.log.transaction import Recorded
from orchestrator.plugins import Catalogue
from orchestrator.replay import verify as recomputed
from orchestrator_audit.bundles.archived_runs import differences
from orchestrator_audit.checks import AuditReport, Problem
from orchestrator_audit.content import FOREIGN, Content
from orchestrator_audit.fields import doubtful_events
from orchestrator_audit.laws.accounts import AccountLaws, AccountUse, side_of
from orchestrator_audit.laws.response_cache import Reuses
from orchestrator_audit.laws.run_laws import Laws
from orchestrator_audit.laws.shadow_state import OF_A_HISTORY
from orchestrator_audit.laws.shared_pace import Reservations
from orchestrator_audit.storage import layout, rows

_OF_THE_LOG = ("chain", "texts", "heads")
_AFTER_A_CUT = (None, "session.opened", "session.lost")
"""What may follow a step that is cut short, as by ``log recover``: that a tail is missing only heads can show."""
_MOST_ROWS = 20
"""Rows of a run that are named one by one."""
_NO_TEXTS = "there are no texts here"


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
        unread = _unread(log, run, texts)
        _log(log, run, head, heads, unread, report, texts=texts)
        if accounts:  # a bundle has neither a layout of its own nor rows beside its events
            _storage(log, run, report)
        broken = {check.subject for check in report.failed if check.name == "chain"}
        names = [run] if run is not None else [name for name in log.streams() if is_run(name)]
        catalogue = Catalogue.discover()  # each reads the sources of all plugins
        used, seen, times = AccountUse(), set[str](), Reservations(apart=log.is_imported)
        for name in names:
            if log.last(name) is None:
                continue
            archived = log.archived(name)
            if archived is not None and not broken & {name, ""}:
                _bundle(log, name, archived, report)
                seen |= used.take_archived(name, archived)
                continue
            hurt = broken & {name, "", *(segment.stream for segment in log.segments(name))}
            if hurt:
                report.skip(name, OF_A_HISTORY, "the chain is broken")
                continue
            reuses = Reuses(log) if accounts and not log.is_imported else None
            seen |= _run(log, name, used, times, report, name not in unread, reuses, catalogue)
        _pace(times, report)
        if accounts and not log.is_imported:
            _accounts(log, run, used, seen, broken, report)
        elif seen:
            report.skip(run or "", ["accounts"], f"there are no accounts here: {', '.join(sorted(seen))}")
    return report


def _unread(log: EventLog, run: str | None, texts: bool) -> dict[str, str]:
    """The runs whose texts cannot be looked at, and why."""
    names = [run] if run is not None else [name for name in log.streams() if is_run(name)]
    if not texts:
        return dict.fromkeys(names, _NO_TEXTS)
    found = {name: log.why_unread(name) for name in names}
    return {name: why for name, why in found.items() if why is not None and not log.is_deleted(name)}


def _log(
    log: EventLog,
    run: str | None,
    head: str | None,
    heads: Sequence[Head] | None,
    unread: Mapping[str, str],
    report: AuditReport,
    *,
    texts: bool,
) -> None:
    """Chain, texts and heads of every stream looked at, the first finding of each kind."""
    found = log.verify(run, head, texts=texts and run not in unread)
    found += doubtful_events(log, [run] if run is not None else log.streams())
    hurt = {finding.stream for finding in found}
    found += [finding for finding in against_heads(log, run, heads or ()) if finding.stream not in hurt]
    names = [run] if run is not None else log.streams()
    lasts = {name: last for name in names if (last := log.last(name)) is not None}
    report.heads = {name: (last.version, last.hash) for name, last in lasts.items()}
    kept = {each.run for each in heads or ()}
    subjects = dict.fromkeys((*lasts, *(finding.stream for finding in found)))
    grouped: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for each in found:
        grouped[each.stream, each.check].append(Problem(each.position, each.message, each.version))
    for subject in subjects:
        for kind in _OF_THE_LOG:
            problems = grouped[subject, kind]
            if kind == "texts" and not problems and (subject in unread or is_account(subject)):
                if subject in unread:
                    report.skip(subject, ["texts"], unread[subject])
                continue
            if kind == "heads" and not problems and head is None and subject not in kept:
                if heads is not None and subject and not is_account(subject):
                    report.skip(subject, ["heads"], "no head of it was kept; pass one with --head or --anchor")
                continue
            report.add(subject, {kind: problems})


def against_heads(log: EventLog, run: str | None, heads: Sequence[Head]) -> list[LogFinding]:
    """What contradicts the heads that were written down: at most one finding per run."""
    found: dict[str, LogFinding] = {}
    kept: dict[str, list[Head]] = defaultdict(list)
    for head in heads:
        if run in (None, head.run):
            kept[head.run].append(head)
    for name, own in kept.items():
        wrong = _against(log, name, own)
        if wrong is not None:
            found[name] = wrong
    return list(found.values())


def _against(log: EventLog, run: str, heads: Sequence[Head]) -> LogFinding | None:
    """The first of a run's heads that its events contradict."""
    rows = log.store.raw(run)
    events = {row.version: (row.position, row.hash.decode(errors="replace")) for row in rows}
    archived = log.archived(run)
    if archived is not None:  # of the events before them, the bundle tells
        events[archived.version] = (next(iter(events.values()))[0], archived.head)
        heads = [head for head in heads if head.version >= archived.version]
    versions = [version for version in events if isinstance(version, int)]
    newest: dict[str, int] = {}
    for head in heads:
        version = head.version
        last = newest.setdefault(head.source, version)
        newest[head.source] = version
        if version not in events:
            version = max((each for each in versions if each < head.version), default=0)
        position, digest = events.get(version, (0, ""))
        if version < head.version:
            message = f"{head.source} has a head of v{head.version}; the events after v{version} are missing"
        elif version < last:
            message = (
                f"{head.source} has the head of v{version} after that of v{last}: its lines were put in another order"
            )
        elif digest != head.head:
            message = f"{head.source} has another head for v{head.version}: this event, or one before it, was changed"
        else:
            continue
        return LogFinding(int(position), run, message, "heads", int(version) or None)
    return None


def _storage(log: EventLog, run: str | None, report: AuditReport) -> None:
    """The layout of the database, and the rows beside the events."""
    report.add(run or "", {"layout": layout(log)})
    found: dict[str, list[Problem]] = {name: [] for name in ([run] if run is not None else log.streams())}
    for subject, problem in rows(log, run):
        found.setdefault(subject, []).append(problem)
    for subject, problems in found.items():
        left = len(problems) - _MOST_ROWS
        more = [Problem(0, f"and {left:,} more rows that are not as they must be")] if left > 0 else []
        report.add(subject, {"rows": problems[:_MOST_ROWS] + more})


def _pace(times: Reservations, report: AuditReport) -> None:
    """What was reserved of the paces that runs share."""
    problems: dict[str, list[Problem]] = {run: [] for run in times.runs}
    for run, problem in times.problems():
        problems[run].append(problem)
    for run, found in problems.items():
        report.add(run, {"pace": found})


def _run(
    log: EventLog,
    run: str,
    used: AccountUse,
    times: Reservations,
    report: AuditReport,
    texts: bool,
    reuses: Reuses | None,
    catalogue: Catalogue,
) -> set[str]:
    """Every law over a run's history; returns the streams of its accounts."""
    laws, content = Laws(), Content.of(log, run, catalogue) if texts else None
    problems: dict[str, list[Problem]] = {name: [] for name in OF_A_HISTORY}
    accounts: set[str] = set()
    record: Recorded | None = None
    is_whole = False
    try:
        for record in log.read(run):
            event = record.event
            if content is not None:
                content.take(record, laws.state)
            laws.take(record.at, event)
            if record.stream == run:
                used.take(run, record.version, event)
                times.take(run, record)
                if isinstance(event, RunStarted | RunForked):
                    accounts |= {stream_of(name, event.settings.simulated) for name in event.settings.accounts}
            _collect(laws, record, run, problems)
            wrong = None if reuses is None else reuses.take(run, record)
            problems["intents"] += [] if wrong is None else [Problem(record.position, wrong, record.version)]
            if record.stream == run:
                problems["spend"] += _caps(log, record, laws)
    except (LogError, ValueError, LookupError, AssertionError, TypeError, AttributeError) as error:
        at = (0, None) if record is None else (record.position, record.version)
        problems["intents"].append(Problem(at[0], f"it does not follow from the events before it: {error}", at[1]))
    else:
        is_whole = True
        if laws.finished is not None:
            laws.finish()
        else:
            laws.add_up()
        if record is not None:
            _collect(laws, record, run, problems)
    report.add(run, {name: found for name, found in problems.items() if name != "limits" or found or not laws.foreign})
    if laws.foreign and not problems["limits"]:
        report.skip(run, ["limits"], FOREIGN)
    if content is not None:
        content.report(laws, report, is_whole=is_whole)
    _decisions(log, run, report, catalogue)
    return accounts


def _bundle(log: EventLog, run: str, archived: RunArchived, report: AuditReport) -> None:
    """The bundle of an archived run is what it was, where it is here: it was verified when the run was archived."""
    path = log.bundle_of(run, archived)
    try:
        with open_regular(Path(path)) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"{path}: {error.strerror}" if path else "its place is unknown"
        report.skip(run, ["bundle"], f"the run is archived, and its bundle is not here ({what}); verify it where it is")
        return
    last = next(iter(log.newest(1, run)), None)
    if digest != archived.bundle:
        report.add(run, {"bundle": [Problem(0, f"{path} is not the bundle that the run was archived in")]})
    else:
        at = (0, None) if last is None else (last.position, last.version)
        wrong = differences(archived, run, Path(path))
        report.add(run, {"bundle": [Problem(at[0], each, at[1]) for each in wrong]})


def _decisions(log: EventLog, run: str, report: AuditReport, catalogue: Catalogue) -> None:
    """Every decision, computed again by the rules that are in force here."""
    from orchestrator.cli.kit import rank_of

    places, kinds = dict[int, tuple[int, str]](), dict[int, str]()

    def history() -> Iterator[tuple[int, Event]]:
        for record in log.read(run):
            places[record.version], kinds[record.version] = (record.position, record.stream), record.type
            yield record.at, record.event

    try:
        found = recomputed(history(), rank_of(catalogue))
    except (LogError, ValueError, LookupError, AssertionError, TypeError, AttributeError):
        report.skip(run, ["decisions"], "its events cannot be read")
        return
    wrong = []
    for each in found.differences:
        position, stream = places.get(each.version, (0, run))
        is_cut = not each.recorded and kinds.get(each.version + 1) in _AFTER_A_CUT
        if stream == run and not is_cut:
            wrong.append(Problem(position, each.what, each.version))
    if wrong or not (found.foreign or found.not_recomputable):
        report.add(run, {"decisions": wrong})
    elif found.foreign:
        report.skip(run, ["decisions"], FOREIGN)
    else:
        count = len(found.not_recomputable)
        report.skip(run, ["decisions"], f"{count} of them need a backend that is absent or of another version")


def _caps(log: EventLog, record: Recorded, laws: Laws) -> list[Problem]:
    """The caps of accounts that a session began with: each was once in force before."""
    event, simulated = record.event, laws.state.settings.simulated
    wrong = []
    for name, cap in event.caps.items() if isinstance(event, SessionOpened) else ():
        select = Select((stream_of(name, simulated),), before=record.position)
        known = {getattr(each.event, "totals", Totals()).cap for each in log.select(select)}
        if name not in laws.state.settings.accounts:
            wrong.append(Problem(record.position, f"the account {name} is none above the run", record.version))
        elif known and cap not in known:
            wrong.append(Problem(record.position, f"the account {name} never had the cap ${cap}", record.version))
    return wrong


def _collect(laws: Laws, record: Recorded, run: str, problems: dict[str, list[Problem]]) -> None:
    """Take the breaches that the latest event showed; those in what a fork shares are its parent's."""
    for breach in laws.breaches:
        if record.stream == run:
            problems.setdefault(breach.check, []).append(Problem(record.position, breach.message, record.version))
    laws.breaches.clear()


def _accounts(
    log: EventLog, run: str | None, used: AccountUse, seen: Iterable[str], broken: set[str], report: AuditReport
) -> None:
    """Every account there is, or those of one run."""
    everywhere = [name for name in log.streams() if is_account(name)] if run is None else []
    streams = sorted({*seen, *everywhere})
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
