"""The parts of the benchmark of quality: reading problems, grading, figures, shared answers, the table."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import fields
from benchmarks.quality.cells import Cell
from benchmarks.quality.grading import Grader
from benchmarks.quality.problems import Problem, ProblemError, read_problems
from benchmarks.quality.results import Results, ResultsError
from benchmarks.quality.shared_answers import SharedAnswers
from benchmarks.quality.specs import Settings
from benchmarks.quality.table import markdown
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_eval.statistics import sign_test, wilson
from orchestrator_sandbox import LevelSelector
from tests.servers.openai_server import Fault, OpenAIServer

DOUBLE = Problem(
    "double",
    "Write double.",
    "double",
    "import math\n",
    "from solution import double\n\n\ndef test_1():\n    assert double(1) == 2\n",
    "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n",
)
RIGHT = "def double(n):\n    return 2 * n\n"


def cell(problem: str, arm: str, *, solved: bool, right: int = 0, tokens: int = 100) -> Cell:
    """A cell of one call."""
    return Cell(problem, arm, solved, "completed", 1.0, 1, tokens, 0, 1, right, 2, 1, 1, 1.0)


@pytest.mark.parametrize(
    ("code", "right"),
    [
        (RIGHT, True),
        ("from __future__ import annotations\n" + RIGHT, True),
        ("def double(n):\n    return int(math.fsum([n, n]))\n", True),
        ("def double(n):\n    return n + 2\n", False),
        ("def double(n) return", False),
        ("", False),
        ("import sys\n" + RIGHT.replace("return", "sys.exit(0)\n    return"), False),
        ("def double(n):\n    while True: pass\n", False),
        ("# \udcff\n" + RIGHT, True),
    ],
    ids=["right", "future import", "uses the header", "wrong", "no python", "empty", "ends well", "hangs", "bad text"],
)
def test_a_file_is_graded_by_the_hidden_tests(code: str, right: bool) -> None:
    """Only a file after which every hidden test was run and passed is right."""
    assert Grader(LevelSelector(), seconds=3.0).is_right(DOUBLE, code) is right


@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_proportion(case: tuple[int, int]) -> None:
    """It lies within 0 and 1, and mirrors when successes and failures are exchanged."""
    successes, n = case
    low, high = wilson(successes, n)
    assert 0.0 <= low <= high <= 1.0
    assert n == 0 or low - 1e-12 <= successes / n <= high + 1e-12
    mirrored = wilson(n - successes, n)
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_known_figures() -> None:
    """Values of published tables: 23 and 29 of 40, and 8 discordant pairs on one side."""
    assert wilson(23, 40) == pytest.approx((0.42, 0.71), abs=0.01)
    assert wilson(29, 40) == pytest.approx((0.57, 0.84), abs=0.01)
    assert sign_test(8, 0) == pytest.approx(2 / 256)
    assert sign_test(3, 3) == 1.0
    assert sign_test(0, 0) == 1.0


def test_the_table_compares_pairs() -> None:
    """Gained and lost beside ``plain``, its ratio, what was lost and what could not be read."""
    cells = [
        cell("a", "plain", solved=True, right=1),
        cell("b", "plain", solved=False),
        cell("a", "best_of", solved=False, right=1, tokens=150),
        cell("b", "best_of", solved=True, right=1, tokens=150),
    ]
    plain, best_of = markdown(cells, ["plain", "best_of"]).splitlines()[2:]
    assert plain.startswith("| plain | 2 | 1 (0.09–0.91) | – | 2 | 200 | 0 | 200 | – | 0 | 2 of 4 (50%)")
    assert best_of.startswith("| best_of | 2 | 1 (0.09–0.91) | +1, −1 (p = 1.000) | 2 | 300 | 0 | 300 | 1.50 | 1 |")


def test_an_arm_is_compared_on_common_problems_only() -> None:
    """What one arm has beyond the other changes neither pairs nor ratio."""
    cells = [
        cell("a", "plain", solved=True),
        cell("b", "plain", solved=True),
        cell("a", "cascade", solved=True, tokens=200),
    ]
    assert "| +0, −0 (p = 1.000) |" in markdown(cells, [])
    assert "| 2.00 |" in markdown(cells, [])


def test_results_go_on_where_they_were(tmp_path: Path) -> None:
    """Equal settings find the cells, others are refused, and so is a file of something else."""
    path, settings = tmp_path / "q.json", Settings(("m",))
    first = Results.open(path, settings)
    first.add(cell("a", "plain", solved=True))
    assert Results.open(path, settings).cells == first.cells
    with pytest.raises(ResultsError, match="other settings"):
        Results.open(path, Settings(("n",)))
    path.write_text("[]")
    with pytest.raises(ResultsError, match="choose another --out"):
        Results.open(path, settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no problem"),
        ("{", ":1: not JSON"),
        ("[]", ":1: a problem is an object"),
        ('{"id": "a"}', ":1: a problem is an object"),
    ],
    ids=str,
)
def test_a_file_that_is_no_list_of_problems_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """One line says where and what."""
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(ProblemError, match=message):
        read_problems([path])


@pytest.mark.parametrize("change", [{"id": "../x"}, {"id": ".."}, {"entry_point": "a b"}], ids=str)
def test_names_that_would_lead_elsewhere_are_refused(change: dict[str, str], tmp_path: Path) -> None:
    """An id names a folder."""
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({**{each.name: "x" for each in fields(Problem)}, **change}))
    with pytest.raises(ProblemError):
        read_problems([path])


def test_equal_requests_of_a_group_get_equal_answers(tmp_path: Path) -> None:
    """The n-th of a run is the n-th of every other run of the group, and the answers outlive the server."""
    served: list[int] = []

    def answer(request: Any) -> str:
        served.append(1)
        return f"answer {len(served)}"

    def ask(base_url: str) -> str:
        reply = httpx.post(f"{base_url}/chat/completions", json={"model": "m", "messages": []}, trust_env=False)
        return str(reply.json()["choices"][0]["message"]["content"])

    with OpenAIServer(answer) as server:
        with SharedAnswers(server.base_url, tmp_path) as shared:
            one, two, other = (shared.base_url(*names) for names in (("p", "plain"), ("p", "best_of"), ("q", "plain")))
            assert [ask(one), ask(one), ask(two), ask(two), ask(other)] == [f"answer {n}" for n in (1, 2, 1, 2, 3)]
        with SharedAnswers(server.base_url, tmp_path) as shared:
            assert ask(shared.base_url("p", "cascade")) == "answer 1"
            assert ask(shared.base_url("p", "plain")) == "answer 1"
    assert len(served) == 3


def test_a_failure_is_passed_on_and_not_kept(tmp_path: Path) -> None:
    """The same request again is asked again, and its answer is the first."""
    answers: list[str | Fault] = [Fault(503, {"error": {"message": "busy", "type": "x"}}), "at last"]
    with OpenAIServer(lambda request: answers.pop(0)) as server, SharedAnswers(server.base_url, tmp_path) as shared:
        url = shared.base_url("p", "plain") + "/chat/completions"
        replies = [httpx.post(url, json={"model": "m", "messages": []}, trust_env=False) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [503, 200]
    assert [path.name[-7:] for path in tmp_path.iterdir()] == ["-1.json"]


def test_a_server_that_is_gone_is_a_failure_of_the_server(tmp_path: Path) -> None:
    """The program gets a status, and its own rules say what to do."""
    with OpenAIServer() as server:
        address = server.base_url
    with SharedAnswers(address, tmp_path) as shared:
        url = shared.base_url("p", "plain") + "/chat/completions"
        assert httpx.post(url, json={}, trust_env=False).status_code == 502
    assert not list(tmp_path.iterdir())
