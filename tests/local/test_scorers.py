"""A scorer decides the score of outputs: in place of a judge, beside one, with its reasons, and in a replay."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models import TaskType
from orchestrator.spi import Candidate, Score, ScorerContext, SpecError
from orchestrator_scorers.mentions import orchestrator_scorer
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.scripted import fields, orchestrator, run

TASK = {"id": "only", "type": "summarization", "prompt": "Sum up."}
TERMS = {"scorer": "mentions", "parameters": {"terms": ["refund", "14 days | two weeks"]}}
HALF = {"role": "generator", "text": "You get a refund."}
KEPT = {"role": "reviser", "text": "You get a refund within two weeks."}
WHOLE = {"role": "generator", "text": "You get a refund within two weeks."}


def _run(folder: Path, *answers: dict[str, Any], evaluate: dict[str, Any], **more: Any) -> Any:
    spec = scripted_spec(
        folder / "spec", tasks=[TASK], answers=[*answers], evaluate=evaluate, project_id="scored", **more
    )
    return orchestrate(folder / "home", "run", str(spec))


def _events(home: Path, kind: str) -> list[dict[str, Any]]:
    return [
        json.loads(data) for (data,) in rows(home, "SELECT data FROM events WHERE type = ? ORDER BY position", kind)
    ]


def _calls(home: Path, role: str) -> int:
    return sum(each["role"] == role for each in _events(home, "call.started"))


def test_a_scorer_stands_in_for_the_judge(tmp_path: Path) -> None:
    """No model is called for a score; the score is the scorer's; log, replay and audit agree."""
    done = _run(tmp_path, WHOLE, KEPT, evaluate=TERMS)
    assert done.code == 0, done.err
    home = tmp_path / "home"
    (evaluated,) = _events(home, "iteration.evaluated")
    assert (evaluated["score"], evaluated["scored_by"], evaluated["samples"]) == (1.0, "scorer", [])
    assert _calls(home, "evaluator") == 0
    (scored,) = _events(home, "scoring.ended")
    assert (scored["score"], scored["problem"]) == (1.0, None)
    (used,) = [each for each in _events(home, "session.opened")[0]["plugins"] if each["kind"] == "scorer"]
    assert used["name"] == "mentions"
    assert used["parameters"] == TERMS["parameters"]
    assert orchestrate(home, "replay", "scored", "--verify", "--strict").code == 0
    assert orchestrate(home, "audit", "verify", "scored").code == 0
    assert "score by mentions: 1.000" in orchestrate(home, "explain", "scored", "only").out


def test_reasons_reach_the_next_draft_and_the_user(tmp_path: Path) -> None:
    """A low score leads to another iteration, which is told why; every output has its own score."""
    done = _run(
        tmp_path, HALF, {**HALF, "role": "reviser"}, {**WHOLE, "iteration": 2}, {**KEPT, "iteration": 2}, evaluate=TERMS
    )
    home = tmp_path / "home"
    assert "mentions scores 0.500: it does not mention: 14 days | two weeks" in done.err
    assert [each["score"] for each in _events(home, "iteration.evaluated")] == [0.5, 1.0]
    prompts = orchestrate(home, "explain", "scored", "only", "--prompts").out
    assert "it does not mention: 14 days" in prompts
    assert orchestrate(home, "replay", "scored", "--verify").code == 0
    report = tmp_path / "report.html"
    assert orchestrate(home, "report", "scored", "-o", str(report)).code == 0


def test_a_judge_beside_a_scorer(tmp_path: Path) -> None:
    """One evaluation stands in the log; the score is the scorer's."""
    done = _run(tmp_path, WHOLE, KEPT, evaluate={**TERMS, "with_judge": True})
    assert done.code == 0, done.err
    (evaluated,) = _events(tmp_path / "home", "iteration.evaluated")
    assert (evaluated["score"], evaluated["judged"], evaluated["samples"]) == (1.0, 0.95, [0.95])
    assert _calls(tmp_path / "home", "evaluator") == 1
    assert orchestrate(tmp_path / "home", "audit", "verify", "scored").code == 0


def test_whatif_and_plan_know_the_scorer(tmp_path: Path) -> None:
    """A replay under other rules has the recorded scores; a plan forecasts no judge."""
    _run(tmp_path, WHOLE, KEPT, evaluate=TERMS)
    found = orchestrate(tmp_path / "home", "whatif", "scored", "--backend", "greedy", "--json")
    assert found.code == 0, found.err
    planned = orchestrate(tmp_path / "home", "plan", str(tmp_path / "spec" / "spec.json"), "--simulate", "5")
    assert planned.code == 0, planned.err
    assert "(2 times)" not in planned.out
    (row,) = [line for line in planned.out.splitlines() if " only " in line and "$" in line]
    assert row.split()[6] == "–", "no judge is forecast"


