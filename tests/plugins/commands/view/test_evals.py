"""The pages of evaluations, over real ones: cells with their links, intervals, regressions."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import ROOT, orchestrate, start
from tests.plugins.commands.eval.suites import answer, case, write
from tests.plugins.commands.view.serving import Page, Served, foreign, served, wait_for

SMALL = ROOT / "examples" / "eval" / "small.yaml"
ARMS = ("loop=reviewed", "loop=best_of", "plain", "single summit-large")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's suite, and twice a suite of two cases, of which the second time one is lost."""
    home = tmp_path_factory.mktemp("evals")
    ran = orchestrate(home, "eval", "run", str(SMALL), "--vary", "loop=reviewed,best_of", "--limit", "5", "--json")
    assert ran.code == 0, ran.err
    for name, said in (("before", None), ("after", "wrong")):
        suite = write(home / name, [case(1), case(2)], [answer(1), answer(2, said)])
        options = ("--vary", "loop=plain,reviewed", "--no-controls", "--repeat", "2", "--name", name)
        assert orchestrate(home, "eval", "run", str(suite), *options).code == 0
    return home


@pytest.fixture(scope="module")
def view(home: Path) -> Iterator[Served]:
    """Served."""
    with served(home) as view:
        yield view


def cells(page: Page) -> list[tuple[str, str]]:
    """(accessible name, address) of each cell's link."""
    found = [each for each in page.of("a") if each.get("class") == "cell"]
    return [(each["aria-label"] or "", each["href"] or "") for each in found]


def test_the_list_has_every_evaluation(view: Served) -> None:
    """With what was solved, the newest first, and it keeps itself up to date."""
    page = view.page("/evals")
    links = [each["href"] for each in page.of("a") if (each["href"] or "").startswith("/evals/")]
    assert links == ["/evals/after", "/evals/before", "/evals/small"]
    assert "20 of 20" in page.text
    assert "completed8 of 84–" in page.text
    assert (page.of("body")[0]["data-live"] or "").startswith("/events?after=")
    assert foreign(page) == []


def test_an_evaluation_shows_cases_in_arms_with_intervals_and_a_link_to_each_run(view: Served, home: Path) -> None:
    """The figures are those of ``eval show``, and behind every cell is the page of its run."""
    page = view.page("/evals/small")
    shown = orchestrate(home, "eval", "show", "small", "--json").json
    assert [arm["name"] for arm in shown["arms"]] == list(ARMS)
    for arm in shown["arms"]:
        assert f"{arm['low']:.2f}–{arm['high']:.2f}" in page.text
    names = {f"{each['case']}, {each['arm']}: {each['outcome']}": f"/runs/{each['run']}" for each in shown["cells"]}
    assert len(names) == 5 * len(ARMS)
    assert dict(cells(page)) == names
    for name, address in cells(page):
        run = view.page(address)
        assert address.removeprefix("/runs/") in run.words, name
        assert "Final output" in run.text, name
    assert foreign(page) == []
    assert (page.of("body")[0]["data-live"] or "").startswith("/events?after=")


def test_an_evaluation_is_no_run(view: Served, home: Path) -> None:
    """Neither in the list's count nor where runs are counted backwards; its events lead to its own page."""
    runs = len(orchestrate(home, "runs", "list", "--json").json)
    assert f"of {runs}" in view.page("/runs").words
    assert f"there are {runs} runs" in orchestrate(home, "runs", "show", "last~999").err
    links = view.page("/log?type=eval.started").links
    assert {"/evals/after", "/evals/before", "/evals/small"} == {each for each in links if each.startswith("/evals/")}


def test_regressions_against_another_evaluation(view: Served) -> None:
    """The form offers the others; a lost case is named, and the way back is no regression."""
    assert {each.get("value") for each in view.page("/evals/after").of("option")} == {"", None}
    worse = view.page("/evals/after?baseline=before")
    assert "Regressions against before" in worse.text
    for arm in ("loop=plain", "loop=reviewed"):
        assert re.search(rf"{arm} beside before: REGRESSION: .*lost: case-02", worse.text)
    better = view.page("/evals/before?baseline=after")
    assert "REGRESSION" not in better.text
    assert "no worse" in better.text
    assert [name for name, _ in cells(worse)].count("case-02, loop=plain, 2: failed") == 1


@pytest.mark.parametrize("baseline", ["none", "small"])
def test_a_baseline_that_fits_not_is_said_beside_the_result(view: Served, baseline: str) -> None:
    """One that there is not, one with no case in common: the page stays, with a line on top of the choice."""
    page = view.page(f"/evals/after?baseline={baseline}")
    assert any(each.get("role") == "alert" for each in page.of("div"))
    assert baseline in page.words
    assert len(cells(page)) == 8
    assert page.of("select")


def test_a_cell_without_a_grade_says_whether_it_is_still_worked_on(tmp_path: Path) -> None:
    """While the evaluation runs, and after its process was killed; the run of the cell is linked all the same."""
    suite = write(tmp_path / "suite", [case(1), case(2)], [answer(1), answer(2)])
    script = json.loads((suite.parent / "answers.json").read_text())
    (suite.parent / "answers.json").write_text(json.dumps({**script, "delay_ms": 30_000}))
    options = ("--vary", "loop=plain,reviewed", "--no-controls", "--jobs", "1", "--name", "slow")
    with served(tmp_path) as view:
        process = start(tmp_path, "eval", "run", str(suite), *options)
        try:
            found = wait_for(lambda: cells(Page(view.get("/evals/slow").text)), "the first cell")
            listed = view.page("/evals")
        finally:
            process.kill()
            process.communicate()
        assert [name.rpartition(": ")[2] for name, _ in found] == ["running"]
        assert "running1 of 40" in listed.text
        killed = cells(view.page("/evals/slow"))
        assert [name.rpartition(": ")[2] for name, _ in killed] == ["interrupted"]
        assert killed[0][1].removeprefix("/runs/") in view.page(killed[0][1]).words
        assert "interrupted1 of 40" in view.page("/evals").text


def test_an_evaluation_that_there_is_not_is_one_line(view: Served, tmp_path: Path) -> None:
    """With the names of those there are; also without a log."""
    answered = view.get("/evals/none")
    assert answered.status_code == 404
    assert "after" in Page(answered.text).words
    with served(tmp_path) as empty:
        assert empty.get("/evals/none").status_code == 404
