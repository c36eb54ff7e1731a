"""Models' plans: what is wrong in them is repaired and recorded, and what is right in them stays as it is."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.answers.plan_edges import acyclic, first_with_dependencies
from orchestrator.engine.answers.plans import read_plan
from orchestrator.events import Reading
from orchestrator.models import PLAN_REPAIRS, PlanRepair, PlanRepairKind, TaskType, size_remark

INSTALLED: Final = ("python_syntax", "pytest", "ruff", "json_schema", "length", "latex")
GOOD_TESTS: Final = "from solution import x\n\ndef test_x():\n    assert x == 1\n"
FITTING: Final = {TaskType.CODE_GEN: ("python_syntax", "ruff", "length"), TaskType.DATA_EXTRACTION: ("json_schema",)}
OTHER_WORDS: Final = {
    "documentation": TaskType.CREATIVE_WRITING,
    "Technical Writing": TaskType.CREATIVE_WRITING,
    "testing": TaskType.CODE_GEN,
    "unit_tests": TaskType.CODE_GEN,
    "implementation": TaskType.CODE_GEN,
    "code genration": TaskType.CODE_GEN,
    "analysis": TaskType.COMPLEX_REASONING,
    "data-analysis": TaskType.COMPLEX_REASONING,
    "API design": TaskType.COMPLEX_REASONING,
    "security review": TaskType.CODE_REVIEW,
    "summary": TaskType.SUMMARIZATION,
    "quality assurance, validation": TaskType.EVALUATION,
    "parsing": TaskType.DATA_EXTRACTION,
    "quux": TaskType.COMPLEX_REASONING,
}


def reading(tasks: Any, most: int = 50) -> Reading:
    """What is read of a plan; texts stay where their digests would be."""
    return read_plan([{"tasks": tasks}], INSTALLED, lambda text: text, most=most)


def task(name: str, *needs: str, kind: str = "summarization", **more: Any) -> dict[str, Any]:
    """One right entry."""
    return {"id": name, "type": kind, "prompt": f"Do {name}.", "dependencies": [*needs], **more}


def said(found: Reading) -> list[tuple[str, str | None, str | None]]:
    """The repairs as plain values."""
    return [(repair.code.value, repair.task, repair.detail) for repair in found.repairs]


@define
class Drawn:
    """A plan as a model wrote it, and what it means."""

    written: list[Any] = Factory(list)
    tasks: list[tuple[str, TaskType, tuple[str, ...], tuple[str, ...], str | None]] = Factory(list)
    """Prompt, type, dependencies, validators and tests of each task that is meant."""
    repairs: set[tuple[str, str | None, str | None]] = Factory(set)


FAULTS: Final = (
    "none", "text_needs", "unknown", "self", "word", "no_type", "text_checks", "unfit", "broken_tests", "no_tests",
    "rubbish_before", "no_prompt_before", "again",
)  # fmt: skip


@st.composite
def generated_plans(draw: st.DrawFn) -> Drawn:
    """Right plans, each entry written with at most one fault whose repair is known."""
    plan = Drawn()
    for number in range(1, draw(st.integers(1, 7)) + 1):
        name, own = f"t{number}", f"task_{number:03d}"
        kind = draw(st.sampled_from(list(TaskType)))
        needs = draw(st.lists(st.integers(1, number - 1), unique=True, max_size=3)) if number > 1 else []
        checks = draw(st.lists(st.sampled_from(FITTING.get(kind, ("length",))), unique=True))
        tests = GOOD_TESTS if draw(st.booleans()) else None
        entry = task(name, *[f"t{each}" for each in needs], kind=kind.value, hard_validators=[*checks])
        if tests is not None:
            entry["tests"] = tests
        match draw(st.sampled_from(FAULTS)):
            case "text_needs":
                entry["dependencies"] = draw(st.sampled_from((",", ", ", "; "))).join(entry["dependencies"])
                plan.repairs |= {("text_as_list", own, "dependencies")} if needs else set()
            case "unknown":
                entry["dependencies"].insert(draw(st.integers(0, len(needs))), "nowhere")
                plan.repairs.add(("unknown_dependency", own, "nowhere"))
            case "self":
                entry["dependencies"].insert(draw(st.integers(0, len(needs))), name)
                plan.repairs.add(("self_dependency", own, None))
            case "word":
                entry["type"] = draw(st.sampled_from(list(OTHER_WORDS)))
                kind, checks, tests, entry["tests"] = OTHER_WORDS[entry["type"]], [], None, ""
                entry["hard_validators"] = []
                plan.repairs.add(("type_replaced", own, kind.value))
            case "no_type":
                del entry["type"]
                kind = TaskType.CODE_GEN
                checks = entry["hard_validators"] = ["python_syntax"]
                plan.repairs.add(("type_added", own, kind.value))
            case "text_checks":
                entry["hard_validators"] = ", ".join(checks)
                plan.repairs |= {("text_as_list", own, "hard_validators")} if checks else set()
            case "unfit":
                unfit = "json_schema" if kind is TaskType.CODE_GEN else "python_syntax"
                entry["hard_validators"].append(unfit)
                plan.repairs.add(("unfit_validator", own, unfit))
            case "broken_tests":
                entry["tests"], tests = draw(st.sampled_from(("def test_x(:", "Check that x is 1."))), None
                plan.repairs.add(("tests_unreadable", own, None))
            case "no_tests":
                entry["tests"], tests = draw(st.sampled_from(("x = 1", "def check(): pass", "# none"))), None
                plan.repairs.add(("tests_empty", own, None))
            case "rubbish_before":
                plan.written.append(draw(st.sampled_from((None, 7, "Do it.", ["x"]))))
                plan.repairs.add(("not_a_task", None, str(len(plan.written))))
            case "no_prompt_before":
                plan.written.append(draw(st.sampled_from(({}, {"id": "x"}, {"id": "y", "prompt": " "}, {"prompt": 3}))))
                plan.repairs.add(("no_prompt", None, str(len(plan.written))))
            case "again" if plan.tasks:
                entry["dependencies"].append(entry["dependencies"][0] if needs else "T-1")
                needs = needs or [1]
        plan.written.append(entry)
        plan.tasks.append((f"Do {name}.", kind, tuple(f"task_{each:03d}" for each in needs), tuple(checks), tests))
    return plan


@given(generated_plans())
def test_a_plan_with_known_faults_reads_as_the_plan_that_is_meant(plan: Drawn) -> None:
    """Every fault is repaired and recorded once, and nothing else is changed or said."""
    found = reading(plan.written)
    assert found.plan is not None
    read = [(each.prompt, each.type, each.dependencies, each.validators, each.tests) for each in found.plan]
    assert read == plan.tasks
    assert set(said(found)) == plan.repairs
    assert len(found.repairs) == len(plan.repairs)


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Dependencies of a few tasks on each other, cycles among them."""
    count = draw(st.integers(1, 8))
    others = st.lists(st.integers(0, count - 1), unique=True, max_size=4)
    return [[each for each in draw(others) if each != place] for place in range(count)]


