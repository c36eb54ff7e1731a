from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.documents import load_yaml
from orchestrator.errors import SpecError
from orchestrator.spec import parse_spec, spec_from
from orchestrator.testing.specs import plans


def problems(*tasks: str) -> list[str]:
    """What is wrong with a plan: one task a line, the first on line 4, its type and prompt filled in."""
    lines = "".join(f"- {{type: summarization, prompt: x, {task}}}\n" for task in tasks)
    document = load_yaml(f"project: p\ncriteria: c\ntasks:\n{lines}", "f")
    with pytest.raises(SpecError) as caught:
        parse_spec(document.value, "f", document.line_of)
    return list(caught.value.problems)


def test_ids_are_distinct() -> None:
    """The second task of a name is the wrong one."""
    assert problems("id: a", "id: b", "id: a") == ["f:6: tasks[2].id: the id 'a' stands above already"]


def test_the_decomposition_keeps_its_name() -> None:
    """No task is called ``plan``."""
    assert problems("id: plan") == ["f:4: tasks[0].id: 'plan' is reserved for a node of the program; choose another id"]


@pytest.mark.parametrize("name", ["-a", "a/b", "'a b'", "''", "ä", f"{'a' * 65}", '"a\\n"'])
def test_an_id_can_become_part_of_a_file_name(name: str) -> None:
    """Other characters, and too many, are refused."""
    (problem,) = problems(f"id: {name}")
    assert problem.startswith("f:4: tasks[0].id: ")


def test_dependencies_exist_and_are_named_once() -> None:
    """An unknown one is shown at its task; one that could not be read is not unknown."""
    assert problems("id: a, dependencies: [b, zz]", "id: b, extra: 1", "id: c, dependencies: [a, a]") == [
        "f:4: tasks[0].dependencies[1]: no task has the id 'zz'",
        (
            "f:5: tasks[1].extra: unknown key; "
            "known are id, type, prompt, title, dependencies, hard_validators, schema, tests, context, lane"
        ),
        "f:6: tasks[2].dependencies[1]: it stands in the list twice",
    ]


def test_a_cycle_is_shown() -> None:
    """The tasks that wait for each other are named in order, without those that only wait for them."""
    (problem,) = problems(
        "id: after, dependencies: [a]",
        "id: a, dependencies: [b]",
        "id: b, dependencies: [c]",
        "id: c, dependencies: [a]",
    )
    assert problem == "f:5: tasks[1].dependencies: tasks wait for each other: a → b → c → a"
    assert problems("id: a, dependencies: [a]")[0].endswith("a → a")


def test_an_empty_plan_is_no_plan() -> None:
    """Without the key the project is broken into tasks."""
    with pytest.raises(SpecError, match="tasks: the list is empty"):
        spec_from("p", "c", tasks=[])


def test_a_plan_has_at_most_ten_thousand_tasks() -> None:
    """One more is refused; ten thousand in a chain are read."""
    chain = [
        {"id": f"t{n}", "type": "summarization", "prompt": "x", "dependencies": [f"t{n - 1}"] if n else []}
        for n in range(10_001)
    ]
    assert len(spec_from("p", "c", tasks=chain[:-1]).tasks) == 10_000
    with pytest.raises(SpecError, match="10001 items are more than 10000"):
        spec_from("p", "c", tasks=chain)


@given(plans(), st.data())
def test_a_plan_is_valid_until_a_cycle_is_closed(plan: list[dict[str, Any]], data: st.DataObject) -> None:
    """Dependencies on earlier tasks are fine; letting a task wait for one that waits for it never is."""
    assert len(spec_from("p", "c", tasks=plan).tasks) == len(plan)
    later = data.draw(st.integers(0, len(plan) - 1))
    first = later
    needs = {task["id"]: task.get("dependencies", []) for task in plan}
    while needs[plan[first]["id"]] and data.draw(st.booleans()):
        first = next(n for n, task in enumerate(plan) if task["id"] == needs[plan[first]["id"]][0])
    closed = [dict(task) for task in plan]
    closed[first]["dependencies"] = [
        *(name for name in needs[plan[first]["id"]] if name != plan[later]["id"]),
        plan[later]["id"],
    ]
    with pytest.raises(SpecError, match="tasks wait for each other"):
        spec_from("p", "c", tasks=closed)
