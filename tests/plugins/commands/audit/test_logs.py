"""Every invariant is a check of its own, and is found broken where it is broken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve as changed

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Head
from orchestrator.models import ProjectStatus, Role, TaskStatus
from orchestrator.money import Usd
from orchestrator.policy import Policy
from orchestrator.settings import CrossVendor
from orchestrator.testing.simulation.memory_log import memory_database, memory_log
from orchestrator.testing.simulation.simulator import Scenario, simulate
from orchestrator_audit.checks import CHECKS, AuditResult
from orchestrator_audit.laws.shadow_state import OF_A_HISTORY
from orchestrator_audit.log_audit import audit
from tests import golden
from tests.log.project import RUN, unguarded
from tests.plugins.commands.audit.logs import COLUMNS, INSERT, audited, failures, finished_run, stored_anew

History = list[tuple[int, e.Event]]
Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one finished run, to be read only."""
    return finished_run(tmp_path_factory.mktemp("audited"))


@pytest.fixture(scope="module")
def history(home: Path) -> History:
    """The run's events."""
    log = EventLog.open_to_read(home)
    found = [(record.at, record.event) for record in log.read(RUN)]
    log.close()
    return found


def with_one(history: History, kind: type[e.Event], change: Change, where: Change = lambda event: True) -> History:
    """The history with the first event of a class that meets a condition changed."""
    index = next(i for i, (_, event) in enumerate(history) if type(event) is kind and where(event))
    return [*history[:index], (history[index][0], change(history[index][1])), *history[index + 1 :]]


def test_a_finished_run_passes_every_check(home: Path) -> None:
    """Each check of a history is made and passes; heads and chain and texts, too."""
    report = audited(home)
    assert failures(report) == set()
    assert report.skipped == []
    made = {check.name for check in report.checks if check.result is AuditResult.PASSED}
    of_texts = {"texts", "readings", "prompts", "settings", "files"}
    assert made == {*OF_A_HISTORY, *of_texts, "chain", "heads", "layout", "rows", "decisions"}
    assert {check.name for check in report.checks} <= CHECKS.keys()


def without(history: History, kind: type[e.Event]) -> History:
    """The history without the first event of a class. What refers to versions behind it does so no more."""
    index = next(i for i, (_, event) in enumerate(history) if type(event) is kind)
    return history[:index] + history[index + 1 :]


def _forbidding(started: e.RunStarted) -> e.RunStarted:
    policy = Policy("no-model", blocked_providers=("scripted",))
    return changed(started, settings=changed(started.settings, policies=(policy,)))


def _requiring(started: e.RunStarted) -> e.RunStarted:
    return changed(started, settings=changed(started.settings, cross_vendor=CrossVendor.REQUIRE))


def _own_vendor(selected: e.ModelSelected) -> e.ModelSelected:
    return changed(selected, model="northwind-1")


