"""Every page: over golden logs, over real runs, and over runs that try to get out of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator_insight.event_fields import readable_fields
from tests.cli.command import orchestrate, scripted_spec, start
from tests.golden import FOLDER, read
from tests.plugins.commands.view.serving import Page, Served, foreign, golden_home, served, wait_for

PAGES = ("/", "/runs", "/compare", "/evals", "/money", "/money?simulated=1", "/models", "/log", "/log/verify")


@pytest.fixture(scope="module")
def quick_view(quick: Path) -> Iterator[Served]:
    """The quickstart's runs, served."""
    with served(quick) as view:
        yield view


@pytest.fixture(scope="module")
def hostile_view(hostile: Path) -> Iterator[Served]:
    """The hostile run, served."""
    with served(hostile) as view:
        yield view


def of_run(view: Served, run: str) -> Iterator[str]:
    """The addresses of a run's pages."""
    base = f"/runs/{run}"
    yield from (base, f"{base}/decisions", f"{base}/log", f"{base}/verify", f"/compare?one={run}&other={run}")
    yield from sorted(link for link in view.page(base).links if link.startswith(f"{base}/tasks/"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_page_shows_every_golden_log(path: Path, tmp_path: Path) -> None:
    """Logs of all rules, without their texts, make whole pages that ask nothing of any other place."""
    log = read(path)
    run = log.rows[-1]["stream"]
    with served(golden_home(tmp_path, log)) as view:
        for page in (*PAGES, *of_run(view, run)):
            shown = view.page(page)
            assert shown.of("main"), page
            assert foreign(shown) == [], page
            assert "</" not in shown.text, f"{page}: a mark of the page is shown as a text"


def test_a_folder_without_a_log_has_every_page_and_says_how_to_begin(tmp_path: Path) -> None:
    """Nothing is made in it, and a run that begins meanwhile appears."""
    with served(tmp_path / "none") as view:
        for page in PAGES[:-1]:
            view.page(page)
        assert "orchestrate run spec.yaml" in view.page("/").text
        assert not (tmp_path / "none").exists()
        assert orchestrate(tmp_path / "none", "run", str(scripted_spec(tmp_path / "spec")), "-q").code == 0
        assert "Write x." in view.page("/").text


def test_runs_are_listed_filtered_and_found(quick_view: Served, quick: Path) -> None:
    """As ``runs list`` has them: newest first, with status, spend and title."""
    listed = orchestrate(quick, "runs", "list", "--json").json
    page = quick_view.page("/")
    runs = [link.removeprefix("/runs/") for link in page.links if link.startswith("/runs/")]
    assert sorted(runs) == sorted(each["run_id"] for each in listed)
    assert listed[1]["title"].rstrip("…") in page.words
    assert "$0.0191" in page.text
    assert {"/runs/quick", "/runs/other"} <= quick_view.page("/?status=SUCCESS").links
    assert "/runs/quick-fork" not in quick_view.page("/?status=SUCCESS").links
    assert quick_view.page("/?q=quick-f").links & {"/runs/quick", "/runs/quick-fork"} == {"/runs/quick-fork"}
    assert "No run is like that" in quick_view.page("/?q=zzz").text


def test_a_run_shows_what_its_log_says(quick_view: Served, quick: Path) -> None:
    """Header, graph, tasks with scores, calls with fallbacks, the final output: as the commands have them."""
    shown = orchestrate(quick, "runs", "show", "quick", "--json").json
    page = quick_view.page("/runs/quick")
    assert shown["head"] in page.text
    assert "Final output" in page.text
    assert shown["tasks"][-1]["output"].splitlines()[0] in page.text
    for task in shown["tasks"]:
        assert task["title"] in page.text
        assert f"{task['score']:.3f}" in page.text
        assert f"/runs/quick/tasks/{task['id']}" in page.links
    assert {"graph", "timeline", "bar"} <= {each.get("class") for each in page.of("svg")}
    assert "fallback from aurora-grand" in page.words
    assert "failed" in page.words
    assert any(each.get("class") == "edge" for each in page.of("path"))


def test_a_task_shows_its_files_first_and_everything_behind_them(quick_view: Served, quick: Path) -> None:
    """Final files, drafts, critiques, checks, diffs side by side, prompts and answers as sent, decisions in words."""
    said = orchestrate(quick, "explain", "quick", "task_001", "--prompts", "--json").json
    page = quick_view.page("/runs/quick/tasks/task_001")
    assert page.text.index("Final output") < page.text.index("How it came to be") < page.text.index("Decisions")
    assert "task_001_code_generation.py" in page.text
    assert any(each.get("class") == "kn" for each in page.of("span")), "the code is highlighted"
    for each in said:
        for message in each["exchange"]["request"]["messages"]:
            assert " ".join(message["content"].split())[:80] in page.words
        for call in each["exchange"]["calls"]:
            assert " ".join((call["answer"] or "").split())[:60] in page.words
    assert "Changes side by side" in page.text
    assert "tokens read" in page.text
    words = orchestrate(quick, "explain", "quick", "task_001").out
    sentences = [line.strip() for line in words.splitlines() if "ordered by" in line]
    assert sentences
    assert all(each in page.words for each in sentences)
    for each in said:
        assert all(candidate["model"] in page.words for candidate in each["candidates"])


def test_nothing_that_is_not_there_is_shown(quick_view: Served) -> None:
    """A run, a task, an evaluation and an address that there are not are one line and 404."""
    for path in ("/runs/none", "/runs/quick/tasks/none", "/evals/none", "/runs/quick/none", "/static/../app.py", "/x"):
        assert quick_view.get(path).status_code == 404, path
    assert "there is no run 'none'" in Page(quick_view.get("/runs/none").text).text


def test_two_runs_are_compared(quick_view: Served) -> None:
    """Settings, first difference, scores and cost; runs that are not there are said."""
    page = quick_view.page("/compare?one=quick&other=quick-fork")
    assert "budget_usd: 1 → 2" in page.words
    assert "statussuccessinterrupted" in page.words
    assert "First difference" in page.text
    assert "First difference" in quick_view.page("/compare?one=quick&other=last").text
    assert "there is no run" in quick_view.page("/compare?one=quick&other=none").text


def test_money_is_summed_as_costs_has_it(quick_view: Served, quick: Path) -> None:
    """By day, model, role and team, of simulated runs apart; accounts with their caps."""
    assert orchestrate(quick, "budget", "set", "sim/org", "5").code == 0
    page = quick_view.page("/money?simulated=1")
    for each in orchestrate(quick, "costs", "--all", "--simulated", "--json").json:
        assert each["model"] in page.text
        assert f"${each['total_usd'].rstrip('0')}" in page.source or each["total_usd"].startswith("0.000000000")
    assert "org" in page.text
    assert "$5.00" in page.text
    real = quick_view.page("/money")
    assert "Nothing was spent" in real.text
    assert "what simulated ones would have paid is under Simulated" in real.words
    assert "/money?simulated=1" in real.links


def test_models_are_shown_with_prices_and_what_was_measured(quick_view: Served) -> None:
    """Every model of the latest sessions."""
    page = quick_view.page("/models")
    assert "northwind-core" in page.text
    assert "$0.28 / $0.42" in page.words


def test_the_log_is_searched_and_verified(quick_view: Served, quick: Path) -> None:
    """Types, texts, positions and versions find events; verification recomputes every decision."""
    page = quick_view.page("/runs/quick/log?type=run.finished")
    assert "run.finished" in page.text
    assert page.source.count("<tr id=") == 1
    assert "v12" in quick_view.page("/runs/quick/log?q=v12").text
    assert "No event is like that" in quick_view.page("/log?q=zzzz").text
    older = next(each for each in quick_view.page("/log").links if "before=" in each)
    assert quick_view.page(f"/log{older}").source.count("<tr id=") == 50
    assert "computed again, all as recorded" in quick_view.page("/runs/quick/verify").text


def test_a_damaged_run_is_marked(damaged: Path) -> None:
    """Its page says so, and the verification names the event; the other run is not touched by it."""
    with served(damaged) as view:
        assert "quick is damaged at event 9" in view.page("/runs/quick").words
        assert "event 9" in view.page("/runs/quick/verify").text
        assert "is damaged" not in view.page("/runs/other").text


def test_what_models_wrote_is_text(hostile_view: Served) -> None:
    """Scripts, styles, pictures and template marks make no element; escapes and turned writing have signs."""
    paths = (*PAGES, *of_run(hostile_view, "bad"))
    for path in paths:
        page = hostile_view.page(path)
        assert foreign(page) == [], path
        assert page.of("img") == []
        assert len(page.of("script")) == 1
        assert not any(each in page.source for each in "\x1b\x07\u202e\u2066"), path
    task = hostile_view.page("/runs/bad/tasks/only")
    assert "␛[31mred" in task.text
    assert "‹U+202E›gnp.exe" in task.text
    assert "<script>document.title='owned'</script>" in task.text
    assert "{{ 7*7 }}" in task.text


def test_a_megabyte_is_cut_and_there_as_a_whole(hostile_view: Served) -> None:
    """The page of the task stays small; the whole text is one link away, as plain text."""
    page = hostile_view.page("/runs/bad/tasks/long")
    assert len(page.source) < 1_500_000
    link = next(each for each in page.links if "/texts/" in each)
    whole = hostile_view.get(link)
    assert whole.headers["content-type"].startswith("text/plain")
    assert len(whole.text) >= 900_000
    assert whole.headers["x-content-type-options"] == "nosniff"


def test_events_are_shown_with_readable_money_and_durations_and_without_what_is_empty() -> None:
    """Inside of other values too; what is damaged, and what no type knows, is shown as it is."""
    totals = '{"run": "r", "amount": 1500000, "call": 7, "totals": {"cap": 5000000000, "held": 10, "excess": 0}}'
    assert dict(readable_fields("account.held", totals)) == {
        "run": "r", "amount": "$0.0015", "call": "7", "totals": "{cap $5.0000, held <$0.0001, excess $0.0000}",
    }  # fmt: skip
    digest = "ab" * 32
    answered = json.dumps({"latency": 31_000, "answer": digest, "usage": {"input": 9}, "thoughts": None, "try_": 1})
    assert dict(readable_fields("call.succeeded", answered)) == {
        "latency": "31 ms", "answer": f"{digest[:12]}…", "usage": "{input 9}", "try": "1",
    }  # fmt: skip
    phases = '{"phases": {"generation": 26709975}, "risk": "low", "parts": [[1, true], "x"]}'
    assert dict(readable_fields("forecast.made", phases)) == {
        "phases": "{generation $0.0267}", "risk": "low", "parts": "[[1, true], x]",
    }  # fmt: skip
    assert list(readable_fields("call.started", "{no json")) == [("damaged", "{no json")]
    assert list(readable_fields("never.known", '[{"amount": 1}]')) == [("value", "[{amount 1}]")]


def test_a_question_is_said_where_nothing_may_be_done(tmp_path: Path) -> None:
    """What a run waits for is its question in words, on a page that has no form for an answer."""
    spec = scripted_spec(tmp_path / "spec", approve=["plan"])
    process = start(tmp_path, "run", str(spec), "--project-id", "asks", "-q")
    try:
        with served(tmp_path) as view:
            wait_for(lambda: "an answer: start the plan of 1 task" in view.get("/runs/asks").text, "the question")
            assert not view.page("/runs/asks").of("form")
    finally:
        process.kill()
        process.communicate()


def test_workers_are_no_runs_and_submitted_ones_can_be_filtered(tmp_path: Path) -> None:
    """The count under the list is that of runs; the filter has every status that the list shows."""
    spec = str(scripted_spec(tmp_path / "spec"))
    for words in (("submit", spec, "--set", "project_id=done"), ("worker", "--until-idle"), ("submit", spec)):
        assert orchestrate(tmp_path, *words).code == 0, words
    with served(tmp_path) as view:
        assert "1–2 of 2" in view.page("/runs").words
        assert "1–1 of 1" in view.page("/runs?status=submitted").words
        assert "submitted" in [each.get("value") for each in view.page("/runs").of("option")]
        links = {link for link in view.page("/log").links if link.startswith("/")}
        assert [link for link in sorted(links) if view.get(link).status_code != 200] == [], "a worker has no page"
