import asyncio
from typing import Any

import orjson
import pytest

from orchestrator.errors import ErrorKind
from orchestrator.events import (
    BudgetRaised,
    CallFailed,
    CallPrepared,
    CallStarted,
    CallSucceeded,
    CheckStarted,
    EndedAttempt,
    Evaluated,
    Event,
    ModelCandidate,
    ModelSelected,
    PlanMade,
    Reading,
    RunFinished,
    RunStarted,
    SessionLost,
    SessionOpened,
    TaskFinished,
    TaskStarted,
    Validated,
)
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.views import VIEWS, own
from orchestrator.models import (
    Finish,
    PlannedTask,
    ProjectStatus,
    RejectionReason,
    Role,
    RunEndReason,
    SelectionReason,
    TaskEndReason,
    TaskStatus,
    TaskType,
    Verdict,
)
from orchestrator.money import Usage, Usd
from orchestrator.settings import RunSettings
from orchestrator.testing.simulation.memory_log import memory_log
from tests.sql import sqlite_of

D = "d" * 64
MINUTE = 60_000_000
START = 1_767_225_600_000_000  # 2026-01-01


def started(node: str, role: Role, attempt: int, hold: int, model: str = "m1") -> CallStarted:
    """A call of iteration 1, sample 1."""
    return CallStarted(1, node, role, 1, 1, attempt, attempt, "prov", model, 100, 10, Usd(hold), MINUTE)


def answered(call: int, settled: int) -> CallSucceeded:
    """An answer with usage in every token class."""
    usage = Usage(input=10, cached_input=2, cache_write=3, output=7, reasoning=1)
    return CallSucceeded(call, D, 3, Finish.STOP, Reading(), usage, Usd(settled), Usd(0), 1500)


def failed(call: int, settled: int = 0, unreconciled: int = 0) -> CallFailed:
    """A failure."""
    return CallFailed(
        call, ErrorKind.TIMEOUT, True, True, True, Usd(settled), Usd(unreconciled), None, None, None, 2000
    )


def session(number: int, **more: Any) -> SessionOpened:
    """A session with nothing special in it."""
    return SessionOpened(number, 1, "1", (), (), {}, False, {}, **more)


PLAN = PlanMade(
    (PlannedTask("t1", TaskType.CODE_GEN, D, 1), PlannedTask("t2", TaskType.SUMMARIZATION, D, 1, dependencies=("t1",))),
    ("t1", "t2"),
    4,
)
SELECTED = ModelSelected(
    "t1",
    Role.GENERATOR,
    1,
    1,
    1,
    "m1",
    SelectionReason.FIRST,
    100,
    (ModelCandidate("m1", 0.5), ModelCandidate("m2", None, RejectionReason.NO_PRICE)),
)

HISTORY: list[Event] = [
    RunStarted(1, RunSettings(cap=Usd(1000)), D, "p" * 64, D),
    session(1),
    CallPrepared(1, D, 10),
    started("plan", Role.DECOMPOSER, 1, 100),  # 4
    answered(4, 40),
    PLAN,
    TaskStarted("t1"),
    SELECTED,
    started("t1", Role.GENERATOR, 1, 100),  # 9
    failed(9),  # released
    started("t1", Role.GENERATOR, 2, 100),  # 11
    failed(11, unreconciled=100),
    started("t1", Role.GENERATOR, 3, 100, model="m2"),  # 13
    answered(13, 60),
    CheckStarted("t1", 1, "length", 13),  # 15
    CheckStarted("t1", 1, "python_syntax", 13),  # 16
    Validated(16, Verdict.FAILED, None, 10),
    Validated(15, Verdict.PASSED, None, 20),
    started("t1", Role.CRITIC, 1, 50),  # 19
    started("t1", Role.EVALUATOR, 1, 30),  # 20
    SessionLost(1, (EndedAttempt(19, Usd(50)),)),
    session(2, ended=(EndedAttempt(20, Usd(30)),)),
    Evaluated("t1", 1, 20, False, (), 0.0),
    started("t1", Role.REVISER, 1, 70),  # 24
]


def filled(*more: Event) -> EventLog:
    """A log with the history, and more events after it, a minute apart."""
    log = memory_log()

    async def fill() -> None:
        for version, event in enumerate([*HISTORY, *more]):
            await log.append("run-1", version, START + version * MINUTE + 5, [event])

    asyncio.run(fill())
    return log


