"""A fork shares the past and pays for nothing but its own future."""

import shutil
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.backend_guard import guard, run_here
from orchestrator.engine.content_retention import delete_content
from orchestrator.engine.session_lifetime import Watchers
from orchestrator.errors import DamagedLogError, LogError, SpecError, UsageError
from orchestrator.events import CallStarted, RunForked, SessionOpened
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.plugins import Catalogue
from orchestrator.replay import verify
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from orchestrator_insight.forks import cut_of, fork
from tests.log.project import RUN, copied, in_workspace, spec_of, unguarded, watching, write_project
from tests.plugins.commands.audit.logs import audited, doing, failures, finished_run, forked
from tests.sql import sqlite_of


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run, to be read only."""
    return finished_run(tmp_path_factory.mktemp("forks"))


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(original, tmp_path / "home")


def state_of(home: Path, run: str, upto: int | None = None) -> RunState:
    """What a run amounts to."""
    log = EventLog.open_to_read(home)
    try:
        return fold((record.at, record.event) for record in log.read(run, upto=upto))
    finally:
        log.close()


def step_end(home: Path, version: int, run: str = RUN) -> int:
    """The end of a step at a version or shortly before it: what stands in one step depends on the machine's load."""
    log = EventLog.open_to_read(home)
    try:
        return cut_of(log, run, version=version).version
    finally:
        log.close()


def own_calls(home: Path, run: str) -> int:
    """How many attempts are in a run's own stream."""
    log = EventLog.open_to_read(home)
    try:
        return sum(1 for _ in log.read_own(run, types=[CallStarted]))
    finally:
        log.close()


