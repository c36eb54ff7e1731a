"""What is held for calls, beside what they cost in the end: near its ceiling a run refuses work for money not spent.

The quickstart, and tasks of code whose answers are as long as those of a small local model: ``recorded_lengths.json``
holds the tokens read and written in calls of Qwen2.5-Coder-0.5B, by role. Each is run in an empty data folder, and then
again and again in the same one, where the lengths of its answers are measured. Beside it stands a run whose calls are
made at the whole limits of their roles and types.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.measure import Row
from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import MAX_TOKENS, ROLE_MAX_TOKENS

_MEDIAN, _P95 = 2.0, 5.0
"""The targets."""
_TASKS: Final = 40
_MEASURED_RUNS: Final = 3
_QUICKSTART: Final = Path(__file__).parents[1] / "examples" / "quickstart" / "spec.yaml"
_LENGTHS: Final = Path(__file__).with_name("recorded_lengths.json")
_WHOLE: Final = json.dumps({**MAX_TOKENS, **ROLE_MAX_TOKENS})
_PRICE: Final = {"input": 0.1, "output": 0.4}
_BYTES_PER_TOKEN: Final = 4


def run(rounds: int) -> Iterator[Row]:
    """The rows of the results; ``rounds`` makes no difference, as nothing is timed."""
    with TemporaryDirectory() as folder:
        for name, spec in (("the quickstart", _QUICKSTART), ("answers of a small model", _recorded(Path(folder)))):
            home = Path(folder) / spec.parent.name / "home"
            for number in range(1 + _MEASURED_RUNS):
                _run(home, spec, f"run-{number}")
            _run(home, spec, "whole", "--set", f"limits.max_tokens={_WHOLE}")
            yield from _rows(f"{name}, first run", home, "run-0")
            yield from _rows(f"{name}, measured", home, f"run-{_MEASURED_RUNS}")


def _run(home: Path, spec: Path, name: str, *more: str) -> None:
    words = [sys.executable, "-m", "orchestrator", "run", str(spec), "--project-id", name, *more]
    subprocess.run(words, env={**os.environ, "ORCHESTRATE_HOME": str(home)}, capture_output=True, check=True)


def _rows(what: str, home: Path, name: str) -> Iterator[Row]:
    (held, least), (whole, _) = _ratios(home, name), _ratios(home, "whole")
    for kind, of, target in (("median", median, _MEDIAN), ("p95", _p95, _P95)):
        text = f"{kind} of hold / settled, {what}, beside calls at their whole limits"
        note = f"{len(held)} calls; {of(least):.1f} were the answer's length known before"
        yield Row(text, f"{of(held):.1f} ×", f"{of(whole):.1f} ×", of(held), (min(held), max(held)), target, True, note)


def _p95(ratios: list[float]) -> float:
    return sorted(ratios)[-(-95 * len(ratios) // 100) - 1]


def _ratios(home: Path, name: str) -> tuple[list[float], list[float]]:
    """By call: the hold beside what was settled, and what the hold would be were the answer's length known before."""
    held, least = [], []
    log = EventLog.open_to_read(home)
    try:
        opened = {record.version: record.event for record in log.read(name)}
    finally:
        log.close()
    session = next(event for event in opened.values() if isinstance(event, e.SessionOpened))
    models = {model.id: model for model in session.models}
    for event in opened.values():
        if isinstance(event, e.CallSucceeded) and event.settled and event.usage is not None:
            started = opened[event.call]
            assert isinstance(started, e.CallStarted)
            model = models[started.model]
            assert model.price is not None
            known = model.price.bound(started.body_bytes + model.hidden_tokens, event.usage.output_tokens)
            held.append(started.hold.nano / event.settled.nano)
            least.append(known.nano / event.settled.nano)
    return held, least


def _recorded(folder: Path) -> Path:
    """A spec of tasks whose scripted answers have the recorded lengths."""
    lengths = {role: cycle(each) for role, each in json.loads(_LENGTHS.read_text()).items()}
    folder = folder / "recorded"
    folder.mkdir()
    names = [f"task_{number}" for number in range(_TASKS)]
    models = [{"id": name, "vendor": name, "price": _PRICE, "context": 8192} for name in ("small", "other")]
    answers = [_answer(role, name, *next(lengths[role])) for name in names for role in sorted(lengths)]
    (folder / "answers.json").write_text(json.dumps({"models": models, "delay_ms": 0, "answers": answers}))
    spec = {
        "project": "Complete the functions below.",
        "criteria": "every function does what its docstring says",
        "providers": {"scripted": {"answers": "answers.json"}},
        "loop": {"code_generation": {"strategy": "reviewed", "iterations": 1}},
        "tasks": [
            {"id": name, "type": "code_generation", "prompt": f"Function {number}. {'It returns a list. ' * 40}"}
            for number, name in enumerate(names)
        ],
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return path


def _answer(role: str, task: str, read: int, written: int) -> dict[str, Any]:
    """A scripted answer of so many tokens."""
    begins = {"generator": "", "critic": '{"defects": []}', "evaluator": '{"score": 0.95}'}[role]
    text = begins.ljust(_BYTES_PER_TOKEN * written, " " if begins else "x")
    return {"role": role, "task": task, "text": text, "usage": {"input": read, "output": written}}