def reaches(edges: Sequence[Sequence[int]], start: int, end: int) -> bool:
    """Whether a task waits for another, found the slow way."""
    seen, left = set(), [start]
    while left:
        seen.add(each := left.pop())
        left += [other for other in edges[each] if other not in seen]
    return end in seen


@given(graphs())
def test_a_cycle_is_cut_at_its_last_edge(dependencies: list[list[int]]) -> None:
    """An edge is cut if, and only if, it closes a cycle with the edges before it."""
    unreconciled, cut = acyclic(dependencies)
    before: list[list[int]] = [[] for _ in dependencies]
    for place, wanted in enumerate(dependencies):
        for other in wanted:
            closes = reaches(before, other, place)
            assert ((place, other) in cut) is closes
            if not closes:
                before[place].append(other)
    assert unreconciled == before


@given(graphs(), st.integers(1, 8))
def test_the_first_tasks_are_taken_with_all_they_depend_on(dependencies: list[list[int]], most: int) -> None:
    """Each task in its order with its dependencies, where they still fit; never a task without one of its own."""
    edges, _ = acyclic(dependencies)
    taken = first_with_dependencies(edges, most)
    expected: set[int] = set()
    for place in range(len(edges)):
        with_it = expected | {other for other in range(len(edges)) if reaches(edges, place, other)}
        expected = with_it if len(with_it) <= most else expected
    assert taken == sorted(expected)
    assert 0 < len(taken) <= most


