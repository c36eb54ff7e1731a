"""docs/routing.md says what the commands say."""

import re
import shutil
from pathlib import Path

from tests.cli.command import ROOT, orchestrate

PAGE = (ROOT / "docs" / "routing.md").read_text()
_VARYING = (
    (re.compile(r"^event \d+ \((v\d+)\)(?:, \S+Z)?:"), r"event (\1):"),
    (re.compile(r"^\d+ v\d+ \S+Z "), ""),
    (re.compile(r"\b\d+ ms\b"), "0 ms"),
    (re.compile(r"\bdraw=0\.\d+"), "draw=0.5"),
)


def _plain(line: str) -> str:
    """A line without times, positions and the width of its columns."""
    line = " ".join(line.split())
    for pattern, same in _VARYING:
        line = pattern.sub(same, line)
    return line


def _commands() -> list[tuple[str, list[str]]]:
    """Every command of the page with the lines shown below it; ``…`` stands for what is left out."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ orchestrate "):
                found.append((line.removeprefix("$ orchestrate "), []))
            elif line.strip() and line != "…":
                found[-1][1].append(_plain(line))
    return found


def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    """Each command of the page, run in the example's folder in order, prints the lines below it, in that order."""
    folder = shutil.copytree(ROOT / "examples" / "routing", tmp_path / "example")
    commands = _commands()
    assert len(commands) == 9
    for words, shown in commands:
        ended = orchestrate(tmp_path / "home", *words.split(), cwd=folder)
        assert ended.code == 0, ended.err
        printed = iter([_plain(line) for line in ended.lines])
        for line in shown:
            assert line in printed, f"{words}: {line}"


def test_the_page_names_every_code_and_backend() -> None:
    """No reason why a model loses, and no backend, is missing."""
    from orchestrator.cli.wording.code_words import REMOVED
    from orchestrator.plugins import DISTRIBUTION, Catalogue

    own = (
        each.name
        for each in Catalogue.discover().entries()
        if each.kind == "backend" and each.distribution == DISTRIBUTION
    )
    for name in (*REMOVED, *own):
        assert f"| `{name}` |" in PAGE, name
