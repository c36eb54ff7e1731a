"""A model's plan with faults, through the front door: the run uses the repaired plan, and every view says so."""

import json
from pathlib import Path
from typing import Any

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from tests.cli.command import orchestrate, scripted_spec

FAULTY: list[Any] = [
    {"id": "a", "type": "implementation", "prompt": "Write x.", "hard_validators": "python_syntax"},
    {"id": "b", "type": "summarization", "prompt": "Say it.", "dependencies": "a", "hard_validators": ["ruff"]},
    {"id": "c", "type": "summarization", "prompt": "Say more.", "dependencies": ["b", "c", "nowhere"]},
    {"id": "d", "type": "summarization"},
]


def planned(home: Path) -> list[e.PlanMade]:
    """The plans in the log of the run ``p``."""
    log = EventLog.open_to_read(home)
    try:
        found = [record.event for record in log.read("p", types=[e.PlanMade])]
        return [event for event in found if isinstance(event, e.PlanMade)]
    finally:
        log.close()


def spec_of(folder: Path, tasks: Any, **fields: Any) -> Path:
    """A spec whose plan a scripted model makes."""
    path = scripted_spec(
        folder, answers=[{"role": "decomposer", "text": json.dumps({"tasks": tasks})}], project_id="p", **fields
    )
    content = json.loads(path.read_text())
    del content["tasks"]
    path.write_text(json.dumps(content))
    return path


def test_a_repaired_plan_is_used_and_said(tmp_path: Path) -> None:
    """The gate and the edges that were written as texts are there; terminal, explain and report name every repair."""
    spec = spec_of(tmp_path / "spec", FAULTY)
    ended = orchestrate(tmp_path, "run", str(spec))
    assert ended.code == 0, ended.err
    (plan,) = planned(tmp_path)
    assert [(each.dependencies, each.validators) for each in plan.tasks] == [
        ((), ("python_syntax",)),
        (("task_001",), ()),
        (("task_002",), ()),
    ]
    assert plan.execution_order == ("task_001", "task_002", "task_003")
    explained = orchestrate(tmp_path, "explain", "p", "plan")
    plain = orchestrate(tmp_path, "explain", "p", "plan", "--json").json
    page = orchestrate(tmp_path, "report", "p", "-o", str(tmp_path / "page.html"))
    assert page.code == 0, page.err
    shown = (tmp_path / "page.html").read_text()
    lines = [repair.words for repair in plan.repairs]
    assert len(lines) == 7
    for words in (*lines, "the plan has 3 tasks; 5 to 15 are usual"):
        assert words in ended.err
        assert words in explained.out
        assert words in shown
    remarks = next(each for each in plain if each["kind"] == "plan")
    assert [each["code"] for each in remarks["repairs"]] == [repair.code.value for repair in plan.repairs]
    assert orchestrate(tmp_path, "replay", "p", "--verify").code == 0


def test_a_plan_beyond_the_limit_keeps_its_first_tasks(tmp_path: Path) -> None:
    """``limits.max_tasks`` of the spec counts; a given plan may be longer."""
    tasks = [{"id": f"t{n}", "type": "summarization", "prompt": f"Say {n}."} for n in range(5)]
    spec = spec_of(tmp_path / "spec", tasks, limits={"max_tasks": 2})
    ended = orchestrate(tmp_path / "home", "run", str(spec))
    assert ended.code == 0, ended.err
    assert "3 tasks of the plan are left out: limits.max_tasks allows no more" in ended.err
    assert [len(plan.tasks) for plan in planned(tmp_path / "home")] == [2]
    given = scripted_spec(tmp_path / "given", tasks=tasks, project_id="p", limits={"max_tasks": 2})
    assert orchestrate(tmp_path / "other", "run", str(given)).code == 0
    assert [len(plan.tasks) for plan in planned(tmp_path / "other")] == [5]


def test_a_given_plan_stays_strict(tmp_path: Path) -> None:
    """What is repaired in a model's plan is refused in the spec's own, before anything is asked."""
    given = scripted_spec(tmp_path / "given", tasks=FAULTY)
    ended = orchestrate(tmp_path / "home", "run", str(given))
    assert ended.code == 2
    for key in ("type", "hard_validators", "dependencies", "prompt"):
        assert key in ended.err
    assert not (tmp_path / "home" / "events.db").exists()


def test_a_lean_plan(tmp_path: Path) -> None:
    """Files and what they need are a plan; the results are written under these names."""
    tasks = [
        {"file": "x.py", "prompt": "x: the number that is asked for", "needs": []},
        {"file": "README.md", "prompt": "what x.py is for, in a sentence", "needs": ["x.py"]},
    ]
    spec = spec_of(tmp_path / "spec", tasks)
    ended = orchestrate(tmp_path / "home", "run", str(spec), "-o", str(tmp_path / "out"))
    assert ended.code == 0, ended.err
    (plan,) = planned(tmp_path / "home")
    assert [(each.type.value, each.dependencies, each.validators) for each in plan.tasks] == [
        ("code_generation", (), ("python_syntax",)),
        ("creative_writing", ("task_001",), ()),
    ]
    assert (tmp_path / "out" / "x.py").exists()
    assert (tmp_path / "out" / "README.md").exists()
