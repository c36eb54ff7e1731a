"""Suites: what is read, JSON lines by a mapping, arms, plans, and cases made of runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import SpecError, UsageError
from orchestrator.models import ModelInfo
from orchestrator.money import Price, Usd
from orchestrator_eval.arms import Arm, arms_of, best_model, with_controls
from orchestrator_eval.cell_matrix import Cell, EvalPlan, run_id, spec_of
from orchestrator_eval.suite_file import fingerprint, read_suite
from tests.cli.command import orchestrate
from tests.plugins.commands.eval.suites import MARK, MODELS, case, write

HUMANEVAL = {
    "task_id": "HumanEval/7",
    "prompt": 'def add(a, b):\n    """The sum of {a} and b."""\n',
    "entry_point": "add",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}


def lines(folder: Path, *values: Any) -> Path:
    """A file of JSON lines."""
    path = folder / "cases.jsonl"
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in values))
    return path


def test_cases_of_the_shape_of_humaneval_are_run(tmp_path: Path) -> None:
    """The mapping makes prompt, hidden tests and oracle; other braces in the texts stay as they are."""
    lines(tmp_path, HUMANEVAL)
    wrong = {"task": "HumanEval-7", "role": "generator", "text": "```python\ndef add(a, b):\n    return a - b\n```"}
    suite = write(tmp_path, [{"from": "cases.jsonl", "map": "humaneval"}], [wrong])
    read = read_suite(suite)
    [found] = read.cases
    assert found.id == "HumanEval-7"
    assert "The sum of {a} and b." in found.prompt
    assert "candidate(1, 2)" not in found.prompt
    ended = orchestrate(tmp_path / "home", "eval", "run", str(suite), "--no-controls", "--json")
    assert ended.code == 0, ended.err
    assert [cell["outcome"] for cell in ended.json["cells"]] == ["failed"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "cases.jsonl:2: not JSON"),
        ("[]", "cases.jsonl:2: expected an object"),
        ({"task_id": "x"}, "cases.jsonl:2: the line has no field 'prompt'"),
        ({**HUMANEVAL, "task_id": "HumanEval/7"}, "cases.jsonl:2: the id 'HumanEval-7' stands above already"),
        ({**HUMANEVAL, "task_id": "x", "test": "def"}, "cases.jsonl:2: grade.pytest: the tests are no Python"),
    ],
)
def test_a_line_that_is_no_case_is_named(tmp_path: Path, line: Any, message: str) -> None:
    """File and line, one problem each."""
    lines(tmp_path, HUMANEVAL, line)
    suite = write(tmp_path, [{"from": "cases.jsonl", "map": "humaneval"}], [])
    with pytest.raises(SpecError) as caught:
        read_suite(suite)
    assert len(caught.value.problems) == 1
    assert message in caught.value.problems[0]


def test_a_mapping_of_ones_own(tmp_path: Path) -> None:
    """Templates by key of a case; ``like`` begins with a known mapping, and ``limit`` takes the first lines."""
    lines(tmp_path, {"q": "one", "n": 1}, {"q": "two", "n": 2})
    mapping = {"id": "n{n}", "type": "summarization", "prompt": "{q}?", "grade": {"exact": "{n}"}, "oracle": "{n}"}
    suite = write(tmp_path, [{"from": "cases.jsonl", "map": mapping, "limit": 1, "tags": ["few"]}], [])
    [found] = read_suite(suite).cases
    assert (found.id, found.prompt, found.oracle, found.tags) == ("n1", "one?", "1", ("few",))


def test_files_of_graders_are_read_beside_the_suite(tmp_path: Path) -> None:
    """``{file: NAME}`` in a grader, and in an oracle."""
    (tmp_path / "hidden.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "oracle.txt").write_text("x = 1\n")
    hidden = case(1, type="code_generation", grade={"pytest": {"file": "hidden.py"}}, oracle={"file": "oracle.txt"})
    [found] = read_suite(write(tmp_path, [hidden], [])).cases
    assert found.grade[0].rule == "def test_it():\n    pass\n"
    assert found.oracle == "x = 1\n"


@pytest.mark.parametrize("name", ["project_id", "tasks", "output_dir", "cache"])
def test_keys_that_belong_to_cases_are_refused(tmp_path: Path, name: str) -> None:
    """With the line where they stand."""
    suite = write(tmp_path, [case(1)], [], spec={name: "x"})
    with pytest.raises(SpecError, match=rf"suite.json:1: spec.{name}: the cases and the evaluation set this"):
        read_suite(suite)


_KEYS = ["suite", "cases", "spec", "id", "type", "prompt", "grade", "oracle", "from", "map", "file"]
_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_ODD = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
    max_leaves=12,
)


@given(_ODD)
def test_whatever_a_suite_holds_is_refused_in_lines(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """No document makes the reader fail otherwise than by problems with a file."""
    path = tmp_path_factory.mktemp("odd") / "suite.json"
    path.write_text(json.dumps(value))
    with pytest.raises(SpecError) as caught:
        read_suite(path)
    assert all(str(path) in problem for problem in caught.value.problems)


# ── arms and plans ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_arms_are_all_combinations() -> None:
    """Each value of each key with each of the others; --set holds in all of them."""
    found = arms_of(["loop=plain,reviewed", "backend=greedy,pareto"], ["evaluate.runs=1"])
    assert [arm.name for arm in found] == [
        f"loop={loop}, backend={backend}" for loop in ("plain", "reviewed") for backend in ("greedy", "pareto")
    ]
    assert found[0].sets == ("evaluate.runs=1", "loop=plain", "routing.backend=greedy")
    assert arms_of([], []) == (Arm("default"),)


@pytest.mark.parametrize("text", ["loop", "=x", "loop=", "loop=plain,", "loop=plain,plain"])
def test_what_does_not_vary_is_refused(text: str) -> None:
    """One line that shows the form."""
    with pytest.raises(UsageError, match=r"--vary .*: "):
        arms_of([text], [])


def test_values_with_commas_in_brackets_are_one() -> None:
    """A list, or a mapping, is one value."""
    found = arms_of(["loop={strategy: best_of, samples: 2},plain"], [])
    assert [arm.sets[0] for arm in found] == ["loop={strategy: best_of, samples: 2}", "loop=plain"]


def test_controls_are_added_once() -> None:
    """An arm that does what a control does takes its place; with one model there is one control."""
    arms = arms_of(["loop=plain,reviewed"], [])
    assert [arm.name for arm in with_controls(arms, [], "large")] == ["loop=plain", "loop=reviewed", "single large"]
    assert [arm.name for arm in with_controls(arms_of([], []), [], None)] == ["default", "plain"]


def test_the_best_model_is_of_the_highest_tier() -> None:
    """Of equals the dearest; a model without a price cannot be called."""

    def model(name: str, tier: str, dollars: int | None) -> ModelInfo:
        price = None if dollars is None else Price(Usd(dollars), Usd(dollars))
        return ModelInfo(name, "p", "v", price=price, tier=tier)

    models = [model("a", "small", 9), model("b", "premium", 5), model("c", "premium", 7), model("d", "premium", None)]
    assert best_model(models) == "c"
    assert best_model(models[:1]) is None


def test_a_plan_survives_its_text(tmp_path: Path) -> None:
    """What is stored is what was planned, graders, arms and specs included."""
    suite = read_suite(write(tmp_path, [case(1), case(2, weight=2.5, tags=["x"], budget_usd=0.25)], []))
    plan = EvalPlan(suite, arms_of(["loop=plain,reviewed", "model=small-1,large-1"], []), 2, 7)
    again = EvalPlan.of(plan.text())
    assert again.text() == plan.text()
    assert list(again.cells()) == list(plan.cells())
    assert len(list(plan.cells())) == plan.size == 2 * 4 * 2
    for cell in plan.cells():
        assert again.spec(cell, "run").canonical() == plan.spec(cell, "run").canonical()
        assert again.seed_of(cell) == plan.seed_of(cell)
    assert [fingerprint(each) for each in again.suite.cases] == [fingerprint(each) for each in suite.cases]


def test_a_spec_holds_nothing_of_the_graders(tmp_path: Path) -> None:
    """The canonical spec of a cell has neither the pattern nor the oracle; and it reuses no answer of another."""
    suite = read_suite(write(tmp_path, [case(1)], []))
    assert spec_of(suite, suite.cases[0], Arm("default"), "run").cache is False
    assert MARK not in spec_of(suite, suite.cases[0], Arm("default"), "run").canonical()


@given(st.text("ab-.", min_size=1, max_size=64), st.text("ab", min_size=1, max_size=64), st.integers(1, 300))
def test_run_ids_are_short_and_differ(name: str, identifier: str, number: int) -> None:
    """At most 60 characters, so that a judge's fits beside; other cells and attempts have other ids."""
    cells = [Cell(identifier, number, 1), Cell(identifier, number, 2), Cell(identifier, number + 1, 1)]
    found = {run_id(name, cell, attempt) for cell in cells for attempt in (1, 2)}
    assert len(found) == 6
    assert all(len(each) <= 60 for each in found)