def test_more_tasks_than_allowed() -> None:
    """The first stay with what they depend on, though it stands behind; how many are left out is recorded."""
    found = reading([task("a", "z"), *[task(f"b{number}") for number in range(8)], task("z")], most=4)
    assert [each.prompt for each in found.plan or ()] == ["Do a.", "Do b0.", "Do b1.", "Do z."]
    assert (found.plan or ())[0].dependencies == ("task_004",)
    assert said(found) == [("too_many_tasks", None, "6")]


def test_tasks_of_one_id() -> None:
    """Both stay; a third one waits for both, and one of them that names the id waits for the one before."""
    found = reading([task("a"), task("a", "a"), task("b", "a")])
    assert [each.dependencies for each in found.plan or ()] == [(), ("task_001",), ("task_001", "task_002")]
    assert said(found) == [("duplicate_id", "task_002", "a")]


def test_a_cycle_is_named_by_the_tasks_of_the_repaired_plan() -> None:
    """The later of two tasks that wait for each other waits no more."""
    found = reading([task("a", "b"), task("b", "a")])
    assert [each.dependencies for each in found.plan or ()] == [("task_002",), ()]
    assert said(found) == [("cycle", "task_002", "task_001")]


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ("none", ()), ("N/A", ()), ("", ()), (None, ()),
        ("a", (1,)), ({"a": True}, (1,)), ("a,b", (1, 2)), (["a, b"], (1, 2)), (["A"], (1,)),
        ([{"id": "b"}], (2,)), ({"id": "a"}, (1,)), (["The first"], (1,)), (["src/b.py"], (2,)), (["b.py"], (2,)),
    ],
)  # fmt: skip
def test_a_dependency_in_other_words(needs: Any, expected: tuple[int, ...]) -> None:
    """An id in other letters, a file, a title, an object with an id; several in one text."""
    tasks = [task("a", title="The first"), task("b", path="src/b.py"), {**task("c"), "dependencies": needs}]
    found = reading(tasks)
    assert (found.plan or ())[2].dependencies == tuple(f"task_{number:03d}" for number in expected)
    assert all(repair.code is PlanRepairKind.TEXT_AS_LIST for repair in found.repairs)


def test_a_name_that_may_mean_two_tasks_means_none() -> None:
    """A title of two tasks is no dependency, and that is recorded."""
    tasks = [task("a", title="Parse"), task("b", title="Parse"), task("c", "Parse")]
    found = reading(tasks)
    assert (found.plan or ())[2].dependencies == ()
    assert said(found) == [("unknown_dependency", "task_003", "Parse")]


def test_numbers_as_names() -> None:
    """Tasks without ids are known by their numbers, those with numbered ids by the number as well."""
    bare = [{"type": "summarization", "prompt": "Say."}, {"type": "summarization", "prompt": "S.", "depends_on": [1]}]
    assert [each.dependencies for each in reading(bare).plan or ()] == [(), ("task_001",)]
    assert [each.dependencies for each in reading([task("t-01"), task("t-02", "1")]).plan or ()] == [(), ("task_001",)]


@pytest.mark.parametrize("word", OTHER_WORDS)
def test_a_type_in_other_words(word: str) -> None:
    """The nearest known type is taken, and recorded."""
    found = reading([task("a", kind=word)])
    assert [each.type for each in found.plan or ()] == [OTHER_WORDS[word]]
    assert said(found) == [("type_replaced", "task_001", OTHER_WORDS[word].value)]


@pytest.mark.parametrize("word", ["Code-Generation", " code generation ", "CODE_GENERATION"])
def test_a_type_that_is_only_spelled_differently_is_no_repair(word: str) -> None:
    """Case, spaces and hyphens say the same."""
    found = reading([task("a", kind=word)])
    assert [each.type for each in found.plan or ()] == [TaskType.CODE_GEN]
    assert not found.repairs


