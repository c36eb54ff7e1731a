"""Auditing a run of 100,000 events: chain, texts and every law, the bundle an auditor gets, and the report."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

from benchmarks.history import make_run
from benchmarks.measure import ROUNDS, Row, child
from benchmarks.scale import _peak

EVENTS: Final = 100_000
LIMIT: Final = 10.0
"""Seconds it may take."""

_MEMORY: Final = 1.5
"""How much more memory an event of a long run may take than one of a run a tenth as long."""


def main(what: str, home: str, run: str) -> None:
    """Audit a run, bundle it and audit the bundle, or write its report; prints CPU seconds and peak memory as JSON."""
    if what == "report":
        _write_report(home, run)
        return
    from orchestrator.ledger.event_log import EventLog
    from orchestrator_audit.bundles.checking import verify
    from orchestrator_audit.bundles.writing import make
    from orchestrator_audit.log_audit import audit

    log = EventLog.open_to_read(Path(home))
    path = Path(home) / "bundle.tar"
    if what == "bundle" and not path.exists():
        make(log, run, path)
    began = process_time()
    report = audit(log) if what == "log" else verify(path)
    seconds = process_time() - began
    assert report.passes(strict=True), report.failed or report.skipped
    events = sum(count for count, _ in report.heads.values())
    print(json.dumps({"seconds": seconds, "memory": _peak(), "events": events}))


def _write_report(home: str, run: str) -> None:
    from orchestrator.cli.root import root
    from orchestrator.ledger.event_log import EventLog

    began = process_time()
    root.main(["report", run, "-o", str(Path(home) / "report.html"), "--home", home], standalone_mode=False)
    seconds = process_time() - began
    last = EventLog.open_to_read(Path(home)).last(run)
    assert last is not None
    print(json.dumps({"seconds": seconds, "memory": _peak(), "events": last.version}))


def _in_child(what: str, home: Path, run: str) -> dict[str, Any]:
    ended = child([sys.executable, "-m", __name__, what, str(home), run], Path(__file__).parents[1])
    found: dict[str, Any] = json.loads(ended.output)
    return found


def verify(rounds: int = ROUNDS, events: int = EVENTS) -> Iterator[Row]:
    """Measure what an audit and a report take beside their limit, and an audit's memory beside that of a tenth."""
    with tempfile.TemporaryDirectory() as scratch:
        homes = {count: Path(scratch) / str(count) for count in (events // 10, events)}
        runs = {count: make_run(home, count) for count, home in homes.items()}
        peaks: dict[int, float] = {}
        named = {"log": "audit verify of the log", "bundle": "audit verify of a bundle", "report": "report"}
        for what, name in named.items():
            found = [_in_child(what, homes[events], runs[events]) for _ in range(rounds + 1)][1:]
            seconds = [each["seconds"] for each in found]
            ratios = [each / LIMIT for each in seconds]
            memory = max(each["memory"] for each in found)
            if what == "log":
                peaks[events] = memory
            note = f"{found[0]['events']:,} events; at most {memory / 2**20:.0f} MiB"
            yield Row(
                f"{name}, beside the {LIMIT:g} s it may take",
                f"{median(seconds):.1f} s",
                f"{LIMIT:g} s",
                median(ratios),
                (min(ratios), max(ratios)),
                1.0,
                True,
                note,
            )
        peaks[events // 10] = _in_child("log", homes[events // 10], runs[events // 10])["memory"]
        small, large = peaks[events // 10] / (events // 10), peaks[events] / events
        what = f"memory of audit verify per event, {events:,} beside {events // 10:,}"
        ratio = large / small
        yield Row(what, f"{large:,.0f} B", f"{small:,.0f} B", ratio, (ratio, ratio), _MEMORY, True, "measured once")


if __name__ == "__main__":
    main(*sys.argv[1:])
