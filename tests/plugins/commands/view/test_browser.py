"""In a real Chromium: layout at every width, no planted script, no request elsewhere, live pages, axe.

Pictures of every page are written to the folder of the test (``--basetemp`` names it).
"""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.cli.command import ROOT, finish, orchestrate, scripted_spec, start
from tests.plugins.commands.view.browser import LAYOUT, Browser, axe_findings, browser
from tests.plugins.commands.view.serving import Served, served, wait_for

SMALL: Final = ROOT / "examples" / "eval" / "small.yaml"
UNKNOWN: Final = ROOT / "examples" / "unreconciled" / "spec.yaml"
WIDTHS: Final = (390, 640, 1280)
"""A phone, a screen at 200 %, a screen."""
PAGES: Final = {
    "runs": "/",
    "run": "/runs/quick",
    "task": "/runs/quick/tasks/task_001",
    "decisions": "/runs/quick/decisions",
    "compare": "/compare?one=quick&other=quick-fork",
    "evals": "/evals",
    "eval": "/evals/first",
    "money": "/money?simulated=1",
    "models": "/models",
    "log": "/log",
    "verify": "/runs/quick/verify",
    "start": "/start",
    "question": "/runs/asks",
    "plan": "/runs/asks/plan",
}
_ASKED: Final = "JSON.stringify(performance.getEntriesByType('resource').map((each) => each.name))"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser."""
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def view(quick: Path, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The quickstart's runs, an evaluation, a question that waits, a call of unknown cost; the token in the browser."""
    home = shutil.copytree(quick, tmp_path_factory.mktemp("browser") / "home")
    evaluated = orchestrate(home, "eval", "run", str(SMALL), "--vary", "loop=plain", "--limit", "2", "--name", "first")
    assert evaluated.code == 0, evaluated.err
    assert orchestrate(home, "run", str(UNKNOWN), "--project-id", "unknown", "-q").code == 0
    asking = start(home, "run", str(scripted_spec(home / "spec", approve=["plan"])), "--project-id", "asks", "-q")
    with served(home, allow_actions=True) as view:
        wait_for(lambda: 'name="answer"' in view.get("/runs/asks").text, "the question")
        chromium.open(f"{view.base}/?token={view.access.token}")
        yield view
        asking.kill()
        asking.communicate()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_every_width_asks_no_other_place_and_has_no_serious_finding(
    chromium: Browser, view: Served, name: str, tmp_path: Path
) -> None:
    """No sideways scrolling, no box on another, nothing cut; no request elsewhere; axe; a picture is written."""
    widths = WIDTHS[:1] if name == "plan" else WIDTHS  # a command makes that page, at every opening
    for width in widths:
        chromium.size(width, 900)
        chromium.open(f"{view.base}{PAGES[name]}")
        assert json.loads(chromium.run(LAYOUT)) == [], f"{name} at {width} px"
        chromium.shot(tmp_path / f"{name}-{width}.png")
    assert [each for each in json.loads(chromium.run(_ASKED)) if not each.startswith(f"{view.base}/")] == []
    assert all((tmp_path / f"{name}-{width}.png").stat().st_size > 1000 for width in widths)
    assert axe_findings(chromium) == []


def test_title_and_final_output_are_in_the_first_screen(chromium: Browser, view: Served) -> None:
    """Of a run, at the width of a phone and of a screen."""
    for width, height in ((390, 844), (1280, 800)):
        chromium.size(width, height)
        chromium.open(f"{view.base}/runs/quick")
        bottom = "Math.round(document.querySelector('{}').getBoundingClientRect().bottom)"
        assert chromium.run(bottom.format("h1")) < height
        assert (
            chromium.run("Math.round(document.querySelector('.final pre').getBoundingClientRect().top)") < height - 60
        )


def test_a_chart_breaks_no_word(chromium: Browser, view: Served) -> None:
    """On a phone the names have the room that they need, and the bars what is left."""
    chromium.size(390, 844)
    chromium.open(f"{view.base}/money?simulated=1")
    tall = (
        "[...document.querySelectorAll('.chart th')].find((each) => each.textContent === 'decomposition').offsetHeight"
    )
    assert chromium.run(tall) < 32


