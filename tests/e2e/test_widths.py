"""On screens from 60 to 200 columns nothing that may be copied is broken, and nothing is wider than the screen."""

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Final

import pyte
import pytest

from tests.cli.command import QUICKSTART, clean_environment, orchestrate, scripted_spec
from tests.cli.test_every_command import LEAVES
from tests.cli.test_json import INDEX

COMMANDS: Final = (
    "runs list",
    "runs show last",
    "runs diff last~1 last",
    "runs export last -o exported",
    "runs cancel last",
    "explain last",
    "explain last task_006",
    "explain last --all",
    "explain last task_006 --prompts",
    "costs",
    "costs show --by task",
    "costs show last --by phase --exact",
    "costs reconcile",
    "metrics",
    "models list",
    "models show gpt-4o",
    "plugins list",
    "plugins info pareto",
    "plugins search --index index.json",
    "plugins install brief --index index.json --dry-run",
    "plugins check nothing",
    "plugins new backend wide",
    "doctor",
    "audit verify",
    "audit export last -o wide.bundle",
    "audit anchor last --to anchor.jsonl",
    "audit import wide.bundle --into received.db",
    "log import wide.bundle --into again.db",
    "plan edit last",
    "answer last yes",
    "audit keygen wide.key",
    "replay last",
    "replay last --verify",
    "watch last",
    "whatif last",
    "whatif last --policy rules.yaml",
    "report last -o wide.html",
    "log show last",
    "log show last --call v6",
    "log stats",
    "log tail",
    "log archive --older-than 0d --to archive --dry-run",
    "audit archive --older-than 0d --to archive --dry-run",
    "log gc",
    "log recover last --into recovered",
    "log copy sqlite:recovered sqlite:copied",
    "budget set sim/team/a-rather-long-name-of-a-team 12.5",
    "budget raise sim/team/a-rather-long-name-of-a-team 1",
    "budget show",
    "cache stats",
    "cache clear",
    "plan wide.json",
    "plan show wide.json --simulate 20",
    "policy check rules.yaml",
    "policy explain rules.yaml",
    "spec validate wide.json",
    "spec init begun.yaml",
    "trust list",
    "trust revoke wide.json",
    "config show",
    "eval run nothing.yaml",
    "eval grade nothing.yaml --again",
    "eval retry nothing",
    "eval teach nothing",
    "eval add last task_001 --to cases.yaml",
    "eval show",
    "fork last --at v24 --project-id twig",
    "runs delete twig --yes",
    "pool pair.json --backend greedy --backend pareto",
    "build",
    "run short.json",
    "resume last",
    "demo",
    "limits set sim/scripted --requests 3000",
    "limits show",
    "submit pair.json",
    "workers list",
    "worker --until-idle",
    "runs take-over last",
    "fleet up --executor nothing",
    "fleet status",
    "fleet down",
    "rnus",
    "runs show nope",
    "explain last tsk_001",
    "--help",
    "explain --help",
    "run --help",
    "eval run --help",
)
FOR_PROGRAMS: Final = ("spec schema", "log export", "audit records", "models suggest", "mcp", "view")
"""Commands whose output is JSON, or a file, or pages for a browser."""
LIVE: Final = frozenset({"demo", "run short.json", "resume last", "pool pair.json --backend greedy --backend pareto"})
"""Commands with a live view, which draws over itself."""
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
    scripted_spec(folder, name="short.json", project_id="short")
    scripted_spec(folder, name="pair.json")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "index.json").write_text(json.dumps(INDEX))
    return folder


def _shown(home: Path, width: int) -> list[tuple[str, str]]:
    """What each command writes to a terminal of that width: as it wrote it, and as the screen shows it."""
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
    raw = b""
    while True:
        try:
            found = os.read(outside, 65536)
        except OSError:  # what Linux says when the other side has been closed
            break
        if not found:
            break
        raw += found
    os.close(outside)
    process.wait()
    parts = re.split(r"^@@@ .*\r\n", raw.decode(), flags=re.MULTILINE)[1:-1]
    return [(_ESCAPES.sub("", part).replace("\r\n", "\n"), _on_screen(part, width)) for part in parts]


def _on_screen(written: str, width: int) -> str:
    screen = pyte.Screen(width, written.count("\n") + len(written) // width + 2)
    pyte.Stream(screen).feed(written)
    return "\n".join(line.rstrip() for line in screen.display)


@pytest.mark.parametrize(
    "width", [60, 80, *(pytest.param(width, marks=pytest.mark.heavy) for width in (64, 72, 100, 120, 160, 200))]
)
def test_nothing_is_broken(home: Path, width: int, tmp_path: Path) -> None:
    """Ids, models, statuses and amounts are whole; every task's title is there; no line is too long."""
    own = shutil.copytree(home, tmp_path / "own")
    shown = dict(zip(COMMANDS, _shown(own, width), strict=True))
    runs = [row["run_id"] for row in orchestrate(home, "runs", "list", "--json").json]
    state = orchestrate(home, "runs", "show", runs[-1], "--json").json
    models = {task["model"] for task in state["tasks"]}
    atoms = {*runs, *models, "SUCCESS", "completed", "interrupted"}
    for words, (written, screen) in shown.items():
        squeezed = re.sub(r" *\n *", "", screen)
        broken = [atom for atom in atoms if squeezed.count(atom) != screen.count(atom)]
        assert broken == [], words
        assert _CUT.findall(screen) == [], words
        if words not in LIVE:
            assert _MONEY.findall(screen) == _MONEY.findall(written), words
            lines = written.split("\n")
            assert [line for line in lines if len(line) > width and not _is_kept_whole(line)] == [], words
    for words in ("runs show last", "explain last", "watch last", "demo"):
        for title in (task["title"] for task in state["tasks"]):
            assert all(word in shown[words][1] for word in title.split()), (words, title)
    plan = shown["plan wide.json"][1]
    assert all(f"part_{number:02d}" in plan for number in range(40))


def test_every_command_is_among_them() -> None:
    """A new command is shown on narrow screens, too."""
    every = (*COMMANDS, *FOR_PROGRAMS)
    assert [words for words in LEAVES if not any(f"{each} ".startswith(f"{words} ") for each in every)] == []


def _is_kept_whole(line: str) -> bool:
    """A command to type, or a path, that is longer than the screen: one piece, which the terminal itself wraps."""
    piece = re.sub(r"^[a-z][a-z_ ]* {2,}", "", line).strip()  # the value of a fact begins beside its name
    return len(piece.split()) == 1 or piece.startswith("orchestrate ")
