"""Edits of what a run takes from others and leaves to them, each under a chain and heads computed anew.

An archived run, an answer of the response cache, an account, what is kept beside the events: each ends with a finding
that names the event or the object.
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.log import chain
from orchestrator.log.heads import FILE
from tests.cli.command import orchestrate, scripted_spec
from tests.cli.in_process import command
from tests.log.project import unguarded
from tests.plugins.commands.audit.logs import audited, failures, on_copy

OLD, ONE, AGAIN, ACCOUNT = "old", "one", "again", "sim/account/org"
_DIGEST = "a" * 64
IMPORTED = 0x4D4C4F62
Fields = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an archived run, one whose answers can be reused, and one that has reused them."""
    folder = tmp_path_factory.mktemp("beside")
    home = folder / "home"
    task = {"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]}
    assert orchestrate(home, "budget", "set", "sim/org", "10").code == 0
    for run in (OLD, ONE, AGAIN):
        scripted_spec(folder / run, tasks=[task], project_id=run, cache=run != OLD)
        ended = orchestrate(home, "run", "spec.json", cwd=folder / run)
        assert ended.code == 0, ended.err
        if run == OLD:
            assert orchestrate(home, "log", "archive", "--older-than", "0d", "--to", str(folder / "bundles")).code == 0
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which commands use."""
    return on_copy(original, tmp_path, monkeypatch)


def rewritten(home: Path, edit: Callable[[list[Fields]], list[Fields]]) -> None:
    """Change the events, and compute the chain and the kept heads of every stream anew."""
    columns = ("position", "stream", "version", "type", "schema", "at", "data")
    with closing(unguarded(home)) as connection:
        found = connection.execute(f"SELECT {', '.join(columns)} FROM events ORDER BY position").fetchall()
        rows = edit([dict(zip(columns, row, strict=True)) for row in found])
        tails, versions = dict[str, str](), dict[str, int]()
        connection.execute("DELETE FROM events")
        for row in sorted(rows, key=lambda row: row["position"]):
            stream = row["stream"]
            known = json.loads(row["data"])["head"] if row["type"] == "run.archived" else chain.GENESIS
            about = [row[name] for name in columns[1:]]
            tails[stream], versions[stream] = chain.link(tails.get(stream, known), *about), row["version"]
            insert = f"INSERT INTO events({', '.join(columns)}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            connection.execute(insert, (*row.values(), tails[stream]))
    runs = [name for name in tails if "/" not in name]
    kept = [{"run": name, "version": versions[name], "head": tails[name]} for name in runs]
    (home / FILE).write_text("".join(json.dumps(each) + "\n" for each in kept))


def changing(kind: str, change: Callable[[Fields], object], stream: str) -> Callable[[Path], None]:
    """Change the data of the first event of a kind."""

    def work(rows: list[Fields]) -> list[Fields]:
        row = next(row for row in rows if (row["type"], row["stream"]) == (kind, stream))
        data = json.loads(row["data"])
        change(data)
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        assert text != row["data"]
        row["data"] = text
        return rows

    return lambda home: rewritten(home, work)


def remains(**fields: object) -> Callable[[Path], None]:
    """Change what is left of the archived run."""
    return changing("run.archived", lambda data: data.update(fields), OLD)


def reused(**fields: object) -> Callable[[Path], None]:
    """Change which answer a run has taken over."""
    return changing("call.prepared", lambda data: data["reused"].update(fields), AGAIN)


def sql(script: str) -> Callable[[Path], None]:
    """Change what stands beside the events."""

    def work(home: Path) -> None:
        with closing(sqlite3.connect(home / "events.db", isolation_level=None)) as connection:
            connection.executescript(script)

    return work


def _later(rows: list[Fields]) -> list[Fields]:
    """Whose answers were reused, begun after the run that has reused them: a position is in no hash."""
    for row in rows:
        row["position"] += 10**6 if row["stream"] == ONE else 0
    return rows


def _no_account(rows: list[Fields]) -> list[Fields]:
    return [row for row in rows if row["stream"] != ACCOUNT]


def _without_syntax(data: Fields) -> None:
    data["plugins"] = [each for each in data["plugins"] if each["name"] != "python_syntax"]


EDITS: dict[str, tuple[Callable[[Path], None], tuple[str, str]]] = {
    "its status": (remains(status="SYSTEM_FAILURE"), (OLD, "bundle")),
    "its tasks": (remains(tasks=9), (OLD, "bundle")),
    "its budget": (remains(cap=1), (OLD, "bundle")),
    "its time": (remains(began=1), (OLD, "bundle")),
    "its head": (remains(head=_DIGEST), (OLD, "bundle")),
    "its signer": (remains(key=_DIGEST), (OLD, "bundle")),
    "its spend": (changing("run.archived", lambda data: data["spend"][0].update(settled=1), OLD), (OLD, "bundle")),
    "its model": (changing("run.archived", lambda data: data["spend"][0].update(model="zz"), OLD), (OLD, "bundle")),
    "an answer of another call": (reused(call=9), (AGAIN, "intents")),
    "an answer of itself": (reused(run=AGAIN), (AGAIN, "intents")),
    "an answer of later": (lambda home: rewritten(home, _later), (AGAIN, "intents")),
    "no account at all": (lambda home: rewritten(home, _no_account), (ACCOUNT, "accounts")),
    "a validator that ran": (changing("session.opened", _without_syntax, ONE), (ONE, "settings")),
    "answers for real runs": (sql("UPDATE cache SET key = substr(key, 5)"), (ONE, "rows")),
    "a salt of an account": (sql(f"INSERT INTO salts VALUES ('{ACCOUNT}', zeroblob(32))"), (ACCOUNT, "rows")),
    "a pace of nothing": (sql("INSERT INTO pace VALUES ('nothing', 1)"), ("", "rows")),
    "a pace without a number": (sql("INSERT INTO pace VALUES ('scripted/closed', 'soon')"), ("", "rows")),
    "a hold without a number": (sql(f"INSERT INTO open_holds VALUES ('{ONE}', 9, '{ACCOUNT}', 'much')"), ("", "rows")),
    "a cached call without a number": (sql("UPDATE cache SET call = 'all'"), ("", "rows")),
    "a log said to be imported": (sql(f"PRAGMA application_id = {IMPORTED}"), ("", "rows")),
}


def test_without_an_edit_everything_passes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found below is found because of the edit; the second run has indeed reused answers."""
    rewritten(home, lambda rows: rows)
    assert command(capsys, "audit", "verify", "--strict").code == 0
    assert '"cache":"hit"' in command(capsys, "log", "export", AGAIN).out


@pytest.mark.parametrize(("edit", "finding"), EDITS.values(), ids=EDITS)
def test_an_edit_is_found(home: Path, edit: Callable[[Path], None], finding: tuple[str, str]) -> None:
    """The check that finds it is that of the run, or of the log."""
    edit(home)
    assert finding in failures(audited(home))