@pytest.mark.parametrize(
    ("kind", "file", "named", "unreconciled"),
    [
        ("code_generation", None, ["python_syntax", "pytest", "ruff", "json_schema", "length"], 4),
        ("code_generation", "index.html", ["python_syntax", "pytest", "ruff", "length"], 1),
        ("code_generation", "config.json", ["python_syntax", "json_schema"], 1),
        ("code_review", None, ["python_syntax", "pytest", "ruff", "length"], 1),
        ("creative_writing", None, ["latex", "json_schema", "length"], 2),
        ("evaluation", None, ["python_syntax"], 0),
    ],
)
def test_a_validator_stays_where_it_can_judge_the_result(
    kind: str, file: str | None, named: list[str], unreconciled: int
) -> None:
    """By the task's type, and by the file it writes."""
    found = reading([task("a", kind=kind, path=file, hard_validators=named)])
    assert len((found.plan or ())[0].validators) == unreconciled
    assert len(found.repairs) == len(named) - unreconciled


def test_a_schema_makes_every_result_json() -> None:
    """A task with a JSON Schema of its own keeps the validator, whatever its type."""
    found = reading([task("a", kind="evaluation", schema={"type": "object"}, hard_validators="json-schema")])
    assert (found.plan or ())[0].validators == ("json_schema",)


def test_a_validator_that_is_not_installed() -> None:
    """It is left out by its name, or as unnamed; one that is only spelled differently is meant."""
    found = reading([task("a", kind="code_generation", hard_validators=["Python-Syntax", "mypy", "a b\x1b"])])
    assert (found.plan or ())[0].validators == ("python_syntax",)
    assert found.dropped_validators == ("mypy", "unnamed")


def test_tests_are_taken_out_of_their_fence() -> None:
    """A fence around the tests is no part of them."""
    found = reading([task("a", kind="code_generation", tests=f"```python\n{GOOD_TESTS}```")])
    assert (found.plan or ())[0].tests == GOOD_TESTS
    assert not found.repairs


LEAN: Final = [
    {"file": "app.py", "prompt": "add(a, b): returns the sum of both", "needs": []},
    {"file": "test_app.py", "prompt": "pytest tests of add of app.py", "needs": ["app.py"]},
    {"file": "README.md", "prompt": "what app.py is for, with an example", "needs": ["app.py", "test_app.py"]},
    {"file": "data.json", "prompt": "three examples of sums", "needs": []},
    {"file": "index.html", "prompt": "a page with a <form> for both numbers", "needs": ["app.py"]},
    {"file": "Makefile", "prompt": "targets test and run of the app", "needs": ["app.py"]},
]


def test_the_lean_form() -> None:
    """Type, validators and title follow from the file's name; needs are names of files."""
    found = reading(LEAN)
    assert [(each.type, each.validators, each.path, each.dependencies) for each in found.plan or ()] == [
        (TaskType.CODE_GEN, ("python_syntax",), "app.py", ()),
        (TaskType.CODE_GEN, ("python_syntax",), "test_app.py", ("task_001",)),
        (TaskType.CREATIVE_WRITING, (), "README.md", ("task_001", "task_002")),
        (TaskType.DATA_EXTRACTION, (), "data.json", ()),
        (TaskType.CODE_GEN, (), "index.html", ("task_001",)),
        (TaskType.CODE_GEN, (), "Makefile", ("task_001",)),
    ]
    assert not found.repairs


