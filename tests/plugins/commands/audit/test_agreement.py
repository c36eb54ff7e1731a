"""The independent verifier, written from docs/log-format.md alone, and this program say the same of every bundle."""

import json
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.content_retention import delete_content
from orchestrator_audit.bundles import writing
from orchestrator_audit.bundles.checking import verify
from tests.log.project import RUN
from tests.plugins.commands.audit.logs import doing, failures, finished_run, forked
from tests.plugins.commands.audit.test_bundles import Members, bundle, independent, members_of, repacked

FORK, LAST = f"{RUN}-fork", "last"
REFUSALS = (ValueError, KeyError, TypeError, AttributeError, IndexError)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a run, a fork of it, and a fork of that."""
    home = finished_run(tmp_path_factory.mktemp("agreed"))
    forked(home, 60)
    forked(home, 61, run=FORK, name=LAST)
    return home


@pytest.fixture(scope="module")
def whole(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Members:
    """The members of the last fork's bundle."""
    path = tmp_path_factory.mktemp("whole") / "run.tar"
    bundle(home, path, LAST)
    return Members(members_of(path))


@pytest.mark.parametrize("deleted", [each for n in (1, 2) for each in combinations((RUN, FORK, LAST), n)], ids=str)
def test_a_bundle_passes_whichever_ancestor_has_deleted_its_texts(
    home: Path, tmp_path: Path, deleted: tuple[str, ...]
) -> None:
    """Each text stands under a run in which every later fork finds it; both verifiers pass it, one without it fails."""
    copy = shutil.copytree(home, tmp_path / "home")
    for run in deleted:
        doing(copy, lambda w, run=run: delete_content(w, run))  # type: ignore[misc]
    made = bundle(copy, tmp_path / "run.tar", LAST)
    assert made.texts > 10
    assert failures(verify(tmp_path / "run.tar")) == set()
    assert independent().verify(str(tmp_path / "run.tar"))["run"] == LAST
    members = members_of(tmp_path / "run.tar")
    members[writing.TEXTS] = b"".join(members[writing.TEXTS].splitlines(keepends=True)[:-1])
    refused(_counted(members), tmp_path)


def refused(members: dict[str, bytes], folder: Path) -> None:
    """Both verifiers refuse a bundle of these members."""
    path = folder / "bundle.tar"
    path.write_bytes(repacked(members))
    assert verify(path).failed
    with pytest.raises(REFUSALS):
        independent().verify(str(path))


def _counted(members: dict[str, bytes]) -> dict[str, bytes]:
    """The members with the numbers of lines in the manifest counted anew."""
    manifest = json.loads(members[writing.MANIFEST])
    for name, content in ((writing.EVENTS, "events"), (writing.TEXTS, "texts")):
        manifest[content]["lines"] = members[name].count(b"\n")
    return {**members, writing.MANIFEST: json.dumps(manifest).encode()}


def _salt_of_nothing(manifest: dict[str, Any], texts: list[dict[str, str]], events: list[dict[str, Any]]) -> None:
    manifest["salts"]["other"] = manifest["salts"][RUN]


def _salt_left_out(manifest: dict[str, Any], texts: list[dict[str, str]], events: list[dict[str, Any]]) -> None:
    del manifest["salts"][LAST]


def _salts_swapped(manifest: dict[str, Any], texts: list[dict[str, str]], events: list[dict[str, Any]]) -> None:
    manifest["salts"] = dict(reversed(manifest["salts"].items()))


def _text_of_a_fork(manifest: dict[str, Any], texts: list[dict[str, str]], events: list[dict[str, Any]]) -> None:
    texts[3]["run"] = LAST


def _position_before(manifest: dict[str, Any], texts: list[dict[str, str]], events: list[dict[str, Any]]) -> None:
    events[59]["position"] = 10**6


def _no_texts_at_all(manifest: dict[str, Any], texts: list[dict[str, str]], events: list[dict[str, Any]]) -> None:
    manifest["salts"] = {}
    texts.clear()


@pytest.mark.parametrize(
    "change",
    [_salt_of_nothing, _salt_left_out, _salts_swapped, _text_of_a_fork, _position_before, _no_texts_at_all],
    ids=lambda change: change.__name__.strip("_"),
)
def test_what_no_hash_covers_is_refused_by_both(
    whole: Members, tmp_path: Path, change: Callable[[Any, Any, Any], None]
) -> None:
    """Salts, the run of a text, and positions: nothing of them is in the chain."""
    manifest = json.loads(whole[writing.MANIFEST])
    texts, events = (
        [json.loads(line) for line in whole[name].splitlines()] for name in (writing.TEXTS, writing.EVENTS)
    )
    change(manifest, texts, events)
    lines = {name: b"".join(map(_line, rows)) for name, rows in ((writing.EVENTS, events), (writing.TEXTS, texts))}
    refused(_counted({**whole, writing.MANIFEST: json.dumps(manifest).encode(), **lines}), tmp_path)


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def test_what_is_packed_here_passes_unchanged(whole: Members, tmp_path: Path) -> None:
    """The findings of these tests are of what they change."""
    (tmp_path / "bundle.tar").write_bytes(repacked(_counted(whole)))
    assert failures(verify(tmp_path / "bundle.tar")) == set()
    assert independent().verify(str(tmp_path / "bundle.tar"))["run"] == LAST