# ── adding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def made(tmp_path: Path) -> str:
    """A run with a tested task and one that builds on it."""
    tasks = [
        {
            "id": "code",
            "type": "code_generation",
            "prompt": "Write solution.py with one().\n\n  Keep it: short.",
            "hard_validators": ["pytest"],
            "tests": "from solution import one\n\ndef test_one():\n    assert one() == 1\n",
        },
        {"id": "prose", "type": "summarization", "prompt": "Say what it does.", "dependencies": ["code"]},
    ]
    answers = {
        "models": MODELS,
        "delay_ms": 0,
        "answers": [
            {"task": "code", "role": "generator", "text": "```python\ndef one():\n    return 1\n```"},
            {"task": "prose", "role": "generator", "text": "It gives one."},
        ],
    }  # fmt: skip
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    spec = {
        "project": "p", "criteria": "c", "project_id": "made", "tasks": tasks, "loop": "plain",
        "task_paths": {"code": "solution.py"}, "providers": {"scripted": {"answers": "answers.json"}},
    }  # fmt: skip
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert orchestrate(tmp_path / "home", "run", str(tmp_path / "spec.json"), "--quiet").code == 0
    return "made"


def test_a_task_of_a_run_becomes_a_case(tmp_path: Path) -> None:
    """Its prompt, its own tests as grader, its output as oracle; the suite stays as it was, and passes its checks."""
    run = made(tmp_path)
    suite = tmp_path / "suite.yaml"
    suite.write_text("suite: kept # as it is\nspec:\n  providers: {scripted: {answers: answers.json}}\ncases:\n")
    home = tmp_path / "home"
    before = suite.read_text()
    assert orchestrate(home, "eval", "add", run, "code", "--to", str(suite)).code == 0
    assert suite.read_text().startswith(before.rstrip())
    [found] = read_suite(suite).cases
    assert (found.id, found.path, found.hard_validators) == ("code", "solution.py", ("pytest",))
    assert found.prompt == "Write solution.py with one().\n\n  Keep it: short."
    dry = orchestrate(home, "eval", "run", str(suite), "--dry-run")
    assert dry.code == 0, dry.err

    refused = orchestrate(home, "eval", "add", run, "prose", "--to", str(suite))
    assert refused.code == 2
    assert "neither tests nor a schema" in refused.err
    (tmp_path / "grader.json").write_text('{"type": "object"}')
    again = orchestrate(home, "eval", "add", run, "code", "--to", str(suite))
    assert again.code == 2
    assert "has a case 'code' already" in again.err
    added = orchestrate(home, "eval", "add", run, "prose", "--to", str(suite), "--grade", str(tmp_path / "grader.json"))
    assert added.code == 0, added.err
    assert "return 1" in read_suite(suite).cases[1].prompt