@pytest.mark.parametrize(
    ("entry", "repairs"),
    [
        ({"file": "<module>.py", "prompt": "add(a, b): returns the sum"}, [("placeholder", None, "7")]),
        ({"file": "b.py", "prompt": "<function(arguments)>: adds two numbers"}, [("placeholder", None, "7")]),
        ({"file": "b.py", "prompt": "tests of <functions> of <module>.py"}, [("placeholder", None, "7")]),
        ({"file": "b.py", "prompt": "add two things"}, [("short_prompt", None, "7")]),
        ({"file": "b.py", "prompt": "add(a, b): returns the  sum of both"}, [("equal_prompt", None, "7")]),
    ],
)
def test_an_entry_that_asks_for_nothing_is_left_out(entry: Any, repairs: list[Any]) -> None:
    """Placeholders of the form, a few characters, and a prompt that an entry before it has."""
    found = reading([*LEAN, {**entry, "needs": []}])
    assert len(found.plan or ()) == len(LEAN)
    assert said(found) == repairs


def test_what_needs_a_copy_needs_the_original() -> None:
    """An entry left out for its equal prompt is still known by its file."""
    copy = {"file": "copy.py", "prompt": LEAN[0]["prompt"], "needs": []}
    last = {"file": "use.py", "prompt": "uses what copy.py has", "needs": ["copy.py"]}
    assert (reading([*LEAN, copy, last]).plan or ())[-1].dependencies == ("task_001",)


def test_tests_without_needs_need_the_file_of_their_name() -> None:
    """``test_app.py`` is about ``app.py`` where nothing else is said, or what is said is unknown."""
    lean = [LEAN[0], {**LEAN[1], "needs": ["nowhere.py"]}]
    found = reading(lean)
    assert (found.plan or ())[1].dependencies == ("task_001",)
    assert said(found) == [("unknown_dependency", "task_002", "nowhere.py")]


@pytest.mark.parametrize(
    ("tasks", "problem"), [([], "no_tasks"), (["a"], "no_tasks"), ([{}], "bad_task"), ([{"id": "a"}], "bad_task")]
)
def test_a_plan_without_any_task_is_none(tasks: list[Any], problem: str) -> None:
    """Nothing is made up."""
    assert reading(tasks).problem == problem
    assert read_plan([], INSTALLED, str).problem == "no_json"


def test_the_last_list_of_tasks_counts() -> None:
    """Lists without tasks, before or behind, do not."""
    documents = [[task("a")], {"plan": [task("b"), task("c")]}, [{"description": "a risk"}], ["x"] * 9]
    found = read_plan(documents, INSTALLED, str)
    assert [each.prompt for each in found.plan or ()] == ["Do b.", "Do c."]


@pytest.mark.parametrize("tasks", [{"a": task("a"), "b": task("b", "a")}, task("a")])
def test_a_mapping_in_the_place_of_the_list(tasks: dict[str, Any]) -> None:
    """Tasks by their ids, or a single task."""
    assert next(each.prompt for each in reading(tasks).plan or ()) == "Do a."


def test_no_text_of_a_model_is_in_a_repair() -> None:
    """A name that is no identifier is recorded as unnamed, and the event can be stored."""
    found = reading([task("a", "ignore all\x1b[2J that", kind="a\x00b c")])
    assert [repair.detail for repair in found.repairs] == ["complex_reasoning", "unnamed"]


def test_very_many_faults_stay_a_bounded_record() -> None:
    """Ten thousand tasks, each waiting for all others: read at once, recorded in bounds."""
    names = [str(number) for number in range(500)]
    found = reading([task(name, *names, "x" * 9) for name in names] * 20)
    assert len(found.plan or ()) == 50
    assert len(found.repairs) == 201
    assert found.repairs[-1].code is PlanRepairKind.MORE_REPAIRS


def test_every_repair_has_words() -> None:
    """A line for each kind, with the task and the detail in it."""
    assert set(PLAN_REPAIRS) == set(PlanRepairKind)
    for kind in PlanRepairKind:
        words = PlanRepair(kind, "task_009", "DETAIL").words
        assert ("task_009" in words) is ("{task}" in PLAN_REPAIRS[kind])
        assert "{" not in words


@pytest.mark.parametrize(("tasks", "is_usual"), [(1, False), (4, False), (5, True), (15, True), (16, False)])
def test_the_size_of_a_plan(tasks: int, is_usual: bool) -> None:
    """Fewer than 5 tasks or more than 15 are remarked on."""
    assert (size_remark(tasks) is None) is is_usual
