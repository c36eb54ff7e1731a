"""The programs on the pages of the Python API, run as they stand, one page after the other."""

import ast
import asyncio
import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import ROOT
from tests.pages import page

PAGES = ("python.md", "python-parts.md")
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


def _played(runner: asyncio.Runner, program: str, names: dict[str, Any], where: str) -> str:
    """What a program prints; one that awaits is run on the page's event loop."""
    code = compile(program, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        awaited = eval(code, names)
        if awaited is not None:

            async def scene() -> None:
                await awaited

            runner.run(scene())
    return printed.getvalue()


@pytest.mark.parametrize("name", PAGES)
def test_the_programs_of_a_page_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, with what the ones before have defined; what is shown below a program is what it prints."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(ROOT)
    programs = _BLOCK.findall(page(name))
    assert len(programs) >= 4
    names: dict[str, Any] = {}
    with asyncio.Runner() as runner:
        for number, (program, shown) in enumerate(programs, 1):
            printed = _played(runner, program, names, f"{name}, program {number}")
            if shown:
                assert printed == shown, f"{name}, program {number}"