def test_the_token_is_not_left_in_the_address(chromium: Browser, view: Served) -> None:
    """Nor in the history; times are in words, exact on hover."""
    chromium.open(f"{view.base}/?token={view.access.token}")
    assert "token" not in chromium.run("location.href")
    assert chromium.run("document.querySelector('time').title.includes(document.querySelector('time').dateTime)")
    assert "ago" in chromium.run("document.querySelector('time').textContent")


def test_everything_opens_at_once_and_a_link_opens_what_it_names(chromium: Browser, view: Served) -> None:
    """Expand all; and the address of a call opens the box of that call."""
    chromium.open(f"{view.base}/runs/quick/tasks/task_001")
    closed = "document.querySelectorAll('main details:not([open])').length"
    assert chromium.run(closed) > 0
    chromium.run("document.querySelector('[data-expand]').click()")
    assert chromium.run(closed) == 0
    anchor = chromium.run("document.querySelector('details[id^=call-]').id")
    chromium.open(f"{view.base}/runs/quick/tasks/task_001?x=1#{anchor}")
    assert chromium.run(f"document.getElementById('{anchor}').open")


def test_planted_scripts_do_not_run(chromium: Browser, hostile: Path) -> None:
    """The title is the program's; nothing was asked of another host; the policy was not even needed."""
    with served(hostile) as view:
        chromium.open(f"{view.base}/?token={view.access.token}")
        for path in ("/", "/runs/bad", "/runs/bad/tasks/only", "/runs/bad/decisions", "/log"):
            chromium.open(f"{view.base}{path}")
            assert "owned" not in (title := chromium.run("document.title")) or "script" in title
            assert chromium.run("document.images.length") == 0
            assert [each for each in json.loads(chromium.run(_ASKED)) if not each.startswith(f"{view.base}/")] == []


def test_a_page_follows_a_run_of_another_process(chromium: Browser, tmp_path: Path) -> None:
    """From running to its result, without being loaded again; what was opened stays open."""
    tasks = [{"id": f"t{number}", "type": "code_generation", "prompt": "Write x."} for number in range(3)]
    spec = scripted_spec(tmp_path / "spec", delay_ms=400, tasks=tasks)
    with served(tmp_path) as view:
        process = start(tmp_path, "run", str(spec), "--project-id", "slow", "-q")
        wait_for(lambda: "Waits for" in view.get("/runs/slow").text, "the run's page")
        chromium.open(f"{view.base}/runs/slow?token={view.access.token}")
        chromium.run("window.same = true, document.querySelector('#all-calls')?.setAttribute('open', '')")
        assert finish(process).code == 0
        wait_for(
            lambda: "success" in chromium.run("document.querySelector('.hero').textContent"), "the end on the page"
        )
        assert chromium.run("window.same")
        assert "Final output" in chromium.run("document.body.textContent")


def test_a_thousand_events_a_second_do_not_freeze_the_page(chromium: Browser, quick: Path, tmp_path: Path) -> None:
    """While they are committed the page's own clock goes on, and afterwards the page has the last of them."""
    home = shutil.copytree(quick, tmp_path / "home")
    copy = (
        "INSERT INTO events(stream, version, type, schema, at, data, hash)"
        " SELECT ?, version, type, schema, at, data, hash FROM events WHERE stream = 'quick' ORDER BY version"
    )
    with served(home) as view, closing(sqlite3.connect(home / "events.db", isolation_level=None)) as database:
        chromium.open(f"{view.base}/?token={view.access.token}")
        chromium.run(
            "(window.gap = 0, window.last = performance.now(), setInterval(() => { const now = performance.now();"
            " window.gap = Math.max(window.gap, now - window.last); window.last = now; }, 20))"
        )
        for number in range(20):
            database.execute(copy, [f"copy-{number:02}"])
            time.sleep(0.2)
        wait_for(lambda: "copy-19" in chromium.run("document.body.textContent"), "the last run on the page")
        assert chromium.run("window.gap") < 5000
