"""A bundle proves a run without its database, and shows every change of itself."""

import hashlib
import importlib.util
import io
import json
import random
import shutil
import subprocess
import sys
import tarfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from orchestrator.errors import DamagedLogError, LogError, OutputError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator_audit.bundles import signing, writing
from orchestrator_audit.bundles.checking import verify
from orchestrator_audit.checks import AuditReport
from tests import golden
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.log.project import RUN, unguarded
from tests.plugins.commands.audit.logs import audited, doing, failures, finished_run, forked

FLIPS = 200
UNSIGNED = ("signature", "the bundle is not signed")
EDITS = 200


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run and a fork of it."""
    home = finished_run(tmp_path_factory.mktemp("bundled"))
    forked(home, 60)
    return home


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key, with its public one beside it."""
    pytest.importorskip("cryptography")
    path = tmp_path_factory.mktemp("keys") / "key"
    signing.make_key(path)
    return path


def bundle(home: Path, path: Path, run: str = RUN, key: Path | None = None, *, texts: bool = True) -> writing.Bundled:
    """Write a run's bundle."""
    log = EventLog.open_to_read(home)
    try:
        return writing.make(log, run, path, texts=texts, key=None if key is None else signing.read_private(key))
    finally:
        log.close()


def checked(content: bytes, folder: Path, key: Path | None = None, head: str | None = None) -> AuditReport:
    """What verifying these bytes finds."""
    path = folder / "bundle.tar"
    path.write_bytes(content)
    return verify(path, key=None if key is None else signing.read_public(key), head=head)


@pytest.mark.parametrize("run", [RUN, f"{RUN}-fork"])
def test_a_bundle_passes_everything_without_the_database(home: Path, tmp_path: Path, run: str) -> None:
    """Chain, texts and laws are checked of the run, and of what a fork shares; its head is the log's."""
    made = bundle(home, tmp_path / "run.tar", run)
    report = verify(tmp_path / "run.tar", head=made.head)
    assert failures(report) == set()
    assert [(check.name, check.reason) for check in report.skipped] == [UNSIGNED]
    assert {"bundle", "chain", "texts", "policies", "heads"} <= {check.name for check in report.checks}
    assert report.heads[run][1] == made.head
    assert made.events == report.heads[run][0]
    assert made.texts > 20