def rows(log: EventLog, view: str) -> list[dict[str, Any]]:
    """The rows of a view, by column."""
    names = [row[1] for row in sqlite_of(log).query(f"PRAGMA table_info({view})")]
    return [dict(zip(names, row, strict=True)) for row in sqlite_of(log).query(f"SELECT * FROM {view}")]


def test_calls() -> None:
    """Every attempt is a row, with how it ended and what it holds."""
    calls = rows(filled(), "calls")

    assert list(calls[0]) == [
        "run_id", "call_id", "task_id", "role", "provider", "model", "outcome", "input_tokens", "output_tokens",
        "held_nano", "settled_nano", "started_at", "latency_ms", "position", "lane",
    ]  # fmt: skip
    assert [(c["call_id"], c["outcome"], c["held_nano"], c["settled_nano"]) for c in calls] == [
        ("plan/decomposer/1/1/1", "answered", 0, 40),
        ("t1/generator/1/1/1", "failed", 0, 0),
        ("t1/generator/1/1/2", "failed", 100, 0),
        ("t1/generator/1/1/3", "answered", 0, 60),
        ("t1/critic/1/1/1", "lost", 50, 0),
        ("t1/evaluator/1/1/1", "lost", 30, 0),
        ("t1/reviser/1/1/1", "in_flight", 70, 0),
    ]
    assert calls[0] | {"call_id": ""} == {
        "run_id": "run-1",
        "call_id": "",
        "task_id": "plan",
        "role": "decomposer",
        "provider": "prov",
        "model": "m1",
        "outcome": "answered",
        "input_tokens": 15,
        "output_tokens": 8,
        "held_nano": 0,
        "settled_nano": 40,
        "started_at": "2026-01-01T00:03:00.000005Z",
        "latency_ms": 1.5,
        "position": 4,
        "lane": "interactive",
    }
    assert (calls[4]["input_tokens"], calls[4]["latency_ms"]) == (None, None)


def test_spend_groups_calls_and_adds_up_to_the_run() -> None:
    """Sums by task, role and model; held counts what is in flight and what is unreconciled."""
    log = filled()
    spend = rows(log, "spend")

    assert list(spend[0]) == [
        "run_id", "task_id", "role", "phase", "provider", "model", "calls",
        "settled_nano", "held_nano", "unreconciled_nano", "lane",
    ]  # fmt: skip
    assert {row["lane"] for row in spend} == {"interactive"}
    assert [tuple(row.values())[1:-1] for row in spend] == [
        ("plan", "decomposer", "decomposition", "prov", "m1", 1, 40, 0, 0),
        ("t1", "generator", "generation", "prov", "m1", 2, 0, 100, 100),
        ("t1", "generator", "generation", "prov", "m2", 1, 60, 0, 0),
        ("t1", "critic", "cross_review", "prov", "m1", 1, 0, 50, 50),
        ("t1", "evaluator", "evaluation", "prov", "m1", 1, 0, 30, 30),
        ("t1", "reviser", "generation", "prov", "m1", 1, 0, 70, 0),
    ]
    [run] = rows(log, "runs")
    for column in ("settled_nano", "held_nano", "unreconciled_nano"):
        assert run[column] == sum(row[column] for row in spend)


def test_an_open_run() -> None:
    """A run without an end is open; its head is the hash of its last event."""
    log = filled()
    last = log.last("run-1")
    assert last is not None

    assert rows(log, "runs") == [
        {
            "run_id": "run-1",
            "status": "open",
            "project_digest": "p" * 64,
            "started_at": "2026-01-01T00:00:00.000005Z",
            "finished_at": None,
            "cap_nano": 1000,
            "settled_nano": 100,
            "held_nano": 250,
            "unreconciled_nano": 180,
            "tasks": 2,
            "events": len(HISTORY),
            "head": last.hash,
        }
    ]


def finished(task: str, status: TaskStatus, cost: int) -> TaskFinished:
    """The end of a task."""
    return TaskFinished(task, status, TaskEndReason.BUDGET, 0.25, False, "m2", "m1", 2, 1, Usd(cost))


HALTED = RunFinished(ProjectStatus.BUDGET_EXHAUSTED, RunEndReason.BUDGET, Usd(100), Usd(180))


