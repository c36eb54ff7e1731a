"""The page on budgets shows what the commands print."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.cli.command import ROOT, orchestrate

PAGE = (ROOT / "docs" / "budgets.md").read_text(encoding="utf-8")


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page with the lines shown after it."""
    shown: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                shown = []
                yield line.removeprefix("$ orchestrate "), shown
            else:
                shown.append(line)


def _pattern(line: str) -> str:
    """A line of the page as a pattern: ``…`` stands for anything, amounts may differ, columns may be wider."""
    parts = (re.sub(r"(\\\$[\d\\.]+)", r"\\$[\\d.]+", re.escape(part)) for part in line.split("…"))
    return re.sub(r"(\\ )+", r" +", ".*".join(parts))


def test_the_worked_example_prints_what_the_page_shows(tmp_path: Path) -> None:
    """The commands run in order on one data folder, and every line shown is printed, in the order shown."""
    commands = list(_commands())
    assert len(commands) == 22
    for words, shown in commands:
        ended = orchestrate(tmp_path / "home", *shlex.split(words), cwd=ROOT)
        assert ended.code in (0, 1, 4), ended.err
        printed = iter((ended.err + ended.out).splitlines())
        for line in shown:
            if line != "…":
                assert any(re.fullmatch(_pattern(line), each) for each in printed), f"{words}: {line}"


def test_the_program_on_the_page_can_be_read() -> None:
    """Its imports and its objects exist."""
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(program, names)
    assert {"caps", "orchestrator", "job"} <= names.keys()
