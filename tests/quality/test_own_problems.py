"""The problems of our own can be solved, and their hidden tests tell right from wrong."""

import ast
import doctest
import json
from pathlib import Path
from typing import Any, Final

import pytest
from benchmarks.quality.problems import Problem, read_problems

PROBLEMS: Final = read_problems([Path(__file__).parents[2] / "benchmarks" / "quality" / "own20.jsonl"])
SOLUTIONS: Final[dict[str, str]] = {
    each["id"]: each["solution"]
    for each in map(json.loads, (Path(__file__).parent / "own20_solutions.jsonl").read_text().splitlines())
}
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.entry_point)


def defined(source: str) -> dict[str, Any]:
    """The names that a source defines."""
    space: dict[str, Any] = {}
    exec(compile(source, "<source>", "exec"), space)
    return space


def examples_of(problem: Problem) -> list[doctest.Example]:
    """The examples in the docstring of the prompt's function."""
    source = problem.prompt.split("```python\n")[1].split("```")[0]
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    assert function.name == problem.entry_point
    return doctest.DocTestParser().get_examples(ast.get_docstring(function) or "")


def test_there_are_twenty_each_with_a_solution() -> None:
    """No solution without a problem, either."""
    assert len(PROBLEMS) == 20
    assert {problem.id for problem in PROBLEMS} == SOLUTIONS.keys()


@each_problem
def test_the_reference_solution_passes_everything(problem: Problem) -> None:
    """The hidden tests, the examples as tests, and the examples of the docstring."""
    solution = defined(problem.header + SOLUTIONS[problem.id])
    defined(problem.hidden)["check"](solution[problem.entry_point])
    tests = problem.examples.replace(f"from solution import {problem.entry_point}\n", "")
    functions = {name: each for name, each in defined_with(tests, solution).items() if name.startswith("test_")}
    for function in functions.values():
        function()
    examples = examples_of(problem)
    assert 2 <= len(examples) == len(functions) <= 4
    for example in examples:
        value = eval(example.source, dict(solution))
        assert (repr(value) + "\n" if value is not None else "") == example.want


def defined_with(source: str, space: dict[str, Any]) -> dict[str, Any]:
    """The names that a source defines beside those it finds."""
    space = dict(space)
    exec(compile(source, "<source>", "exec"), space)
    return space


@each_problem
def test_the_hidden_tests_are_more_than_the_examples(problem: Problem) -> None:
    """A function that knows the examples by heart, and nothing else, does not pass."""
    asserts = [node for node in ast.walk(ast.parse(problem.hidden)) if isinstance(node, ast.Assert)]
    assert 8 <= len(asserts) <= 15
    known = {
        repr(eval(example.source, {problem.entry_point: lambda *given: given})): eval(example.want or "None")
        for example in examples_of(problem)
    }
    with pytest.raises(AssertionError):
        defined(problem.hidden)["check"](lambda *given: known.get(repr(given)))
    for value in known.values():
        with pytest.raises(AssertionError):
            defined(problem.hidden)["check"](lambda *given, value=value: value)
