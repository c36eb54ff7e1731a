"""The file of live text: whoever looks on now and then has each character once, as far as it is kept, and no key."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.engine import live_text
from orchestrator.engine.live_text import LiveTextFile, read_calls, read_live
from orchestrator.events import CallStarted, CallSucceeded, Reading
from orchestrator.log import Redactor
from orchestrator.models import Finish, Role
from orchestrator.money import Usd

KEY = "sk-0123456789abcdefghij"


def started(sample: int) -> CallStarted:
    """A call of a sample."""
    return CallStarted(1, "t", Role.GENERATOR, 1, sample, 1, 1, "p", "m", 9, 9, Usd(9), 9)


def succeeded(call: int) -> CallSucceeded:
    """Its answer."""
    return CallSucceeded(call, "a", 1, Finish.STOP, Reading(), None, Usd(1), Usd(0), 9)


@pytest.fixture(autouse=True)
def _every_piece_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_text, "_PAUSE", 0.0)


@settings(max_examples=50)
@given(pieces=st.lists(st.tuples(st.integers(1, 2), st.text("ab\n<", max_size=1500), st.booleans()), max_size=12))
def test_a_reader_has_each_character_once(pieces: list[tuple[int, str, bool]]) -> None:
    """Samples of one task, written side by side, stay apart; only what 4,000 others followed before a look is lost."""
    with tempfile.TemporaryDirectory() as folder:
        file = LiveTextFile(Path(folder), lambda text: text)
        file.begin("run")
        written, heard, seen = {"1/1/1": "", "1/2/1": ""}, {"1/1/1": "", "1/2/1": ""}, {"1/1/1": 0, "1/2/1": 0}
        for sample, text, looks in pieces:
            file.take(started(sample), text)
            written[f"1/{sample}/1"] += text
            for each in read_calls(Path(folder), "run") if looks else ():
                whole = written[each.call]
                assert each.length == len(whole)
                assert each.after(seen[each.call]) == whole[seen[each.call] :][-4_000:]
                heard[each.call] += each.after(seen[each.call])
                seen[each.call] = each.length
        for call, whole in written.items():
            assert len(heard[call]) <= len(whole)
        file.end()
        assert read_calls(Path(folder), "run") == ()


def test_a_key_in_two_pieces_is_taken_out(tmp_path: Path) -> None:
    """Also where the beginning of the text is no longer kept."""
    redactor = Redactor()
    redactor.add(KEY)
    file = LiveTextFile(tmp_path, redactor.values)
    file.begin("run")
    for piece in ("x" * 5_000, KEY[:9], KEY[9:], " and on"):
        file.take(started(1), piece)
    (found,) = read_calls(tmp_path, "run")
    assert KEY[-8:] not in found.text
    assert found.text.endswith(" and on")
    assert len(found.text) == 4_000


def test_a_call_that_ended_is_for_readers_that_have_not_seen_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not shown as written now, and leaves the file with a later call; the same call once more begins anew."""
    file = LiveTextFile(tmp_path, str)
    file.begin("run")
    file.observe(7, 0, started(1))
    file.take(started(1), "one")
    assert read_live(tmp_path, "run") == {"t": "one"}
    file.observe(8, 0, succeeded(7))
    assert read_live(tmp_path, "run") == {}
    assert [(each.text, each.has_ended) for each in read_calls(tmp_path, "run")] == [("one", True)]
    monkeypatch.setattr(live_text, "_KEPT", -1.0)
    file.observe(9, 0, started(2))
    file.take(started(2), "two")
    assert [(each.text, each.call) for each in read_calls(tmp_path, "run")] == [("two", "1/2/1")]
    file.observe(10, 0, started(2))
    file.take(started(2), "three")
    assert read_live(tmp_path, "run") == {"t": "three"}


@pytest.mark.parametrize("content", ["", "{", "3", "[3]", '[{"task": "t"}]', '{"t": "text of an older release"}'])
def test_what_is_no_file_of_ours_is_nothing(tmp_path: Path, content: str) -> None:
    """A reader shows nothing, and does not fail."""
    LiveTextFile(tmp_path, str, "run").take(started(1), "text")
    (path,) = (tmp_path / "live").iterdir()
    path.write_text(content)
    assert read_calls(tmp_path, "run") == ()
