"""The examples on a page of the documentation, run as they stand."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.cli.command import ROOT, orchestrate

_VARIES: Final = (
    (re.compile(r"\\\$[\d\\.]+"), r"\$[\d.]+"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "[0-9a-f]{64}"),
)


@frozen
class Example:
    """A command of the page and the lines shown after it."""

    words: list[str]
    shown: list[str]


def page(name: str) -> str:
    """The text of a page in ``docs/``."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def examples(text: str) -> Iterator[Example]:
    """The commands of a page's console blocks, in their order."""
    example: Example | None = None
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                if example is not None:
                    yield example
                example = Example(shlex.split(line.removeprefix("$ orchestrate ")), [])
            elif example is not None:
                example.shown.append(line)
    if example is not None:
        yield example


def pattern(line: str) -> str:
    """A line as a pattern: ``…`` stands for anything, amounts and hashes may differ, columns may be wider."""
    parts = []
    for part in line.split("…"):
        escaped = re.escape(part)
        for varying, anything in _VARIES:
            escaped = varying.sub(anything.replace("\\", r"\\"), escaped)
        parts.append(escaped)
    return re.sub(r"(\\ )+", r" +", ".*".join(parts))


def run_all(text: str, folder: Path, files: dict[str, Path]) -> int:
    """Run a page's commands in one folder, with these files in it, and compare what they print; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        (folder / name).symlink_to(source)
    count = 0
    for example in examples(text):
        ended = orchestrate(folder / "home", *example.words, cwd=folder)
        printed = iter((ended.err + ended.out).splitlines())
        for line in example.shown:
            if line != "…":
                found = any(re.fullmatch(pattern(line), each) for each in printed)
                assert found, f"{' '.join(example.words)}: {line}\n{ended.err}{ended.out}"
        count += 1
    return count
