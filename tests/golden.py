"""Golden logs: stored rows of simulated runs, and the pins that hold them to what they meant when they were written.

``python -m tests.golden NAME SEED`` adds one; it never writes over a file. See tests/data/golden/README.md.
"""

import json
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import frozen

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.log.codec import CODEC
from orchestrator.state.fold import fold
from orchestrator.testing.fingerprint import fingerprint
from orchestrator.testing.simulator import History, Scenario, simulate

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


def pins_of(history: History, known: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """What a history means today: the digest of the state it folds to, and of its decisions."""
    state, fields = fingerprint(fold(history), known)
    return {"state": state, "decisions": decisions_of(event for _, event in history), "fields": fields}


def decisions_of(events: Iterable[e.Event]) -> str:
    """The digest of the decisions among events, as they are stored."""
    stored = [CODEC.encode(event) for event in events if isinstance(event, e.Decision)]
    return sha256("\n".join(" ".join(map(str, each)) for each in stored).encode()).hexdigest()


def add(name: str, seed: int) -> Path:
    """Write a new golden log under the rules in force.

    Raises:
        FileExistsError: there is one of this name; golden logs are never rewritten.
    """
    path = FOLDER / f"rules-{RULES}-{name}.jsonl"
    report = simulate(Scenario.draw(seed))
    rows = report.world.log().query(f"SELECT {', '.join(_COLUMNS)} FROM events WHERE stream = 'run-1' ORDER BY version")
    pins = {"rules": RULES, "seed": seed, **pins_of(report.histories["run-1"])}
    lines = [pins, *(dict(zip(_COLUMNS, row, strict=True)) for row in rows)]
    with path.open("x") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{add(sys.argv[1], int(sys.argv[2]))}\n")
