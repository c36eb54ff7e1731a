"""What the quickstart promises, asserted on its log, its files and its screen."""

import ast
import json

from orchestrator.money import Usd
from tests.cli.command import orchestrate, rows
from tests.e2e.conftest import Quickstart

IN_FLIGHT = """
WITH moves AS (
    SELECT position, 1 AS step FROM events WHERE type = 'call.started'
    UNION ALL SELECT position, -1 FROM events WHERE type IN ('call.succeeded', 'call.failed')
)
SELECT max(open) FROM (SELECT sum(step) OVER (ORDER BY position) AS open FROM moves)
"""


def test_it_plans_at_least_six_tasks_of_four_types_with_dependencies(quickstart: Quickstart) -> None:
    """The plan is made by a model, and its tasks depend on each other."""
    tasks = rows(quickstart.home, "SELECT task_id, type, status FROM tasks")
    assert len(tasks) >= 6
    assert len({kind for _, kind, _ in tasks}) >= 4
    assert {status for _, _, status in tasks} == {"completed"}
    assert rows(quickstart.home, "SELECT DISTINCT role FROM calls WHERE task_id = 'plan'") == [("decomposer",)]
    ((plan,),) = rows(quickstart.home, "SELECT data FROM events WHERE type = 'plan.made'")
    depending = {task["id"]: task["dependencies"] for task in json.loads(plan)["tasks"] if task["dependencies"]}
    assert depending
    marks = "SELECT json_extract(data, '$.task'), position FROM events WHERE type = ?"
    started, ended = (dict(rows(quickstart.home, marks, kind)) for kind in ("task.started", "task.finished"))
    assert all(ended[one] < started[task] for task, needed in depending.items() for one in needed)


def test_a_failing_draft_is_drafted_anew(quickstart: Quickstart) -> None:
    """A real validator fails the first draft of task_001; the next model drafts anew, and that output is chosen."""
    checks = rows(
        quickstart.home,
        "SELECT iteration, verdict FROM checks"
        " WHERE task_id = 'task_001' AND validator = 'python_syntax' ORDER BY position",
    )
    assert checks == [(1, "failed"), (2, "passed")]
    authors = "SELECT model FROM calls WHERE task_id = 'task_001' AND role = 'generator' ORDER BY position"
    (first,), (second,) = rows(quickstart.home, authors)
    assert first != second
    chosen = rows(
        quickstart.home,
        "SELECT json_extract(data, '$.iteration') FROM events"
        " WHERE type = 'output.chosen' AND data LIKE '%\"task_001\"%'",
    )
    assert chosen[-1] == (2,)
    ast.parse((quickstart.out / "task_001_code_generation.py").read_text())


def test_one_task_falls_back_to_another_model(quickstart: Quickstart) -> None:
    """The first choice for task_006 fails until its breaker opens, and another model writes the output."""
    asked = "SELECT model, outcome FROM calls WHERE task_id = 'task_006' AND role = 'generator' ORDER BY position"
    *failed, last = rows(quickstart.home, asked)
    assert failed
    assert {outcome for _, outcome in failed} == {"failed"}
    assert last[1] == "answered"
    assert last[0] not in {model for model, _ in failed}
    assert rows(quickstart.home, "SELECT model FROM tasks WHERE task_id = 'task_006'") == [(last[0],)]


def test_calls_overlap_but_never_more_than_allowed(quickstart: Quickstart) -> None:
    """Several calls are in flight at once, and never more than the spec's concurrency of three."""
    ((most,),) = rows(quickstart.home, IN_FLIGHT)
    assert 2 <= most <= 3


def test_every_step_of_the_review_happens(quickstart: Quickstart) -> None:
    """Drafts are criticised by another vendor, revised, checked and scored twice."""
    roles = {role for (role,) in rows(quickstart.home, "SELECT DISTINCT role FROM calls WHERE task_id <> 'plan'")}
    assert roles == {"generator", "critic", "reviser", "evaluator"}
    ((opened,),) = rows(quickstart.home, "SELECT data FROM events WHERE type = 'session.opened'")
    vendors = {model["id"]: model["vendor"] for model in json.loads(opened)["models"]}
    pairs = rows(quickstart.home, "SELECT model, reviewer_model FROM tasks")
    assert pairs
    assert all(vendors[author] != vendors[reviewer] for author, reviewer in pairs)