def test_nothing_is_added_to_what_cannot_be_read(tmp_path: Path) -> None:
    """A file of another shape stays as it is."""
    run = made(tmp_path)
    suite = tmp_path / "suite.yaml"
    suite.write_text("cases: []\nsuite: x\n")
    before = suite.read_text()
    ended = orchestrate(tmp_path / "home", "eval", "add", run, "code", "--to", str(suite))
    assert ended.code == 2
    assert suite.read_text() == before
    for words in (["nothing", "code"], [run, "nothing"]):
        assert orchestrate(tmp_path / "home", "eval", "add", *words, "--to", str(suite)).code == 2
    assert list(tmp_path.glob(".suite*")) == []


@pytest.mark.parametrize(
    ("vary", "sets", "problem"),
    [
        (["nosuch=1,2"], ["verbose=true"], "--vary: nosuch: unknown key"),
        (["concurrency=1,2"], ["nosuch=1"], "--set: nosuch: unknown key"),
        (["tasks.0.dependencies=[x],[y]"], [], "--vary: tasks[0].dependencies[0]: no task has the id 'x'"),
    ],
)
def test_a_problem_of_an_arm_names_its_option(tmp_path: Path, vary: list[str], sets: list[str], problem: str) -> None:
    """Not a line of the suite, which has none of it."""
    suite = read_suite(write(tmp_path, [case(1)], []))
    (first, *_) = arms_of(vary, sets)
    with pytest.raises(SpecError) as raised:
        spec_of(suite, suite.cases[0], first, "run")
    assert raised.value.problems[0].startswith(problem)


def test_a_name_that_an_arm_uses_is_the_arms(tmp_path: Path) -> None:
    """A backend and a model of ``--vary`` are looked for under its name."""
    suite = read_suite(write(tmp_path, [case(1)], []))
    (arm,) = arms_of(["backend=nosuch", "model=nothing"], [])
    uses = spec_of(suite, suite.cases[0], arm, "run").uses
    assert {use.name: use.place for use in uses if use.name in ("nosuch", "nothing")} == {
        "nosuch": "--vary: routing.backend",
        "nothing": "--vary: policies[0].allowed_models[0]",
    }