@pytest.mark.parametrize(
    ("more", "status", "cap"),
    [
        ([HALTED], "BUDGET_EXHAUSTED", 1000),
        ([HALTED, BudgetRaised(Usd(2000))], "open", 2000),
        ([HALTED, BudgetRaised(Usd(2000)), session(3)], "open", 2000),
        ([HALTED, session(3), RunFinished(ProjectStatus.SUCCESS, None, Usd(0), Usd(0))], "SUCCESS", 1000),
        ([RunFinished(ProjectStatus.SUCCESS, None, Usd(0), Usd(0)), BudgetRaised(Usd(2000))], "SUCCESS", 2000),
    ],
)
def test_the_status_of_a_run(more: list[Event], status: str, cap: int) -> None:
    """A halted run is open again once something reopens it; a closed one stays closed."""
    [run] = rows(filled(*more), "runs")

    assert (run["status"], run["cap_nano"]) == (status, cap)
    assert (run["finished_at"] is None) == (status == "open")


def test_tasks() -> None:
    """A task has the plan's facts, its last end, and the settled and unreconciled money of its calls."""
    before = rows(filled(), "tasks")
    after = rows(filled(finished("t1", TaskStatus.DEGRADED, 240), finished("t2", TaskStatus.FAILED, 0)), "tasks")

    assert [tuple(row.values()) for row in before] == [
        ("run-1", "t1", "code_generation", "running", None, None, None, 1, 240),
        ("run-1", "t2", "summarization", "pending", None, None, None, 0, 0),
    ]
    assert [tuple(row.values()) for row in after] == [
        ("run-1", "t1", "code_generation", "degraded", 0.25, "m2", "m1", 2, 240),
        ("run-1", "t2", "summarization", "failed", 0.25, "m2", "m1", 2, 0),
    ]
    assert list(before[0]) == [
        "run_id", "task_id", "type", "status", "score", "model", "reviewer_model", "iterations", "cost_nano",
    ]  # fmt: skip


def test_a_reopened_task_is_pending_again() -> None:
    """What a raised budget reopens has no end any more."""
    log = filled(finished("t2", TaskStatus.FAILED, 0), HALTED, BudgetRaised(Usd(2000), ("t2",)))

    assert [(row["task_id"], row["status"], row["score"]) for row in rows(log, "tasks")] == [
        ("t1", "running", None),
        ("t2", "pending", None),
    ]


def test_decisions_and_checks() -> None:
    """Every choice of a model with all its candidates, and every verdict with what it judged."""
    log = filled()
    [decision] = rows(log, "decisions")

    candidates = decision.pop("candidates")
    assert decision == {"run_id": "run-1", "position": 8, "task_id": "t1", "role": "generator", "chosen": "m1"}
    assert orjson.loads(candidates) == [
        {"model": "m1", "score": 0.5, "rejection": None, "violates": [], "reason": None, "policy": None},
        {"model": "m2", "score": None, "rejection": "no_price", "violates": [], "reason": None, "policy": None},
    ]
    checks = rows(log, "checks")
    assert list(checks[0]) == ["run_id", "task_id", "iteration", "validator", "verdict", "position"]
    assert [tuple(row.values()) for row in checks] == [
        ("run-1", "t1", 1, "python_syntax", "failed", 17),
        ("run-1", "t1", 1, "length", "passed", 18),
    ]


def test_views_keep_runs_apart() -> None:
    """Equal versions in two runs are not joined with each other, and accounts are no runs."""
    log = filled()

    async def another() -> None:
        await log.open_account("org", Usd(1000), at=1)
        events = [RunStarted(1, RunSettings(), D, D, D), session(1), PLAN, started("t1", Role.GENERATOR, 1, 9)]
        await log.append("run-2", 0, 1, events, accounts=["org"])

    asyncio.run(another())

    assert [row["run_id"] for row in rows(log, "runs")] == ["run-1", "run-2"]
    assert [row["outcome"] for row in rows(log, "calls") if row["run_id"] == "run-2"] == ["in_flight"]
    assert [row["cost_nano"] for row in rows(log, "tasks")] == [240, 0, 0, 0]


@pytest.mark.parametrize("streams", [["run-1"], ["run-1", "run-2", "run-3"]])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_some_runs_compares_no_row_with_every_other(name: str, streams: list[str]) -> None:
    """The planner takes their events for a few, and would scan what it joins once a row: seconds for 2,000 tasks."""
    query = f"EXPLAIN QUERY PLAN {own(name, len(streams))} SELECT * FROM {name}"
    plan = [str(row[-1]) for row in sqlite_of(filled()).query(query, streams)]
    assert plan
    assert not [step for step in plan if step.startswith("SCAN") and "LEFT-JOIN" in step]
