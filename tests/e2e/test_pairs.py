"""The choice by pairs through the front door: a spec, a run with a scripted judge, and the log it left."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import pytest

from orchestrator import events as e
from orchestrator.models import CallEnd, PairChoice, Role, ScoredBy, TaskStatus, comparison_sample, is_comparison
from orchestrator.testing.played_run import MODELS, Played
from tests.cli.command import orchestrate
from tests.e2e.test_loop import BROKEN, RIGHT, TASK, WRONG, called, played, says

TEXT: Final[Mapping[str, Any]] = {"id": "only", "type": "summarization", "prompt": "Sum it up."}
DRAFTS: Final = tuple(says("generator", f"Text number {number}.", iteration=number) for number in (1, 2, 3))
A, B, TIE = PairChoice.A, PairChoice.B, PairChoice.TIE


def prefers(earlier: int, later: int, winner: int | None) -> list[dict[str, Any]]:
    """The answers of a judge that prefers one of two iterations, whichever it reads first; None: neither."""
    letters = (TIE, TIE) if winner is None else (A, B) if winner == earlier else (B, A)
    return [
        says(
            "evaluator",
            json.dumps({"reasons": "it says more", "better": letter.value}),
            iteration=later,
            sample=comparison_sample(earlier, swapped=swapped),
        )
        for swapped, letter in zip((False, True), letters, strict=True)
    ]


def texts(folder: Path, *answers: Mapping[str, Any], drafts: Sequence[Any] = DRAFTS, **keys: Any) -> Played:
    """A run of one text in ``best_of``; each decision is computed again, and no law is broken."""
    return played(folder, *drafts, *answers, tasks=[TEXT], **{"loop": "best_of", **keys})


def delivered(run: Played) -> str:
    """The text that the run left."""
    return (run.output / "task_001_summarization.md").read_text(encoding="utf-8").strip()


def compared(run: Played) -> list[e.CallStarted]:
    """The calls that compared two results."""
    return [each for each in run.all(e.CallStarted) if each.role is Role.EVALUATOR and is_comparison(each.sample)]


def test_the_best_of_three_texts_is_delivered(tmp_path: Path) -> None:
    """The pairs choose the third; a judge that scores each by itself takes the first, which is good enough."""
    judge = (*prefers(1, 2, None), *prefers(1, 3, 3), *prefers(2, 3, 3))
    run = texts(tmp_path / "pairs", *judge)
    (choice,) = run.all(e.Compared)
    assert [(each.earlier, each.later, each.winner) for each in choice.pairs] == [(1, 2, None), (1, 3, 3), (2, 3, 3)]
    assert (choice.candidates, choice.iteration, choice.stopped) == ((1, 2, 3), 3, None)
    assert delivered(run) == "Text number 3."
    assert [(each.iteration, each.scored_by, each.score) for each in run.all(e.Evaluated)] == [
        (3, ScoredBy.JUDGE, 0.95)
    ]
    assert run.task().status is TaskStatus.COMPLETED
    scored = texts(tmp_path / "scores", *judge, evaluate={"judge": "scores"})
    assert delivered(scored) == "Text number 1."
    assert scored.all(e.Compared) == []


def test_a_judge_that_prefers_what_stands_first_decides_nothing(tmp_path: Path) -> None:
    """Both orders of each pair disagree: ties, and the earliest is delivered."""
    run = texts(tmp_path, says("evaluator", '{"better": "A"}'), *scores())
    (choice,) = run.all(e.Compared)
    assert [each.verdicts for each in choice.pairs] == [(A, A)] * 3
    assert [each.winner for each in choice.pairs] == [None] * 3
    assert delivered(run) == "Text number 1."
    assert run.task().status is TaskStatus.COMPLETED


def scores(score: int = 9) -> list[dict[str, Any]]:
    """The scores of whichever result is chosen."""
    return [says("evaluator", f'{{"score": {score}}}', iteration=n, sample=s) for n in (1, 2, 3) for s in (1, 2)]


def test_a_pair_that_can_change_nothing_is_not_compared(tmp_path: Path) -> None:
    """The first text wins two pairs: the third pair is not asked for."""
    run = texts(tmp_path, *prefers(1, 2, 1), *prefers(1, 3, 1))
    assert len(compared(run)) == 4
    assert delivered(run) == "Text number 1."


def test_both_orders_are_shown_and_recorded(tmp_path: Path) -> None:
    """The request has the first of ``compares`` as A; ``explain`` says what was compared and who won."""
    run = texts(tmp_path, *prefers(1, 2, 2), *prefers(1, 3, None))
    versions = {
        each.iteration: number
        for number, each in enumerate(run.events, 1)
        if isinstance(each, e.CallStarted) and each.role is Role.GENERATOR
    }
    orders = [each.compares for each in run.all(e.ModelSelected) if each.compares]
    assert orders[:2] == [(versions[1], versions[2]), (versions[2], versions[1])]
    said = orchestrate(run.home, "explain", run.run, "only", "--prompts").out
    first, second, *_ = [each.partition("RESULT A")[2] for each in said.split(", compared with iteration 1")[1:]]
    assert first.index("Text number 1.") < first.index("RESULT B") < first.index("Text number 2.")
    assert second.index("Text number 2.") < second.index("RESULT B") < second.index("Text number 1.")
    assert "iterations 1 and 2: 2 is better (in this order B, in the other A)" in said
    assert "iteration 2 is chosen: it won 1 of 2 pairs" in said
    plain = orchestrate(run.home, "explain", run.run, "only", "--json").json
    (choice,) = [each for each in plain if each["kind"] == "comparison"]
    assert (choice["candidates"], choice["iteration"], choice["pairs"][1]["winner"]) == ([1, 2, 3], 2, None)


@pytest.mark.parametrize("said", ['{"score": 9}', "Both have their merits.", '{"better": "Bach"}', "A or B"])
def test_verdicts_that_cannot_be_read_end_the_comparing(tmp_path: Path, said: str) -> None:
    """No pair after the first is asked for; the earliest is delivered, and scored like any other."""
    run = texts(tmp_path, says("evaluator", said), *scores())
    (choice,) = run.all(e.Compared)
    assert [each.verdicts for each in choice.pairs] == [(None, None)]
    assert (choice.iteration, choice.stopped) == (1, CallEnd.UNREADABLE)
    assert {(each.iteration, each.sample) for each in compared(run)} == {(2, 101), (2, 102)}
    assert delivered(run) == "Text number 1."
    assert run.task().status is TaskStatus.COMPLETED


def test_one_order_that_cannot_be_read_is_a_tie(tmp_path: Path) -> None:
    """The other pairs are compared all the same."""
    mute = says("evaluator", "Hm.", iteration=2, sample=comparison_sample(1, swapped=True))
    run = texts(tmp_path, *prefers(1, 2, 1), *prefers(1, 3, 3), *prefers(2, 3, None), mute)
    (choice,) = run.all(e.Compared)
    assert [(each.verdicts, each.winner) for each in choice.pairs] == [
        ((A, None), None),
        ((B, A), 3),
        ((TIE, TIE), None),
    ]
    assert (choice.iteration, choice.stopped) == (3, None)


def test_one_candidate_that_is_left_is_compared_with_nothing(tmp_path: Path) -> None:
    """Two of three do not parse; and three equal texts are one."""
    task = {**TASK, "hard_validators": ["python_syntax"], "tests": None}
    drafts = [says("generator", text, iteration=n) for n, text in enumerate((BROKEN, RIGHT, BROKEN), 1)]
    code = played(tmp_path / "code", *drafts, *scores(), tasks=[task], loop="best_of")
    (choice,) = code.all(e.Compared)
    assert (choice.candidates, choice.pairs, choice.iteration) == ((2,), (), 2)
    assert called(code) == ["generator 1", "generator 2", "generator 3", "evaluator 2", "evaluator 2"]
    assert code.task().status is TaskStatus.COMPLETED
    equal = texts(tmp_path / "equal", *scores(), drafts=[says("generator", "The same.")])
    assert (equal.all(e.Compared)[0].candidates, compared(equal)) == ((1,), [])


def test_given_tests_end_the_task_at_once(tmp_path: Path) -> None:
    """The first sample that passes is the last; where none passes, no judge is asked."""
    tested = [says("generator", WRONG, iteration=1), says("generator", RIGHT)]
    run = played(tmp_path / "passed", *tested, loop="best_of")
    assert called(run) == ["generator 1", "generator 2"]
    failed = played(tmp_path / "failed", says("generator", WRONG), loop="best_of")
    assert called(failed) == ["generator 1", "generator 2", "generator 3"]
    assert [*run.all(e.Compared), *failed.all(e.Compared)] == []


def test_the_switch_works_for_other_strategies(tmp_path: Path) -> None:
    """``reviewed`` compares revisions, of tested work too where tests do not decide."""
    reviews = [says("reviser", f"Revision {n}.", iteration=n) for n in (1, 2, 3)]
    judge = (*prefers(1, 2, 2), *prefers(1, 3, None), *prefers(2, 3, 2))
    run = texts(tmp_path / "text", *reviews, *judge, loop="reviewed", evaluate={"judge": "pairs"})
    assert delivered(run) == "Revision 2."
    assert [call for call in called(run) if call.startswith("reviser")] == ["reviser 1", "reviser 2", "reviser 3"]
    both = [says("generator", RIGHT, iteration=1), says("generator", RIGHT.replace("2 * x", "x + x"))]
    evaluate = {"judge": "pairs", "tests_decide": False}
    tested = played(tmp_path / "code", *both, *prefers(1, 2, 2), loop="best_of", evaluate=evaluate)
    (choice,) = tested.all(e.Compared)
    assert (choice.candidates, choice.iteration) == ((1, 2), 2)


def test_without_a_judge_nothing_is_compared(tmp_path: Path) -> None:
    """``evaluate: {runs: 0}``: the first that passes its checks, as before."""
    run = texts(tmp_path, loop={"strategy": "best_of", "evaluate": {"runs": 0}})
    assert called(run) == ["generator 1"]
    assert run.all(e.Evaluated)[0].scored_by is ScoredBy.CHECKS


def test_a_plan_shows_the_comparisons_before_they_cost_anything(tmp_path: Path) -> None:
    """At most each pair in both orders, by a judge that is named."""
    script = tmp_path / "answers.json"
    script.write_text(json.dumps({"models": MODELS, "answers": []}), encoding="utf-8")
    spec = {"project": "p", "criteria": "c", "tasks": [TEXT], "loop": "best_of"}
    path = tmp_path / "spec.yaml"
    path.write_text(json.dumps({**spec, "providers": {"scripted": {"answers": str(script)}}}), encoding="utf-8")
    lines = orchestrate(tmp_path, "plan", str(path)).lines
    assert any(each.strip().startswith("compare in pairs × 6  south") for each in lines), lines


def test_a_second_run_compares_without_a_call(tmp_path: Path) -> None:
    """Drafts, comparisons and scores are all in the cache: the same choice, and nothing is paid."""
    judge = (*prefers(1, 2, 2), *prefers(1, 3, None))
    first = texts(tmp_path, *judge, cache=True)
    rmtree(first.output)
    again = texts(tmp_path, *judge, cache=True)
    assert first.run != again.run
    assert (len(first.all(e.CallStarted)), again.all(e.CallStarted)) == (9, [])
    assert [each.reused is not None for each in again.all(e.CallPrepared)] == [True] * 9
    assert again.all(e.Compared)[0].pairs == first.all(e.Compared)[0].pairs