def test_the_files_are_what_the_specification_lays_out(quickstart: Quickstart) -> None:
    """One file per task named by number and type, fence-stripped code, pretty JSON, a summary and a table."""
    names = sorted(path.name for path in quickstart.out.iterdir() if not path.name.startswith("."))
    kinds = rows(quickstart.home, "SELECT type FROM tasks")
    endings = {"code_generation": ".py", "data_extraction": ".json"}
    files = [f"task_{number:03d}_{kind}{endings.get(kind, '.md')}" for number, (kind,) in enumerate(kinds, 1)]
    assert names == sorted([*files, "README.md", "summary.json"])
    for name in names:
        text = (quickstart.out / name).read_text()
        assert text.endswith("\n")
        if name.endswith(".py"):
            assert "```" not in text
            ast.parse(text)
    extracted = (quickstart.out / "task_003_data_extraction.json").read_text()
    assert extracted == json.dumps(json.loads(extracted), indent=2, ensure_ascii=False) + "\n"
    summary = json.loads((quickstart.out / "summary.json").read_text())
    assert [task["file"] for task in summary["tasks"]] == files
    assert summary["status"] == "SUCCESS"
    table = (quickstart.out / "README.md").read_text()
    assert all(f"[{name}]({name})" in table for name in files)


def test_the_screen_says_what_the_log_says(quickstart: Quickstart) -> None:
    """The table and the facts on stdout are the log's, and stderr says that the answers are scripted."""
    shown = [line.split() for line in quickstart.ended.lines]
    tasks = rows(quickstart.home, "SELECT task_id, type, model, reviewer_model, score, iterations FROM tasks")
    expected = [
        [task, kind, model, reviewer, f"{score:.3f}", str(iterations)]
        for task, kind, model, reviewer, score, iterations in tasks
    ]
    assert [line[:6] for line in shown[1 : len(tasks) + 1]] == expected
    ((head, settled),) = rows(quickstart.home, "SELECT head, settled_nano FROM runs")
    facts = dict(line.split(maxsplit=1) for line in quickstart.ended.lines[len(tasks) + 2 :])
    assert facts["head"] == head
    assert facts["spend"] == f"${settled / 1e9:.4f} of at most $1.0000, simulated"
    assert facts["files"] == str(quickstart.out)
    assert "the answers are scripted: no model is called, and the spend is simulated" in quickstart.ended.err


def test_the_money_adds_up(quickstart: Quickstart) -> None:
    """The run's spend is the sum over calls, and over tasks and the plan, to the nano-dollar."""
    ((settled, unreconciled),) = rows(quickstart.home, "SELECT settled_nano, unreconciled_nano FROM runs")
    assert unreconciled == 0
    assert rows(quickstart.home, "SELECT sum(settled_nano) FROM calls") == [(settled,)]
    ((tasks,),) = rows(quickstart.home, "SELECT sum(cost_nano) FROM tasks")
    ((plan,),) = rows(quickstart.home, "SELECT sum(settled_nano) FROM spend WHERE task_id = 'plan'")
    assert tasks + plan == settled
    summary = json.loads((quickstart.out / "summary.json").read_text())
    costs = [Usd.parse(task["cost_usd"]).nano for task in summary["tasks"]]
    assert sum(costs) + Usd.parse(summary["plan_cost_usd"]).nano == settled


def test_it_can_be_proved(quickstart: Quickstart) -> None:
    """The log is whole, and every decision in it follows from what stands before it."""
    assert orchestrate(quickstart.home, "audit", "verify", quickstart.run).code == 0
    done = orchestrate(quickstart.home, "replay", quickstart.run, "--verify", "--strict")
    assert (done.code, len(done.lines)) == (0, 1)
    assert done.lines[0].endswith("decisions recomputed, all as recorded")