_ONE = Usd(1)
BREACHES: dict[str, tuple[str, Callable[[History], History]]] = {
    "a forbidden provider": ("policies", lambda h: with_one(h, e.RunStarted, _forbidding)),
    "a critic of the author's vendor": (
        "reviewers",
        lambda h: with_one(h, e.ModelSelected, _own_vendor, lambda v: v.role is Role.CRITIC),
    ),
    "a waiver without need": (
        "reviewers",
        lambda h: with_one(
            h, e.ModelSelected, lambda v: changed(v, waiver="same_vendor"), lambda v: v.role is Role.CRITIC
        ),
    ),
    "a gate that no check failed": ("gates", lambda h: with_one(h, e.Evaluated, lambda v: changed(v, gate=False))),
    "a score outside its samples": ("gates", lambda h: with_one(h, e.Evaluated, lambda v: changed(v, score=0.99))),
    "another score at the end": ("gates", lambda h: with_one(h, e.TaskFinished, lambda v: changed(v, score=0.99))),
    "completed, being poor": ("statuses", lambda h: with_one(h, e.TaskFinished, lambda v: changed(v, score=0.1))),
    "failed, with an output": (
        "statuses",
        lambda h: with_one(h, e.TaskFinished, lambda v: changed(v, status=TaskStatus.FAILED, reason="failed")),
    ),
    "a partial success": (
        "statuses",
        lambda h: with_one(h, e.RunFinished, lambda v: changed(v, status=ProjectStatus.PARTIAL_SUCCESS)),
    ),
    "a smaller hold": ("holds", lambda h: with_one(h, e.CallStarted, lambda v: changed(v, hold=v.hold - _ONE))),
    "another settlement": (
        "holds",
        lambda h: with_one(h, e.CallSucceeded, lambda v: changed(v, settled=v.settled + _ONE)),
    ),
    "a ceiling of nothing": (
        "holds",
        lambda h: with_one(h, e.RunStarted, lambda v: changed(v, settings=changed(v.settings, cap=_ONE))),
    ),
    "another sum": ("spend", lambda h: with_one(h, e.RunFinished, lambda v: changed(v, settled=v.settled + _ONE))),
    "another cost": ("spend", lambda h: with_one(h, e.TaskFinished, lambda v: changed(v, cost=v.cost + _ONE))),
    "a call without a selection": ("intents", lambda h: without(h, e.ModelSelected)),
    "an answer without its call": ("intents", lambda h: without(h, e.CallStarted)),
    "an end left out": ("intents", lambda h: without(h, e.CallSucceeded)),
    "another attempt": ("intents", lambda h: with_one(h, e.CallStarted, lambda v: changed(v, attempt=2))),
    "no session": ("sessions", lambda h: without(h, e.SessionOpened)),
    "the second session first": ("sessions", lambda h: with_one(h, e.SessionOpened, lambda v: changed(v, number=2))),
    "life after the end": ("sessions", lambda h: [*h, (h[-1][0] + 1, e.TaskStarted("t1"))]),
    "back in time": ("sessions", lambda h: [*h[:9], (h[9][0] - 10**6, h[9][1]), *h[10:]]),
    "a longer time-out": ("limits", lambda h: with_one(h, e.CallStarted, lambda v: changed(v, timeout=10**12))),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_under_a_chain_of_its_own_is_found_by_its_check(history: History, breach: str) -> None:
    """A changed event under a chain computed anew is found by the invariant that the change breaks."""
    name, change = BREACHES[breach]
    report = audit(stored_anew((RUN, change(history))), texts=False)
    found = failures(report)
    assert (RUN, name) in found
    assert (RUN, "chain") not in found
    assert report.first_problem is not None


def test_the_history_it_is_planted_in_is_sound(history: History) -> None:
    """The breaches above are what is found."""
    report = audit(stored_anew((RUN, history)), texts=False)
    assert failures(report) == set()
    assert [check.name for check in report.skipped] == ["texts"]


def test_a_required_vendor_is_no_breach_while_others_review(history: History) -> None:
    """Reviewers of other vendors satisfy the strictest setting."""
    found = failures(audit(stored_anew((RUN, with_one(history, e.RunStarted, _requiring))), texts=False))
    assert found == {(RUN, "decisions")}, "another setting has other reasons to lose, and no breach of its own"


def test_an_open_run_and_its_prefixes_are_sound(history: History) -> None:
    """What holds of a finished run holds of every part of it that a reader may find: steps are written whole."""
    ends = [end for end in range(1, len(history)) if history[end - 1][0] != history[end][0]]
    for end in ends[::11]:
        assert failures(audit(stored_anew((RUN, history[:end])), texts=False)) == set()


def test_nothing_is_judged_behind_a_broken_chain(home: Path, tmp_path: Path) -> None:
    """The laws are skipped where the events are not what was written; --strict fails on that, too."""
    import shutil

    copy = shutil.copytree(home, tmp_path / "home")
    connection = unguarded(copy)
    connection.execute("UPDATE events SET at = at + 1 WHERE version = 30")
    connection.close()
    report = audited(copy)
    assert failures(report) == {(RUN, "chain")}
    assert {check.name for check in report.skipped} >= set(OF_A_HISTORY)
    assert report.first_problem is not None
    assert report.first_problem.position == 30


def test_a_run_that_only_the_heads_know_is_found(home: Path) -> None:
    """A head written down of a run that is gone, and one of a version that is."""
    log = EventLog.open_to_read(home)
    gone = audit(log, heads=[Head("gone", "0" * 64, 5)])
    later = audit(log, heads=[Head(RUN, "0" * 64, 5000)])
    other = audit(log, heads=[Head(RUN, "0" * 64, 7)])
    log.close()
    assert failures(gone) == {("gone", "heads")}
    assert failures(later) == {(RUN, "heads")}
    assert (failures(other), other.first_problem and other.first_problem.position) == ({(RUN, "heads")}, 7)


@pytest.mark.parametrize("path", sorted(golden.FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_a_golden_log_passes_for_ever(path: Path) -> None:
    """Chain and laws hold of every log that was ever kept; it has no texts."""
    connection = memory_database()
    for row in golden.read(path).rows:
        connection.execute(INSERT, [row[name] for name in COLUMNS])
    log = memory_log(connection)
    report = audit(log, texts=False, accounts=False)
    assert failures(report) == set()
    skipped = {check.name for check in report.skipped}
    assert {"texts"} <= skipped <= {"texts", "limits", "accounts", "decisions"}


def test_accounts_and_runs_are_held_against_each_other() -> None:
    """A movement that was dropped, an account's or a run's, under chains computed anew, is found."""
    seed = next(s for s in range(100) if len(simulate(Scenario.draw(s)).accounts.get("org", [])) > 10)
    found = simulate(Scenario.draw(seed))
    log = found.world.log()
    assert failures(audit(log)) == set()
    for name, history in found.accounts.items():
        for index in (2, len(history) - 1):
            unreconciled = {**found.accounts, name: [*history[:index], *history[index + 1 :]]}
            tampered = stored_anew(
                *found.histories.items(), *((f"sim/account/{each}", events) for each, events in unreconciled.items())
            )
            assert (f"sim/account/{name}", "accounts") in failures(audit(tampered, texts=False))