@pytest.mark.parametrize(
    ("scorer", "problem"),
    [
        (lambda candidate, context: 1 / 0, "raised"),
        (lambda candidate, context: Score(1.5), "no_score"),
        (lambda candidate, context: 0.5, "no_score"),
        (lambda candidate, context: context.run(("/bin/true",), {}) and exit(3), "raised"),
    ],
)
def test_a_scorer_that_fails_leaves_no_score_or_the_judges(tmp_path: Path, scorer: Any, problem: str) -> None:
    """The run goes on: without a score the task is degraded; where a judge stands beside it, the judge's counts."""
    alone = run(orchestrator(tmp_path, **fields(tmp_path, scorers={"mine": scorer}, evaluate={"scorer": "mine"})))
    assert alone.results["only"].status.value == "degraded"
    assert {each["problem"] for each in _events(tmp_path / "home", "scoring.ended")} == {problem}
    beside = {"scorer": "mine", "with_judge": True}
    judged = run(orchestrator(tmp_path / "b", **fields(tmp_path / "b", scorers={"mine": scorer}, evaluate=beside)))
    assert judged.results["only"].score == 0.95
    evaluated = _events(tmp_path / "b" / "home", "iteration.evaluated")[-1]
    assert evaluated["scored_by"] == "judge"
    assert orchestrate(tmp_path / "b" / "home", "audit", "verify", evaluated_run(tmp_path / "b" / "home")).code == 0


def evaluated_run(home: Path) -> str:
    """The id of the only run of a data folder."""
    return str(rows(home, "SELECT DISTINCT stream FROM events WHERE type = 'run.started'")[0][0]).rpartition("/")[2]


def test_a_scorer_reads_the_task_and_the_criteria(tmp_path: Path) -> None:
    """It is lent the words that a judge gets, and the output's files."""
    seen: list[tuple[str, str, list[str]]] = []

    def mine(candidate: Candidate, context: ScorerContext) -> Score:
        seen.append((context.prompt, context.criteria, list(candidate.files)))
        return Score(1.0)

    run(orchestrator(tmp_path, **fields(tmp_path, scorers={"mine": mine}, evaluate={"scorer": "mine"})))
    assert seen[0][:2] == ("Write x.", "x is there")
    assert seen[0][2]


@pytest.mark.parametrize(
    ("evaluate", "said"),
    [
        ({"scorer": "mention"}, "there is no scorer 'mention'; did you mean"),
        ({"scorer": "mentions"}, "name the terms"),
        ({"scorer": "mentions", "parameters": {"words": 3}}, "mentions takes terms and without"),
        ({"parameters": {"terms": ["x"]}}, "belong to a scorer"),
        ({"with_judge": True}, "belong to a scorer"),
        ({**TERMS, "judge": "pairs"}, "judge: pairs compares"),
    ],
)
def test_what_makes_no_sense_is_a_line(tmp_path: Path, evaluate: dict[str, Any], said: str) -> None:
    """Exit code 2 before anything is recorded."""
    done = _run(tmp_path, evaluate=evaluate)
    assert done.code == 2
    assert said in done.err


def test_options_of_a_strangers_scorer_are_agreed_to(tmp_path: Path) -> None:
    """They could name anything."""
    (tmp_path / "mine.py").write_text(
        "from orchestrator.spi import Score, hookimpl\n\n@hookimpl\ndef orchestrator_scorer(parameters):\n"
        "    return lambda candidate, context: Score(1.0)\n"
    )
    evaluate = {"scorer": "mine", "parameters": {"file": "/etc/passwd"}}
    spec = scripted_spec(tmp_path / "spec", tasks=[TASK], evaluate=evaluate)
    done = orchestrate(tmp_path / "home", "run", str(spec), "--plugin", str(tmp_path / "mine.py"))
    assert done.code == 2
    assert "option=" in done.err
    assert "evaluate.parameters.file" in done.err


@given(st.lists(st.sampled_from(["refund", "two weeks", "Refunds", "nothing", "\n"])))
def test_mentions_is_a_share(words: list[str]) -> None:
    """From 0 to 1, higher with every wanted term, a reason for each that is missing; parts of words do not count."""
    scorer = orchestrator_scorer(TERMS["parameters"])  # type: ignore[arg-type]
    found = scorer(Candidate.of(" ".join(words), TaskType.SUMMARIZATION), ScorerContext())
    named = ("refund" in words) + ("two weeks" in words)
    assert found.value == named / 2
    assert len(found.reasons.splitlines()) == 2 - named


def test_mentions_takes_off_for_what_must_not_be_named() -> None:
    """As much as a wanted term gives, and never below nothing."""
    scorer = orchestrator_scorer({"terms": ["a", "b"], "without": ["c", "d", "e"]})
    context = ScorerContext()
    assert scorer(Candidate.of("A, b; C!"), context).value == 0.5
    assert scorer(Candidate.of("a c d e"), context).value == 0.0
    with pytest.raises(SpecError):
        orchestrator_scorer({"terms": []})
