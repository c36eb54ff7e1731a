"""On screens from 60 to 200 columns nothing that may be copied is broken, and nothing is wider than the screen."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Final

import pyte
import pytest

from tests.cli.command import QUICKSTART, clean_environment, orchestrate, scripted_spec

COMMANDS: Final = (
    "runs list",
    "runs show last",
    "runs diff last~1 last",
    "explain last",
    "explain last task_006",
    "costs",
    "costs --by task",
    "metrics",
    "models list",
    "models show gpt-4o",
    "plugins list",
    "plugins info pareto",
    "doctor",
    "audit verify",
    "replay last",
    "watch last",
    "whatif last",
    "log stats",
    "log tail",
    "budget show",
    "cache stats",
    "plan wide.json",
    "policy check rules.yaml",
    "spec validate wide.json",
    "demo",
    "rnus",
    "runs show nope",
)
RULES: Final = "global:\n  - {name: p, blocked_providers: [opnai], max_latency_ms: 5}\n"
_DRIVER: Final = """
import json, os, sys
from orchestrator.cli import main
for number, words in enumerate(json.loads(sys.argv[1])):
    print(f"@@@ {number}", flush=True)
    child = os.fork()
    if not child:
        main(words.split())
    os.waitpid(child, 0)
print("@@@ end", flush=True)
"""
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MONEY: Final = re.compile(r"\$\d+\.\d{2,9}")
_CUT: Final = re.compile(r"\$\d*\.?\d?$", re.MULTILINE)
"""An amount without its two decimals at the end of a line."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two runs of the quickstart, in a folder with a spec of forty tasks and a policy file."""
    folder = tmp_path_factory.mktemp("widths")
    for _ in range(2):
        assert orchestrate(folder, "run", str(QUICKSTART), "-q").code == 0
    tasks = [
        {
            "id": f"part_{number:02d}",
            "type": "summarization",
            "prompt": "Say.",
            "title": f"The part with number {number}",
        }
        for number in range(40)
    ]
    scripted_spec(folder, name="wide.json", tasks=tasks)
    (folder / "rules.yaml").write_text(RULES)
    return folder


def _shown(home: Path, width: int) -> tuple[str, list[str]]:
    """What the commands write to a terminal of that width: as they wrote it, and as the screen shows it."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 500, width, 0, 0))
    variables = clean_environment(home, TERM="xterm-256color", PAGER="cat")
    del variables["COLUMNS"]
    process = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, json.dumps(COMMANDS)],
        cwd=home,
        env=variables,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    screen = pyte.Screen(width, 6000)
    stream, raw = pyte.ByteStream(screen), b""
    while True:
        try:
            found = os.read(outside, 65536)
        except OSError:  # what Linux says when the other side has been closed
            break
        if not found:
            break
        raw += found
        stream.feed(found)
    os.close(outside)
    process.wait()
    return _ESCAPES.sub("", raw.decode()).replace("\r\n", "\n"), [line.rstrip() for line in screen.display]


@pytest.mark.parametrize(
    "width", [60, 80, *(pytest.param(width, marks=pytest.mark.heavy) for width in (64, 72, 100, 120, 160, 200))]
)
def test_nothing_is_broken(home: Path, width: int) -> None:
    """Ids, models, statuses and amounts are whole; every task's title is there; no line is too long."""
    raw, display = _shown(home, width)
    shown = "\n".join(display)
    runs = [row["run_id"] for row in orchestrate(home, "runs", "list", "--json").json]
    state = orchestrate(home, "runs", "show", runs[-1], "--json").json
    models = {task["model"] for task in state["tasks"]}
    titles = [task["title"] for task in state["tasks"]]
    parts = dict(enumerate(re.split(r"^@@@ .*\n", shown, flags=re.MULTILINE)[1:]))
    squeezed = re.sub(r" *\n *", "", shown)
    for atom in {*runs, *models, "SUCCESS", "completed", "interrupted"}:
        assert squeezed.count(atom) == shown.count(atom), atom
    assert _CUT.findall(shown) == []
    static = "\n".join(parts[number] for number, words in enumerate(COMMANDS) if words != "demo")
    written = dict(enumerate(re.split(r"^@@@ .*\n", raw, flags=re.MULTILINE)[1:]))
    assert _MONEY.findall(static) == _MONEY.findall(
        "\n".join(written[number] for number, words in enumerate(COMMANDS) if words != "demo")
    )
    for number, words in enumerate(COMMANDS):
        if words in ("runs show last", "explain last", "watch last", "demo"):
            for title in titles:
                assert all(word in parts[number] for word in title.split()), (words, title)
    plan = parts[COMMANDS.index("plan wide.json")]
    assert all(f"part_{number:02d}" in plan for number in range(40))
    lines = [line for line in raw.split("\n") if "\r" not in line and not line.startswith("@@@")]
    wide = [line for line in lines if len(line) > width and not _is_kept_whole(line)]
    assert wide == []


def _is_kept_whole(line: str) -> bool:
    """A command to type, or a path, that is longer than the screen: one piece, which the terminal itself wraps."""
    piece = line.removeprefix("data folder").strip()  # the value of a fact, which begins beside its name
    return len(piece.split()) == 1 or piece.startswith("orchestrate ")
