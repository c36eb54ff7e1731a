import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.documents import load_yaml, read_text
from orchestrator.models import MAX_ITERATIONS, MAX_TOKENS, ROLE_MAX_TOKENS, SLOTS, THRESHOLDS, Role, TaskType, Verdict
from orchestrator.spi import CallRef, Candidate, ValidatorContext
from orchestrator_providers.answers_file import Script, read_script
from orchestrator_validators.python_syntax import python_syntax

FOLDER = Path(__file__).parents[3] / "examples" / "quickstart"


def script() -> Script:
    """The answers file of the quickstart."""
    return read_script(read_text(FOLDER / "answers.yaml"), "answers.yaml")


def said(task: str, role: Role, iteration: int = 1, sample: int = 1, model: str = "kestrel-prime") -> str:
    """The scripted text of one call."""
    answer = script().find(CallRef(task, role, iteration, sample, 1), model)
    assert answer is not None
    assert answer.failure is None
    return answer.text


def content(text: str) -> str:
    """The text's first fenced block, or all of it."""
    fenced = re.search(r"```\w*\n(.*?)\n```", text, re.DOTALL)
    return fenced.group(1) if fenced else text


def plan() -> list[Mapping[str, Any]]:
    """The tasks of the scripted plan."""
    tasks: list[Mapping[str, Any]] = json.loads(content(said("plan", Role.DECOMPOSER)))["tasks"]
    return tasks


def score(task: str, iteration: int, sample: int) -> float:
    """A scripted evaluation."""
    return float(json.loads(said(task, Role.EVALUATOR, iteration, sample))["score"])


def gate(task: str, iteration: int) -> Verdict:
    """What ``python_syntax`` finds about the draft of an iteration."""
    text = said(task, Role.GENERATOR, iteration)
    return python_syntax(Candidate(task, TaskType.CODE_GEN, text, content(text)), ValidatorContext()).verdict


def test_the_spec_asks_for_scripted_answers_alone() -> None:
    """The quickstart needs no key: its one provider is the scripted one, its file beside it."""
    spec = load_yaml(read_text(FOLDER / "spec.yaml"), "spec.yaml").value

    assert spec["providers"] == {"scripted": {"answers": "answers.yaml"}}
    assert spec["project"]
    assert spec["criteria"]


def test_the_plan_has_types_dependencies_and_independent_tasks() -> None:
    """At least six tasks of four types, in an order that respects dependencies, several of them independent."""
    tasks = plan()
    names = [task["id"] for task in tasks]

    assert names == [f"task_{number:03d}" for number in range(1, len(tasks) + 1)]
    assert len(tasks) >= 6
    assert len({TaskType(task["type"]) for task in tasks}) >= 4
    assert sum(not task["dependencies"] for task in tasks) >= 3
    assert any(len(task["dependencies"]) >= 2 for task in tasks)
    for at, task in enumerate(tasks):
        assert set(task["dependencies"]) <= set(names[:at])
        assert set(task["hard_validators"]) <= {"python_syntax", "json_schema", "length"}


def test_the_models_are_of_three_vendors_and_fill_the_specifications_slots() -> None:
    """Every slot but the two that stand last in every row is filled, and every model can carry its role."""
    models = script().models

    assert len({model.vendor for model in models}) >= 3
    assert sorted(slot for model in models for slot in model.slots) == sorted(set(SLOTS) - {"minimax-3", "glm-4"})
    for model in models:
        assert model.price is not None
        assert (model.max_output or 0) >= max(*MAX_TOKENS.values(), *ROLE_MAX_TOKENS.values())


@pytest.mark.parametrize("task", plan(), ids=lambda task: str(task["id"]))
def test_every_task_has_answers_for_every_role_and_iteration(task: Mapping[str, Any]) -> None:
    """Whatever turn a task needs, no call is without an answer, and both evaluations of an iteration agree."""
    for iteration in range(1, MAX_ITERATIONS[TaskType(task["type"])] + 1):
        for role in (Role.GENERATOR, Role.CRITIC, Role.REVISER):
            assert said(task["id"], role, iteration).strip()
        assert abs(score(task["id"], iteration, 1) - score(task["id"], iteration, 2)) <= 0.05


def test_the_first_reader_fails_its_gate_and_the_second_passes() -> None:
    """The draft of iteration 1 does not compile; that of iteration 2 does, and reaches the threshold."""
    assert gate("task_001", 1) is Verdict.FAILED
    assert gate("task_001", 2) is Verdict.PASSED
    assert gate("task_002", 1) is Verdict.PASSED


def test_one_task_needs_a_second_iteration_for_its_score_and_the_others_one() -> None:
    """Only the reasoning task's first mean is below its threshold, by more than a plateau."""
    below = [
        task["id"]
        for task in plan()
        if (score(task["id"], 1, 1) + score(task["id"], 1, 2)) / 2 < THRESHOLDS[TaskType(task["type"])]
    ]
    second = (score("task_004", 2, 1) + score("task_004", 2, 2)) / 2

    assert below == ["task_004"]
    assert second >= THRESHOLDS[TaskType.COMPLEX_REASONING]


def test_one_model_is_overloaded_for_one_task_on_every_try() -> None:
    """The model asked first for the README never answers; a model of another vendor does."""
    found = script()
    for attempt in (1, 2, 3):
        answer = found.find(CallRef("task_006", Role.GENERATOR, 1, 1, attempt), "aurora-grand")
        assert answer is not None
        assert answer.failure is not None
        assert answer.failure.retryable
    assert said("task_006", Role.GENERATOR, model="kestrel-prime").startswith("# csv-statistics")


def module(name: str, task: str, iteration: int) -> ModuleType:
    """A final piece of scripted code, loaded as a module."""
    made = ModuleType(name)
    sys.modules[name] = made
    exec(compile(content(said(task, Role.REVISER, iteration)), f"{name}.py", "exec"), made.__dict__)
    return made


def test_the_library_of_the_quickstart_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted code is a library that does what its README says, with the README's own example."""
    for name in ("csv_columns", "describe"):
        monkeypatch.setitem(sys.modules, name, None)
    reader, statistics = module("csv_columns", "task_001", 2), module("describe", "task_002", 1)
    file = tmp_path / "cities.csv"
    file.write_text("city,founded,population\nPorto,1123,249633\nBraga,,193324\nFaro,1249,67622\n")
    columns = reader.read_columns(file)
    numbers = reader.numeric(columns["founded"])
    described = statistics.describe(numbers, missing=columns["founded"].count(None))

    assert reader.numeric(columns["city"]) is None
    assert numbers == [1123.0, 1249.0]
    assert (described.count, described.missing, described.mean, described.median) == (2, 1, 1186.0, 1186.0)
    assert described.stdev == pytest.approx(63 * math.sqrt(2))
    large = statistics.describe([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])
    assert large.stdev**2 == pytest.approx(30)
    assert statistics.describe([]).mean is None

    monkeypatch.chdir(tmp_path)
    exec(compile(content(said("task_006", Role.REVISER)), "README.md", "exec"), {})


def test_what_the_reasoning_claims_about_the_textbook_formula_is_true() -> None:
    """Four large, close values: the sum of squares gives anything but 30."""
    values = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]
    textbook = (sum(value * value for value in values) - 4 * (sum(values) / 4) ** 2) / 3

    assert textbook != pytest.approx(30)
    assert (textbook * 3) % 512 == 0
    assert json.loads(content(said("task_003", Role.REVISER)))["rows"] == 3
