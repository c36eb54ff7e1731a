"""A hook of the site: pages link to files of the repository, which become files of the site.

The README is its first page, and every decision is listed.
"""

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/quality.md": "benchmarks/quality.md",
    "benchmarks/results.md": "benchmarks/results.md",
}
"""Pages beside the folder of the documentation, and where they are in the site."""

_LINK: Final = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")
_FILES: Final = "files"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and files of the repository that the documentation links to."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    files.append(File.generated(config, "decisions/index.md", content=_index(decisions)))
    for path in _linked():
        name = f"{_FILES}/{path.relative_to(ROOT)}"
        files.append(File.generated(config, f"{name}.txt" if path.suffix == ".md" else name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links to the repository lead to their places in the site."""
    here = PurePosixPath(page.file.src_uri)
    source = next((name for name, target in PAGES.items() if target == str(here)), f"docs/{here}")
    return _LINK.sub(lambda found: _moved(found[1], source, here), markdown)


def _moved(link: str, source: str, here: PurePosixPath) -> str:
    target = normpath(f"{PurePosixPath(source).parent}/{link}")
    if target == "docs/decisions":
        return relpath("decisions/index.md", here.parent)
    if target in PAGES:
        return relpath(PAGES[target], here.parent)
    if target.startswith("docs/"):
        return relpath(target.removeprefix("docs/"), here.parent)
    path = ROOT / target
    if not path.is_file():
        return link
    name = f"{_FILES}/{target}"
    return relpath(f"{name}.txt" if path.suffix == ".md" else name, here.parent)


def _linked() -> set[Path]:
    """Files of the repository that pages link to, and that are no pages."""
    found = set()
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in PAGES)]
    for page in pages:
        for link in _LINK.findall(page.read_text(encoding="utf-8")):
            path = Path(normpath(page.parent / link))
            outside = path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "docs")
            if outside and path.is_file() and str(path.relative_to(ROOT)) not in PAGES:
                found.add(path)
    return found


def _index(decisions: list[Path]) -> str:
    lines = ["# Decisions", "", "Why things are as they are, each on one page.", ""]
    for path in decisions:
        title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"
