"""The site of the documentation builds strictly, has no broken link, and asks no other host for anything."""

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.cli.command import ROOT

pytest.importorskip("material", reason="the site needs the extra dev-docs")
pytestmark = pytest.mark.heavy


class Page(HTMLParser):
    """The links, the loaded files and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in a tag."""
        found = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}
        if tag == "a" and (link := found.get("href")):
            self.links.append(link)
        is_file = tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon")
        if loaded := found.get("href") if is_file else found.get("src"):
            self.loaded.append(loaded)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The pages by file."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html") if path.name != "404.html"}


def broken(site: dict[Path, Page]) -> Iterator[str]:
    """Links within the site that lead nowhere."""
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{path.name}: {link}"
            elif parts.fragment and target in site and unquote(parts.fragment) not in site[target].anchors:
                yield f"{path.name}: {link} (no such heading)"


def test_no_link_is_broken(site: dict[Path, Page]) -> None:
    """Neither a page nor a heading that is linked to is missing."""
    assert len(site) > 30
    assert list(broken(site)) == []


def test_no_page_asks_another_host(site: dict[Path, Page]) -> None:
    """Scripts, styles, fonts and images are the site's own."""
    assert {each for page in site.values() for each in page.loaded if urlsplit(each).netloc} == set()
