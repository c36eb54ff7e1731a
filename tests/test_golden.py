"""Old logs mean for ever what they meant when they were written."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve as changed

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.log import chain
from orchestrator.log.codec import CODEC
from orchestrator.replay import verify
from orchestrator.testing.fingerprint import fingerprint
from orchestrator.testing.simulation.simulator import sound_rank
from tests import golden

PATHS = sorted(golden.FOLDER.glob("*.jsonl"))


def test_there_are_golden_logs_of_the_rules_in_force() -> None:
    """A new rules number needs logs under it; old ones stay."""
    numbers = [golden.read(path).pins["rules"] for path in PATHS]
    assert numbers.count(RULES) >= 3
    assert set(numbers) == set(range(1, RULES + 1))


def test_together_they_hold_every_event_of_a_run() -> None:
    """Each class that a run's stream can hold occurs in one of them, rare ones too."""
    held = {row["type"] for path in PATHS for row in golden.read(path).rows}
    wanted = {
        name
        for name, cls in e.TYPES.items()
        if not issubclass(cls, e.AccountEvent | e.ArchiveEvent | e.EvalEvent | e.WorkerEvent)
    }
    assert wanted - held == set()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_golden_log_folds_to_what_it_always_did(path: Path) -> None:
    """The digest of the folded state and of the decisions are the pinned ones."""
    log = golden.read(path)
    found = golden.pins_of(log, log.pins["fields"])
    assert found["state"] == log.pins["state"], "evolve folds an old log to another state"
    assert found["decisions"] == log.pins["decisions"], "the file was changed"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_golden_log_is_read_as_it_was_written(path: Path) -> None:
    """Every field that is stored comes back; what a class has gained since has its default."""
    log = golden.read(path)
    for row, (_, event) in zip(log.rows, log.history(), strict=True):
        stored, again = json.loads(row["data"]), json.loads(CODEC.encode(event)[2])
        assert _lacks(stored, again) == [], f"version {row['version']}"


def _lacks(stored: Any, again: Any, where: str = "") -> list[str]:
    """Where what is read differs from what is stored, fields that were added aside."""
    if isinstance(stored, dict) and isinstance(again, dict):
        pairs = [(f"{where}.{key}", value, again.get(key, "nothing")) for key, value in stored.items()]
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        pairs = [(f"{where}[{n}]", one, other) for n, (one, other) in enumerate(zip(stored, again, strict=True))]
    else:
        return [] if stored == again else [f"{where}: {stored!r} became {again!r}"]
    return [found for place, one, other in pairs for found in _lacks(one, other, place)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_golden_log_is_recomputed_decision_by_decision(path: Path) -> None:
    """Under the rules of the log decide answers what it recorded; if it does not, RULES must be raised."""
    log = golden.read(path)
    found = verify(log.history(), lambda session: sound_rank())
    assert [str(difference) for difference in found.differences] == [], "an answer changed: raise RULES in decide"
    assert found.decisions >= 3
    if log.pins["rules"] == RULES:
        assert found.foreign == ()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_golden_log_is_unbroken(path: Path) -> None:
    """The stored rows are linked by the hashes they were stored with."""
    previous, stream = chain.GENESIS, ""
    for row in golden.read(path).rows:
        previous = previous if row["stream"] == stream else chain.GENESIS  # a fork's own events follow its parent's
        stream = row["stream"]
        previous = chain.link(
            previous, row["stream"], row["version"], row["type"], row["schema"], row["at"], row["data"]
        )
        assert previous == row["hash"], f"version {row['version']}"


def test_a_drifting_fold_would_be_noticed() -> None:
    """Another state has another digest; a field gained later does not change it."""
    log = golden.read(PATHS[0])
    digest, fields = fingerprint({"a": {3, 1, 2}, "b": log.history()[0][1]})
    assert digest == fingerprint({"b": log.history()[0][1], "a": {2, 3, 1}})[0]
    event = log.history()[0][1]
    assert isinstance(event, e.RunStarted)
    assert fingerprint(changed(event, seed=event.seed + 1))[0] != fingerprint(event)[0]
    without = {"RunStarted": [name for name in fields["RunStarted"] if name != "seed"]}
    assert fingerprint(changed(event, seed=event.seed + 1), without)[0] == fingerprint(event, without)[0]


def test_a_golden_log_is_never_written_over() -> None:
    """Adding one of a name that exists is refused."""
    first = PATHS[0]
    name = first.stem.removeprefix(f"rules-{golden.read(first).pins['rules']}-")
    before = first.read_text()
    if golden.read(first).pins["rules"] == RULES:
        with pytest.raises(FileExistsError):
            golden.add(name, 0)
    assert first.read_text() == before
    assert json.loads(before.splitlines()[0])["state"]
