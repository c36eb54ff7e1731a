from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import OrchestrateError, SpecError, UsageError
from orchestrator.money import Usd
from orchestrator.spec import apply_sets, read_spec
from orchestrator.testing.specs import DATA

FILES = Path(__file__).parent / "files"


def test_keys_and_places_are_set_in_order() -> None:
    """Missing mappings are made, lists are reached by place, and the last word counts."""
    value = {"a": {"b": 1}, "tasks": [{"id": "x"}, {"id": "y"}]}
    before = repr(value)
    changed = apply_sets(
        value, ["a.b=2", "a.b=3", "new.deep.key=yes", "tasks.1.prompt=a=b: c", "on=true", "list=[1, x]"]
    )
    assert changed == {
        "a": {"b": 3},
        "tasks": [{"id": "x"}, {"id": "y", "prompt": "a=b: c"}],
        "new": {"deep": {"key": "yes"}},
        "on": True,
        "list": [1, "x"],
    }
    assert repr(value) == before


def test_a_set_changes_the_spec_of_a_file() -> None:
    """A value from a flag is read like one in the file, and refused like one."""
    assert read_spec(FILES / "simple.yaml", ["budget_usd=0.25"]).budget_usd == Usd.parse("0.25")
    assert read_spec(FILES / "simple.yaml", ["project_id='7'"]).project_id == "7"
    with pytest.raises(SpecError, match=r"--set: limits\.tries: 0 is not between"):
        read_spec(FILES / "simple.yaml", ["limits.tries=0"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a", "KEY.KEY=VALUE"),
        ("=1", "KEY.KEY=VALUE"),
        ("a..b=1", "KEY.KEY=VALUE"),
        ("a.b.c=1", "neither a mapping nor a list"),
        ("list.2=1", "no place in a list of 2"),
        ("list.-1=1", "no place in a list of 2"),
        ("list.x=1", "no place in a list of 2"),
        ("a.b=[1", "--set a.b: this is not YAML"),
    ],
)
def test_a_set_that_cannot_be_applied_is_wrong_usage(text: str, words: str) -> None:
    """The message names the flag and what is wrong with it."""
    with pytest.raises(UsageError) as caught:
        apply_sets({"a": {"b": 1}, "list": [1, 2]}, [text])
    assert words in str(caught.value)
    assert str(caught.value).startswith("--set")
    assert "\n" not in str(caught.value)


@given(DATA, st.text("ab01.=[{'\"x", max_size=12))
def test_any_set_applies_or_is_refused(data: Any, text: str) -> None:
    """Nothing but the program's own errors comes out."""
    try:
        changed = apply_sets(data, [text])
    except OrchestrateError as error:
        refused: OrchestrateError | None = error
    else:
        refused = None
        assert isinstance(changed, dict | list)
    assert refused is None or isinstance(refused, UsageError)


@pytest.mark.parametrize(
    ("sets", "problem"),
    [
        (["budget_usd=lots"], "--set: budget_usd: expected an amount"),
        (["nosuch=1"], "--set: nosuch: unknown key"),
        (["limits.breaker.nosuch=1"], "--set: limits.breaker.nosuch: unknown key"),
        (["tasks.0.type=poem"], "--set: tasks[0].type: expected"),
        (["tasks.0.id=other"], "--set: tasks[1].dependencies[0]: no task has the id 'a'"),
        (["limits={}", "limits.tries=2", "limits=3"], "--set: limits: expected a mapping"),
    ],
)
def test_a_problem_of_a_set_names_the_option(tmp_path: Path, sets: list[str], problem: str) -> None:
    """Not a line of the file, which has none of it; also where what it changes is at odds with the rest."""
    path = tmp_path / "f.yaml"
    path.write_text(
        "project: p\ncriteria: c\nbudget_usd: 5\ntasks:\n"
        "  - {id: a, type: code_review, prompt: x}\n  - {id: b, type: code_review, prompt: x, dependencies: [a]}\n"
    )
    with pytest.raises(SpecError) as raised:
        read_spec(path, sets)
    assert raised.value.problems[0].startswith(problem)


def test_a_problem_of_the_file_has_its_line_whatever_is_set(tmp_path: Path) -> None:
    """Both kinds are told together; a name that is looked for later knows where it comes from, too."""
    path = tmp_path / "f.yaml"
    path.write_text("project: p\ncriteria: c\ntime_seconds: long\nconcurrency: 3\n")
    with pytest.raises(SpecError) as raised:
        read_spec(path, ["concurrency=many"])
    assert {problem.partition(": expected")[0] for problem in raised.value.problems} == {
        f"{path}:3: time_seconds",
        "--set: concurrency",
    }
    path.write_text("project: p\ncriteria: c\npolicies: [{name: p, blocked_models: [one]}]\n")
    spec = read_spec(path, ["routing.backend=two"])
    assert {use.name: use.place for use in spec.uses} == {
        "one": f"{path}:3: policies[0].blocked_models[0]",
        "two": "--set: routing.backend",
    }
