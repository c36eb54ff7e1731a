"""The key ``loop``: what it may say, what it means, and what is refused with its place."""

from typing import Any

import pytest

from orchestrator.decide.strategies import REVIEWED, STRATEGIES
from orchestrator.errors import SpecError
from orchestrator.models import CritiqueUse, JudgeMethod, TaskType
from orchestrator.spec import Spec, parse_spec


def spec(loop: Any) -> Spec:
    """A spec with this loop."""
    return parse_spec({"project": "p", "criteria": "c", "loop": loop}, "f")


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_name_is_the_strategy_of_every_type(name: str) -> None:
    """It is recorded for each type, so that a later default changes no old run."""
    assert spec(name).settings(simulated=True).loop == dict.fromkeys(TaskType, STRATEGIES[name])


def test_evaluate_says_for_every_strategy_how_it_judges() -> None:
    """It replaces what a strategy usually has; what the loop itself says of one strategy stands."""

    def methods(judge: str | None, loop: Any) -> set[JudgeMethod | None]:
        keys = {"project": "p", "criteria": "c", "loop": loop, "evaluate": {"judge": judge}}
        settings = parse_spec(keys, "f").settings(simulated=True)
        return {each.method or settings.evaluation.judge for each in settings.loop.values()}

    assert (
        methods(None, "best_of") == methods("pairs", "reviewed") == methods("pairs", "best_of") == {JudgeMethod.PAIRS}
    )
    assert methods("scores", "best_of") == methods("scores", "reviewed") == {JudgeMethod.SCORES}
    assert methods(None, "reviewed") == {None}
    assert methods("pairs", {"strategy": "best_of", "evaluate": {"judge": "scores"}}) == {JudgeMethod.SCORES}
    assert methods("scores", {"strategy": "reviewed", "evaluate": {"judge": "pairs"}}) == {JudgeMethod.PAIRS}


def test_types_differ_and_the_rest_has_the_default() -> None:
    """A type that is named has its own; the others have ``default``, or are reviewed."""
    found = spec({"default": "plain", "code_generation": {"strategy": "reviewed", "critique": "never"}})
    loop = found.settings(simulated=True).loop
    assert loop[TaskType.CODE_GEN].critique is CritiqueUse.NEVER
    assert {loop[kind] for kind in TaskType if kind is not TaskType.CODE_GEN} == {STRATEGIES["plain"]}
    assert spec({"summarization": "plain"}).settings(simulated=True).loop[TaskType.CODE_GEN] == REVIEWED


@pytest.mark.parametrize(
    "loop",
    [
        "reviewed",
        "cascade",
        {"strategy": "best_of", "samples": 5, "evaluate": {"runs": 0}, "iterations": 2, "temperature": 0.5},
        {"default": "plain", "code_generation": {"strategy": "repair", "samples": 2}},
        {"code_generation": "plain"},
        {"strategy": "reviewed", "evaluate": {"judge": "pairs"}},
        {"strategy": "best_of", "evaluate": {"runs": 1, "judge": "scores"}},
    ],
    ids=str,
)
def test_what_is_written_back_reads_as_the_same(loop: Any) -> None:
    """The canonical spec has the same loop; the default one is left out."""
    from orchestrator.documents import load_json

    found = spec(loop)
    again = parse_spec(load_json(found.canonical(), "f").value, "f")
    assert again.loop == found.loop
    assert ("loop" in found.canonical()) == (loop != "reviewed")


@pytest.mark.parametrize(
    ("loop", "problem"),
    [
        ("bestof", "did you mean 'best_of'"),
        ("other", "there are reviewed, plain, best_of, repair, cascade"),
        (3, "expected the name of a strategy, or a mapping, found the number 3"),
        ({"strategy": "plain", "sample": 2}, "did you mean 'samples'"),
        ({"strategy": "plain", "samples": 0}, "loop.samples"),
        ({"strategy": "plain", "evaluate": {"run": 1}}, "expected a mapping with the key 'runs' or 'judge'"),
        ({"strategy": "plain", "evaluate": {}}, "expected a mapping with the key 'runs' or 'judge'"),
        ({"strategy": "plain", "evaluate": {"judge": "pair"}}, "did you mean 'pairs'"),
        ({"samples": 3}, "unknown key"),
        ({"code_generation": {"samples": 3}}, "the key 'strategy' is required"),
        ({"codegen": "plain"}, "loop.codegen"),
    ],
    ids=str,
)
def test_a_wrong_loop_is_one_line_with_its_place(loop: Any, problem: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(SpecError) as caught:
        spec(loop)
    (line,) = caught.value.problems
    assert problem in line
