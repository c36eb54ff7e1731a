"""``orchestrate report``: a page that stands alone, and shows what a model wrote as text."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.cli.command import QUICKSTART, orchestrate, scripted_spec
from tests.plugins.commands.view.browser import LAYOUT, Browser, axe_findings, browser

HOSTILE: Final = (
    "```python\nx = 1\n```\n</script><script>document.title='owned'</script>"
    "<img src=http://127.0.0.1:9/leak onerror=\"document.title='owned'\"><style>*{display:none}</style>"
)


PRINTED: Final = """
(() => {
  const seen = (each) => each.checkVisibility({contentVisibilityAuto: true});
  matchMedia("print").addEventListener("change", (now) => {
    if (!now.matches) return;
    const all = (what) => [...document.querySelectorAll(what)];
    window.paper = JSON.stringify({
      delivered: all("details.work").filter((each) => [...each.querySelectorAll("pre")].some(seen))
        .map((each) => each.dataset.node),
      controls: all("button, input, select, nav a").filter(seen).map((each) => each.textContent),
      cut: all(".scroll").filter((each) => each.scrollWidth > each.clientWidth + 1)
        .map((each) => each.textContent.trim().slice(0, 30)),
    });
  });
  return true;
})()
"""
"""Notes in ``window.paper`` what of a page is on paper, once it is printed."""


class Page(HTMLParser):
    """The elements of a page, and the text of the ones that matter."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def data_of(text: str) -> Any:
    """The data inside a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the quickstart's run, and its report beside it."""
    home = tmp_path_factory.mktemp("report")
    assert orchestrate(home, "run", str(QUICKSTART), "--project-id", "quick").code == 0
    ended = orchestrate(home, "report", "quick", "-o", "report.html")
    assert (ended.code, ended.out) == (0, "")
    assert "quick: written to report.html" in ended.err
    return home


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a run whose model tries to get out of the page."""
    home = tmp_path_factory.mktemp("hostile")
    task = {"id": "only", "type": "code_generation", "prompt": HOSTILE}
    answers = [{"role": role, "text": HOSTILE} for role in ("generator", "critic", "reviser")]
    spec = scripted_spec(home / "spec", answers=answers, tasks=[task], project=HOSTILE)
    assert orchestrate(home, "run", str(spec), "--project-id", "bad").code in (0, 1)
    assert orchestrate(home, "report", "bad").code == 0
    return home


def test_the_page_shows_the_run_and_needs_nothing_else(quickstart: Path) -> None:
    """Figures, pictures, every task, every decision's candidates, drafts and events; no address of anything outside."""
    text = (quickstart / "report.html").read_text()
    page, data = Page(text), data_of(text)
    run = orchestrate(quickstart, "runs", "show", "quick", "--json").json
    assert run["status"] in page.text
    assert run["head"] in page.text
    assert "recomputed, all as recorded" in page.text
    assert f"unbroken over {len(data['events'])} events" in page.text
    assert {box["data-node"] for box in page.of("details")} == {"plan", *run["execution_order"]}
    svgs = [attributes.get("class") for attributes in page.of("svg")]
    assert {"bar", "graph", "timeline"} <= set(svgs)
    assert set(data["tasks"]) == set(run["execution_order"])
    repaired = [
        iteration for task in data["tasks"].values() for iteration in task["iterations"] if iteration["number"] == 2
    ]
    assert repaired, "the quickstart's failing draft has a second iteration"
    assert any(
        check["verdict"] == "failed"
        for task in data["tasks"].values()
        for t in task["iterations"]
        for check in t["checks"]
    )
    assert any(step["changes"] for iteration in repaired for step in iteration["steps"])
    choices = [each for each in data["choices"] if each["kind"] == "choice"]
    assert all(each["candidates"] for each in choices)
    assert [
        attributes for tag, attributes in page.tags if "src" in attributes or tag in ("link", "iframe", "base")
    ] == []
    assert all((attributes.get("href") or "#").startswith("#") for attributes in page.of("a"))
    assert not any("style" in attributes or any(n.startswith("on") for n in attributes) for _, attributes in page.tags)


