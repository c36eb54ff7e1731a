"""Golden logs: stored rows of simulated runs, and the pins that hold them to what they meant when they were written.

``python -m tests.golden NAME SEED`` adds one of a simulated run, with ``scored`` for SEED one of a run with a scorer,
with ``steered`` one whose plan was edited and patched, with ``paced`` one whose calls take turns with those of others,
with ``batched`` one in batches, and without a seed one of a fork of the quickstart. It writes over no file. See
tests/data/golden/README.md.
"""

import json
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.codec import CODEC
from orchestrator.state.fold import fold
from orchestrator.testing.fingerprint import fingerprint
from orchestrator.testing.simulation.simulator import History, Scenario, simulate
from tests.cli.command import QUICKSTART, count, orchestrate, scripted_spec, start, wait_until

FOLDER = Path(__file__).parent / "data" / "golden"
_COLUMNS = ("stream", "version", "type", "schema", "at", "data", "hash")


@frozen
class Golden:
    """One golden log."""

    name: str
    pins: dict[str, Any]
    rows: list[dict[str, Any]]

    def history(self) -> History:
        """The run's events, decoded by today's codec."""
        return [(row["at"], CODEC.decode(row["type"], row["schema"], row["data"])) for row in self.rows]


def read(path: Path) -> Golden:
    """A golden log: its first line holds the pins, each other line a stored row."""
    first, *rest = path.read_text().splitlines()
    return Golden(path.stem, json.loads(first), [json.loads(line) for line in rest])


def pins_of(log: "Golden", known: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """What a log means today: the digest of the state it folds to, and of its decisions as they are stored."""
    state, fields = fingerprint(fold(log.history()), known)
    return {"state": state, "decisions": decisions_of(log.rows), "fields": fields}


def decisions_of(rows: Iterable[dict[str, Any]]) -> str:
    """The digest of the decisions among stored rows."""
    stored = [row for row in rows if issubclass(e.TYPES[row["type"]], e.Decision)]
    lines = [" ".join(str(row[column]) for column in ("type", "schema", "data")) for row in stored]
    return sha256("\n".join(lines).encode()).hexdigest()


def add(name: str, seed: int) -> Path:
    """Write a new golden log of a simulated run under the rules in force.

    Raises:
        FileExistsError: there is one of this name; golden logs are never rewritten.
    """
    report = simulate(Scenario.draw(seed))
    return _write(name, report.world.log(), "run-1", seed=seed)


def add_forked(name: str) -> Path:
    """Write a new golden log of a run that was forked, gone on with, and deleted, through the front door.

    Raises:
        FileExistsError: there is one of this name; golden logs are never rewritten.
    """
    with TemporaryDirectory() as folder:
        home = Path(folder)
        for words in (
            ["run", str(QUICKSTART), "--project-id", "parent"],
            ["fork", "parent", "--at", "v60", "--set", "budget_usd=2", "--project-id", "fork"],
            ["resume", "fork"],
            ["runs", "delete", "fork", "--yes"],
        ):
            ended = orchestrate(home, *words)
            assert ended.code == 0, ended.err
        return _written(name, home, "fork")


def add_steered(name: str) -> Path:
    """Write a new golden log of a run whose plan a person edited and a planner patched, through the front door.

    Raises:
        FileExistsError: there is one of this name; golden logs are never rewritten.
    """
    with TemporaryDirectory() as folder:
        home, tasks = Path(folder), [{"id": "first", "type": "code_generation", "prompt": "Write x."}]
        other = home / "plan.json"
        blocked = {"id": "blocked", "type": "summarization", "prompt": "Say what x is.", "dependencies": ["broken"]}
        broken = {"id": "broken", "type": "summarization", "prompt": "Fail here."}
        other.write_text(json.dumps({"tasks": [broken, blocked]}))
        patch = {"tasks": [{"file": "x.md", "prompt": "a short text on x", "needs": [], "replaces": "broken"}]}
        answers = [
            {"role": "generator", "task": "broken", "error": "bad_request"},
            {"role": "decomposer", "text": json.dumps(patch)},
        ]
        spec = scripted_spec(home, answers=answers, tasks=tasks, approve="plan", replan="on_failure", project_id="run")
        process = start(home, "run", str(spec))
        wait_until(lambda: count(home, "question.asked"), process)
        process.kill()
        process.communicate()
        for words in (["plan", "edit", "run", "--file", str(other)], ["resume", "run", "--yes"]):
            ended = orchestrate(home, *words)
            assert ended.code == 0, ended.err
        return _written(name, home, "run")


def add_scored(name: str) -> Path:
    """Write a new golden log of a run whose outputs a scorer scores, through the front door.

    Raises:
        FileExistsError: there is one of this name; golden logs are never rewritten.
    """
    with TemporaryDirectory() as folder:
        home = Path(folder)
        tasks = [{"id": "only", "type": "summarization", "prompt": "Sum up."}]
        evaluate = {"scorer": "mentions", "parameters": {"terms": ["x", "y"]}, "with_judge": True}
        spec = scripted_spec(home / "spec", tasks=tasks, evaluate=evaluate, project_id="scored")
        orchestrate(home, "run", str(spec))
        return _written(name, home, "scored")


def add_batched(name: str) -> Path:
    """Write a new golden log of a run in batches, through the front door.

    Raises:
        FileExistsError: there is one of this name; golden logs are never rewritten.
    """
    from tests.fire import batches

    with TemporaryDirectory() as folder, batches.server_of("openai") as server:
        command = batches.command_of(Path(folder), server)
        ended = command.run("run", str(batches.spec(Path(folder))))
        assert ended.code == 0, ended.stderr
        return _written(name, command.home, batches.RUN)


def add_paced(name: str) -> Path:
    """Write a new golden log of a run whose calls take turns with those of other runs, through the front door.

    Raises:
        FileExistsError: there is one of this name; golden logs are never rewritten.
    """
    with TemporaryDirectory() as folder:
        home = Path(folder)
        spec = scripted_spec(home / "spec", limits={"shared": True}, project_id="paced")
        for words in (["limits", "set", "sim/scripted", "--requests", "1200"], ["run", str(spec)]):
            ended = orchestrate(home, *words)
            assert ended.code == 0, ended.err
        return _written(name, home, "paced")


def _written(name: str, home: Path, run: str) -> Path:
    """The history of a run of a data folder in a new file."""
    log = EventLog.open_to_read(home)
    try:
        return _write(name, log, run)
    finally:
        log.close()


def _write(name: str, log: EventLog, run: str, **more: Any) -> Path:
    """The rows of a run's history in a new file, under their pins."""
    found = Golden(name, {}, [{column: getattr(row, column) for column in _COLUMNS} for row in log.read(run)])
    path = FOLDER / f"rules-{RULES}-{name}.jsonl"
    with path.open("x") as file:
        for line in ({"rules": RULES, **more, **pins_of(found)}, *found.rows):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    given = sys.argv[2] if len(sys.argv) > 2 else ""
    others = {"": add_forked, "scored": add_scored, "steered": add_steered, "paced": add_paced, "batched": add_batched}
    made = add(sys.argv[1], int(given)) if given.isdecimal() else others[given](sys.argv[1])
    sys.stdout.write(f"{made}\n")