def query(home: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of the views."""
    log = EventLog.open_to_read(home)
    try:
        return sqlite_of(log).query(sql, values)
    finally:
        log.close()


def test_a_fork_goes_on_from_the_past_it_shares(home: Path) -> None:
    """It asks only what comes after the cut, counts only that, and its decisions can be computed again."""
    place = step_end(home, 60)
    made = forked(home, place, "budget_usd=2")
    assert (made.run, made.cut.version, made.cut.moved) == ("five-fork", place, False)
    assert made.changes == ("cap: $5.00 → $2.00",)
    in_workspace(home, lambda w: w.resume("five-fork"))

    parent, state = state_of(home, RUN), state_of(home, "five-fork")
    assert state.finished is not None
    assert state.finished.status is ProjectStatus.SUCCESS
    assert (state.cap, parent.cap) == (Usd.parse("2"), Usd.parse("5"))
    assert 0 < own_calls(home, "five-fork") < own_calls(home, RUN)
    [(spent,)] = query(home, "SELECT sum(settled_nano) FROM spend WHERE run_id = 'five-fork'")
    assert state.spend.settled == Usd(spent) < parent.spend.settled
    assert state.spend.settled == Usd(sum(task.spend.settled.nano for task in state.tasks.values()))
    assert state.forked is not None
    assert state.forked.inherited_settled == state_of(home, RUN, place).spend.settled
    assert {t: s.output.answer for t, s in state.tasks.items() if s.output} == {
        t: s.output.answer for t, s in parent.tasks.items() if s.output
    }
    assert failures(audited(home)) == failures(audited(home, "five-fork")) == set()
    rank = guard(Catalogue.discover().backend("greedy", {}), run_here)
    log = EventLog.open_to_read(home)
    versions = [record.version for record in log.read("five-fork")]
    found = verify(((record.at, record.event) for record in log.read("five-fork")), lambda session: rank)
    log.close()
    assert versions == list(range(1, state.version + 1))
    assert (found.differences, found.foreign) == ((), ())
    assert found.decisions > 60


def test_the_views_show_a_fork_with_its_own_spend_and_all_its_tasks(home: Path) -> None:
    """Tasks that the shared past has ended stand in it, too; runs and costs count its own calls."""
    forked(home, 100)
    before = query(home, "SELECT status, tasks, settled_nano FROM runs WHERE run_id = 'five-fork'")
    tasks = dict(query(home, "SELECT task_id, status FROM tasks WHERE run_id = 'five-fork'"))
    assert before == [("open", 5, 0)]
    assert tasks["t1"] == "completed"
    assert tasks["t5"] in ("pending", "running")
    in_workspace(home, lambda w: w.resume("five-fork"))
    [(status, settled)] = query(home, "SELECT status, settled_nano FROM runs WHERE run_id = 'five-fork'")
    assert (status, Usd(settled)) == ("SUCCESS", state_of(home, "five-fork").spend.settled)
    after = query(home, "SELECT task_id, status, cost_nano FROM tasks WHERE run_id = 'five-fork' ORDER BY task_id")
    assert [row[1] for row in after] == ["completed"] * 5
    assert after[0][2] == 0


def test_every_version_can_be_forked_at_the_end_of_a_step(home: Path) -> None:
    """The place asked for, or the nearest end of a step before it, and then it is said."""
    log = EventLog.open_to_read(home)
    records = list(log.read(RUN))
    ends = {one.version for one, next_ in pairwise(records) if one.at != next_.at}
    ends.add(records[-1].version)
    for record in records:
        place = record.version
        if place < min(ends):
            with pytest.raises(UsageError, match="no step of five ends there"):
                cut_of(log, RUN, version=place)
            continue
        cut = cut_of(log, RUN, version=place)
        assert cut.version == max(end for end in ends if end <= place)
        assert cut.moved is (place not in ends)
        assert (cut.hash, cut.parent) == (records[cut.version - 1].hash, RUN)
        assert cut_of(log, RUN, position=record.position) == cut
    assert cut_of(log, RUN).version == len(records)
    log.close()


@pytest.mark.parametrize("version", [25, 60])
def test_calls_that_are_open_stay_the_parents(tmp_path: Path, version: int) -> None:
    """A fork of a run that died asks anew for what was in flight, holds nothing of the parent's, and both go on."""
    spec = spec_of(write_project(tmp_path / "project"))

    def snapshot(at_version: int, at: int, event: object) -> None:
        if at_version >= version and isinstance(event, CallStarted) and not (tmp_path / "killed").exists():
            copied(tmp_path / "home", tmp_path / "killed")

    in_workspace(tmp_path / "home", lambda w: w.start(spec, watchers=Watchers(observers=[snapshot])))
    killed = tmp_path / "killed"
    parent = state_of(killed, RUN)
    assert parent.in_flight > 0
    forked(killed, parent.version)
    state = state_of(killed, "five-fork")
    assert (state.in_flight, state.held, state.spend.total) == (0, Usd.ZERO, Usd.ZERO)
    seen: list[str] = []
    for run in ("five-fork", RUN):
        in_workspace(killed, lambda w, run=run: w.resume(run, watchers=watching(seen)))  # type: ignore[misc]
        ended = state_of(killed, run)
        assert ended.finished is not None
        assert ended.finished.status is ProjectStatus.SUCCESS
    assert state_of(killed, "five-fork").spend.unreconciled == Usd.ZERO
    assert state_of(killed, RUN).spend.unreconciled == parent.in_flight_held
    assert failures(audited(killed)) == set()


def test_a_fork_of_a_fork_shares_both_pasts(home: Path) -> None:
    """A cut in what a fork shares belongs to the ancestor whose event it is."""
    first = step_end(home, 60)
    forked(home, first)
    in_workspace(home, lambda w: w.resume("five-fork"))
    second = step_end(home, 100, "five-fork")
    deep = forked(home, second, run="five-fork", name="deep")
    shallow = forked(home, 40, run="five-fork", name="shallow")
    assert (deep.cut.parent, shallow.cut.parent) == ("five-fork", RUN)
    for run in ("deep", "shallow"):
        in_workspace(home, lambda w, run=run: w.resume(run))  # type: ignore[misc]
        ended = state_of(home, run).finished
        assert ended is not None
        assert ended.status is ProjectStatus.SUCCESS
    log = EventLog.open_to_read(home)
    assert [(each.stream, each.upto) for each in log.segments("deep")] == [
        (RUN, first),
        ("five-fork", second),
        ("deep", None),
    ]
    log.close()
    assert failures(audited(home)) == set()


def test_a_fork_of_a_halted_run_tries_again_what_had_failed_for_money(tmp_path: Path) -> None:
    """The ceiling of the fork is its own: what the parent could not pay is asked for again."""
    spec = spec_of(write_project(tmp_path / "project"))
    from attrs import evolve

    poor = evolve(spec, budget_usd=Usd.parse("0.0015"))
    ended = in_workspace(tmp_path / "home", lambda w: w.start(poor))
    assert ended.state.finished is not None
    assert ended.state.finished.status is ProjectStatus.BUDGET_EXHAUSTED
    made = forked(tmp_path / "home", ended.state.version, "budget_usd=3")
    again = in_workspace(tmp_path / "home", lambda w: w.resume(made.run))
    assert again.state.finished is not None
    assert again.state.finished.status is ProjectStatus.SUCCESS
    assert failures(audited(tmp_path / "home")) == set()


def test_accounts_count_the_forks_own_calls(tmp_path: Path) -> None:
    """Parent and fork draw on one account, each for the calls it made; the audit adds them up."""
    home = tmp_path / "home"
    spec = spec_of(write_project(tmp_path / "project"))
    in_workspace(home, lambda w: w.start(spec, caps={"org": Usd.parse("50")}))
    forked(home, 60)
    in_workspace(home, lambda w: w.resume("five-fork"))
    log = EventLog.open_to_read(home)
    totals = log.account("org", simulated=True)
    log.close()
    runs = [state_of(home, run).spend.settled for run in (RUN, "five-fork")]
    assert totals.settled == runs[0] + runs[1]
    assert failures(audited(home)) == failures(audited(home, "five-fork")) == set()


def test_what_made_the_past_cannot_be_changed(home: Path) -> None:
    """Keys that the shared history was made by are refused by name; so are a taken id and a bad one."""
    refused = {
        "project=Something else": "--set project",
        "criteria=Something else": "--set criteria",
        "tasks.0.prompt=Else": "--set tasks",
        "team=eng": "--set team",
        "nonsense=1": "nonsense",
        "budget_usd=-1": "budget_usd",
    }
    for text, message in refused.items():
        with pytest.raises((UsageError, SpecError), match=message):
            forked(home, 60, text)
    with pytest.raises(UsageError, match="already"):
        forked(home, 60, name=RUN)
    with pytest.raises(SpecError, match="--project-id"):
        forked(home, 60, name="no/name")
    assert query(home, "SELECT run_id FROM runs") == [(RUN,)]


def test_settings_are_frozen_into_the_fork(home: Path) -> None:
    """A backend, a policy and a target of the fork bind its calls; the parent's stay as they were."""
    forked(
        home,
        30,
        "routing.backend=weighted_sum",
        "policies=[{name: not_north, blocked_models: [northwind-1]}]",
        "quality_targets.summarization=0.99",
    )
    in_workspace(home, lambda w: w.resume("five-fork"))
    state = state_of(home, "five-fork")
    assert [policy.name for policy in state.settings.policies] == ["not_north"]
    assert state.settings.backend_named
    assert state_of(home, RUN).settings.policies == ()
    models = {model for (model,) in query(home, "SELECT DISTINCT model FROM calls WHERE run_id = 'five-fork'")}
    assert models
    assert "northwind-1" not in models
    log = EventLog.open_to_read(home)
    backends = [
        plugin.name
        for record in log.read_own("five-fork", types=[SessionOpened])
        for plugin in record.event.plugins  # type: ignore[attr-defined]
        if plugin.kind == "backend"
    ]
    log.close()
    assert backends == ["weighted_sum"]
    assert failures(audited(home, "five-fork")) == set()


DAMAGES = {
    "the past": ("UPDATE events SET at = at + 1 WHERE stream = 'five' AND version = 40", "five", True),
    "behind the cut": ("UPDATE events SET at = at + 1 WHERE stream = 'five' AND version = 90", "five", False),
    "its first event": ("UPDATE events SET at = at + 1 WHERE type = 'run.forked'", "five-fork", True),
    "its version": ("UPDATE events SET version = 5 WHERE type = 'run.forked'", "five-fork", True),
    "its type": ("UPDATE events SET type = 'run.started' WHERE type = 'run.forked'", "five-fork", True),
    "its name": ("UPDATE events SET stream = 'other' WHERE type = 'run.forked'", "other", True),
    "what it shares": (
        "UPDATE events SET data = json_set(data, '$.version', data ->> 'version' - 1) WHERE type = 'run.forked'",
        "five-fork",
        True,
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damage_of_what_a_fork_shares_is_its_own(home: Path, case: str) -> None:
    """A fork is refused where its own events or those it shares were changed; what its parent did later is not its."""
    sql, _, hurts = DAMAGES[case]
    forked(home, 60)
    in_workspace(home, lambda w: w.resume("five-fork"))
    connection = unguarded(home)
    connection.execute(sql)
    [position] = connection.execute("SELECT min(position) FROM events WHERE type = 'run.forked'").fetchone()
    connection.close()
    report = audited(home)
    assert not report.passes()
    if case not in ("the past", "behind the cut") and position is not None:
        assert report.first_problem is not None
        assert report.first_problem.position == position
    assert audited(home, "five-fork").passes() is not hurts
    if hurts:
        with pytest.raises((DamagedLogError, LogError, UsageError)):
            in_workspace(home, lambda w: w.resume("five-fork"))
    else:
        in_workspace(home, lambda w: w.resume("five-fork"))


def test_a_past_that_was_computed_anew_is_noticed_by_the_fork(home: Path) -> None:
    """The fork names the hash of the event it left at; another chain up to there has another."""
    from tests.plugins.commands.audit.logs import put

    forked(home, 60)
    log = EventLog.open_to_read(home)
    history = [(record.at + (record.version > 50), record.event) for record in log.read(RUN)]
    log.close()
    connection = unguarded(home)
    connection.execute("DELETE FROM events WHERE stream = 'five'")
    put(connection, history)
    connection.close()
    (home / "heads.jsonl").unlink()
    report = audited(home)
    assert ("five-fork", "chain") in failures(report)
    assert not audited(home, "five-fork").passes()


def test_an_append_of_a_fork_is_all_or_nothing(home: Path) -> None:
    """Where the log cannot be written there is no fork, and the next try makes it."""

    async def failing(workspace: Any) -> None:
        cut = cut_of(workspace.log, RUN, version=60)
        sqlite_of(workspace.log).connection.execute("PRAGMA query_only = ON")
        await fork(workspace, RUN, cut)

    with pytest.raises(LogError):
        doing(home, failing)
    assert query(home, "SELECT count(*) FROM events WHERE stream = 'five-fork'") == [(0,)]
    assert query(home, "SELECT count(*) FROM salts WHERE run = 'five-fork'") == [(0,)]
    assert forked(home, 60).run == "five-fork"


def test_a_fork_survives_the_deletion_of_its_parents_content(home: Path) -> None:
    """It goes on with the texts it shares, which are its own from then on; the parent can no longer be forked."""
    forked(home, 60)
    deleted = doing(home, lambda w: delete_content(w, RUN))
    assert deleted.forks == ("five-fork",)
    connection = sqlite3.connect(home / "events.db")
    assert connection.execute("SELECT count(*) FROM blobs WHERE run = 'five'").fetchone() == (0,)
    connection.close()
    outcome = in_workspace(home, lambda w: w.resume("five-fork"))
    assert outcome.state.finished is not None
    assert outcome.state.finished.status is ProjectStatus.SUCCESS
    output = outcome.state.tasks["t1"].output
    assert output is not None
    assert "answer" in outcome.texts.get(output.answer)
    assert failures(audited(home)) == set()
    with pytest.raises(UsageError, match="content of five was deleted"):
        forked(home, 60, name="late")
    in_workspace(home, lambda w: w.resume("five-fork"))


def test_deleted_content_does_not_come_back_with_the_parents(home: Path) -> None:
    """A fork whose content is gone inherits nothing; what a fork of that fork needs goes to the one that lives."""
    forked(home, 60)
    in_workspace(home, lambda w: w.resume("five-fork"))
    forked(home, 100, run="five-fork", name="deep")
    doing(home, lambda w: delete_content(w, "five-fork"))
    doing(home, lambda w: delete_content(w, RUN))
    assert query(home, "SELECT DISTINCT run FROM blobs") == [("deep",)]
    outcome = in_workspace(home, lambda w: w.resume("deep"))
    assert outcome.state.finished is not None
    assert outcome.state.finished.status is ProjectStatus.SUCCESS
    assert failures(audited(home)) == set()
    doing(home, lambda w: delete_content(w, "deep"))
    assert query(home, "SELECT count(*) FROM blobs") == [(0,)]


def test_a_fork_is_recovered_by_its_parent(home: Path, tmp_path: Path) -> None:
    """Its own events mean nothing without those it shares: the way on is named."""
    from orchestrator_audit.recovering import recover_run

    forked(home, 60)
    with pytest.raises(UsageError, match="recover five, whose past it shares"):
        recover_run(home, "five-fork", tmp_path / "saved")
    assert recover_run(home, RUN, tmp_path / "saved").is_complete


def test_the_fork_is_told_first_of_all(home: Path) -> None:
    """RunForked is the first event of the stream, one version behind what is shared, and the seed stays."""
    place = step_end(home, 60)
    forked(home, place)
    log = EventLog.open_to_read(home)
    [first] = log.read_own("five-fork")
    parent = next(iter(log.read(RUN, after=place - 1, upto=place)))
    log.close()
    event = first.event
    assert isinstance(event, RunForked)
    assert (first.version, event.parent, event.version, event.hash) == (place + 1, RUN, place, parent.hash)
    one, other = state_of(home, RUN).start, state_of(home, "five-fork").start
    assert one is not None
    assert other is not None
    assert (one.seed, one.project) == (other.seed, other.project)