def test_what_a_model_wrote_is_text(hostile: Path) -> None:
    """A script, an image and a style in an answer make no element of the page; they stand in its data."""
    text = (hostile / "report.html").read_text()
    page, data = Page(text), data_of(text)
    assert len(page.of("script")) == 2
    assert len(page.of("style")) == 1
    assert page.of("img") == []
    assert data["tasks"]["only"]["iterations"][0]["steps"][0]["text"] == HOSTILE
    assert text.count("</script>") == 2
    assert "owned" in page.text


def test_the_policy_names_this_style_and_this_script(hostile: Path) -> None:
    """Nothing else may be loaded or run."""
    from base64 import b64encode
    from hashlib import sha256

    text = (hostile / "report.html").read_text()
    policy = next(a["content"] for a in Page(text).of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for element in ("style", "script"):
        found = re.search(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        assert found is not None
        digest = b64encode(sha256(found[1].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_another_file_is_not_written_over(quickstart: Path, tmp_path: Path) -> None:
    """A report replaces a report; anything else needs --force; a folder, a missing run and a bad place are one line."""
    target = tmp_path / "notes.html"
    target.write_text("mine")
    refused = orchestrate(quickstart, "report", "quick", "-o", str(target))
    assert (refused.code, target.read_text()) == (2, "mine")
    assert "--force" in refused.err
    assert orchestrate(quickstart, "report", "quick", "-o", str(target), "--force").code == 0
    assert orchestrate(quickstart, "report", "quick", "-o", str(target)).code == 0
    for arguments in (
        ["quick", "-o", str(tmp_path)],
        ["quick", "-o", str(tmp_path / "no" / "where.html")],
        ["unknown"],
    ):
        ended = orchestrate(quickstart, "report", *arguments)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended.err


def test_who_could_not_be_asked_and_what_was_verified_are_told(tmp_path: Path) -> None:
    """A task without a model and the verification of the result have their lines beside the choices."""
    reported = []
    more: list[dict[str, Any]] = [
        {"verify_cmd": "true"},
        {"policies": [{"name": "none", "allowed_models": ["?other"]}]},
    ]
    for name, fields in zip(("verified", "lonely"), more, strict=True):
        orchestrate(tmp_path, "run", str(scripted_spec(tmp_path / name, project_id=name, **fields)))
        assert orchestrate(tmp_path, "report", name).code == 0
        reported += data_of((tmp_path / "report.html").read_text())["choices"]
    assert [each["node"] for each in reported if each["kind"] == "verification"] == ["verify"]
    rejection = [[one["policy"] for one in each["candidates"]] for each in reported if each["kind"] == "no_candidate"]
    assert rejection == [["none", "none"]]


def test_a_fork_a_damaged_log_and_deleted_texts_are_shown_and_said(own_copy: Path) -> None:
    """The page of a fork names its parent, that of a damaged run the event, that of a deleted one what is gone."""
    target = own_copy / "page.html"
    beyond = orchestrate(own_copy, "fork", "done", "--at", "v9999", "--project-id", "later")
    assert (beyond.code, "done has no such event" in beyond.err) == (0, True)
    assert orchestrate(own_copy, "report", "later", "-o", str(target)).code == 0
    forked = " ".join(Page(target.read_text()).text.split())
    assert "forked fromdone v" in forked
    assert any(line.startswith("fork of ") for line in orchestrate(own_copy, "runs", "show", "later").lines)
    assert orchestrate(own_copy, "runs", "delete", "done", "--yes").code == 0
    assert orchestrate(own_copy, "report", "done", "-o", str(target)).code == 0
    assert "(this text was deleted)" in Page(target.read_text()).text
    with closing(sqlite3.connect(own_copy / "events.db")) as database:
        database.execute("DROP TRIGGER events_are_never_changed")
        database.execute("UPDATE events SET at = at + 1 WHERE position = 9")
        database.commit()
    damaged = orchestrate(own_copy, "report", "done", "-o", str(target))
    assert damaged.code == 6
    assert "! done is damaged" in damaged.err
    assert "event 9 (v9): " in Page(target.read_text()).text


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser."""
    with browser() as found:
        yield found


def opened(chromium: Browser, page: Path, fragment: str = "") -> None:
    """Open a report from its file; it asks for nothing else."""
    chromium.open("about:blank")  # another fragment alone would not load it again
    chromium.open(f"file://{quote(str(page))}{fragment}")
    assert chromium.run("performance.getEntriesByType('resource').length") == 0


def test_in_a_browser_search_and_details_work(chromium: Browser, quickstart: Path) -> None:
    """A link with a search shows the matching events alone; a link to a task opens its drafts and decisions."""
    page = quickstart / "report.html"
    opened(chromium, page, "#find=check.validated%20failed")
    rows = chromium.run("[...document.querySelectorAll('#table tbody tr')].map((each) => each.textContent)")
    wanted = [
        each for each in data_of(page.read_text())["events"] if each[3] == "check.validated" and "failed" in each[4]
    ]
    assert wanted
    assert len(rows) == len(wanted)
    assert all("check.validated" in row for row in rows)
    opened(chromium, page, "#find=call.succeeded")
    assert '"settled": $0.0005' in chromium.run("document.querySelector('#table tbody').textContent")
    opened(chromium, page, "#work-1")
    box = chromium.run("document.getElementById('work-1').textContent")
    assert all(each in box for each in ("what was asked for", "draft by ", "price in/out"))
    assert chromium.run("[...document.querySelectorAll('time')].every((each) => each.title.endsWith(' UTC'))")


def test_in_a_browser_the_report_is_short_until_it_is_opened(
    chromium: Browser, quickstart: Path, tmp_path: Path
) -> None:
    """Seven tasks are under 3,000 px, title and final output in the first screen; nothing is cut at any width; axe."""
    tall = "document.documentElement.scrollHeight"
    for width, height in ((390, 844), (640, 450), (1280, 800)):
        chromium.size(width, height)
        opened(chromium, quickstart / "report.html")
        assert json.loads(chromium.run(LAYOUT)) == [], width
        assert chromium.run("document.querySelector('h1').getBoundingClientRect().bottom") < height
        if height > 450:
            assert chromium.run("document.querySelector('.final').getBoundingClientRect().top") < height - 60
        chromium.shot(tmp_path / f"report-{width}.png")
    folded = chromium.run(tall)
    assert folded < 3_000
    assert axe_findings(chromium) == []
    chromium.run("document.getElementById('all').click()")
    assert chromium.run(tall) > 2 * folded
    assert chromium.run("document.querySelectorAll('details:not([open])').length") == 0


def test_in_a_browser_the_printed_report_has_what_was_delivered_and_no_controls(
    chromium: Browser, quickstart: Path, tmp_path: Path
) -> None:
    """Every task's files are open on paper and the whole table fits it; what can only be clicked is not there."""
    opened(chromium, quickstart / "report.html")
    assert chromium.run(PRINTED)
    chromium.print(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    paper = json.loads(chromium.run("window.paper"))
    tasks = {each["id"] for each in orchestrate(quickstart, "runs", "show", "quick", "--json").json["tasks"]}
    assert {each for each in paper["delivered"] if each != "plan"} == tasks
    assert paper["controls"] == []
    assert paper["cut"] == []
    assert chromium.run("document.querySelectorAll('details.work[open]').length") == 0, "as before the printing"


def test_in_a_browser_no_planted_script_runs_and_nothing_is_fetched(chromium: Browser, hostile: Path) -> None:
    """The hostile answers are shown; the title is the program's; no image is requested."""
    opened(chromium, hostile / "report.html", "#work-1")
    assert chromium.run("document.title").startswith("bad: ")
    assert "<script>document.title='owned'</script>" in chromium.run("document.getElementById('work-1').textContent")
    assert chromium.run("document.images.length") == 0
