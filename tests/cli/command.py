"""The real command in a process of its own, with a clean environment."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from orchestrator.ledger.event_log import EventLog
from orchestrator.log.sqlite import SqliteStore
from tests.cli import forked
from tests.sql import sqlite_of

ROOT: Final = Path(__file__).parents[2]
QUICKSTART: Final = ROOT / "examples" / "quickstart" / "spec.yaml"
PATIENCE: Final = 120.0


@frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """What is in the one JSON document on stdout: its items, or its fields without its format and version."""
        found = json.loads(self.out)
        if not isinstance(found, dict) or found.get("format", "orchestrate-eval") == "orchestrate-eval":
            return found
        return (
            found["items"]
            if "items" in found
            else {k: found[k] for k in found if k not in ("format", "format_version")}
        )

    @property
    def document(self) -> Any:
        """Stdout as one JSON document, with its format and version."""
        return json.loads(self.out)


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """An environment without any key, address or switch of the caller's."""
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {
        **inherited,
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "ORCHESTRATE_HOME": str(home),
        "COLUMNS": "200",
        **more,
    }


def start(
    home: Path, *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start the command on a data folder, and do not wait; its working folder is empty unless given."""
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=cwd or home,
        env=clean_environment(home, **(environ or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> Ended:
    """Wait for the end of a command."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"no end within {PATIENCE} s: {out[-1000:]}{err[-2000:]}") from None
    return Ended(process.returncode, out, err)


def orchestrate(
    home: Path, *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> Ended:
    """Run the command on a data folder to its end, in a process that is forked wherever that makes no difference."""
    if not forked.can_fork(environ or {}):
        return finish(start(home, *arguments, cwd=cwd, environ=environ))
    home.mkdir(parents=True, exist_ok=True)
    return Ended(*forked.run(arguments, cwd or home, clean_environment(home, **(environ or {})), PATIENCE))


def rows(home: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """What a query over the log's tables and views gives."""
    log = EventLog.open_to_read(home)
    try:
        assert isinstance(log.store, SqliteStore)
        return sqlite_of(log).query(sql, parameters)
    finally:
        log.close()


def wait_until(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Wait until something holds while a command runs."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, finish(process)
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.02)


def count(home: Path, kind: str) -> int:
    """How many events of a stored type the log has; 0 while there is no log."""
    try:
        return int(rows(home, "SELECT count(*) FROM events WHERE type = ?", kind)[0][0])
    except Exception:
        return 0


def signalled(process: "subprocess.Popen[str]", number: signal.Signals) -> Ended:
    """Send a signal to a command and wait for its end."""
    process.send_signal(number)
    return finish(process)


MODELS: Final = [
    {"id": "north", "vendor": "n", "price": {"input": 0.3, "output": 0.5}, "slots": ["deepseek-chat"]},
    {"id": "south", "vendor": "s", "price": {"input": 0.5, "output": 2.0}, "slots": ["moonshot-v1"]},
]
ANSWERS: Final = [
    {"role": "generator", "text": "```python\nx = 1\n```"},
    {"role": "reviser", "text": "```python\nx = 2\n```"},
    {"role": "critic", "text": "Name x better."},
    {"role": "evaluator", "text": '{"score": 0.95, "reasons": "fine"}'},
]


def scripted_spec(
    folder: Path,
    *,
    answers: list[dict[str, Any]] | None = None,
    delay_ms: int = 0,
    tasks: list[dict[str, Any]] | None = None,
    name: str = "spec.json",
    **fields: Any,
) -> Path:
    """A spec of one scripted task, with its answers beside it. Later answers win over the usual ones."""
    folder.mkdir(parents=True, exist_ok=True)
    script = {"models": MODELS, "delay_ms": delay_ms, "answers": [*ANSWERS, *(answers or [])]}
    (folder / "answers.json").write_text(json.dumps(script))
    spec = {
        "project": "Write x.\nIt is a number.",
        "criteria": "x is there",
        "providers": {"scripted": {"answers": "answers.json"}},
        "tasks": tasks
        or [{"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]}],
        **fields,
    }
    path = folder / name
    path.write_text(json.dumps(spec))
    return path