def test_the_same_run_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    """Nothing of the moment or the machine is in a bundle; any tar shows what is in it."""
    for name in ("one.tar", "other.tar"):
        bundle(home, tmp_path / name)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "other.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as opened:
        assert opened.getnames() == ["manifest.json", "events.jsonl", "texts.jsonl", "SHA256SUMS"]
        manifest = json.load(opened.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert {used["kind"] for used in manifest["sessions"][0]["plugins"]} >= {"provider", "backend", "validator"}
    with pytest.raises(UsageError, match="exists"):
        bundle(home, tmp_path / "one.tar")
    with pytest.raises(LogError, match="choose another place"):
        bundle(home, tmp_path / "absent" / "one.tar")


def test_without_texts_the_events_alone_are_proved(home: Path, tmp_path: Path) -> None:
    """No text and no salt is in it, and that the texts are not checked is said."""
    bundle(home, tmp_path / "run.tar", texts=False)
    content = (tmp_path / "run.tar").read_bytes()
    assert b"answer = 42" not in content
    log = EventLog.open_to_read(home)
    salt = log.salt(RUN)
    log.close()
    assert salt is not None
    assert salt.hex().encode() not in content
    report = verify(tmp_path / "run.tar")
    assert failures(report) == set()
    assert [check.name for check in report.skipped] == ["signature", "texts"]


def test_every_flipped_bit_is_found(home: Path, tmp_path: Path, keys: Path) -> None:
    """Two hundred single bits anywhere in a signed bundle, padding and envelope included, without the key."""
    bundle(home, tmp_path / "run.tar", key=keys)
    content = (tmp_path / "run.tar").read_bytes()
    draw = random.Random(8)
    places = [
        *range(0, len(content), len(content) // (FLIPS // 2)),
        *(draw.randrange(len(content)) for _ in range(FLIPS)),
    ]
    for place in places[:FLIPS]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        assert not checked(bytes(flipped), tmp_path).passes(), place
    for end in (0, 511, len(content) // 2, len(content) - 512, len(content) - 1):
        assert not checked(content[:end], tmp_path).passes(), end
    assert not checked(content + b"\0", tmp_path).passes()


def test_every_edit_by_one_who_writes_the_sums_anew_is_found(home: Path, tmp_path: Path) -> None:
    """Two hundred edits of events and texts, in every column, under new sums and a new manifest: the chain tells."""
    bundle(home, tmp_path / "run.tar")
    content = (tmp_path / "run.tar").read_bytes()
    draw = random.Random(9)
    columns = ("stream", "version", "type", "schema", "at", "data", "hash")
    for number in range(EDITS):
        members = unpacked(content)
        name = "texts.jsonl" if number % 5 == 4 else "events.jsonl"
        lines = members[name].splitlines()
        at = draw.randrange(len(lines))
        row = json.loads(lines[at])
        column = columns[number % len(columns)] if name == "events.jsonl" else ("digest", "text")[number // 5 % 2]
        row[column] = row[column] + 1 if isinstance(row[column], int) else f"{row[column]} "
        lines[at] = json.dumps(row).encode()
        members[name] = b"\n".join(lines) + b"\n"
        report = checked(packed(members), tmp_path)
        assert not report.passes(), (number, column)


def test_cut_tails_are_found_by_the_head(home: Path, tmp_path: Path) -> None:
    """A bundle whose end was cut off and whose manifest was written anew is whole, and lacks the head."""
    made = bundle(home, tmp_path / "run.tar")
    members = unpacked((tmp_path / "run.tar").read_bytes())
    events = b"".join(members["events.jsonl"].splitlines(keepends=True)[:60])
    texts = [
        line
        for line in members["texts.jsonl"].splitlines(keepends=True)
        if json.loads(line)["digest"].encode() in events
    ]
    members |= {"events.jsonl": events, "texts.jsonl": b"".join(texts)}
    content = packed(members)
    assert failures(checked(content, tmp_path)) == set()
    assert failures(checked(content, tmp_path, head=made.head)) == {(RUN, "heads")}


def test_a_signature_names_the_one_who_made_the_bundle(home: Path, tmp_path: Path, keys: Path) -> None:
    """It passes with the key, fails with another, with none and on a forged bundle."""
    made = bundle(home, tmp_path / "run.tar", key=keys)
    content = (tmp_path / "run.tar").read_bytes()
    public = keys.with_name("key.pub")
    report = checked(content, tmp_path, public)
    assert failures(report) == set()
    assert "signature" in {check.name for check in report.checks}
    unchecked = checked(content, tmp_path)
    assert [check.name for check in unchecked.skipped] == ["signature"]
    assert made.key is not None
    assert made.key in unchecked.skipped[0].reason
    assert unchecked.passes()
    assert not unchecked.passes(strict=True)

    other, _ = signing.make_key(tmp_path / "other")
    assert failures(checked(content, tmp_path, other)) == {(RUN, "signature")}
    members = unpacked(content)
    members["texts.jsonl"] = b"".join(members["texts.jsonl"].splitlines(keepends=True)[:-1])
    assert (RUN, "signature") in failures(checked(packed(members), tmp_path, public))
    del members["signature.json"]
    assert (RUN, "signature") in failures(checked(packed(members), tmp_path, public))


def test_keys_that_cannot_be_used_are_refused(tmp_path: Path, keys: Path) -> None:
    """A key is never written over, and a file that holds none is named."""
    with pytest.raises(OutputError, match="File exists"):
        signing.make_key(keys)
    assert keys.stat().st_mode & 0o077 == 0
    (tmp_path / "noise").write_text("no key")
    for read in (signing.read_private, signing.read_public):
        with pytest.raises(UsageError, match="in PEM"):
            read(tmp_path / "noise")
        with pytest.raises(UsageError, match="No such file"):
            read(tmp_path / "absent")


def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    """Another file, another tar and an empty one fail with one line each; a folder is a usage error."""
    other = io.BytesIO()
    with tarfile.open(fileobj=other, mode="w") as target:
        target.addfile(tarfile.TarInfo("../escape"))
    for content in (b"", b"not a tar at all" * 100, other.getvalue()):
        report = checked(content, tmp_path)
        assert failures(report) == {("", "bundle")}
    with pytest.raises(UsageError):
        verify(tmp_path)
    assert not (tmp_path.parent / "escape").exists()


def test_a_damaged_run_is_not_bundled(home: Path, tmp_path: Path) -> None:
    """What is not whole in the log is no proof of anything."""
    copy = shutil.copytree(home, tmp_path / "home")
    connection = unguarded(copy)
    connection.execute("UPDATE events SET at = at + 1 WHERE version = 30")
    connection.close()
    with pytest.raises(DamagedLogError):
        bundle(copy, tmp_path / "run.tar")
    assert not (tmp_path / "run.tar").exists()


def test_the_bundle_of_a_run_whose_content_is_deleted(home: Path, tmp_path: Path) -> None:
    """Its events are proved, its texts are said to be deleted, and a fork still has those it shares."""
    from orchestrator.engine.content_retention import delete_content

    copy = shutil.copytree(home, tmp_path / "home")
    doing(copy, lambda w: delete_content(w, RUN))
    bundle(copy, tmp_path / "run.tar")
    report = verify(tmp_path / "run.tar")
    assert failures(report) == set()
    assert [(check.name, check.reason) for check in report.skipped] == [
        UNSIGNED,
        *((name, "they were deleted") for name in ("texts", "readings", "prompts", "settings", "files")),
    ]
    made = bundle(copy, tmp_path / "fork.tar", f"{RUN}-fork")
    report = verify(tmp_path / "fork.tar")
    assert failures(report) == set()
    assert made.texts > 10


def test_no_absolute_path_stands_in_a_bundle(tmp_path: Path) -> None:
    """Neither the spec's folder nor the output folder: the text that names them stays at home, the rest is proved."""
    project, home = tmp_path / "project", tmp_path / "home"
    (project / "rules.yaml").parent.mkdir()
    (project / "rules.yaml").write_text("global:\n- {name: cheap, max_cost_per_task_usd: 5}\n")
    task = {
        "id": "only",
        "type": "code_generation",
        "prompt": "Write x.",
        "hard_validators": ["python_syntax", "pytest"],
        "tests": "from only import x\n\ndef test_x():\n    assert x == 3\n",
    }
    scripted_spec(project, tasks=[task], policy_files=["rules.yaml"], verify_cmd="cat *.py; false", output_dir="out")
    ended = orchestrate(home, "run", "spec.json", "--project-id", "here", cwd=project)
    assert ended.code == 1, ended.err
    assert orchestrate(home, "fork", "here", "--at", "20").code == 0
    assert orchestrate(home, "resume", "here-fork", cwd=project).code in (0, 1)
    for run in ("here", "here-fork"):
        path = tmp_path / f"{run}.tar"
        bundle(home, path, run)
        content = path.read_bytes()
        assert b"Write x." in content
        for secret in (tmp_path, tmp_path.parent, Path.home(), Path.cwd(), Path(sys.prefix)):
            assert str(secret).encode() not in content, (run, secret)
        report = verify(path)
        assert failures(report) == set()
        assert "texts" in {check.name for check in report.checks}
    assert rows(home, "SELECT count(*) FROM blobs WHERE digest IN (SELECT data ->> 'place' FROM events)")[0][0] >= 1
    resumed = orchestrate(home, "resume", "here")
    assert str(project / "out") in resumed.out + resumed.err, "the run still knows its folder"


def test_a_place_alone_can_be_deleted(home: Path, tmp_path: Path) -> None:
    """Without it every other law and text is proved as before; a place that was changed is found."""
    copy = shutil.copytree(home, tmp_path / "home")
    digest = rows(copy, "SELECT data ->> 'place' FROM events WHERE type = 'run.started'")[0][0]
    with unguarded(copy) as connection:
        connection.execute(
            "UPDATE blobs SET data = (SELECT data FROM blobs WHERE digest != ?) WHERE digest = ?", (digest,) * 2
        )
    assert failures(audited(copy, RUN)) == {(RUN, "texts")}
    with unguarded(copy) as connection:
        connection.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
    assert failures(audited(copy, RUN)) == set()


def unpacked(content: bytes) -> dict[str, bytes]:
    """The members of a bundle."""
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        return {each.name: opened.extractfile(each).read() for each in opened.getmembers()}  # type: ignore[union-attr]


def packed(members: dict[str, bytes]) -> bytes:
    """A bundle of these members, with a manifest and sums that fit them: what a forger without a key can make."""
    manifest = json.loads(members["manifest.json"])
    streams: dict[str, dict[str, object]] = {}
    for line in members["events.jsonl"].splitlines():
        row = json.loads(line)
        about = streams.setdefault(row["stream"], {"stream": row["stream"], "from": row["version"]})
        about |= {"to": row["version"], "head": row["hash"]}
    manifest["streams"] = list(streams.values())
    manifest["head"] = streams[manifest["run"]]["head"]
    for name in ("events", "texts"):
        content = members[f"{name}.jsonl"]
        manifest[name] = {"lines": content.count(b"\n"), "sha256": hashlib.sha256(content).hexdigest()}
    members = {**members, "manifest.json": json.dumps(manifest).encode()}
    sums = {name: hashlib.sha256(members[name]).hexdigest() for name in members if name != "SHA256SUMS"}
    members["SHA256SUMS"] = "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
    target = io.BytesIO()
    for name, content in members.items():
        writing._put(target, name, content)
    return target.getvalue() + bytes(1024)


# ── hostile content, and another program's word ────────────────────────────────────────────────────────────────────


def repacked(members: dict[str, bytes]) -> bytes:
    """A bundle of members whose sums, and whose digests in the manifest, are computed anew where they can be."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        manifest = json.loads(members[writing.MANIFEST])
        for name, field in ((writing.EVENTS, "events"), (writing.TEXTS, "texts")):
            manifest[field]["sha256"] = hashlib.sha256(members[name]).hexdigest()
        members = {**members, writing.MANIFEST: json.dumps(manifest).encode()}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in members.items())
    out = io.BytesIO()
    for name, content in {**members, writing.SUMS: sums.encode()}.items():
        out.write(writing.header(name, len(content)) + content + bytes(-len(content) % writing.BLOCK))
    return out.getvalue() + bytes(2 * writing.BLOCK)


def members_of(path: Path) -> dict[str, bytes]:
    """The members of a bundle, without its sums."""
    with tarfile.open(path) as tar:
        found = {each.name: file.read() for each in tar.getmembers() if (file := tar.extractfile(each))}
    return {name: content for name, content in found.items() if name != writing.SUMS}


MEMBERS = (writing.MANIFEST, writing.EVENTS, writing.TEXTS)
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(0, 99).map(float),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


def places(value: object, at: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The path of every value inside one."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inside for place in places(each, (*at, key)))]


def planted(value: Any, at: tuple[Any, ...], wrong: object) -> Any:
    """The value with something else at a path."""
    if not at:
        return wrong
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = planted(value[at[0]], at[1:], wrong)
    return copy


class Members(dict[str, bytes]):
    """The members of a bundle, with a short name for messages."""

    def __repr__(self) -> str:
        return f"the members {', '.join(self)}"


@pytest.fixture(scope="module")
def whole(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Members:
    """The members of a bundle of a fork."""
    path = tmp_path_factory.mktemp("whole") / "run.tar"
    bundle(home, path, f"{RUN}-fork")
    return Members(members_of(path))


def _respaced(name: str, content: bytes) -> bytes:
    """The member as it is after its JSON was read and written."""
    return json.dumps(json.loads(content)).encode() if name == writing.MANIFEST else content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(MEMBERS), line=st.integers(0), place=st.integers(0), wrong=WRONG)
@example(name=writing.MANIFEST, line=0, place=1, wrong=True)
@example(name=writing.MANIFEST, line=0, place=1, wrong=1.0)
@example(name=writing.EVENTS, line=10, place=1, wrong=0)
def test_content_of_another_form_is_refused_in_one_line(
    name: str, line: int, place: int, wrong: object, whole: Members, tmp_path: Path
) -> None:
    """A value of another type anywhere, under sums that hold: no traceback and no false ok."""
    lines = [whole[name]] if name == writing.MANIFEST else whole[name].splitlines()
    original = json.loads(lines[line % len(lines)])
    found = places(original)
    changed = planted(original, found[place % len(found)], wrong)
    lines[line % len(lines)] = json.dumps(changed).encode()
    content = b"\n".join(lines) + (b"" if name == writing.MANIFEST else b"\n")
    bundled = repacked({**whole, name: content})
    assume(bundled != repacked({**whole, name: _respaced(name, whole[name])}))
    report = checked(bundled, tmp_path)
    assert report.failed
    assert all("\n" not in problem.message for check in report.failed for problem in check.problems)
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError, IndexError)):
        independent().verify(str(tmp_path / "bundle.tar"))


def test_repacking_alone_changes_nothing_that_counts(whole: Members, tmp_path: Path) -> None:
    """What these tests pack passes: their findings are of what they change."""
    assert failures(checked(repacked(whole), tmp_path)) == set()


def test_a_member_that_unpacks_to_nothing_is_no_bundle(tmp_path: Path) -> None:
    """A size below nothing in a head of the tar."""
    block = bytearray(writing.header(writing.MANIFEST, 5))
    block[124:136] = b"\xff" * 12
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    block[148:156] = b"%06o\0 " % total
    assert failures(checked(bytes(block) + bytes(1024), tmp_path)) == {("", "bundle")}


@cache
def independent() -> Any:
    """The verifier that was written from docs/log-format.md alone."""
    path = Path(__file__).parents[4] / "examples" / "verify" / "verify_bundle.py"
    found = importlib.util.spec_from_file_location("verify_bundle", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_independent_verifier_agrees(home: Path, keys: Path, tmp_path: Path) -> None:
    """It passes what passes here, a signed fork and every golden chain, and refuses another key."""
    from cryptography.exceptions import InvalidSignature

    verifier = independent()
    bundle(home, tmp_path / "run.tar", f"{RUN}-fork", keys)
    public = signing.key_id(signing.read_public(keys.with_name("key.pub")))
    assert verifier.verify(str(tmp_path / "run.tar"), public)["run"] == f"{RUN}-fork"
    with pytest.raises(InvalidSignature):
        verifier.verify(str(tmp_path / "run.tar"), "00" * 32)
    for path in sorted(golden.FOLDER.glob("*.jsonl")):
        rows = golden.read(path).rows
        if rows[0]["type"] != "run.forked":  # of a fork's golden log the shared past is another's
            assert (
                verifier.chain([{"position": at, **row} for at, row in enumerate(rows)])[-1]["head"] == rows[-1]["hash"]
            )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_independent_verifier_refuses_every_change_of_an_event(data: st.DataObject, whole: Members) -> None:
    """Any column of any event, and any event left out."""
    verifier = independent()
    rows = [json.loads(line) for line in whole[writing.EVENTS].splitlines()]
    number = data.draw(st.integers(0, len(rows) - 2))
    column = data.draw(st.sampled_from([*list(verifier.EVENT)[1:], "all"]))
    if column == "all":
        del rows[number]
    else:
        value = rows[number][column]
        rows[number][column] = value + 1 if isinstance(value, int) else f"{value} "
    with pytest.raises((ValueError, KeyError, TypeError)):
        verifier.chain(rows)


def test_the_independent_verifier_refuses_in_one_line(home: Path, keys: Path, tmp_path: Path) -> None:
    """Exit code 6 and a line on stderr, of whatever is no bundle, or not the one that was signed."""
    bundle(home, tmp_path / "run.tar", RUN, keys)
    whole = unpacked((tmp_path / "run.tar").read_bytes())
    other = whole["signature.json"].replace(b"bundle+json", b"letter+json")
    (tmp_path / "type.tar").write_bytes(repacked({**whole, "signature.json": other}))
    (tmp_path / "deep.tar").write_bytes(repacked({**whole, writing.EVENTS: b"[" * 100_000}))
    (tmp_path / "none.tar").write_bytes(b"none")
    script = Path(__file__).parents[4] / "examples" / "verify" / "verify_bundle.py"
    for name, code in (("run", 0), ("type", 6), ("deep", 6), ("none", 6), ("absent", 6)):
        ended = subprocess.run([sys.executable, script, tmp_path / f"{name}.tar"], capture_output=True, text=True)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (code, code // 6), ended.stderr
