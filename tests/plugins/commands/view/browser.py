"""A real Chromium: one that is installed, by selenium, else the one that is in Qt (both in the extra ``dev-view``)."""

import json
import os
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

INSTALLED: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
_QT: Final = Path(__file__).with_name("qt_browser.py")


LAYOUT: Final = """
(() => {
  const found = [], wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) found.push(`sideways: ${document.documentElement.scrollWidth}`);
  for (const each of document.querySelectorAll("main .card, main .scroll:has(> table:not(.matrix, .diff))"))
    if (each.scrollWidth > each.clientWidth + 1) found.push(`cut or scrolled: ${each.textContent.trim().slice(0, 30)}`);
  const shown = [...document.querySelectorAll("main *, header *")].filter((each) =>
    !each.childElementCount && each.textContent.trim() && each.checkVisibility({contentVisibilityAuto: true})
    && !each.closest("svg, .hidden, .scroll, pre, .skip"));
  const boxes = shown.map((each) => [each, each.getBoundingClientRect()]);
  boxes.forEach(([one, a], at) => boxes.slice(at + 1, at + 60).forEach(([other, b]) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 2 && down > 3 && !(one.closest("header") ^ other.closest("header")))
      found.push(`"${one.textContent.slice(0, 30)}" on "${other.textContent.slice(0, 30)}"`);
  }));
  return JSON.stringify(found.slice(0, 10));
})()
"""
"""Gives what is cut, scrolls sideways or lies on something else, as JSON."""
_AXE: Final = """
(() => { window.found = null; axe.run(document, {resultTypes: ["violations"]}).then((all) => {
  window.found = JSON.stringify(all.violations.filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).slice(0, 4)}`));
}); return true; })()
"""


class Browser(Protocol):
    """What the tests need of one."""

    def open(self, url: str) -> None:
        """Load a page, and let its scripts run."""

    def run(self, code: str) -> Any:
        """The value of an expression in the page, as JSON has it."""

    def size(self, width: int, height: int) -> None:
        """Give the page that many CSS pixels."""

    def shot(self, path: Path) -> None:
        """Write a picture of what is seen."""

    def print(self, path: Path) -> None:
        """Print the page to a PDF."""


class _Selenium:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def open(self, url: str) -> None:
        self._driver.get(url)

    def run(self, code: str) -> Any:
        return self._driver.execute_script(f"return {code}")

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def shot(self, path: Path) -> None:
        self._driver.save_screenshot(str(path))

    def print(self, path: Path) -> None:
        path.write_bytes(b64decode(self._driver.execute_cdp_cmd("Page.printToPDF", {})["data"]))


class _Qt:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _ask(self, name: str, value: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, value]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def open(self, url: str) -> None:
        assert self._ask("open", url), url

    def run(self, code: str) -> Any:
        return self._ask("run", code)

    def size(self, width: int, height: int) -> None:
        self._ask("size", [width, height])

    def shot(self, path: Path) -> None:
        self._ask("shot", str(path))

    def print(self, path: Path) -> None:
        assert self._ask("print", str(path)), path


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser; where there is none the test is skipped, and fails with ``ORCHESTRATE_CI=1``."""
    if INSTALLED is not None and find_spec("selenium") is not None:
        yield from _selenium(INSTALLED)
    elif find_spec("PyQt6") is not None and find_spec("PyQt6.QtWebEngineCore") is not None:
        yield from _qt()
    elif os.environ.get("ORCHESTRATE_CI") == "1":
        pytest.fail("there is no Chromium to open the pages with, and ORCHESTRATE_CI=1 says there is one")
    else:
        pytest.skip("there is no Chromium to open the pages with: install one, or the extra dev-view")


def _selenium(binary: str) -> Iterator[Browser]:
    from selenium import webdriver  # type: ignore[import-not-found, unused-ignore]

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update"):
        options.add_argument(each)
    driver = webdriver.Chrome(options)
    try:
        yield _Selenium(driver)
    finally:
        driver.quit()


def _qt() -> Iterator[Browser]:
    with subprocess.Popen(
        [sys.executable, str(_QT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield _Qt(process)
        assert process.stdin is not None
        process.stdin.close()


def axe_findings(chromium: Browser) -> list[str]:
    """What axe finds serious in the page that is open: names, roles, contrast, order."""
    spec = find_spec("axe_core_python")
    assert spec is not None, "axe is in the extra dev-view"
    assert spec.submodule_search_locations
    [source] = Path(spec.submodule_search_locations[0]).glob("**/axe*.js")
    chromium.run(f"(() => {{ {source.read_text()}; window.axe = axe; return true; }})()")
    chromium.run(_AXE)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = chromium.run("window.found")
        if found is not None:
            return list(json.loads(found))
        time.sleep(0.05)
    raise AssertionError("axe has not answered")
