"""More than seventy edits, each by one who may write everything and computes chain, heads, sums and manifest anew.

Each ends with exit code 6 and names the first bad event or object; without an edit the same ends with 0.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.log import chain
from orchestrator.log.heads import FILE
from orchestrator.log.texts import digest_of, pack
from tests.cli.command import orchestrate, scripted_spec
from tests.cli.in_process import command
from tests.plugins.commands.audit.logs import on_copy
from tests.plugins.commands.audit.test_bundles import members_of, repacked

RUN = "forty"
Fields = dict[str, Any]
Change = Callable[[Fields], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run under an account, with files in a folder, and a bundle beside it."""
    folder = tmp_path_factory.mktemp("forty")
    home = folder / "home"
    task = {"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]}
    answers: list[dict[str, Any]] = [
        {"role": "generator", "text": "```python\nx = 1\n```"},
        {"role": "critic", "text": "x has another value in the description."},
        {"role": "reviser", "text": "```python\nx = 3\n```"},
        {"role": "evaluator", "sample": 1, "text": '{"score": 0.91, "reasons": "good"}'},
        {"role": "evaluator", "sample": 2, "text": '{"score": 0.93, "reasons": "good"}'},
    ]
    assert orchestrate(home, "budget", "set", "sim/org", "10").code == 0
    scripted_spec(folder / "project", tasks=[task], answers=answers, project_id=RUN)
    ended = orchestrate(home, "run", "spec.json", "-o", str(folder / "out"), cwd=folder / "project")
    assert ended.code == 0, ended.err
    assert orchestrate(home, "audit", "export", RUN, "-o", str(home / "run.tar")).code == 0
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the command uses."""
    return on_copy(original, tmp_path, monkeypatch)


def stored(home: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run SQL as one does who may write the file; what guards it is as it was afterwards."""
    connection = sqlite3.connect(home / "events.db", isolation_level=None)
    guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        connection.execute(f"DROP TRIGGER {name}")
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        for _, guard in guards:
            connection.execute(guard)
        connection.close()


def insider(home: Path, kind: str, change: Change, which: int = 0) -> None:
    """Change an event of a kind, and compute the chain and the heads of all streams anew."""
    rows = stored(home, "SELECT position, stream, version, type, schema, at, data FROM events ORDER BY position")
    target = [row[0] for row in rows if row[3] == kind][which]
    tails, heads = dict[str, str](), dict[str, int]()
    for position, stream, version, name, schema, at, data in rows:
        row: Fields = {"stream": stream, "type": name, "schema": schema, "at": at, "data": json.loads(data)}
        if position == target:
            change(row)
        text = json.dumps(row["data"], ensure_ascii=False, separators=(",", ":"))
        tail = tails.get(stream, chain.GENESIS)
        tails[stream] = chain.link(tail, row["stream"], version, row["type"], row["schema"], row["at"], text)
        heads[stream] = version
        sql = "UPDATE events SET data = ?, at = ?, type = ?, hash = ? WHERE position = ?"
        stored(home, sql, text, row["at"], row["type"], tails[stream], position)
    kept = [{"run": run, "version": heads[run], "head": tails[run]} for run in heads if "/" not in run]
    (home / FILE).write_text("".join(json.dumps(each) + "\n" for each in kept))


def setting(*path: str, to: Any) -> Change:
    """Set a field of an event."""

    def change(row: Fields) -> None:
        inside = row["data"]
        for name in path[:-1]:
            inside = inside[name]
        assert inside[path[-1]] != to
        inside[path[-1]] = to

    return change


def adding(*path: str, more: Any) -> Change:
    """Add to a number in an event."""

    def change(row: Fields) -> None:
        inside = row["data"]
        for name in path[:-1]:
            inside = inside[name]
        inside[path[-1]] += more

    return change


def _of_another_text(home: Path) -> None:
    """An answer replaced by a better one, with digest, size, chain and heads."""
    text = "```python\nx = 42\n```"
    salt = stored(home, "SELECT salt FROM salts WHERE run = ?", RUN)[0][0]
    digest = digest_of(salt, text.encode())
    stored(home, "INSERT INTO blobs VALUES (?, ?, ?)", RUN, digest, pack(text))

    def change(row: Fields) -> None:
        row["data"]["answer"], row["data"]["answer_bytes"] = digest, len(text)

    insider(home, "call.succeeded", change)


def _file(name: str, content: str | None) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        folder = Path(json.loads(_place(home))["output"])
        copy = Path(shutil.copytree(folder, home.parent / "out"))
        target = next(copy.glob(name))
        target.unlink() if content is None else target.write_text(content)
        text = json.dumps({**json.loads(_place(home)), "output": str(copy)}, ensure_ascii=False, sort_keys=True)
        salt = stored(home, "SELECT salt FROM salts WHERE run = ?", RUN)[0][0]
        digest = digest_of(salt, text.encode())
        stored(home, "INSERT INTO blobs VALUES (?, ?, ?)", RUN, digest, pack(text))
        stored(home, "DELETE FROM blobs WHERE digest = ?", _first(home)["place"])
        insider(home, "run.started", setting("place", to=digest))

    return change


def _first(home: Path) -> Fields:
    return dict(json.loads(stored(home, "SELECT data FROM events WHERE type = 'run.started'")[0][0]))


def _place(home: Path) -> str:
    import zlib

    data = stored(home, "SELECT data FROM blobs WHERE digest = ?", _first(home)["place"])[0][0]
    return zlib.decompress(data[:-4]).decode()


def sql(*scripts: str) -> Callable[[Path], None]:
    """Change the database beside its events."""

    def change(home: Path) -> None:
        connection = sqlite3.connect(home / "events.db", isolation_level=None)
        for script in scripts:
            connection.execute(script)
        connection.close()

    return change


def event(kind: str, change: Change, which: int = 0) -> Callable[[Path], None]:
    """Change an event under a chain and heads of one's own."""
    return lambda home: insider(home, kind, change, which)


def heads(text: Callable[[str], str]) -> Callable[[Path], None]:
    """Change the kept heads."""

    def work(home: Path) -> None:
        (home / FILE).write_text(text((home / FILE).read_text()))

    return work


def member(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change a member of the bundle under sums and digests of one's own."""

    def work(home: Path) -> None:
        found = members_of(home / "run.tar")
        (home / "run.tar").write_bytes(repacked({**found, name: change(found[name])}))

    return work


def manifest(change: Change) -> Callable[[Path], None]:
    """Change the manifest of the bundle."""

    def work(content: bytes) -> bytes:
        fields = json.loads(content)
        change({"data": fields})
        return json.dumps(fields).encode()

    return member("manifest.json", work)


def _line(number: int, change: Change) -> Callable[[bytes], bytes]:
    def work(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        row = json.loads(lines[number])
        change({"data": row})
        lines[number] = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        return b"".join(lines)

    return work


def _twice(home: Path) -> None:
    """The sum of a run twice in its event: for one reader the first counts, for another the last."""
    stored(
        home, 'UPDATE events SET data = replace(data, \'"settled":\', \'"settled":1,"settled":\') WHERE type = ?', _END
    )
    previous = chain.GENESIS
    sql = "SELECT position, version, type, schema, at, data FROM events WHERE stream = ? ORDER BY version"
    for position, version, kind, schema, at, data in stored(home, sql, RUN):
        previous = chain.link(previous, RUN, version, kind, schema, at, data)
        stored(home, "UPDATE events SET hash = ? WHERE position = ?", previous, position)
    (home / FILE).write_text(json.dumps({"run": RUN, "version": version, "head": previous}) + "\n")


def _earlier(home: Path) -> None:
    """A true head of an earlier event, after that of the last."""
    version, head = stored(home, "SELECT version, hash FROM events WHERE stream = ? AND version = 9", RUN)[0]
    with (home / FILE).open("a") as file:
        file.write(json.dumps({"run": RUN, "version": version, "head": head}) + "\n")


def opened(change: Callable[[Fields], object]) -> Callable[[Path], None]:
    """Change what the session was opened with."""

    def work(row: Fields) -> None:
        before = json.dumps(row["data"])
        change(row["data"])
        assert json.dumps(row["data"]) != before

    return event("session.opened", work)


_END = "run.finished"
_ASKED = "INSERT INTO requests(run, kind, text, at) VALUES"
_DIGEST = "a" * 64
LOG: dict[str, Callable[[Path], None]] = {
    "a larger threshold": event("run.started", setting("settings", "thresholds", "code_generation", to=0.5)),
    "other limits": event("run.started", setting("settings", "concurrency", to=9)),
    "a larger ceiling": event("run.started", adding("settings", "cap", more=10**9)),
    "another account": event("run.started", setting("settings", "accounts", to=["team"])),
    "another plan": event("run.started", lambda row: row["data"]["given_plan"][0].update(validators=[])),
    "another seed": event("run.started", adding("seed", more=1)),
    "another price": event("session.opened", lambda row: row["data"]["models"][0]["price"].update(output=1)),
    "another slot": event("session.opened", lambda row: row["data"]["slots"].update({"gpt-4o": "northwind-1"})),
    "a cap never in force": event("session.opened", lambda row: row["data"]["caps"].update(org=1)),
    "another model": event("model.selected", setting("model", to="kestrel-1")),
    "a candidate's reason": event("model.selected", lambda row: row["data"]["candidates"].reverse()),
    "another prompt": event("call.prepared", lambda row: row["data"].update(prompt=_other(row))),
    "a smaller body": event("call.prepared", adding("body_bytes", more=-1)),
    "a smaller hold": event("call.started", adding("hold", more=-1)),
    "a longer timeout": event("call.started", adding("timeout", more=1)),
    "a call less paid": event("call.succeeded", adding("settled", more=-1)),
    "fewer tokens": event("call.succeeded", adding("usage", "output", more=-1)),
    "another answer": _of_another_text,
    "another size": event("call.succeeded", adding("answer_bytes", more=1)),
    "a better reading": event("call.succeeded", lambda row: row["data"]["reading"].update(score=1.0), -1),
    "no defects": event("call.succeeded", lambda row: row["data"]["reading"].update(defects=[]), 1),
    "a failed check": event("check.validated", setting("verdict", to="failed")),
    "a vote": event("check.validated", setting("vote", to=True)),
    "another sample": event("iteration.evaluated", lambda row: row["data"].update(samples=[0.95, 0.95])),
    "a better score": event("iteration.evaluated", adding("score", more=0.01)),
    "another output": event("output.chosen", adding("call", more=-1)),
    "another file size": event("file.written", adding("size", more=1)),
    "a better end": event("task.finished", setting("score", to=1.0)),
    "a cheaper run": event("run.finished", adding("settled", more=-1)),
    "back in time": event("task.started", lambda row: row.update(at=row["at"] - 10**12)),
    "another type": event("file.written", lambda row: row.update(type="task.started")),
    "an account's sum": event("account.settled", adding("totals", "settled", more=-1)),
    "a changed file": _file("*.py", "x = 42\n"),
    "a missing file": _file("*.py", None),
    "a replaced view": sql("DROP VIEW spend", "CREATE VIEW spend AS SELECT 5 AS settled_nano"),
    "a missing trigger": sql("DROP TRIGGER events_are_never_changed"),
    "a trigger of one's own": sql("CREATE TRIGGER quiet AFTER INSERT ON blobs BEGIN DELETE FROM blobs; END"),
    "a text of no event": sql(f"INSERT INTO blobs VALUES ('{RUN}', '{_DIGEST}', x'00')"),
    "a hold of no call": sql(f"INSERT INTO open_holds VALUES ('{RUN}', 9, 'sim/account/org', 7)"),
    "a cached answer of none": sql(f"INSERT INTO cache VALUES ('{_DIGEST}', '{RUN}', 1)"),
    "a sum that stands twice": _twice,
    "older rules": opened(lambda data: data.update(rules=3)),
    "newer rules": opened(lambda data: data.update(rules=5)),
    "another program": opened(lambda data: data.update(program="0.0.9")),
    "a plugin of another version": opened(lambda data: data["plugins"][0].update(version="0.0.9")),
    "a plugin with a digest": opened(lambda data: data["plugins"][0].update(source_digest=_DIGEST)),
    "a plugin of another name": opened(lambda data: data["plugins"][-1].update(name="zz")),
    "a plugin twice": opened(lambda data: data["plugins"].append(data["plugins"][-1])),
    "plugins in another order": opened(lambda data: data["plugins"].reverse()),
    "no provider": opened(lambda data: data["plugins"].pop(0)),
    "other parameters": opened(lambda data: data["plugins"][1]["parameters"].update(weight=1)),
    "a model twice": opened(lambda data: data["models"].append(data["models"][-1])),
    "the cap of another account": opened(lambda data: data["caps"].update(team=1)),
    "a provider of this machine": opened(lambda data: data["local"].append("elsewhere")),
    "an account twice": event("run.started", lambda row: row["data"]["settings"]["accounts"].append("org")),
    "a place that is none": event("run.started", lambda row: row["data"].update(place=row["data"]["spec"])),
    "files left out of a prompt": event("call.prepared", adding("files_cut", more=1)),
    "a request after the end": sql(f"{_ASKED} ('{RUN}', 'cancel', '', 1)"),
    "a request of no run": sql(f"{_ASKED} ('ghost', 'cancel', '', 1)"),
    "a request of no kind": sql(f"{_ASKED} ('{RUN}', 'obey', '', 1)"),
    "a request at no time": sql(f"{_ASKED} ('{RUN}', 'cancel', '', 'soon')"),
    "another salt": sql(f"UPDATE salts SET salt = zeroblob(32) WHERE run = '{RUN}'"),
    "a missing index": sql("DROP INDEX idx_open_holds_account"),
    "a table of one's own": sql("CREATE TABLE notes(x)"),
    "heads in another order": _earlier,
    "another head": heads(lambda text: text.replace('"head":"', '"head":"0')[:-3] + '"}\n'),
    "a later head": heads(lambda text: text.replace('"version":', '"version":9')),
    "a head of no run": heads(lambda text: text + text.replace(RUN, "ghost")),
}
BUNDLE: dict[str, Callable[[Path], None]] = {
    "its head": manifest(setting("head", to=_DIGEST)),
    "its sessions": manifest(lambda row: row["data"]["sessions"][0].update(program="9.9")),
    "its salts": manifest(lambda row: row["data"]["salts"].update({RUN: "00" * 32})),
    "its streams": manifest(lambda row: row["data"]["streams"][0].update(to=5)),
    "its count of texts": manifest(lambda row: row["data"]["texts"].update(lines=1)),
    "an event of it": member("events.jsonl", _line(5, lambda row: row["data"].update(at=row["data"]["at"] + 1))),
    "its last event": member("events.jsonl", lambda content: b"".join(content.splitlines(keepends=True)[:-1])),
    "a text of it": member("texts.jsonl", _line(3, lambda row: row["data"].update(text="better"))),
    "a text left out": member("texts.jsonl", lambda content: b"".join(content.splitlines(keepends=True)[1:])),
    "a text more": member("texts.jsonl", lambda content: content + content.splitlines(keepends=True)[0]),
}


def _other(row: Fields) -> str:
    """The digest of the prompt backwards, of which no text is."""
    return str(row["data"]["prompt"])[::-1]


def test_without_an_edit_everything_passes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found below is found because of the edit, and not because the chain was written anew."""
    insider(home, "run.started", lambda row: None)
    assert command(capsys, "audit", "verify", "--strict").code == 0
    found = members_of(home / "run.tar")
    (home / "run.tar").write_bytes(repacked(found))
    assert command(capsys, "audit", "verify", str(home / "run.tar")).code == 0
    assert len(LOG) + len(BUNDLE) >= 40


@pytest.mark.parametrize("edit", LOG.values(), ids=LOG)
def test_an_edit_of_the_log_is_found(
    home: Path, edit: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 6, and the first line names the event, or the object."""
    edit(home)
    shown = command(capsys, "audit", "verify")
    assert shown.code == 6, shown.out
    assert shown.lines[0].startswith(("first bad event: ", "bad: "))
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("edit", BUNDLE.values(), ids=BUNDLE)
def test_an_edit_of_a_bundle_is_found(
    home: Path, edit: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """By this program and by the one that was written from the page alone."""
    from tests.plugins.commands.audit.test_bundles import independent

    edit(home)
    shown = command(capsys, "audit", "verify", str(home / "run.tar"))
    assert shown.code == 6, shown.out
    assert shown.lines[0].startswith(("first bad event: ", "bad: "))
    with pytest.raises((ValueError, LookupError, TypeError)):
        independent().verify(str(home / "run.tar"))
